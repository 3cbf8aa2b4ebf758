//! State of pushed series.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    Kind, LabelSet, METRIC_NAME, MonoMillis, Now, Rejected, Rejection, SeriesBatch, SeriesFamily,
    UnixMillis, is_label_name, is_metric_name, is_staleness_marker, staleness_marker,
};
use hashbrown::{DefaultHashBuilder, HashMap};
use indexmap::IndexMap;

use super::{Accept, Intake};

/// Series of a collector.
#[derive(Debug, Default)]
pub(super) struct PushedSeries {
    families: Families,
    /// By packed labels, in the order in which they came, so that those of a histogram are together.
    series: IndexMap<Box<[u8]>, Sample, DefaultHashBuilder>,
    /// Size of the labels of all series.
    label_bytes: usize,
    /// Samples that were rejected since the last collection.
    rejected: Rejected,
}

#[derive(Debug)]
struct Sample {
    family: Arc<str>,
    /// Newest value; `None` if it is too old to be a current one.
    value: Option<f64>,
    /// Time of its own, if it has one.
    time: Option<UnixMillis>,
    /// Time at which it came.
    at: MonoMillis,
}

/// Sample of a request.
#[derive(Clone, Copy)]
struct NewSample<'b> {
    family: SeriesFamily<'b>,
    packed: &'b [u8],
    /// As [`Sample::time`].
    time: Option<UnixMillis>,
    value: f64,
}

impl NewSample<'_> {
    /// Returns the value, unless it is too old to be a current one. The end of a series never is.
    fn current(&self, ttl: Duration, now: Now) -> Option<f64> {
        let is_old = self.time.is_some_and(|time| now.wall.since(time) > ttl);
        Some(self.value).filter(|value| !is_old || is_staleness_marker(*value))
    }
}

impl PushedSeries {
    /// Takes over the samples, and adds those with times of their own that are admitted to `admitted`. Returns the others.
    pub(super) fn push(
        &mut self,
        intake: &Intake,
        batch: &SeriesBatch,
        now: Now,
        admitted: &mut SeriesBatch,
    ) -> Rejected {
        let mut rejected = batch.rejected().clone();
        let (mut ended, mut counts) = (false, HashMap::new());
        for family in batch.families() {
            let accepted = self.families.admit(family, intake);
            if batch.is_timed() {
                admitted.begin(family.name, family.kind, "");
            }
            for (packed, time, value) in family.timed_samples() {
                let sample = NewSample {
                    family,
                    packed,
                    time,
                    value,
                };
                if let Err(reason) = accepted.and_then(|()| self.set(sample, intake, now)) {
                    rejected.add(reason, 1, || series_text(packed));
                } else if let Some(time) = time {
                    admitted.set_time(time);
                    admitted.push_packed(packed, value);
                }
                if is_staleness_marker(value) {
                    ended = true;
                    counts.extend(point_of_count(family, packed).map(|point| (point, time)));
                }
            }
        }
        if ended {
            self.end(&counts, admitted);
        }
        self.rejected.extend(&rejected);
        rejected
    }

    /// Removes the series whose newest sample is a staleness marker, and those of the points whose counts have ended, by times.
    /// In history the latter get the marker that their client leaves out.
    fn end(&mut self, counts: &HashMap<LabelSet, Option<UnixMillis>>, admitted: &mut SeriesBatch) {
        self.retain(|packed, sample| {
            if sample.value.is_some_and(is_staleness_marker) {
                return false;
            }
            let end = match counts.is_empty() {
                true => None,
                false => counts.get(&point(&sample.family, packed)),
            };
            let Some(end) = end.filter(|end| sample.time <= **end) else {
                return true;
            };
            if let Some(time) = end {
                admitted.begin(&sample.family, None, "");
                admitted.set_time(*time);
                admitted.push_packed(packed, staleness_marker());
            }
            false
        });
    }

    fn set(&mut self, new: NewSample<'_>, intake: &Intake, now: Now) -> Result<(), Rejection> {
        let NewSample { family, packed, .. } = new;
        let limit = intake.limits.bytes.0;
        if let Some(sample) = self.series.get_mut(packed) {
            if new.time.is_none() || new.time > sample.time {
                sample.at = now.mono;
                sample.value = new.current(intake.ttl, now);
                sample.time = new.time;
            }
            if *sample.family != *family.name {
                let new = self.families.join(family, limit);
                let old = std::mem::replace(&mut sample.family, new);
                self.families.leave(&old);
            }
            return Ok(());
        }
        if is_staleness_marker(new.value) {
            return Ok(());
        }
        let labels = LabelSet::from_packed(packed).ok_or(Rejection::Invalid)?;
        let valid = labels
            .iter()
            .all(|(label, _)| is_label_name(label) || label == METRIC_NAME);
        if !valid || !is_metric_name(labels.name()) {
            return Err(Rejection::Invalid);
        }
        let bytes = self.label_bytes + packed.len();
        if self.series.len() >= intake.limits.series || bytes as u64 > limit {
            return Err(Rejection::Limit);
        }
        let sample = Sample {
            family: self.families.join(family, limit),
            value: new.current(intake.ttl, now),
            time: new.time,
            at: now.mono,
        };
        self.label_bytes = bytes;
        self.series.insert(packed.into(), sample);
        Ok(())
    }

    fn retain(&mut self, mut keeps: impl FnMut(&[u8], &Sample) -> bool) {
        self.series.retain(|packed, sample| {
            let kept = keeps(packed, sample);
            if !kept {
                self.label_bytes -= packed.len();
                self.families.leave(&sample.family);
            }
            kept
        });
    }

    /// Counts samples that are rejected elsewhere.
    pub(super) fn reject(&mut self, rejected: &Rejected) {
        self.rejected.extend(rejected);
    }

    /// Ends series without a sample for `ttl`, and adds the others to `out`, with what was rejected since the last call.
    pub(super) fn collect(&mut self, ttl: Duration, now: MonoMillis, out: &mut SeriesBatch) {
        self.retain(|_, sample| now.since(sample.at) <= ttl);
        out.reject(&std::mem::take(&mut self.rejected));
        let mut begun: Option<&Arc<str>> = None;
        for (packed, sample) in &self.series {
            let Some(value) = sample.value else {
                continue;
            };
            if begun != Some(&sample.family) {
                let (kind, help) = self.families.head(&sample.family);
                out.begin(&sample.family, kind, help);
                begun = Some(&sample.family);
            }
            out.push_packed(packed, value);
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
    /// Patterns that accepted the family, and its type in that request: they are asked once, and not for each request.
    accepted: Option<(Arc<Accept>, Option<Kind>)>,
}

impl Family {
    fn was_accepted(&self, kind: Option<Kind>, intake: &Intake) -> bool {
        let accepted = self.accepted.as_ref().zip(intake.accept.as_ref());
        accepted.is_some_and(|((by, of), accept)| Arc::ptr_eq(by, accept) && *of == kind)
    }
}

impl Families {
    /// Compares name and type of a family with what is accepted and known. Type and help text may become known later, as
    /// remote write 1.0 sends them by themselves.
    fn admit(&mut self, family: SeriesFamily<'_>, intake: &Intake) -> Result<(), Rejection> {
        let limit = intake.limits.bytes.0;
        let known = self.by_name.get_mut(family.name);
        let is_accepted = || match intake.accepts_family(family.name, family.kind) {
            true => Ok(()),
            false => Err(Rejection::NotAccepted),
        };
        let Some(known) = known else {
            return is_accepted();
        };
        if !known.was_accepted(family.kind, intake) {
            is_accepted()?;
            known.accepted = intake.accept.clone().map(|accept| (accept, family.kind));
        }
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
            accepted: None,
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
