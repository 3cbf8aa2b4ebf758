//! Result of ingesting the samples of a source.

use bellwether_core::{LabelSet, Rejected, Rejection};

use super::churn::Churn;

/// Result of ingesting the samples of a source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ingestion {
    /// Series of the source.
    pub series: usize,
    /// Samples that were rejected, by the source or here.
    pub rejected: Rejected,
    /// Set if series of the source come and go too often.
    pub(super) churn: Option<Churn>,
}

impl Ingestion {
    /// Begins with the samples that the source rejected.
    pub(super) fn new(rejected: &Rejected) -> Self {
        Self {
            rejected: rejected.clone(),
            ..Self::default()
        }
    }

    pub(super) fn reject(&mut self, reason: Rejection, name: &str, packed: &[u8]) {
        self.rejected.add_of(reason, name, || series_text(packed));
    }

    /// Returns a sentence for each reason for which samples were rejected, and one about churn.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.rejected.notes();
        notes.extend(self.churn.iter().map(ToString::to_string));
        notes
    }
}

/// Formats a series.
pub(super) fn series_text(packed: &[u8]) -> String {
    match LabelSet::from_packed(packed) {
        Some(labels) => labels.to_string(),
        None => String::from_utf8_lossy(packed).replace('\u{fffd}', " "),
    }
}
