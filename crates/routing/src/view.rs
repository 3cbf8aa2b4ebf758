//! The labels that matchers see.

use bellwether_core::{Alert, Labels};

/// An alert's labels as notifications have them: the sender's, the alert's over them, `alertname`
/// and `severity`.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The alert.
    pub alert: &'a Alert,
    /// Labels of every notification.
    pub sender: &'a Labels,
}

impl<'a> View<'a> {
    /// The value of `name`, if it has one.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&'a str> {
        match name {
            "alertname" | "severity" => Some(self.alert.label(name)),
            name => {
                let own = self
                    .alert
                    .labels
                    .get(name)
                    .or_else(|| self.sender.get(name));
                own.map(String::as_str)
            }
        }
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Labels {
        let mut labels = self.sender.clone();
        labels.extend(self.alert.all_labels());
        labels
    }
}
