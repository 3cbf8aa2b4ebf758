//! Recorder of applications, as a collector.

use bellwether_core::{Batch, Now};
use bellwether_recorder::Recorder;

use crate::{Collecting, Collector};

impl Collector for Recorder {
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, now: Now) -> Collecting<'a> {
        self.advance(now);
        self.fill(batch);
        Box::pin(std::future::ready(Ok(())))
    }
}
