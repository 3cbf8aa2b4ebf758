//! Ingested series: those whose names and labels come with their samples, by source.
//!
//! Each source brings all of its series at once. A series that is not among them any more has ended, as in a
//! scrape of Prometheus.

mod budget;
mod churn;
mod ingestion;
mod past;
mod retyped;
mod taken;

use std::collections::{BTreeMap, HashSet};
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    Kind, LabelSet, LabelTable, Labels, METRIC_NAME, MonoMillis, Origin, PackedLabels, Rejection,
    SeriesBatch, SeriesFamily, SeriesLimits, is_label_name, is_metric_name, reserve_tightly,
};
use bellwether_exposition::IngestedLayout;
use bellwether_promql::SampledSeries;
use budget::Budget;
use churn::NewSeries;
use hashbrown::{DefaultHashBuilder, HashTable};
pub use ingestion::Ingestion;
use ingestion::series_text;
use parking_lot::Mutex;
use past::PastSeries;
pub use taken::GeneratedName;
use taken::TakenName;
pub(super) use taken::{Taken, taken_names};

use super::series_links::HistorySamples;
use crate::history::{History, SeriesId};

/// Series of all sources. A slot has one series; its number, its labels and what it belongs to are in vectors by
/// slot.
#[derive(Clone, Debug, Default)]
pub(super) struct Ingested {
    labels: LabelTable,
    rows: Vec<Row>,
    values: Vec<f64>,
    by_labels: HashTable<u32>,
    hasher: DefaultHashBuilder,
    free: Vec<u32>,
    families: BTreeMap<Arc<str>, Family>,
    sources: BTreeMap<Origin, Source>,
}

#[derive(Clone, Debug)]
struct Row {
    source: Origin,
    /// Number of the ingestion that had it last.
    round: u64,
    family: Arc<str>,
    history: Option<SeriesId>,
}

/// Series of one source.
#[derive(Clone, Debug, Default)]
struct Source {
    /// Slots in the order of the last ingestion. Sources repeat their order, so that most series are found without
    /// a hash.
    slots: Vec<u32>,
    round: u64,
    /// Time at which its values were appended to history last.
    appended: MonoMillis,
    /// Set if its samples have times of their own, at which history has them.
    is_timed: bool,
    past: PastSeries,
    rejected: BTreeMap<Rejection, u64>,
    new: NewSeries,
}

/// Counts of one source.
pub(super) struct SourceCounts<'a> {
    pub(super) series: usize,
    /// Series that were new, ever.
    pub(super) created: u64,
    /// Rejected samples by reason.
    pub(super) rejected: &'a BTreeMap<Rejection, u64>,
}

#[derive(Clone, Debug)]
struct Family {
    kind: Option<Kind>,
    help: Arc<str>,
    /// Slots in the order of the exposition: that in which they came.
    slots: Vec<u32>,
    layout: Layout,
}

/// Layout of a family, built when it is asked for the first time.
#[derive(Debug, Default)]
struct Layout(Mutex<Option<Arc<IngestedLayout>>>);

impl Clone for Layout {
    fn clone(&self) -> Self {
        Self(Mutex::new(self.0.lock().clone()))
    }
}

/// Properties that all sources share.
pub(super) struct Shared<'a> {
    /// Names of the series of configured metrics.
    pub(super) taken: &'a Taken,
    pub(super) default_labels: &'a Labels,
    pub(super) history: Option<&'a History>,
}

impl Ingested {
    /// Replaces the series of `source` by those of `batch`, within `limits`: series that it has already come before new
    /// ones. Appends their samples, and staleness markers of the series that ended, to `out`.
    pub(super) fn ingest(
        &mut self,
        source: Origin,
        batch: &SeriesBatch,
        limits: SeriesLimits,
        shared: &Shared<'_>,
        now: MonoMillis,
        out: &mut HistorySamples,
    ) -> Ingestion {
        let mut own = self.sources.remove(&source).unwrap_or_default();
        own.round += 1;
        own.appended = now;
        own.is_timed = batch.is_timed();
        own.past = PastSeries::default();
        let before = std::mem::take(&mut own.slots);
        let mut turn = Turn {
            source,
            round: own.round,
            before: &before,
            next: 0,
            slots: Vec::with_capacity(before.len()),
            result: Ingestion::new(batch.rejected()),
        };
        let new = self.update(batch, &mut turn, shared, out);
        let added = self.add(new, limits, &mut turn, shared, out);
        let Turn {
            slots, mut result, ..
        } = turn;
        let ended = before
            .iter()
            .filter(|slot| self.rows[**slot as usize].round != own.round);
        let ended: Vec<u32> = ended.copied().collect();
        self.remove(&ended, out);
        result.series = slots.len();
        own.slots = slots;
        own.new.add(added, now);
        result.churn = own.new.churn(result.series);
        for (reason, count, _) in result.rejected.iter() {
            *own.rejected.entry(reason).or_default() += count;
        }
        self.sources.insert(source, own);
        result
    }

    /// Sets the values of the series that are there. Returns the samples of others.
    fn update<'b>(
        &mut self,
        batch: &'b SeriesBatch,
        turn: &mut Turn<'_>,
        shared: &Shared<'_>,
        out: &mut HistorySamples,
    ) -> Vec<IngestedSample<'b>> {
        let mut new = Vec::new();
        for family in batch.families() {
            self.retype(&family, turn, shared);
            let taken = shared.taken.get(family.name);
            let has_other_kind = taken.is_some_and(|taken| taken.has_other_kind(family.kind));
            for (packed, value) in family.samples() {
                let sample = IngestedSample {
                    family,
                    packed,
                    value,
                };
                let guess = turn.before.get(turn.next).map(|slot| *slot as usize);
                let slot = guess
                    .filter(|slot| self.holds(*slot, packed))
                    .or_else(|| self.find(packed));
                match slot {
                    // Its type was unknown when it came. It ends.
                    Some(slot) if has_other_kind && *self.rows[slot].family == *family.name => {
                        turn.result
                            .reject(Rejection::NameInUse, family.name, packed);
                    }
                    Some(slot) => self.set(slot, &sample, turn, shared, out),
                    None => new.push(sample),
                }
            }
        }
        new
    }

    /// Adds the series of `new` that are valid and within `limits`. Returns their number.
    fn add(
        &mut self,
        new: Vec<IngestedSample<'_>>,
        limits: SeriesLimits,
        turn: &mut Turn<'_>,
        shared: &Shared<'_>,
        out: &mut HistorySamples,
    ) -> u64 {
        if new.is_empty() {
            return 0;
        }
        let mut budget = Budget::of(limits, turn.slots.iter().map(|slot| self.series(*slot)));
        let mut added = 0;
        for sample in new {
            // A series that came twice is there now.
            let slot = match self.find(sample.packed) {
                Some(slot) => slot,
                None => match self.insert(&sample, &mut budget, turn, shared) {
                    Ok(slot) => {
                        added += 1;
                        slot
                    }
                    Err((reason, name)) => {
                        let name = name.as_deref().unwrap_or(sample.family.name);
                        turn.result.reject(reason, name, sample.packed);
                        continue;
                    }
                },
            };
            self.set(slot, &sample, turn, shared, out);
        }
        added
    }

    /// Returns the name of the metric, and the labels, of a slot.
    fn series(&self, slot: u32) -> (&str, LabelSet) {
        let labels = self.labels.get(slot as usize);
        let labels = labels.and_then(|labels| LabelSet::from_packed(labels.packed()));
        (&self.rows[slot as usize].family, labels.unwrap_or_default())
    }

    /// Sets the value of a series, unless another source has it, or it has one of this turn.
    fn set(
        &mut self,
        slot: usize,
        sample: &IngestedSample<'_>,
        turn: &mut Turn<'_>,
        shared: &Shared<'_>,
        out: &mut HistorySamples,
    ) {
        let row = &mut self.rows[slot];
        if row.source != turn.source || row.round == turn.round {
            let family = row.family.clone();
            turn.result
                .reject(Rejection::Duplicate, &family, sample.packed);
            return;
        }
        row.round = turn.round;
        if *row.family != *sample.family.name && !shared.taken.contains_key(sample.family.name) {
            self.rejoin(slot, sample);
        }
        self.values[slot] = sample.value;
        turn.slots.push(slot as u32);
        turn.next += 1;
        self.push_history(slot, sample.value, shared, out);
    }

    /// Adds a series without a value.
    ///
    /// # Errors
    /// The reason for which it is rejected, with a name if that is not the family's.
    fn insert(
        &mut self,
        sample: &IngestedSample<'_>,
        budget: &mut Budget,
        turn: &Turn<'_>,
        shared: &Shared<'_>,
    ) -> Result<usize, (Rejection, Option<String>)> {
        let packed = sample.packed;
        let labels = sample.admit(budget, shared)?;
        let (name, kind, help) = sample.head(labels.name(), shared);
        let free = self.free.last().copied();
        let slot = free.unwrap_or(self.rows.len() as u32);
        let family = self
            .family(name, kind, help)
            .map_err(|reason| (reason, None))?;
        if !self.labels.set(slot as usize, PackedLabels::new(packed)) {
            return Err((Rejection::Limit, None));
        }
        budget.add(name, &labels);
        let row = Row {
            source: turn.source,
            round: 0,
            family: family.clone(),
            history: None,
        };
        match self.free.pop() {
            Some(slot) => self.rows[slot as usize] = row,
            None => {
                reserve_tightly(&mut self.rows, 1);
                self.rows.push(row);
                reserve_tightly(&mut self.values, 1);
                self.values.push(0.0);
            }
        }
        if let Some(family) = self.families.get_mut(&family) {
            family.slots.push(slot);
            family.layout = Layout::default();
        }
        let hash = self.hasher.hash_one(packed);
        let Self {
            labels,
            hasher,
            by_labels,
            ..
        } = self;
        by_labels.insert_unique(hash, slot, |slot| {
            hasher.hash_one(
                labels
                    .get(*slot as usize)
                    .map_or(&[][..], |labels| labels.packed()),
            )
        });
        Ok(slot as usize)
    }

    /// Returns the key of the family, which is added if it is new.
    fn family(
        &mut self,
        name: &str,
        kind: Option<Kind>,
        help: &str,
    ) -> Result<Arc<str>, Rejection> {
        if let Some((key, family)) = self.families.get_key_value(name) {
            return match family.kind == kind {
                true => Ok(key.clone()),
                false => Err(Rejection::Type),
            };
        }
        let key: Arc<str> = name.into();
        let family = Family {
            kind,
            help: help.into(),
            slots: Vec::new(),
            layout: Layout::default(),
        };
        self.families.insert(key.clone(), family);
        Ok(key)
    }

    fn push_history(
        &mut self,
        slot: usize,
        value: f64,
        shared: &Shared<'_>,
        out: &mut HistorySamples,
    ) {
        let series = self.history_id(slot, shared);
        out.extend(series.map(|series| (series, value)));
    }

    /// Returns the series of a slot in history; `None` if there is no history, or it is full.
    fn history_id(&mut self, slot: usize, shared: &Shared<'_>) -> Option<SeriesId> {
        let history = shared.history?;
        let row = &mut self.rows[slot];
        if row.history.is_none()
            && let Some(labels) = self.labels.get(slot)
        {
            let labels = LabelSet::from_packed(labels.packed()).unwrap_or_default();
            row.history = history.series_id(&labels.with_defaults(shared.default_labels));
        }
        row.history
    }

    fn remove(&mut self, slots: &[u32], out: &mut HistorySamples) {
        let mut changed: HashSet<Arc<str>> = HashSet::new();
        for slot in slots {
            let index = *slot as usize;
            let packed = self
                .labels
                .get(index)
                .map_or(&[][..], |labels| labels.packed());
            let hash = self.hasher.hash_one(packed);
            if let Ok(entry) = self.by_labels.find_entry(hash, |other| other == slot) {
                entry.remove();
            }
            self.labels.remove(index);
            let row = &mut self.rows[index];
            let series = row.history.take();
            out.extend(series.map(|series| (series, SampledSeries::stale())));
            changed.insert(row.family.clone());
            self.free.push(*slot);
        }
        for name in changed {
            let Some(family) = self.families.get_mut(&name) else {
                continue;
            };
            let labels = &self.labels;
            let rows = &self.rows;
            family.slots.retain(|slot| {
                let index = *slot as usize;
                labels.get(index).is_some() && rows[index].family == name
            });
            family.layout = Layout::default();
            if family.slots.is_empty() {
                self.families.remove(&name);
            }
        }
    }

    fn find(&self, packed: &[u8]) -> Option<usize> {
        let hash = self.hasher.hash_one(packed);
        let found = self
            .by_labels
            .find(hash, |slot| self.holds(*slot as usize, packed));
        found.map(|slot| *slot as usize)
    }

    fn holds(&self, slot: usize, packed: &[u8]) -> bool {
        self.labels
            .get(slot)
            .is_some_and(|labels| labels.packed() == packed)
    }

    /// Ends the series of all sources but `kept`; appends their staleness markers to `out`, unless their samples have times
    /// of their own.
    pub(super) fn retain(&mut self, kept: &[Origin], out: &mut HistorySamples) {
        let gone: Vec<Origin> = self.sources.keys().copied().collect();
        for source in gone.into_iter().filter(|source| !kept.contains(source)) {
            let own = self.sources.remove(&source).unwrap_or_default();
            let others = out.len();
            self.remove(&own.slots, out);
            if own.is_timed {
                out.truncate(others);
            }
        }
    }

    /// Appends the values of the sources that have appended none for `age` to `out` once more.
    pub(super) fn repeat(&mut self, age: Duration, now: MonoMillis, out: &mut HistorySamples) {
        for own in self.sources.values_mut() {
            if own.is_timed || now.since(own.appended) < age {
                continue;
            }
            own.appended = now;
            for slot in &own.slots {
                let series = self.rows[*slot as usize].history;
                out.extend(series.map(|series| (series, self.values[*slot as usize])));
            }
        }
    }

    /// Returns the number of series.
    pub(super) fn len(&self) -> usize {
        self.by_labels.len()
    }

    /// Returns the values by slot.
    pub(super) fn values(&self) -> &[f64] {
        &self.values
    }

    /// Returns the layouts of the families, by name.
    pub(super) fn layouts<'a>(
        &'a self,
        default_labels: &'a Labels,
    ) -> impl Iterator<Item = Arc<IngestedLayout>> + 'a {
        self.families.iter().map(|(name, family)| {
            let mut cached = family.layout.0.lock();
            let layout = cached.get_or_insert_with(|| {
                let mut layout =
                    IngestedLayout::new(name.clone(), family.kind, family.help.clone());
                for slot in &family.slots {
                    let (_, labels) = self.series(*slot);
                    let pairs: Vec<_> = labels.iter().collect();
                    layout.push(*slot, pairs.iter().copied(), default_labels);
                }
                Arc::new(layout)
            });
            layout.clone()
        })
    }

    /// Returns the families: name, type and help.
    pub(super) fn families(&self) -> impl Iterator<Item = (&str, Option<Kind>, &str)> {
        self.families
            .iter()
            .map(|(name, family)| (&**name, family.kind, &*family.help))
    }

    /// Returns the counts of each source.
    pub(super) fn sources(&self) -> impl Iterator<Item = (Origin, SourceCounts<'_>)> {
        self.sources.iter().map(|(source, own)| {
            let counts = SourceCounts {
                series: own.slots.len(),
                created: own.new.total,
                rejected: &own.rejected,
            };
            (*source, counts)
        })
    }
}

/// Sample of a batch.
#[derive(Clone, Copy)]
struct IngestedSample<'b> {
    family: SeriesFamily<'b>,
    packed: &'b [u8],
    value: f64,
}

impl<'b> IngestedSample<'b> {
    /// Returns the labels of a new series.
    ///
    /// # Errors
    /// The reason for which it is rejected, with a name if that is not the family's.
    fn admit(
        &self,
        budget: &Budget,
        shared: &Shared<'_>,
    ) -> Result<LabelSet, (Rejection, Option<String>)> {
        let labels = LabelSet::from_packed(self.packed).ok_or((Rejection::Invalid, None))?;
        let series = labels.name();
        let valid = labels
            .iter()
            .all(|(label, _)| is_label_name(label) || label == METRIC_NAME);
        if !valid || !is_metric_name(series) {
            return Err((Rejection::Invalid, None));
        }
        let taken = shared.taken.get(series);
        let kind = self.family.kind;
        if taken.is_some_and(|taken| !taken.allows(&labels, kind, shared.default_labels)) {
            return Err((Rejection::NameInUse, None));
        }
        let (name, ..) = self.head(series, shared);
        budget.check(name, &labels).map_err(|(reason, label)| {
            let name = label.map_or_else(|| name.to_owned(), |label| format!("{name}{{{label}}}"));
            (reason, Some(name))
        })?;
        Ok(labels)
    }

    /// Returns name, type and help of the family of a series.
    fn head<'a>(
        &'a self,
        series: &'a str,
        shared: &Shared<'_>,
    ) -> (&'a str, Option<Kind>, &'a str) {
        let SeriesFamily {
            name, kind, help, ..
        } = self.family;
        // A series that was renamed has a family of its own.
        let (name, kind, help) = match belongs(series, name, kind) {
            true => (name, kind, help),
            false => (series, None, ""),
        };
        let of_name = || shared.taken.get(name).and_then(TakenName::kind);
        (name, kind.or_else(of_name), help)
    }
}

/// State of one ingestion.
struct Turn<'a> {
    source: Origin,
    round: u64,
    /// Slots of the ingestion before, and the index of the one that comes next if nothing changed.
    before: &'a [u32],
    next: usize,
    slots: Vec<u32>,
    result: Ingestion,
}

/// Returns whether a series of this name belongs to a family.
fn belongs(series: &str, family: &str, kind: Option<Kind>) -> bool {
    let suffix = series.strip_prefix(family);
    suffix.is_some_and(|suffix| kind.map_or(&[""][..], Kind::suffixes).contains(&suffix))
}
