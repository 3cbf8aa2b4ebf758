//! What became of the records that an application sent.

/// Records taken and refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Records taken.
    pub accepted: u64,
    /// Records refused.
    pub refused_total: u64,
    /// Those refused, the first thousand at the most.
    pub refused: Vec<RefusedRecord>,
}

/// One refused record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRecord {
    /// Its place among those sent, from 0.
    pub index: u64,
    /// Why, one of a small fixed set of words.
    pub reason: &'static str,
    /// Why, for people.
    pub message: String,
}
