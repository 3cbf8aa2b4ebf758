//! Labels of an alert as matchers see them.

use bellwether_core::{Alert, Labels};

/// Labels of an alert as notifications have them: the sender's, overridden by the alert's, with
/// `alertname` and `severity`.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub alert: &'a Alert,
    /// Labels of every notification.
    pub sender: &'a Labels,
}

impl<'a> View<'a> {
    /// Returns the value of a label.
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

    /// Returns all labels.
    #[must_use]
    pub fn all(&self) -> Labels {
        let mut labels = self.sender.clone();
        labels.extend(self.alert.all_labels());
        labels
    }
}
