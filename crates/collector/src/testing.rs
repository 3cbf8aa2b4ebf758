//! Collectors of the list `collectors` in tests: the context of their settings, and one collection.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Batch, Now, Origin};
use bellwether_schema::{Decode, DecodeContext, Diagnostics, SourceLocation, parse};

use crate::{Build, Collector, CollectorLimits, EntryContext, EntryType, Schedule, System};

/// Name of the collector.
pub const ORIGIN: Origin = Origin::from_static("x");

/// Schedule with an interval of 15 s.
pub const SCHEDULE: Schedule = Schedule {
    interval: Duration::from_secs(15),
    deadline: Duration::from_secs(10),
    settle: None,
};

/// Calls `resolve` with the context of a collector of the list.
pub fn with_context<T>(
    host: &System,
    problems: &mut Diagnostics,
    resolve: impl FnOnce(&mut EntryContext<'_>) -> T,
) -> T {
    resolve(&mut EntryContext {
        origin: ORIGIN,
        enabled: true,
        at: &SourceLocation::default(),
        schedule: SCHEDULE,
        limits: &CollectorLimits::default(),
        host,
        relabeling: Arc::default(),
        receiver: None,
        problems,
        warnings: &mut Vec::new(),
    })
}

/// Resolves the settings of a type in YAML, without those that all types have.
///
/// # Errors
/// Returns the errors with their hints, or that of invalid YAML.
pub fn resolve_type<T: EntryType + Decode>(yaml: &str) -> Result<Build, Vec<String>> {
    let mut problems = Diagnostics::default();
    let node = parse(yaml).map_err(|error| vec![error.to_string()])?;
    let settings = T::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None));
    let build = settings.and_then(|settings| {
        with_context(&System::default(), &mut problems, |context| {
            settings.resolve(context)
        })
    });
    let problems = problems.into_sorted();
    match build {
        Some(build) if problems.is_empty() => Ok(build),
        _ => Err(problems.iter().map(ToString::to_string).collect()),
    }
}

/// Result of one collection.
#[derive(Debug, Default)]
pub struct Collected {
    /// Series with their values, in their order.
    pub lines: Vec<String>,
    /// Reason and detail of the failure.
    pub failure: Option<(&'static str, String)>,
}

impl Collected {
    /// Returns the value of a series.
    #[must_use]
    pub fn value(&self, series: &str) -> Option<f64> {
        let mut lines = self.lines.iter();
        let line = lines.find_map(|line| line.strip_prefix(series))?;
        line.trim().parse().ok()
    }
}

/// Collects once.
pub async fn collect(collector: &mut dyn Collector, now: Now) -> Collected {
    let mut batch = Batch::default();
    let result = collector.collect(&mut batch, now).await;
    Collected {
        lines: batch.series.lines().collect(),
        failure: result.err().map(|failure| (failure.reason, failure.detail)),
    }
}
