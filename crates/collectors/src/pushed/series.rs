//! State of pushed series.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    Kind, LabelSet, METRIC_NAME, MonoMillis, Now, Rejected, Rejection, SeriesBatch, SeriesFamily,
    is_label_name, is_metric_name, is_staleness_marker,
};
use indexmap::IndexMap;

use super::Intake;

/// Series of a collector.
#[derive(Debug, Default)]
pub(super) struct PushedSeries {
    families: Families,
    /// By packed labels, in the order in which they came, so that those of a histogram are together.
    series: IndexMap<Box<[u8]>, Sample>,
    /// Size of the labels of all series.
    label_bytes: usize,
    /// Samples that were rejected since the last collection.
    rejected: Rejected,
    /// Series without a current value that had older samples, with the times at which these came.
    past: HashMap<Box<[u8]>, MonoMillis>,
}

#[derive(Debug)]
struct Sample {
    family: Arc<str>,
    value: f64,
    /// Time at which it came.
    at: MonoMillis,
}

impl PushedSeries {
    /// Takes over the samples, and adds those with times of their own that are for history to `timed`.
    pub(super) fn push(
        &mut self,
        intake: &Intake,
        batch: &SeriesBatch,
        now: Now,
        timed: &mut SeriesBatch,
    ) -> Rejected {
        let mut rejected = batch.rejected().clone();
        let (mut ended, mut counts) = (false, HashSet::new());
        for family in batch.families() {
            let admitted = match intake.accepts_family(family.name, family.kind) {
                true => self.families.admit(family, intake.limits.bytes.0),
                false => Err(Rejection::NotAccepted),
            };
            for (packed, value) in family.samples() {
                let set = admitted.and_then(|()| self.set(family, packed, value, intake, now.mono));
                if let Err(reason) = set {
                    rejected.add(reason, 1, || series_text(packed));
                }
                if is_staleness_marker(value) {
                    ended = true;
                    counts.extend(point_of_count(family, packed));
                }
            }
        }
        self.select_timed(intake, batch, now, timed, &mut rejected);
        if ended {
            self.retain(|packed, sample| {
                let of_ended = || counts.contains(&point(&sample.family, packed));
                !is_staleness_marker(sample.value) && (counts.is_empty() || !of_ended())
            });
        }
        self.rejected.extend(&rejected);
        rejected
    }

    /// Adds the samples with times of their own to `out`: those of series that are there, and of series that have ended or
    /// have none within the time to live, which have no current value.
    fn select_timed(
        &mut self,
        intake: &Intake,
        batch: &SeriesBatch,
        now: Now,
        out: &mut SeriesBatch,
        rejected: &mut Rejected,
    ) {
        for (packed, samples) in batch.timed().into_iter().flatten() {
            let is_past = samples.last().is_some_and(|(at, value)| {
                now.wall.since(*at) > intake.ttl || is_staleness_marker(*value)
            });
            let admitted = match self.series.contains_key(packed) {
                true => Ok(()),
                // The current value was rejected.
                false if !is_past => continue,
                false => self.admit_past(packed, intake, now.mono),
            };
            match admitted {
                Ok(()) => out.push_timed(packed, samples),
                Err(reason) => rejected.add(reason, samples.len() as u64, || series_text(packed)),
            }
        }
    }

    fn admit_past(
        &mut self,
        packed: &[u8],
        intake: &Intake,
        now: MonoMillis,
    ) -> Result<(), Rejection> {
        if let Some(at) = self.past.get_mut(packed) {
            *at = now;
            return Ok(());
        }
        check_names(packed)?;
        if self.past.len() >= intake.limits.series {
            return Err(Rejection::Limit);
        }
        self.past.insert(packed.into(), now);
        Ok(())
    }

    /// Counts samples that are rejected elsewhere.
    pub(super) fn reject(&mut self, rejected: &Rejected) {
        self.rejected.extend(rejected);
    }

    fn set(
        &mut self,
        family: SeriesFamily<'_>,
        packed: &[u8],
        value: f64,
        intake: &Intake,
        now: MonoMillis,
    ) -> Result<(), Rejection> {
        let limit = intake.limits.bytes.0;
        if let Some(sample) = self.series.get_mut(packed) {
            sample.value = value;
            sample.at = now;
            if *sample.family != *family.name {
                let new = self.families.join(family, limit);
                let old = std::mem::replace(&mut sample.family, new);
                self.families.leave(&old);
            }
            return Ok(());
        }
        if is_staleness_marker(value) {
            return Ok(());
        }
        check_names(packed)?;
        let bytes = self.label_bytes + packed.len();
        if self.series.len() >= intake.limits.series || bytes as u64 > limit {
            return Err(Rejection::Limit);
        }
        let sample = Sample {
            family: self.families.join(family, limit),
            value,
            at: now,
        };
        self.label_bytes = bytes;
        self.series.insert(packed.into(), sample);
        Ok(())
    }

    fn retain(&mut self, keeps: impl Fn(&[u8], &Sample) -> bool) {
        self.series.retain(|packed, sample| {
            let kept = keeps(packed, sample);
            if !kept {
                self.label_bytes -= packed.len();
                self.families.leave(&sample.family);
            }
            kept
        });
    }

    /// Ends series without a sample for `ttl`, and adds the others to `out`, with what was rejected since the last call.
    pub(super) fn collect(&mut self, ttl: Duration, now: MonoMillis, out: &mut SeriesBatch) {
        self.retain(|_, sample| now.since(sample.at) <= ttl);
        self.past.retain(|_, at| now.since(*at) <= ttl);
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

/// Checks the names of a series.
///
/// # Errors
/// One of them is invalid.
fn check_names(packed: &[u8]) -> Result<(), Rejection> {
    let labels = LabelSet::from_packed(packed).ok_or(Rejection::Invalid)?;
    let valid = labels
        .iter()
        .all(|(label, _)| is_label_name(label) || label == METRIC_NAME);
    match valid && is_metric_name(labels.name()) {
        true => Ok(()),
        false => Err(Rejection::Invalid),
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
    /// Compares the types of a family. Type and help text may become known later, as remote write 1.0 sends them by
    /// themselves.
    fn admit(&mut self, family: SeriesFamily<'_>, limit: u64) -> Result<(), Rejection> {
        let Some(known) = self.by_name.get_mut(family.name) else {
            return Ok(());
        };
        match (known.kind, family.kind) {
            (Some(known), Some(other)) if known != other => Err(Rejection::Type),
            (None, Some(kind)) => {
                known.kind = Some(kind);
                self.help_bytes -= known.help.len();
                known.help = fitting(family.help, self.help_bytes, limit).into();
                self.help_bytes += known.help.len();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Counts a further series of `family`, which is added if it is new, and returns its name.
    fn join(&mut self, family: SeriesFamily<'_>, limit: u64) -> Arc<str> {
        if let Some(known) = self.by_name.get_mut(family.name) {
            known.series += 1;
            return Arc::clone(&known.name);
        }
        let name: Arc<str> = family.name.into();
        let help = fitting(family.help, self.help_bytes, limit);
        self.help_bytes += help.len();
        let new = Family {
            name: Arc::clone(&name),
            kind: family.kind,
            help: help.into(),
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

/// Returns a help text, or none if all would have more than `limit` bytes.
fn fitting(help: &str, others: usize, limit: u64) -> &str {
    match (others + help.len()) as u64 <= limit {
        true => help,
        false => "",
    }
}

/// Returns the labels that all series of a histogram or a summary share, under the name of the family.
fn point(family: &str, packed: &[u8]) -> LabelSet {
    let labels = LabelSet::from_packed(packed).unwrap_or_default();
    let own = labels
        .iter()
        .filter(|(name, _)| ![METRIC_NAME, "le", "quantile"].contains(name));
    LabelSet::new(own.chain([(METRIC_NAME, family)]))
}

/// Returns the point whose count has ended: with it end the buckets, of which the sender may not say which there are.
fn point_of_count(family: SeriesFamily<'_>, packed: &[u8]) -> Option<LabelSet> {
    let of_many = matches!(family.kind, Some(Kind::Histogram | Kind::Summary));
    let labels = LabelSet::from_packed(packed).filter(|_| of_many)?;
    let suffix = labels.name().strip_prefix(family.name);
    (suffix == Some("_count")).then(|| point(family.name, packed))
}

fn series_text(packed: &[u8]) -> String {
    match LabelSet::from_packed(packed) {
        Some(labels) => labels.to_string(),
        None => String::from_utf8_lossy(packed).replace('\u{fffd}', " "),
    }
}
