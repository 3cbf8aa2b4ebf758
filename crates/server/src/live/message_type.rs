//! Types of messages to a client.

/// Type of a message, the value of its key `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageType {
    AlertResolved,
    AlertTriggered,
    Error,
    InitialData,
    MetricsUpdate,
    Notification,
    /// Ping of the protocol, which has no text.
    Ping,
    Reload,
    Subscribed,
}

impl MessageType {
    /// All types, in the order of their values.
    pub(crate) const ALL: [Self; 9] = [
        Self::AlertResolved,
        Self::AlertTriggered,
        Self::Error,
        Self::InitialData,
        Self::MetricsUpdate,
        Self::Notification,
        Self::Ping,
        Self::Reload,
        Self::Subscribed,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::AlertResolved => "alert_resolved",
            Self::AlertTriggered => "alert_triggered",
            Self::Error => "error",
            Self::InitialData => "initial_data",
            Self::MetricsUpdate => "metrics_update",
            Self::Notification => "notification",
            Self::Ping => "ping",
            Self::Reload => "reload",
            Self::Subscribed => "subscribed",
        }
    }
}
