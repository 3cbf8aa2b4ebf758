//! Contract of the types of collectors in the list `collectors`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Origin, SeriesLimits};
use bellwether_schema::{Diagnostic, Diagnostics, HumanDuration, Size, SourceLocation, Spanned};

use crate::{Build, Collector, Memory, Receiver, Relabeling, Schedule, System};

bellwether_schema::section! {
    /// Limits of one collection.
    pub struct CollectorLimits {
        /// Maximum number of series. Further series are rejected and counted.
        pub series: usize = 10_000,
        /// Maximum number of series of one metric; all buckets of a histogram count. Further series are rejected and
        /// counted.
        pub metric_series: Option<usize> = None,
        /// Maximum number of values of each label in one metric. Series with further values are rejected and counted.
        pub label_values: Option<usize> = None,
        /// Maximum size of what one source answers: a file, a response, the output of a program. A
        /// larger one is an error.
        pub bytes: Size = Size(10 << 20),
    }
}

impl CollectorLimits {
    /// Returns the limits of series.
    #[must_use]
    pub fn of_series(&self) -> SeriesLimits {
        SeriesLimits {
            series: self.series,
            metric_series: self.metric_series,
            label_values: self.label_values,
        }
    }

    /// Returns whether a limit is 0.
    #[must_use]
    pub fn has_zero(&self) -> bool {
        let counts = [Some(self.series), self.metric_series, self.label_values];
        counts.contains(&Some(0)) || self.bytes.0 == 0
    }
}

/// Type of a collector in the list: a section of settings, and the way from them to a collector.
pub trait EntryType {
    /// Checks the settings, also of a disabled collector, and returns how a collector is built, which fills
    /// [`Batch::series`](bellwether_core::Batch::series). Returns `None` after an error, which is reported.
    fn resolve(&self, context: &mut EntryContext<'_>) -> Option<Build>;

    /// Returns the file that the settings name, if they have one.
    fn named_file(&mut self) -> Option<&mut dyn NamedFile> {
        None
    }
}

/// A file that settings name and that is read with the configuration: its text becomes a part of them.
pub trait NamedFile {
    /// Takes the path from the settings; `None` if they have none.
    fn take_path(&mut self) -> Option<Spanned<PathBuf>>;

    /// Replaces the part of the settings by `text`, the content of the file at `path`, which the value at `named` names.
    fn set_text(
        &mut self,
        named: &SourceLocation,
        path: &str,
        text: &str,
        problems: &mut Diagnostics,
    );
}

/// State of resolving one collector of the list.
pub struct EntryContext<'a> {
    /// Name of the collector.
    pub origin: Origin,
    /// Location of its name.
    pub at: &'a SourceLocation,
    /// True if it runs.
    pub enabled: bool,
    /// Schedule of its collections.
    pub schedule: Schedule,
    /// Limits of a collection.
    pub limits: &'a CollectorLimits,
    /// Directories of the host's files, which are elsewhere in a container.
    pub host: &'a System,
    /// Labels and relabeling steps of its series.
    pub relabeling: Arc<Relabeling>,
    /// Receiver of requests of clients.
    pub receiver: Option<Arc<dyn Receiver>>,
    /// Receives errors.
    pub problems: &'a mut Diagnostics,
    /// Receives warnings.
    pub warnings: &'a mut Vec<Diagnostic>,
}

impl EntryContext<'_> {
    /// Returns the longest duration of a collection.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.schedule.deadline
    }

    /// Returns the longest duration of the requests of a collection: the rest is for reading the answers.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        let timeout = self.timeout();
        let rest = (timeout / 10).clamp(Duration::from_millis(20), Duration::from_millis(500));
        timeout.saturating_sub(rest)
    }

    /// Returns whether a setting has an error. It is missing then, although it is written.
    #[must_use]
    pub fn has_error(&self, setting: &str) -> bool {
        let path = self.at.path.strip_suffix("name").unwrap_or(&self.at.path);
        let path = format!("{path}{setting}");
        self.problems.any(|at| {
            let rest = at.path.strip_prefix(&*path);
            at.file == self.at.file
                && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// Returns labels and relabeling steps for a collector that applies them itself. Without this call they are
    /// applied to all that it brings.
    pub fn take_relabeling(&mut self) -> Arc<Relabeling> {
        std::mem::take(&mut self.relabeling)
    }

    /// Sets what takes the requests to the endpoint of the type.
    pub fn receive(&mut self, receiver: impl Receiver + 'static) {
        self.receiver = Some(Arc::new(receiver));
    }

    /// Wraps a function that creates the collector.
    pub fn build<C: Collector>(
        &self,
        build: impl Fn(&Memory) -> C + Send + Sync + 'static,
    ) -> Option<Build> {
        Some(Arc::new(move |memory: &Memory| {
            Box::new(build(memory)) as Box<dyn Collector>
        }))
    }
}

/// Timeout of a collection without one of its own, unless its interval is shorter.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Reports an interval that is too short.
pub fn check_interval(interval: &Spanned<HumanDuration>, problems: &mut Diagnostics) {
    if interval.value.0 < Duration::from_millis(100) {
        problems
            .error(&interval.at, format!("too short: {}", interval.value))
            .hint("100ms at the least; 15s to 60s is usual");
    }
}

/// Reports a timeout that is not within the interval, which `of` names.
pub fn check_timeout(
    timeout: &Spanned<HumanDuration>,
    interval: Duration,
    of: &str,
    problems: &mut Diagnostics,
) {
    if timeout.value.0.is_zero() || timeout.value.0 > interval {
        let message = format!("not within the interval: {}", timeout.value);
        problems
            .error(&timeout.at, message)
            .hint(format!("more than zero, and at most {of}"));
    }
}

/// Returns the schedule of a collector with an interval and a timeout of its own.
pub fn own_schedule(
    usual: Schedule,
    interval: Option<&Spanned<HumanDuration>>,
    timeout: Option<&Spanned<HumanDuration>>,
    problems: &mut Diagnostics,
) -> Schedule {
    let mut schedule = usual;
    if let Some(own) = interval {
        check_interval(own, problems);
        schedule.interval = own.value.0;
        schedule.deadline = own.value.0.min(DEFAULT_TIMEOUT);
    }
    if let Some(own) = timeout {
        check_timeout(
            own,
            schedule.interval,
            "the interval of the collector",
            problems,
        );
        schedule.deadline = own.value.0;
    }
    schedule
}
