//! Metrics that batch jobs push, as to a Pushgateway (<https://github.com/prometheus/pushgateway>).

mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bellwether_collector::{Blocking, Build, EntryContext, EntryType, Memory, Source};
use bellwether_core::{
    Failure, Kind, LabelSet, Labels, METRIC_NAME, Now, Origin, SeriesBatch, UnixMillis,
    is_label_name, is_metric_name,
};
use bellwether_schema::{HumanDuration, Spanned, section};
use files::GroupFiles;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::pushed::check_ttl;

section! {
    /// Collector of type `pushgateway`: metrics that batch jobs push to `/metrics/job/NAME` of Bellwether, with the
    /// API of Pushgateway. They are kept over restarts. Only one collector has this type.
    pub struct Pushgateway {
        /// Time after the last push of a group after which its metrics are deleted. By default they are kept until a
        /// client deletes them, as in Pushgateway.
        pub ttl: Option<Spanned<HumanDuration>> = None,
    }
}

impl EntryType for Pushgateway {
    fn resolve(&self, context: &mut EntryContext<'_>) -> Option<Build> {
        if let Some(ttl) = &self.ttl {
            check_ttl(ttl, context);
        }
        let ttl = self.ttl.as_ref().map(|ttl| ttl.value.0);
        let origin = context.origin;
        context.build(move |memory| {
            Blocking::new(Pushed {
                groups: Groups::of(memory, origin),
                ttl,
            })
        })
    }
}

/// Pushed groups. They outlive a reload, and, with a state directory, a restart.
#[derive(Debug, Default)]
pub struct Groups {
    state: Mutex<State>,
    files: Option<GroupFiles>,
}

/// Time of the last good push of a group.
const PUSH_TIME: &str = "push_time_seconds";

/// Time of the last push of a group that was rejected.
const PUSH_FAILURE_TIME: &str = "push_failure_time_seconds";

#[derive(Debug, Default)]
struct State {
    /// Groups by their grouping key.
    groups: BTreeMap<Labels, Group>,
}

/// Pushed metrics of one group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Group {
    families: BTreeMap<String, Family>,
    /// Time of the last good push.
    pushed: Option<i64>,
    /// Time of the last push that was rejected.
    failed: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Family {
    kind: Option<String>,
    help: String,
    /// Labels, without those of the grouping key, and value.
    samples: Vec<(Labels, Value)>,
}

/// Value of a sample, in the file as a text: JSON has no NaN.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
struct Value(f64);

impl TryFrom<String> for Value {
    type Error = std::num::ParseFloatError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

impl From<Value> for String {
    fn from(value: Value) -> Self {
        value.0.to_string()
    }
}

/// Error of a push.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// The metrics are not accepted.
    #[error("{0}")]
    Rejected(String),
    /// The metrics cannot be written to the state directory.
    #[error("cannot save pushed metrics: {0}")]
    NotSaved(String),
}

impl Groups {
    /// Returns the groups of the collector `origin`. Reads a file at the first call.
    pub fn of(memory: &Memory, origin: Origin) -> Arc<Self> {
        memory.get_or_load(origin, |directory| Self::load(directory, origin))
    }

    fn load(directory: Option<&Path>, origin: Origin) -> Self {
        let name = format!("pushgateway-{}", origin.as_str());
        let files = directory.map(|directory| GroupFiles::new(directory.join(name)));
        let groups = files.as_ref().map(GroupFiles::load).unwrap_or_default();
        Self {
            state: Mutex::new(State { groups }),
            files,
        }
    }

    /// Replaces the metrics of a group; with `keep_others` only those of the same names. They are on disk when this
    /// returns. At most `limit` series are kept in all groups together.
    ///
    /// # Errors
    /// A metric is invalid, or has another type in another group, or there would be too many series; nothing changed then
    /// but the time of the failure. Or the metrics cannot be saved; they are kept in memory.
    pub fn push(
        &self,
        key: Labels,
        batch: &SeriesBatch,
        keep_others: bool,
        limit: usize,
        now: UnixMillis,
    ) -> Result<(), PushError> {
        let mut state = self.state.lock();
        let merged = families(&key, batch).and_then(|pushed| {
            state.check_types(&key, &pushed)?;
            let mut group = Group {
                pushed: Some(now.0),
                ..state.groups.get(&key).cloned().unwrap_or_default()
            };
            if !keep_others {
                group.families.clear();
            }
            group.families.extend(pushed);
            match state.series_beside(&key) + group.series() {
                series if series > limit => Err(format!(
                    "{series} series of pushed groups would be more than limits.series allows: {limit}"
                )),
                _ => Ok(group),
            }
        });
        match merged {
            Ok(group) => {
                let saved = self.on_disk(|files| files.save(&key, &group));
                state.groups.insert(key, group);
                saved
            }
            Err(error) => {
                state.fail(key, limit, now);
                Err(PushError::Rejected(error))
            }
        }
    }

    /// Records that a push to a group was rejected, unless the group is new and more than `limit` series would be kept.
    pub fn fail(&self, key: Labels, limit: usize, now: UnixMillis) {
        self.state.lock().fail(key, limit, now);
    }

    /// Deletes a group.
    ///
    /// # Errors
    /// The change cannot be saved.
    pub fn delete(&self, key: &Labels) -> Result<(), PushError> {
        let mut state = self.state.lock();
        match state.groups.remove(key) {
            Some(_) => self.on_disk(|files| files.delete(key)),
            None => Ok(()),
        }
    }

    /// Changes files, unless all state is in memory.
    fn on_disk(
        &self,
        change: impl FnOnce(&GroupFiles) -> std::io::Result<()>,
    ) -> Result<(), PushError> {
        let changed = self.files.as_ref().map_or(Ok(()), change);
        changed.map_err(|error| PushError::NotSaved(error.to_string()))
    }

    /// Deletes the groups whose last push is longer ago than `ttl`.
    fn expire(&self, ttl: Duration, now: UnixMillis) -> Result<(), PushError> {
        let mut state = self.state.lock();
        let is_over = |group: &Group| {
            let last = group.pushed.max(group.failed).unwrap_or_default();
            now.since(UnixMillis(last)) > ttl
        };
        let over = state.groups.extract_if(.., |_, group| is_over(group));
        let over: Vec<Labels> = over.map(|(key, _)| key).collect();
        self.on_disk(|files| over.iter().try_for_each(|key| files.delete(key)))
    }

    fn fill(&self, out: &mut SeriesBatch) {
        let groups = &self.state.lock().groups;
        for (key, group) in groups {
            for (name, family) in &group.families {
                let kind = family.kind.as_deref().and_then(kind);
                out.begin(name, kind, &family.help);
                for (labels, value) in &family.samples {
                    let pairs = labels.iter().chain(key);
                    let set = LabelSet::new(pairs);
                    out.push_packed(set.packed(), value.0);
                }
            }
        }
        for (name, help, time) in [
            (
                PUSH_TIME,
                "Last Unix time when this group was changed in the Pushgateway.",
                (|group| group.pushed) as fn(&Group) -> Option<i64>,
            ),
            (
                PUSH_FAILURE_TIME,
                "Last Unix time when changing this group in the Pushgateway failed.",
                |group| group.failed,
            ),
        ] {
            out.begin(name, Some(Kind::Gauge), help);
            for (key, group) in groups {
                let pairs = key
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str()));
                let pairs: Vec<_> = pairs.collect();
                out.push(&pairs, time(group).unwrap_or_default() as f64 / 1000.0);
            }
        }
    }
}

impl State {
    fn fail(&mut self, key: Labels, limit: usize, now: UnixMillis) {
        let others = self.series_beside(&key);
        let known = self.groups.contains_key(&key);
        if known || others + Group::default().series() <= limit {
            self.groups.entry(key).or_default().failed = Some(now.0);
        }
    }

    /// Compares the types of metrics that are pushed to the group `key` with those of the other groups: `/metrics` has one
    /// type for a name, and would leave out the series of the others.
    fn check_types(&self, key: &Labels, pushed: &BTreeMap<String, Family>) -> Result<(), String> {
        for (name, family) in pushed {
            // Those that have it agree.
            let mut others = self.groups.iter().filter(|(other, _)| *other != key);
            let there = others.find_map(|(other, group)| Some((other, group.families.get(name)?)));
            if let Some((other, there)) = there.filter(|(_, there)| there.kind != family.kind) {
                return Err(format!(
                    "metric {name:?} has the type {}, and in the group {} the type {}",
                    family.type_word(),
                    LabelSet::new(other),
                    there.type_word()
                ));
            }
        }
        Ok(())
    }

    /// Returns the number of series of all groups but `key`.
    fn series_beside(&self, key: &Labels) -> usize {
        let others = self.groups.iter().filter(|(other, _)| *other != key);
        others.map(|(_, group)| group.series()).sum()
    }
}

impl Group {
    /// Returns the number of its series: the pushed ones, and the times of the last push and the last failure.
    fn series(&self) -> usize {
        let pushed = self.families.values().map(|family| family.samples.len());
        pushed.sum::<usize>() + 2
    }
}

impl Family {
    fn type_word(&self) -> &str {
        self.kind.as_deref().unwrap_or("untyped")
    }
}

fn kind(word: &str) -> Option<Kind> {
    let all = [Kind::Counter, Kind::Gauge, Kind::Histogram, Kind::Summary];
    all.into_iter().find(|kind| kind.as_str() == word)
}

/// Checks what was pushed to the group `key`. Labels of the grouping key replace those of the metrics, and a metric
/// has no other `instance` than that of the key, as in Pushgateway. The times of pushes are not taken from a client.
fn families(key: &Labels, batch: &SeriesBatch) -> Result<BTreeMap<String, Family>, String> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for pushed in batch.families() {
        if [PUSH_TIME, PUSH_FAILURE_TIME].contains(&pushed.name) {
            continue;
        }
        let kind = pushed.kind.map(|kind| kind.as_str().to_owned());
        let family = families
            .entry(pushed.name.to_owned())
            .or_insert_with(|| Family {
                kind: kind.clone(),
                help: pushed.help.to_owned(),
                samples: Vec::new(),
            });
        if family.kind != kind {
            return Err(format!("metric {:?} has two types", pushed.name));
        }
        for (packed, value) in pushed.samples() {
            let set = LabelSet::from_packed(packed).ok_or("labels are invalid")?;
            let invalid = set
                .iter()
                .find(|(name, _)| *name != METRIC_NAME && !is_label_name(name));
            if let Some((name, _)) = invalid {
                return Err(format!("not a label name: {name:?}"));
            }
            if !is_metric_name(set.name()) {
                return Err(format!("not a metric name: {:?}", set.name()));
            }
            let labels: Labels = set
                .iter()
                .filter(|(name, _)| !key.contains_key(*name) && *name != "instance")
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            if !seen.insert(labels.clone()) {
                return Err(format!("series {set} is there twice"));
            }
            family.samples.push((labels, Value(value)));
        }
    }
    Ok(families)
}

/// Pushed metrics as a source. A push may hold the lock while it writes, so they are read on a blocking thread.
struct Pushed {
    groups: Arc<Groups>,
    ttl: Option<Duration>,
}

impl Source for Pushed {
    fn read(&mut self, now: Now, out: &mut SeriesBatch) -> Result<(), Failure> {
        let expired = match self.ttl {
            None => Ok(()),
            Some(ttl) => self.groups.expire(ttl, now.wall),
        };
        self.groups.fill(out);
        expired.map_err(|error| Failure::new("io", error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use bellwether_exposition::{Format, SeriesParser};

    use super::*;

    fn key(pairs: &[(&str, &str)]) -> Labels {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn parsed(text: &str) -> SeriesBatch {
        let mut batch = SeriesBatch::default();
        SeriesParser::default()
            .parse(text, Format::Text, &mut batch)
            .unwrap();
        batch
    }

    fn push(groups: &Groups, job: &str, text: &str, keep_others: bool) -> Result<(), PushError> {
        let key = key(&[("job", job)]);
        groups.push(key, &parsed(text), keep_others, 7, UnixMillis(5000))
    }

    fn lines(groups: &Groups) -> Vec<String> {
        let mut batch = SeriesBatch::default();
        groups.fill(&mut batch);
        batch
            .lines()
            .filter(|line| !line.starts_with("push_"))
            .collect()
    }

    #[test]
    fn put_replaces_a_group_and_post_the_metrics_of_the_same_names() {
        let groups = Groups::default();
        push(
            &groups,
            "a",
            "x{job=\"other\",instance=\"i\"} 1\ny 2\n",
            false,
        )
        .unwrap();
        push(&groups, "b", "x 3\n", false).unwrap();
        push(&groups, "a", "y{k=\"v\"} NaN\n", true).unwrap();
        assert_eq!(
            lines(&groups),
            [
                "x{job=\"a\"} 1",
                "y{job=\"a\", k=\"v\"} NaN",
                "x{job=\"b\"} 3"
            ]
        );
        push(&groups, "a", "z 4\n", false).unwrap();
        assert_eq!(lines(&groups), ["z{job=\"a\"} 4", "x{job=\"b\"} 3"]);
        groups.delete(&key(&[("job", "a")])).unwrap();
        assert_eq!(lines(&groups), ["x{job=\"b\"} 3"]);
    }

    #[test]
    fn a_rejected_push_changes_only_the_time_of_the_failure() {
        let groups = Groups::default();
        push(&groups, "a", "x 1\n", false).unwrap();
        for (text, error) in [
            ("x 1\nx 2\n", "series x is there twice"),
            ("{\"x-y\"} 1\n", "not a metric name: \"x-y\""),
            (
                "# TYPE t gauge\nt 1\n# TYPE t counter\nt{a=\"b\"} 1\n",
                "metric \"t\" has two types",
            ),
            (
                "x{a=\"1\"} 1\nx{a=\"2\"} 1\nx{a=\"3\"} 1\nx{a=\"4\"} 1\nx{a=\"5\"} 1\nx{a=\"6\"} 1\n",
                "8 series of pushed groups would be more than limits.series allows: 7",
            ),
        ] {
            let found = push(&groups, "a", text, true).unwrap_err();
            assert_eq!(found.to_string(), error);
        }
        assert_eq!(lines(&groups), ["x{job=\"a\"} 1"]);
        let mut batch = SeriesBatch::default();
        groups.fill(&mut batch);
        let own: Vec<f64> = batch
            .families()
            .filter(|family| family.name.starts_with("push_"))
            .flat_map(|family| family.samples().map(|sample| sample.1))
            .collect();
        assert_eq!(own, [5.0, 5.0]);
    }

    #[test]
    fn a_metric_has_one_type_in_all_groups() {
        let groups = Groups::default();
        push(&groups, "a", "# TYPE x gauge\nx 1\n", false).unwrap();
        let counter = "# TYPE x counter\nx 2\n";
        for (text, kind) in [(counter, "counter"), ("x 2\n", "untyped")] {
            for keep_others in [true, false] {
                let error = push(&groups, "b", text, keep_others).unwrap_err();
                let message = format!(
                    "metric \"x\" has the type {kind}, and in the group {{job=\"a\"}} the type gauge"
                );
                assert_eq!(error, PushError::Rejected(message));
            }
        }
        assert_eq!(lines(&groups), ["x{job=\"a\"} 1"]);
        // A group may change its own type while no other has the metric.
        push(&groups, "a", counter, true).unwrap();
        push(&groups, "b", counter, false).unwrap();
        assert_eq!(lines(&groups).len(), 2);
        push(&groups, "a", "x 1\n", false).unwrap_err();
        groups.delete(&key(&[("job", "b")])).unwrap();
        push(&groups, "a", "x 1\n", false).unwrap();
    }

    #[test]
    fn a_client_does_not_set_the_times_of_pushes() {
        let groups = Groups::default();
        let text = "# TYPE push_time_seconds counter\npush_time_seconds 1\nx 1\n";
        push(&groups, "a", text, false).unwrap();
        let mut batch = SeriesBatch::default();
        groups.fill(&mut batch);
        let times = batch.lines().filter(|line| line.starts_with("push_time"));
        assert_eq!(
            times.collect::<Vec<_>>(),
            ["push_time_seconds{job=\"a\"} 5"]
        );
    }

    #[test]
    fn groups_without_metrics_count_to_the_limit() {
        let groups = Groups::default();
        for job in ["a", "b", "c"] {
            push(&groups, job, "", false).unwrap();
        }
        let error = push(&groups, "d", "", false).unwrap_err();
        assert_eq!(
            error.to_string(),
            "8 series of pushed groups would be more than limits.series allows: 7"
        );
        groups.fail(key(&[("job", "e")]), 7, UnixMillis(5000));
        groups.fail(key(&[("job", "a")]), 7, UnixMillis(6000));
        let mut batch = SeriesBatch::default();
        groups.fill(&mut batch);
        let failures = batch
            .lines()
            .filter(|line| line.starts_with("push_failure"));
        let expected = [("a", 6), ("b", 0), ("c", 0)]
            .map(|(job, time)| format!("push_failure_time_seconds{{job=\"{job}\"}} {time}"));
        assert_eq!(failures.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn groups_survive_a_restart_and_end_with_their_time_to_live() {
        let folder = tempfile::tempdir().unwrap();
        let load = || Groups::load(Some(folder.path()), Origin::new("batch"));
        push(&load(), "a", "x{a=\"b\"} +Inf\n", false).unwrap();
        let groups = load();
        assert_eq!(lines(&groups), ["x{a=\"b\", job=\"a\"} inf"]);
        let ttl = Duration::from_secs(60);
        groups.expire(ttl, UnixMillis(65_000)).unwrap();
        assert_eq!(lines(&groups).len(), 1);
        groups.expire(ttl, UnixMillis(65_001)).unwrap();
        assert_eq!((lines(&groups).len(), lines(&load()).len()), (0, 0));
    }
}
