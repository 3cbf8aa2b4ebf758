//! Series that clients push: the newest value of each, until its time is over.
//!
//! A request says what it says once, and `/metrics` has it until the next one. Names are admitted by `accept`, and the
//! number of series by `limits.series`, so no client fills the memory. What is kept is collected at the interval of the
//! collector, as what other types fetch.

mod series;

use std::sync::Arc;
use std::time::Duration;

use bellwether_collector::{Blocking, CollectorLimits, EntryContext, Memory, Source};
use bellwether_core::{Failure, Kind, Now, Origin, Rejected, SeriesBatch};
use bellwether_matcher::Pattern;
use bellwether_schema::{Constraint, Diagnostics, HumanDuration, Literal, Spanned};
use parking_lot::Mutex;
use series::PushedSeries;

/// Most labels of a series in a request: of what a request has, each takes many times its size in memory.
pub(crate) const MOST_LABELS: usize = 10_000;

bellwether_schema::section! {
    /// Series that clients push.
    #[constraints = [Constraint::AnyOf(&["accept"])]]
    pub struct PushSettings {
        /// Regular expressions of the metrics' names that are accepted, each for a whole name; `.*` accepts all. The
        /// others are rejected and counted.
        pub accept: Vec<Spanned<Literal>> = Vec::new(),
        /// Time after its last sample after which a series ends.
        pub ttl: Spanned<HumanDuration> = Spanned::nowhere(HumanDuration::minutes(5)),
    }
}

impl PushSettings {
    /// Checks the settings, and returns where pushed series go.
    pub(crate) fn resolve(&self, context: &mut EntryContext<'_>) -> Option<Intake> {
        if self.accept.is_empty() {
            Accept::report_none(context);
        }
        check_ttl(&self.ttl, context);
        let accept = Accept::resolve(&self.accept, context.problems)?;
        Some(Intake::new(context, accept, self.ttl.value.0))
    }
}

/// Patterns of the names of metrics that are accepted.
#[derive(Clone, Debug)]
pub(crate) struct Accept(Vec<Pattern>);

impl Accept {
    /// Compiles the patterns. Returns `None` after an error, which is reported.
    pub(crate) fn resolve(
        patterns: &[Spanned<Literal>],
        problems: &mut Diagnostics,
    ) -> Option<Self> {
        let compiled = patterns.iter().map(|pattern| {
            Pattern::new(&pattern.value)
                .map_err(|error| {
                    let message = format!("invalid regular expression: {error}");
                    problems.error(&pattern.at, message);
                })
                .ok()
        });
        // All of them, so that every error is reported.
        let compiled: Vec<Option<Pattern>> = compiled.collect();
        compiled.into_iter().collect::<Option<_>>().map(Self)
    }

    /// Reports that a collector would take nothing.
    pub(crate) fn report_none(context: &mut EntryContext<'_>) {
        if context.has_error("accept") {
            return;
        }
        context
            .problems
            .error(context.at, "accepts no metrics")
            .hint("set `accept: [\".*\"]` for all of them, or patterns of their names");
    }

    /// Returns the pattern of all names.
    pub(crate) fn all() -> Self {
        Self(Pattern::new(".*").into_iter().collect())
    }

    /// Returns whether metrics of this name are accepted.
    pub(crate) fn accepts(&self, metric: &str) -> bool {
        self.0.iter().any(|pattern| pattern.is_match(metric))
    }
}

/// Reports a time to live that is over before the next collection.
pub(crate) fn check_ttl(ttl: &Spanned<HumanDuration>, context: &mut EntryContext<'_>) {
    if ttl.value.0 < context.schedule.interval {
        context
            .problems
            .error(&ttl.at, format!("shorter than the interval: {}", ttl.value))
            .hint("the metrics would be gone before they are collected; take a longer one");
    }
}

/// Way of pushed series into the memory of their collector.
#[derive(Clone)]
pub(crate) struct Intake {
    origin: Origin,
    /// `None`: all.
    accept: Option<Arc<Accept>>,
    limits: CollectorLimits,
    ttl: Duration,
    /// Set if samples go to history as they come, at their times.
    is_timed: bool,
}

impl Intake {
    /// Creates the way into the collector of `context`, for names that `accept` accepts; `None`: all names.
    pub(crate) fn new(
        context: &EntryContext<'_>,
        accept: impl Into<Option<Accept>>,
        ttl: Duration,
    ) -> Self {
        Self {
            origin: context.origin,
            accept: accept.into().map(Arc::new),
            limits: context.limits.clone(),
            ttl,
            is_timed: false,
        }
    }

    /// Sets that samples go to history as they come, at their times: those that [`Intake::push_timed`] admits.
    #[must_use]
    pub(crate) fn with_times(mut self) -> Self {
        self.is_timed = true;
        self
    }

    /// Creates a way for all names, with default limits.
    pub(crate) fn unlimited(origin: Origin, ttl: Duration) -> Self {
        Self {
            origin,
            accept: None,
            limits: CollectorLimits::default(),
            ttl,
            is_timed: false,
        }
    }

    /// Returns the collector.
    pub(crate) fn origin(&self) -> Origin {
        self.origin
    }

    /// Returns whether metrics of this name are accepted.
    pub(crate) fn accepts(&self, metric: &str) -> bool {
        let accept = self.accept.as_ref();
        accept.is_none_or(|accept| accept.accepts(metric))
    }

    /// Returns the limits: of the series and their texts that are kept, and of a request.
    pub(crate) fn limits(&self) -> &CollectorLimits {
        &self.limits
    }

    /// Returns whether series of this family are accepted: by its name, or by the name of one of its series, since the type
    /// may be known to the one who writes a pattern and not to the client, or the other way round.
    pub(crate) fn accepts_family(&self, name: &str, kind: Option<Kind>) -> bool {
        let of_type = kind.map_or(&[][..], Kind::suffixes).iter();
        let mut series = of_type.filter(|suffix| !suffix.is_empty());
        let mut stems = ["_bucket", "_count", "_sum"].into_iter();
        self.accepts(name)
            || series.any(|suffix| self.accepts(&format!("{name}{suffix}")))
            || kind.is_none()
                && stems.any(|suffix| {
                    let stem = name.strip_suffix(suffix);
                    stem.is_some_and(|stem| self.accepts(stem))
                })
    }

    /// Returns the time for which a series is kept.
    pub(crate) fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Takes over the samples of `batch`, and returns those that are rejected, here or by its sender. A staleness marker
    /// ends its series. May wait for a collection, so it is called on a blocking thread.
    pub(crate) fn push(&self, memory: &Memory, batch: &SeriesBatch, now: Now) -> Rejected {
        self.push_timed(memory, batch, now).0
    }

    /// As [`Intake::push`], of samples with times of their own; also returns those that are admitted, for history. One that is
    /// older than the time to live is no current value.
    pub(crate) fn push_timed(
        &self,
        memory: &Memory,
        batch: &SeriesBatch,
        now: Now,
    ) -> (Rejected, SeriesBatch) {
        let pushed = memory.get::<Pushed>(self.origin);
        let mut admitted = SeriesBatch::default();
        let rejected = pushed.0.lock().push(self, batch, now, &mut admitted);
        (rejected, admitted)
    }

    /// Counts samples that history has rejected.
    pub(crate) fn reject(&self, memory: &Memory, rejected: &Rejected) {
        let pushed = memory.get::<Pushed>(self.origin);
        pushed.0.lock().reject(rejected);
    }

    /// Collects the series.
    pub(crate) fn collect(&self, memory: &Memory, now: Now) -> SeriesBatch {
        let mut batch = SeriesBatch::default();
        let pushed = memory.get::<Pushed>(self.origin);
        pushed.0.lock().collect(self.ttl, now.mono, &mut batch);
        batch
    }

    /// Returns the collector of the series.
    pub(crate) fn collector(&self, memory: &Memory) -> Blocking<PushedSource> {
        Blocking::new(PushedSource {
            pushed: memory.get(self.origin),
            ttl: self.ttl,
            is_timed: self.is_timed,
        })
    }
}

/// Series of a collector. They outlive a reload.
#[derive(Debug, Default)]
struct Pushed(Mutex<PushedSeries>);

/// Pushed series as a source. A push may hold the lock for long, so they are read on a blocking thread.
pub(crate) struct PushedSource {
    pushed: Arc<Pushed>,
    ttl: Duration,
    /// Set if history has the samples already.
    is_timed: bool,
}

impl Source for PushedSource {
    fn read(&mut self, now: Now, out: &mut SeriesBatch) -> Result<(), Failure> {
        if self.is_timed {
            out.set_time(now.wall);
        }
        self.pushed.0.lock().collect(self.ttl, now.mono, out);
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use bellwether_collector::System;
    use bellwether_collector::testing::with_context;

    use super::*;

    /// Returns an intake that accepts names of these patterns, for at most `series` series.
    pub(crate) fn intake(accept: &[&str], series: usize) -> Intake {
        let patterns = accept.iter().map(|pattern| Literal((*pattern).into()));
        let settings = PushSettings {
            accept: patterns.map(Spanned::nowhere).collect(),
            ttl: Spanned::nowhere(HumanDuration::minutes(5)),
        };
        let mut problems = bellwether_schema::Diagnostics::default();
        let intake = with_context(&System::default(), &mut problems, |context| {
            settings.resolve(context)
        });
        let mut intake = intake.unwrap();
        intake.limits.series = series;
        intake
    }

    impl Intake {
        /// Sets `limits.bytes`.
        pub(crate) fn with_bytes(mut self, bytes: u64) -> Self {
            self.limits.bytes.0 = bytes;
            self
        }
    }

    /// Collects what was pushed to `intake`.
    pub(crate) fn collect(intake: &Intake, memory: &Memory, now: Now) -> SeriesBatch {
        intake.collect(memory, now)
    }

    /// Returns the series with their values.
    pub(crate) fn lines(intake: &Intake, memory: &Memory, now: Now) -> Vec<String> {
        collect(intake, memory, now).lines().collect()
    }

    /// Returns the families with their types.
    pub(crate) fn families(
        intake: &Intake,
        memory: &Memory,
        now: Now,
    ) -> Vec<(String, Option<Kind>)> {
        let batch = collect(intake, memory, now);
        let families = batch.families();
        families
            .map(|family| (family.name.to_owned(), family.kind))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use bellwether_core::Rejection;

    use super::testing::{collect, families, intake, lines};
    use super::*;

    /// Name, type, and values by the label `a`.
    type FamilyOf<'a> = (&'a str, Option<Kind>, &'a [(&'a str, f64)]);

    fn batch(families: &[FamilyOf<'_>]) -> SeriesBatch {
        let mut batch = SeriesBatch::default();
        for (name, kind, samples) in families {
            batch.begin(name, *kind, "Help.");
            for (label, value) in *samples {
                batch.push(&[("a", label)], *value);
            }
        }
        batch
    }

    const GAUGE: Option<Kind> = Some(Kind::Gauge);

    #[test]
    fn the_newest_value_stays_until_its_time_is_over() {
        let (intake, memory, now) = (intake(&["x|y"], 10), Memory::default(), Now::default());
        intake.push(
            &memory,
            &batch(&[("x", GAUGE, &[("1", 1.0), ("2", 2.0)])]),
            now,
        );
        let later = now.after(Duration::from_secs(200));
        intake.push(&memory, &batch(&[("x", GAUGE, &[("2", 3.0)])]), later);
        assert_eq!(
            lines(&intake, &memory, later),
            ["x{a=\"1\"} 1", "x{a=\"2\"} 3"]
        );
        let after = now.after(Duration::from_millis(300_001));
        assert_eq!(lines(&intake, &memory, after), ["x{a=\"2\"} 3"]);
    }

    #[test]
    fn a_staleness_marker_ends_its_series() {
        let (intake, memory, now) = (intake(&[".*"], 10), Memory::default(), Now::default());
        intake.push(
            &memory,
            &batch(&[("x", GAUGE, &[("1", 1.0), ("2", f64::NAN)])]),
            now,
        );
        let stale = bellwether_core::staleness_marker();
        let end = batch(&[("x", GAUGE, &[("1", stale), ("3", stale)])]);
        assert_eq!(intake.push(&memory, &end, now), Rejected::default());
        assert_eq!(lines(&intake, &memory, now), ["x{a=\"2\"} NaN"]);
    }

    #[test]
    fn the_end_of_a_count_is_that_of_all_buckets() {
        let (intake, memory, now) = (intake(&[".*"], 10), Memory::default(), Now::default());
        let histogram = Some(Kind::Histogram);
        let mut both = SeriesBatch::default();
        both.begin("t", histogram, "");
        both.push_histogram(&[("a", "1")], [(0.5, 1.0)], 2.0, Some(3.0));
        both.push_histogram(&[("a", "2")], [], 2.0, Some(3.0));
        intake.push(&memory, &both, now);
        let mut end = SeriesBatch::default();
        end.begin("t", histogram, "");
        end.push_suffixed("_count", &[("a", "1")], bellwether_core::staleness_marker());
        intake.push(&memory, &end, now);
        assert_eq!(
            lines(&intake, &memory, now),
            [
                "t_bucket{a=\"2\", le=\"+Inf\"} 2",
                "t_sum{a=\"2\"} 3",
                "t_count{a=\"2\"} 2"
            ]
        );
    }

    #[test]
    fn samples_beyond_the_patterns_and_the_limits_are_rejected() {
        let (mut intake, memory, now) = (intake(&["x.*"], 2), Memory::default(), Now::default());
        let rejected = intake.push(
            &memory,
            &batch(&[
                ("x", GAUGE, &[("1", 1.0), ("2", 1.0), ("3", 1.0)]),
                ("x", Some(Kind::Counter), &[("1", 1.0)]),
                ("ax", GAUGE, &[("1", 1.0)]),
                ("x-y", GAUGE, &[("1", 1.0)]),
            ]),
            now,
        );
        let reasons: Vec<_> = rejected
            .iter()
            .map(|(reason, count, _)| (reason, count))
            .collect();
        assert_eq!(
            reasons,
            [
                (Rejection::Limit, 1),
                (Rejection::Type, 1),
                (Rejection::Invalid, 1),
                (Rejection::NotAccepted, 1)
            ]
        );
        assert_eq!(collect(&intake, &memory, now).rejected(), &rejected);
        intake.limits.series = 10;
        intake.limits.bytes.0 = 40;
        let long = batch(&[("xx", GAUGE, &[("long enough", 1.0)])]);
        assert_eq!(intake.push(&memory, &long, now).count(Rejection::Limit), 1);
    }

    #[test]
    fn a_histogram_is_accepted_by_its_name_and_by_those_of_its_series() {
        let histogram = Some(Kind::Histogram);
        for pattern in ["t", "t_.*"] {
            let intake = intake(&[pattern], 10);
            assert!(intake.accepts_family("t", histogram), "{pattern}");
            assert!(intake.accepts_family("t_sum", None), "{pattern}");
            assert!(!intake.accepts_family("a", histogram), "{pattern}");
        }
        assert!(!intake(&["t"], 10).accepts_family("t_sum", GAUGE));
    }

    #[test]
    fn a_type_that_becomes_known_later_is_that_of_all_series() {
        let (intake, memory, now) = (intake(&[".*"], 10), Memory::default(), Now::default());
        intake.push(
            &memory,
            &batch(&[("x_sum", None, &[("1", 1.0)]), ("y", None, &[("1", 1.0)])]),
            now,
        );
        let mut known = batch(&[("y", GAUGE, &[("2", 2.0)])]);
        known.begin("x", Some(Kind::Summary), "");
        known.push_suffixed("_sum", &[("a", "1")], 3.0);
        intake.push(&memory, &known, now);
        assert_eq!(
            families(&intake, &memory, now),
            [
                ("x".to_owned(), Some(Kind::Summary)),
                ("y".to_owned(), GAUGE)
            ]
        );
        assert_eq!(
            lines(&intake, &memory, now),
            ["x_sum{a=\"1\"} 3", "y{a=\"1\"} 1", "y{a=\"2\"} 2"]
        );
    }
}
