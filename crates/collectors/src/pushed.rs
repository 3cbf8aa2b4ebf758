//! Series that clients push: the newest value of each, until its time is over.
//!
//! A request says what it says once, and `/metrics` has it until the next one. Names are admitted by `accept`, and the
//! number of series by `limits.series`, so no client fills the memory. What is kept is collected at the interval of the
//! collector, as what other types fetch.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    Failure, Kind, LabelSet, METRIC_NAME, MonoMillis, Now, Origin, Rejected, Rejection,
    SeriesBatch, SeriesFamily, is_label_name, is_metric_name, is_staleness_marker,
};
use bellwether_matcher::Pattern;
use bellwether_schema::{Constraint, Diagnostics, HumanDuration, Literal, Spanned};
use indexmap::IndexMap;
use parking_lot::Mutex;

use crate::blocking::{Blocking, Source};
use crate::{CollectorLimits, EntryContext, Memory};

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
        context
            .problems
            .error(context.at, "accepts no metrics")
            .hint("set `accept: [\".*\"]` for all of them, or patterns of their names");
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
    accept: Option<Accept>,
    limits: CollectorLimits,
    ttl: Duration,
}

impl Intake {
    /// Returns the collector.
    pub(crate) fn origin(&self) -> Origin {
        self.origin
    }

    /// Creates the way into the collector of `context`, for names that `accept` accepts; `None`: all names.
    pub(crate) fn new(
        context: &EntryContext<'_>,
        accept: impl Into<Option<Accept>>,
        ttl: Duration,
    ) -> Self {
        Self {
            origin: context.origin,
            accept: accept.into(),
            limits: context.limits.clone(),
            ttl,
        }
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

    /// Returns the time for which a series is kept.
    pub(crate) fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Takes over the samples of `batch`, and returns those that are rejected, here or by its sender. A staleness marker
    /// ends its series. May wait for a collection, so it is called on a blocking thread.
    pub(crate) fn push(&self, memory: &Memory, batch: &SeriesBatch, now: Now) -> Rejected {
        let pushed = memory.get::<Pushed>(self.origin);
        let mut series = pushed.0.lock();
        series.push(self, batch, now.mono)
    }

    /// Returns the collector of the series.
    pub(crate) fn collector(&self, memory: &Memory) -> Blocking<PushedSource> {
        Blocking::new(PushedSource {
            pushed: memory.get(self.origin),
            ttl: self.ttl,
        })
    }
}

/// Series of a collector. They outlive a reload.
#[derive(Debug, Default)]
struct Pushed(Mutex<PushedSeries>);

#[derive(Debug, Default)]
struct PushedSeries {
    families: Families,
    /// By packed labels, in the order in which they came, so that those of a histogram are together.
    series: IndexMap<Box<[u8]>, Sample>,
    /// Size of the labels of all series.
    label_bytes: usize,
    /// Samples that were rejected since the last collection.
    rejected: Rejected,
}

#[derive(Debug)]
struct Sample {
    family: Arc<str>,
    value: f64,
    /// Time at which it came.
    at: MonoMillis,
}

impl PushedSeries {
    fn push(&mut self, intake: &Intake, batch: &SeriesBatch, now: MonoMillis) -> Rejected {
        let mut rejected = batch.rejected().clone();
        let mut ended = false;
        for family in batch.families() {
            let admitted = match intake.accepts(family.name) {
                true => self.families.admit(family),
                false => Err(Rejection::NotAccepted),
            };
            for (packed, value) in family.samples() {
                let set = admitted.and_then(|()| self.set(family, packed, value, intake, now));
                if let Err(reason) = set {
                    rejected.add(reason, 1, || series_text(packed));
                }
                ended |= is_staleness_marker(value);
            }
        }
        if ended {
            self.retain(|sample| !is_staleness_marker(sample.value));
        }
        self.rejected.extend(&rejected);
        rejected
    }

    fn set(
        &mut self,
        family: SeriesFamily<'_>,
        packed: &[u8],
        value: f64,
        intake: &Intake,
        now: MonoMillis,
    ) -> Result<(), Rejection> {
        if let Some(sample) = self.series.get_mut(packed) {
            sample.value = value;
            sample.at = now;
            if *sample.family != *family.name {
                let new = self.families.join(family);
                let old = std::mem::replace(&mut sample.family, new);
                self.families.leave(&old);
            }
            return Ok(());
        }
        if is_staleness_marker(value) {
            return Ok(());
        }
        let labels = LabelSet::from_packed(packed).ok_or(Rejection::Invalid)?;
        let valid = labels
            .iter()
            .all(|(label, _)| is_label_name(label) || label == METRIC_NAME);
        if !valid || !is_metric_name(labels.name()) {
            return Err(Rejection::Invalid);
        }
        let bytes = self.label_bytes + packed.len() + self.families.help_bytes + family.help.len();
        if self.series.len() >= intake.limits.series || bytes as u64 > intake.limits.bytes.0 {
            return Err(Rejection::Limit);
        }
        let sample = Sample {
            family: self.families.join(family),
            value,
            at: now,
        };
        self.label_bytes += packed.len();
        self.series.insert(packed.into(), sample);
        Ok(())
    }

    fn retain(&mut self, keeps: impl Fn(&Sample) -> bool) {
        self.series.retain(|packed, sample| {
            let kept = keeps(sample);
            if !kept {
                self.label_bytes -= packed.len();
                self.families.leave(&sample.family);
            }
            kept
        });
    }

    /// Ends series without a sample for `ttl`, and adds the others to `out`, with what was rejected since the last call.
    fn collect(&mut self, ttl: Duration, now: MonoMillis, out: &mut SeriesBatch) {
        self.retain(|sample| now.since(sample.at) <= ttl);
        out.reject(&std::mem::take(&mut self.rejected));
        let mut begun: Option<&Arc<str>> = None;
        for (packed, sample) in &self.series {
            if begun != Some(&sample.family) {
                let (kind, help) = self.families.head(&sample.family);
                out.begin(&sample.family, kind, help);
                begun = Some(&sample.family);
            }
            out.push_packed(packed, sample.value);
        }
    }
}

/// Families that have series, by name.
#[derive(Debug, Default)]
struct Families {
    by_name: HashMap<Arc<str>, Family>,
    /// Size of all help texts.
    help_bytes: usize,
}

#[derive(Debug)]
struct Family {
    name: Arc<str>,
    kind: Option<Kind>,
    help: Box<str>,
    /// Number of its series.
    series: usize,
}

impl Families {
    /// Compares the types of a family. The type may become known later, as remote write 1.0 sends it by itself.
    fn admit(&mut self, family: SeriesFamily<'_>) -> Result<(), Rejection> {
        let Some(known) = self.by_name.get_mut(family.name) else {
            return Ok(());
        };
        match (known.kind, family.kind) {
            (Some(known), Some(other)) if known != other => Err(Rejection::Type),
            (None, Some(kind)) => {
                known.kind = Some(kind);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Counts a further series of `family`, which is added if it is new, and returns its name.
    fn join(&mut self, family: SeriesFamily<'_>) -> Arc<str> {
        if let Some(known) = self.by_name.get_mut(family.name) {
            known.series += 1;
            return Arc::clone(&known.name);
        }
        let name: Arc<str> = family.name.into();
        self.help_bytes += family.help.len();
        let new = Family {
            name: Arc::clone(&name),
            kind: family.kind,
            help: family.help.into(),
            series: 1,
        };
        self.by_name.insert(Arc::clone(&name), new);
        name
    }

    /// Counts a series of a family less; the family ends with the last one.
    fn leave(&mut self, name: &Arc<str>) {
        let Some(family) = self.by_name.get_mut(name) else {
            return;
        };
        family.series -= 1;
        if family.series == 0 {
            self.help_bytes -= family.help.len();
            self.by_name.remove(name);
        }
    }

    /// Returns type and help.
    fn head(&self, name: &Arc<str>) -> (Option<Kind>, &str) {
        let family = self.by_name.get(name);
        family.map_or((None, ""), |family| (family.kind, &family.help))
    }
}

fn series_text(packed: &[u8]) -> String {
    match LabelSet::from_packed(packed) {
        Some(labels) => labels.to_string(),
        None => String::from_utf8_lossy(packed).replace('\u{fffd}', " "),
    }
}

/// Pushed series as a source. A push may hold the lock for long, so they are read on a blocking thread.
pub(crate) struct PushedSource {
    pushed: Arc<Pushed>,
    ttl: Duration,
}

impl Source for PushedSource {
    fn read(&mut self, now: Now, out: &mut SeriesBatch) -> Result<(), Failure> {
        self.pushed.0.lock().collect(self.ttl, now.mono, out);
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::entry::testing::with_context;
    use crate::system::System;

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

    /// Collects what was pushed to `intake`.
    pub(crate) fn collect(intake: &Intake, memory: &Memory, now: Now) -> SeriesBatch {
        let mut batch = SeriesBatch::default();
        let pushed = memory.get::<Pushed>(intake.origin);
        pushed.0.lock().collect(intake.ttl, now.mono, &mut batch);
        batch
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
    use super::testing::{collect, families, intake, lines};
    use super::*;

    fn batch(families: &[(&str, Option<Kind>, &[(&str, f64)])]) -> SeriesBatch {
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
        let pushed = memory.get::<Pushed>(intake.origin);
        assert_eq!(pushed.0.lock().families.by_name.len(), 2);
    }
}
