//! Result of the records that an application sent.

/// Numbers of accepted and rejected records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Accepted records.
    pub accepted: u64,
    /// Rejected records.
    pub rejected_total: u64,
    /// The first thousand rejected records.
    pub rejected: Vec<RejectedRecord>,
}

/// A rejected record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRecord {
    /// Index in the request, from 0.
    pub index: u64,
    /// Reason, fit for a label.
    pub reason: &'static str,
    /// Error message.
    pub message: String,
}
