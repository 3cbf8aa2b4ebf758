//! Samples of series whose names and labels come with them.

use std::ops::Range;

use super::bound::bound;
use super::label_set::{LabelSet, METRIC_NAME};
use super::labels::END;
use super::metric::Kind;
use super::rejection::{Rejected, Rejection};
use super::time::UnixMillis;

/// Samples of one collection whose names, types and labels come with them, as in an exposition. A batch has
/// families, and each family its samples. All texts are in shared buffers, so once these have grown, filling a
/// batch again allocates nothing; `clear` keeps them.
///
/// ```
/// use bellwether_core::{Kind, LabelSet, SeriesBatch};
///
/// let mut batch = SeriesBatch::default();
/// batch.begin("backup_size_bytes", Some(Kind::Gauge), "Size of the last backup.");
/// batch.push(&[("volume", "data")], 5e9);
///
/// let family = batch.families().next().unwrap();
/// assert_eq!((family.name, family.kind), ("backup_size_bytes", Some(Kind::Gauge)));
/// let (labels, value) = family.samples().next().unwrap();
/// let labels = LabelSet::from_packed(labels).unwrap();
/// assert_eq!(labels.to_string(), "backup_size_bytes{volume=\"data\"}");
/// assert_eq!(value, 5e9);
/// ```
#[derive(Debug, Default)]
pub struct SeriesBatch {
    families: Vec<Family>,
    /// Names and help texts of the families.
    texts: String,
    samples: Vec<Entry>,
    labels: Vec<u8>,
    /// Start of the labels of the last sample of the family.
    last_labels: usize,
    /// Time of the samples that follow, if they have times of their own.
    time: Option<UnixMillis>,
    /// Times of the samples; empty if they have none of their own.
    times: Vec<UnixMillis>,
    /// Maximum size of the texts; `clear` keeps it.
    limit_bytes: Option<usize>,
    rejected: Rejected,
}

/// Limits of the series of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesLimits {
    /// Maximum number of series.
    pub series: usize,
    /// Maximum number of series of one metric; `None`: no limit but that of all.
    pub metric_series: Option<usize>,
    /// Maximum number of values of a label in one metric; `None`: no limit.
    pub label_values: Option<usize>,
}

impl SeriesLimits {
    /// Returns a limit of all series alone.
    #[must_use]
    pub fn of_series(series: usize) -> Self {
        Self {
            series,
            metric_series: None,
            label_values: None,
        }
    }
}

#[derive(Debug)]
struct Family {
    name: Range<usize>,
    help: Range<usize>,
    kind: Option<Kind>,
    /// Index of its first sample.
    start: usize,
}

#[derive(Debug)]
struct Entry {
    /// End of the labels in the buffer; the start is the end of the entry before. With the same end it has the same labels.
    labels_end: usize,
    value: f64,
}

/// Family of a [`SeriesBatch`].
#[derive(Clone, Copy, Debug)]
pub struct SeriesFamily<'a> {
    /// Name, as behind `# TYPE` in the text format.
    pub name: &'a str,
    /// Type; `None`: unknown.
    pub kind: Option<Kind>,
    /// Text of `# HELP`; may be empty.
    pub help: &'a str,
    batch: &'a SeriesBatch,
    start: usize,
    end: usize,
}

impl SeriesBatch {
    /// Creates a batch that rejects samples once its texts have more than `limit_bytes`: what a request shares among its
    /// samples is here once for each.
    #[must_use]
    pub fn within(limit_bytes: u64) -> Self {
        Self {
            limit_bytes: Some(usize::try_from(limit_bytes).unwrap_or(usize::MAX)),
            ..Self::default()
        }
    }

    /// Returns whether the texts have reached their limit.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let bytes = self.texts.len() + self.labels.len();
        self.limit_bytes.is_some_and(|limit| bytes > limit)
    }

    /// Begins a family. The samples that follow belong to it. A family may be begun several times in a batch.
    pub fn begin(&mut self, name: &str, kind: Option<Kind>, help: &str) {
        let (name, help) = match self.is_full() {
            true => ("", ""),
            false => (name, help),
        };
        let name = self.add_text(name);
        let help = self.add_text(help);
        self.families.push(Family {
            name,
            help,
            kind,
            start: self.samples.len(),
        });
        self.last_labels = self.labels.len();
    }

    /// Gives the samples that follow a time of their own. Called before the first sample: all samples of a batch have times
    /// of their own, or all have that of the collection.
    pub fn set_time(&mut self, time: UnixMillis) {
        self.time = Some(time);
    }

    /// Returns the time of the samples that follow, if they have times of their own.
    #[must_use]
    pub fn time(&self) -> Option<UnixMillis> {
        self.time
    }

    /// Returns whether the samples have times of their own.
    #[must_use]
    pub fn is_timed(&self) -> bool {
        self.time.is_some()
    }

    fn add_text(&mut self, text: &str) -> Range<usize> {
        let start = self.texts.len();
        self.texts.push_str(text);
        start..self.texts.len()
    }

    /// Adds a sample of the family that was begun last, under the name of the family. Labels may be in any
    /// order; each name must be there only once. A label with an empty value counts as absent.
    pub fn push(&mut self, labels: &[(&str, &str)], value: f64) {
        self.push_suffixed("", labels, value);
    }

    /// Adds a gauge with one sample.
    pub fn gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.begin(name, Some(Kind::Gauge), help);
        self.push(labels, value);
    }

    /// Adds a counter with one sample.
    pub fn counter(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.begin(name, Some(Kind::Counter), help);
        self.push(labels, value);
    }

    /// Adds a family of unknown type with one sample.
    pub fn untyped(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.begin(name, None, help);
        self.push(labels, value);
    }

    /// As [`SeriesBatch::push`], under the name of the family with a suffix, such as `_sum`.
    pub fn push_suffixed(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) {
        if self.is_full() {
            return self.reject_by_size();
        }
        let name = self
            .families
            .last()
            .map_or(0..0, |family| family.name.clone());
        self.last_labels = self.labels.len();
        let Self {
            texts,
            labels: packed,
            ..
        } = self;
        let name = &texts[name];
        if labels.is_sorted_by_key(|label| label.0) {
            pack(packed, name, suffix, labels.iter());
        } else {
            let mut sorted: Vec<&(&str, &str)> = labels.iter().collect();
            sorted.sort_unstable_by_key(|label| label.0);
            pack(packed, name, suffix, sorted.into_iter());
        }
        self.end_sample(value);
    }

    /// Adds a sample whose labels, its name included, are packed as [`LabelSet::packed`](super::LabelSet::packed).
    pub fn push_packed(&mut self, labels: &[u8], value: f64) {
        if self.is_full() {
            return self.reject_by_size();
        }
        if !self.is_timed() || self.labels[self.last_labels..] != *labels {
            self.last_labels = self.labels.len();
            self.labels.extend_from_slice(labels);
        }
        self.end_sample(value);
    }

    /// Adds a further sample of the series that was pushed last, to the same family.
    pub fn push_again(&mut self, value: f64) {
        match self.is_full() {
            true => self.reject_by_size(),
            false => self.end_sample(value),
        }
    }

    /// Adds the series of a histogram to the family that was begun last. `cumulative` has, for each upper bound,
    /// the observations at or below it; `count` has all. A source may have no `sum`.
    pub fn push_histogram(
        &mut self,
        labels: &[(&str, &str)],
        cumulative: impl IntoIterator<Item = (f64, f64)>,
        count: f64,
        sum: Option<f64>,
    ) {
        let mut push_bucket = |bound: &str, observations| {
            let with_bound: Vec<_> = labels.iter().copied().chain([("le", bound)]).collect();
            self.push_suffixed("_bucket", &with_bound, observations);
        };
        for (upper, observations) in cumulative {
            push_bucket(&bound(upper, false), observations);
        }
        push_bucket("+Inf", count);
        if let Some(sum) = sum {
            self.push_suffixed("_sum", labels, sum);
        }
        self.push_suffixed("_count", labels, count);
    }

    fn end_sample(&mut self, value: f64) {
        self.samples.push(Entry {
            labels_end: self.labels.len(),
            value,
        });
        self.times.extend(self.time);
    }

    fn reject_by_size(&mut self) {
        self.reject_samples(Rejection::Limit, 1, || "a sample of a large request".into());
    }

    /// Adds samples that the source has rejected.
    pub fn reject(&mut self, rejected: &Rejected) {
        self.rejected.extend(rejected);
    }

    /// Adds `count` samples that the source has rejected. `first` returns the text of the first one of the reason.
    pub fn reject_samples(
        &mut self,
        reason: Rejection,
        count: u64,
        first: impl FnOnce() -> String,
    ) {
        self.rejected.add(reason, count, first);
    }

    /// Returns the samples that the source has rejected.
    #[must_use]
    pub fn rejected(&self) -> &Rejected {
        &self.rejected
    }

    /// Appends the families of `other`.
    pub fn append(&mut self, other: &SeriesBatch) {
        for family in other.families() {
            self.begin(family.name, family.kind, family.help);
            for (labels, time, value) in family.timed_samples() {
                self.time = time;
                self.push_packed(labels, value);
            }
        }
        self.rejected.extend(&other.rejected);
    }

    /// Iterates over the families in the order in which they were begun.
    pub fn families(&self) -> impl Iterator<Item = SeriesFamily<'_>> {
        self.families.iter().enumerate().map(|(index, family)| {
            let next = self.families.get(index + 1);
            SeriesFamily {
                name: &self.texts[family.name.clone()],
                kind: family.kind,
                help: &self.texts[family.help.clone()],
                batch: self,
                start: family.start,
                end: next.map_or(self.samples.len(), |next| next.start),
            }
        })
    }

    /// Formats each sample as its series in PromQL's form, a blank and its value: `up{job="x"} 1`.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let samples = self.families().flat_map(SeriesFamily::samples);
        samples.map(|(labels, value)| {
            let labels = LabelSet::from_packed(labels).unwrap_or_default();
            format!("{labels} {value}")
        })
    }

    /// Returns the number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Returns whether the batch has no samples.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Removes all families and keeps the buffers.
    pub fn clear(&mut self) {
        self.families.clear();
        self.texts.clear();
        self.samples.clear();
        self.labels.clear();
        self.last_labels = 0;
        self.time = None;
        self.times.clear();
        self.rejected = Rejected::default();
    }
}

impl<'a> SeriesFamily<'a> {
    /// Iterates over the samples: labels, packed as [`LabelSet::packed`](super::LabelSet::packed), and value.
    pub fn samples(self) -> impl Iterator<Item = (&'a [u8], f64)> {
        let samples = self.timed_samples();
        samples.map(|(labels, _, value)| (labels, value))
    }

    /// As [`SeriesFamily::samples`], with the time of each sample if it has one of its own.
    pub fn timed_samples(self) -> impl Iterator<Item = (&'a [u8], Option<UnixMillis>, f64)> {
        let batch = self.batch;
        let end_of = |index: usize| batch.samples[index].labels_end;
        let before = self.start.checked_sub(1).map_or(0, end_of);
        let mut labels = before..before;
        (self.start..self.end).map(move |index| {
            let sample = &batch.samples[index];
            if sample.labels_end != labels.end {
                labels = labels.end..sample.labels_end;
            }
            let time = batch.times.get(index).copied();
            (&batch.labels[labels.clone()], time, sample.value)
        })
    }
}

/// Appends sorted labels, the name among them.
fn pack<'l>(
    packed: &mut Vec<u8>,
    name: &str,
    suffix: &str,
    labels: impl Iterator<Item = &'l (&'l str, &'l str)>,
) {
    let mut named = false;
    for (label, text) in labels {
        if !named && *label > METRIC_NAME {
            push_name(packed, name, suffix);
            named = true;
        }
        if !text.is_empty() {
            push_text(packed, label);
            push_text(packed, text);
        }
    }
    if !named {
        push_name(packed, name, suffix);
    }
}

fn push_name(packed: &mut Vec<u8>, name: &str, suffix: &str) {
    push_text(packed, METRIC_NAME);
    packed.extend_from_slice(name.as_bytes());
    push_text(packed, suffix);
}

fn push_text(packed: &mut Vec<u8>, text: &str) {
    packed.extend_from_slice(text.as_bytes());
    packed.push(END);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_packed_as_a_label_set_in_any_order() {
        let mut batch = SeriesBatch::default();
        batch.begin("up", None, "");
        batch.push(&[("job", "x"), ("Zone", "1"), ("empty", "")], 1.0);
        batch.push(&[], 2.0);
        batch.begin("up", Some(Kind::Gauge), "Help.");
        batch.push(&[("B", "x")], 3.0);
        assert_eq!(
            batch.lines().collect::<Vec<_>>(),
            ["up{Zone=\"1\", job=\"x\"} 1", "up 2", "up{B=\"x\"} 3"]
        );
        let families: Vec<_> = batch.families().map(|family| family.kind).collect();
        assert_eq!(families, [None, Some(Kind::Gauge)]);
        batch.clear();
        assert!(batch.is_empty() && batch.lines().next().is_none());
    }

    #[test]
    fn a_histogram_has_buckets_sum_and_count() {
        let mut batch = SeriesBatch::default();
        batch.begin("t_seconds", Some(Kind::Histogram), "");
        batch.push_histogram(&[("a", "b")], [(0.5, 1.0), (1.0, 2.0)], 3.0, Some(4.5));
        assert_eq!(
            batch.lines().collect::<Vec<_>>(),
            [
                "t_seconds_bucket{a=\"b\", le=\"0.5\"} 1",
                "t_seconds_bucket{a=\"b\", le=\"1\"} 2",
                "t_seconds_bucket{a=\"b\", le=\"+Inf\"} 3",
                "t_seconds_sum{a=\"b\"} 4.5",
                "t_seconds_count{a=\"b\"} 3"
            ]
        );
    }

    #[test]
    fn samples_may_have_times_of_their_own_and_a_series_several() {
        let mut batch = SeriesBatch::default();
        assert!(!batch.is_timed());
        batch.begin("up", None, "");
        for (job, times) in [("a", [3, 1]), ("b", [2, 4])] {
            batch.set_time(UnixMillis(times[0]));
            batch.push(&[("job", job)], 1.0);
            batch.set_time(UnixMillis(times[1]));
            batch.push_again(2.0);
        }
        batch.begin("down", None, "");
        batch.push(&[], 5.0);
        batch.begin("", None, "");
        batch.push_packed(&[], 6.0);
        let mut other = SeriesBatch::default();
        other.append(&batch);
        assert_eq!(other.labels, batch.labels, "those of a series once");
        for batch in [&batch, &other] {
            let samples = batch.families().flat_map(SeriesFamily::timed_samples);
            let samples = samples.map(|(labels, time, value)| {
                let labels = LabelSet::from_packed(labels).unwrap();
                format!("{labels} {} {value}", time.unwrap().0)
            });
            assert_eq!(
                samples.collect::<Vec<_>>(),
                [
                    "up{job=\"a\"} 3 1",
                    "up{job=\"a\"} 1 2",
                    "up{job=\"b\"} 2 1",
                    "up{job=\"b\"} 4 2",
                    "down 4 5",
                    "{} 4 6"
                ]
            );
        }
        batch.clear();
        assert!(!batch.is_timed());
    }

    #[test]
    fn a_batch_with_a_limit_rejects_what_is_above_it() {
        let mut batch = SeriesBatch::within(40);
        batch.begin("requests_total", Some(Kind::Counter), "");
        for path in ["/a", "/b", "/c", "/d"] {
            batch.push(&[("path", path)], 1.0);
        }
        batch.push_packed(LabelSet::new([("a", "b")]).packed(), 1.0);
        batch.push_again(2.0);
        batch.begin("others_total", Some(Kind::Counter), "");
        assert_eq!((batch.len(), batch.is_full()), (1, true));
        assert_eq!(batch.rejected().count(Rejection::Limit), 5);
        assert_eq!(batch.families().last().unwrap().name, "");
        batch.clear();
        assert!(!batch.is_full());
    }
}
