//! Words of a record, in files and in the API.

use serde::{Deserialize, Serialize};

/// A word that names no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown value {word:?}; hint: one of {}", known.join(", "))]
pub struct UnknownWord {
    /// The word.
    pub word: String,
    /// All words that name a value.
    pub known: &'static [&'static str],
}

macro_rules! named_enum {
    ($(#[$doc:meta])* $name:ident {
        $( $(#[$vdoc:meta])* $variant:ident = $word:literal $(| $former:literal)? ),+ $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name {
            $( $(#[$vdoc])* #[serde(rename = $word $(, alias = $former)?)] $variant ),+
        }

        impl $name {
            /// All variants.
            pub const ALL: &'static [Self] = &[ $( Self::$variant ),+ ];

            /// Returns the name in files and in the API.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word ),+ }
            }

            /// Parses a name, also one of earlier versions.
            ///
            /// # Errors
            /// Returns an error if there is no such name.
            pub fn parse(name: &str) -> Result<Self, UnknownWord> {
                match name {
                    $( $word $(| $former)? => Ok(Self::$variant), )+
                    _ => Err(UnknownWord {
                        word: name.to_owned(),
                        known: &[ $( $word ),+ ],
                    }),
                }
            }
        }
    };
}

named_enum! {
    /// Kind of a record.
    Kind {
        /// A transition of an alert.
        Transition = "transition",
        /// A step of a notification.
        Notification = "notification",
    }
}

named_enum! {
    /// Event of a record.
    EventKind {
        /// An alert became pending.
        Pending = "pending",
        /// An alert fired.
        Firing = "firing",
        /// The severity of a firing alert changed.
        Level = "level",
        /// A firing alert resolved.
        Resolved = "resolved",
        /// A pending alert became inactive.
        Cleared = "cleared",
        /// A notification waits for delivery.
        Queued = "queued",
        /// A notification was muted.
        Muted = "muted" | "held",
        /// A notification was delivered.
        Delivered = "delivered",
        /// An attempt of delivery failed.
        Failed = "failed",
        /// A notification was rejected by its service.
        Rejected = "rejected" | "refused",
        /// A notification was dropped.
        Dropped = "dropped",
    }
}

named_enum! {
    /// State of the alert, or its state in a notification.
    State {
        /// The alert is inactive.
        Inactive = "inactive",
        /// The alert is pending.
        Pending = "pending",
        /// The alert fires.
        Firing = "firing",
        /// The alert resolved.
        Resolved = "resolved",
    }
}
