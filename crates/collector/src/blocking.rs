//! Collectors that read files, on a blocking thread.

use bellwether_core::{Batch, Failure, Now, SeriesBatch};
use tokio::task::spawn_blocking;

use crate::{Collecting, Collector};

/// A source of series whose reading blocks.
pub trait Source: Send + 'static {
    /// Adds the series to `out`. They are committed even if an error is returned.
    fn read(&mut self, now: Now, out: &mut SeriesBatch) -> Result<(), Failure>;

    /// Returns notes for the operator.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Collector that reads a source on a blocking thread.
pub struct Blocking<S> {
    /// `None` while the thread has it.
    source: Option<S>,
    notes: Vec<String>,
}

impl<S: Source> Blocking<S> {
    pub fn new(source: S) -> Self {
        Self {
            source: Some(source),
            notes: Vec::new(),
        }
    }
}

impl<S: Source> Collector for Blocking<S> {
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, now: Now) -> Collecting<'a> {
        Box::pin(async move {
            let source = self.source.take();
            let mut source = source.ok_or_else(|| Failure::new("io", "still reading"))?;
            let mut series = std::mem::take(&mut batch.series);
            let run = spawn_blocking(move || {
                let result = source.read(now, &mut series);
                (source, series, result)
            });
            let (source, series, result) = run
                .await
                .map_err(|error| Failure::new("panic", error.to_string()))?;
            self.notes = source.notes();
            self.source = Some(source);
            batch.series = series;
            result
        })
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }
}
