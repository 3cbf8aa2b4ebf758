//! The world of one test on virtual time: collects series and evaluates rules.
//!
//! Owns the clock. Store, engine and history are the live ones.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    Alert, AlertState, Batch, LabelSet, LabelValues, Labels, METRIC_NAME, MetricDef, MetricId,
    MonoMillis, Now, Origin, Transition, UnixMillis,
};
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, Queryable, SampledSeries, StorageError};
use bellwether_rules::{Engine, NoLimits, RuleSet, SampleStorage, Tick, roundtrip};
use bellwether_tsdb::history::{History, SeriesId};
use bellwether_tsdb::store::{Options, Store};

use super::rules_under_test::RulesUnderTest;
use super::series_notation::{Cursor, Point, Values};
use crate::replay::Part;

/// Start of the monotonic clock of a test; leaves room for times before the start.
const START: MonoMillis = MonoMillis(3_600_000);

/// Start and intervals of a test.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// Wall clock at offset zero.
    pub(super) start: UnixMillis,
    /// Time between two collections.
    pub(super) interval: Duration,
    /// Time between two evaluations of rules that query history.
    pub(super) evaluation: Duration,
}

impl Times {
    /// Returns both clocks at an offset from the start.
    pub(super) fn at(&self, offset: Duration) -> Now {
        Now {
            mono: START,
            wall: self.start,
        }
        .after(offset)
    }
}

/// Optional features that a test needs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Features {
    /// Series of alerts.
    pub(super) alerts: bool,
    /// Restarts.
    pub(super) restart: bool,
}

/// Rules and their input series.
pub(super) struct TestWorld<'a> {
    under_test: &'a RulesUnderTest,
    times: Times,
    /// Times of the next collection and the next evaluation.
    next: (Duration, Duration),
    /// Time of the last evaluation.
    last: Duration,
    /// Collected samples, if the test restarts.
    past: Option<Arc<History>>,
    /// Selectors of series without values, and their end times.
    hidden: Vec<(Vec<Vec<LabelMatcher>>, Duration)>,
    inputs: Vec<InputSeries<'a>>,
    rows: Vec<Row>,
    origins: Vec<Origin>,
    store: Store,
    engine: Engine,
    memory: History,
    /// `ALERTS` and `ALERTS_FOR_STATE`, if a query selects them.
    alerts: Option<(History, BTreeSet<LabelSet>)>,
    /// Pairs of input series that are the same series of a metric.
    pub(super) duplicates: Vec<(LabelSet, LabelSet)>,
    /// Rules whose history queries failed, with time and message of the first error.
    pub(super) failed: BTreeMap<String, (Duration, String)>,
}

/// Input series.
struct InputSeries<'a> {
    /// Labels as written and as exported.
    names: [LabelSet; 2],
    points: Cursor<'a>,
    series: Option<SeriesId>,
    /// Row of a configured metric and index of the value in it.
    place: Option<(usize, usize)>,
}

impl InputSeries<'_> {
    fn is_selected(&self, alternatives: &[Vec<LabelMatcher>]) -> bool {
        self.names.iter().any(|name| {
            alternatives
                .iter()
                .any(|all| all.iter().all(|matcher| matcher.matches(name)))
        })
    }
}

/// Creates an empty store for the metrics of `under_test`.
fn store(
    under_test: &RulesUnderTest,
    rules: &RuleSet,
    times: &Times,
    history: Option<&Arc<History>>,
) -> Store {
    let options = Options {
        default_labels: under_test.default_labels.clone(),
        windows: rules.windows(),
        history: history.cloned(),
        ..Options::default()
    };
    Store::new(under_test.metrics_every(times.interval).into(), options)
}

/// Row of a configured metric.
struct Row {
    metric: MetricId,
    labels: LabelValues,
    /// Number of buckets of a histogram, else zero.
    buckets: usize,
    values: Vec<f64>,
    fresh: bool,
}

impl Row {
    /// Returns the values; a bucket without a series, and a missing count, gets the value of the
    /// next lower bucket.
    fn filled(&self) -> Vec<f64> {
        let mut values = self.values.clone();
        if self.buckets == 0 {
            return values;
        }
        let mut below = 0.0;
        for number in values.iter_mut().take(self.buckets + 1) {
            *number = if number.is_nan() { below } else { *number };
            below = *number;
        }
        values
    }
}

impl<'a> TestWorld<'a> {
    /// Creates the world before the first collection.
    pub(super) fn new(
        under_test: &'a RulesUnderTest,
        rules: Arc<RuleSet>,
        series: impl Iterator<Item = (&'a LabelSet, &'a Values)>,
        times: Times,
        features: Features,
    ) -> Self {
        let metrics = under_test.metrics_every(times.interval);
        let memory = History::in_memory(usize::MAX);
        let mut rows = RowIndex::new(&metrics);
        let inputs = series
            .map(|(written, values)| {
                let (place, labels) = rows.locate(written, under_test);
                let series = memory.series_id(&labels);
                InputSeries {
                    names: [written.clone(), labels],
                    points: values.points(),
                    series,
                    place,
                }
            })
            .collect();
        let RowIndex {
            rows, duplicates, ..
        } = rows;
        let past = features
            .restart
            .then(|| Arc::new(History::in_memory(usize::MAX)));
        let origins: BTreeSet<Origin> = rows
            .iter()
            .map(|row| metrics[row.metric.0 as usize].origin)
            .collect();
        Self {
            under_test,
            times,
            next: (Duration::ZERO, Duration::ZERO),
            last: Duration::ZERO,
            hidden: Vec::new(),
            inputs,
            rows,
            duplicates,
            origins: origins.into_iter().collect(),
            store: store(under_test, &rules, &times, past.as_ref()),
            past,
            engine: Engine::from_shared(rules, times.at(Duration::ZERO)),
            memory,
            alerts: features
                .alerts
                .then(|| (History::in_memory(usize::MAX), BTreeSet::new())),
            failed: BTreeMap::new(),
        }
    }

    /// Returns the time of the next collection or evaluation.
    pub(super) fn next(&self) -> Duration {
        self.next.0.min(self.next.1)
    }

    /// Advances to the next collection or evaluation. Returns its time and the changes.
    pub(super) fn advance(&mut self) -> (Now, Tick) {
        let (collection, evaluation) = self.next;
        let at = self.next();
        let now = self.times.at(at);
        let mut tick = Tick::default();
        if collection == at {
            self.next.0 += self.times.interval;
            tick.add(self.collect(at, now));
        }
        if evaluation == at {
            self.next.1 += self.times.evaluation;
            self.last = at;
            tick.add(self.evaluate(at, now));
        }
        (now, tick)
    }

    /// Stops, and starts again at `up` with only the files left. Returns the alerts that fired, and
    /// transitions of those that ended.
    ///
    /// # Errors
    /// The state file could not be written or read.
    pub(super) fn restart(
        &mut self,
        down: Duration,
        up: Duration,
        rules: Arc<RuleSet>,
    ) -> Result<(Vec<Arc<Alert>>, Vec<Transition>), String> {
        let carried = roundtrip(self.engine.snapshot(), self.times.at(down))
            .map_err(|error| error.to_string())?;
        let now = self.times.at(up);
        while self.next.0 < up {
            self.next.0 += self.times.interval;
            for input in &mut self.inputs {
                input.points.next();
            }
        }
        while self.next.1 < up {
            self.next.1 += self.times.evaluation;
        }
        self.store = store(self.under_test, &rules, &self.times, self.past.as_ref());
        self.store.warm_up(now).map_err(|error| error.to_string())?;
        self.engine = Engine::from_shared(rules, now);
        let ended = self.engine.restore(carried, now);
        let firing = self
            .alerts_now()
            .into_iter()
            .filter(|alert| alert.state == AlertState::Firing);
        Ok((firing.map(Arc::new).collect(), ended))
    }

    /// Withholds the values of the series that any of `matchers` selects, until `until`.
    pub(super) fn hide(&mut self, matchers: Vec<Vec<LabelMatcher>>, until: Duration) {
        self.hidden.push((matchers, until));
    }

    /// Returns the pending and firing alerts.
    pub(super) fn alerts_now(&self) -> Vec<Alert> {
        self.engine.alerts()
    }

    /// Collects one value of each series, and evaluates the rules over collected metrics.
    fn collect(&mut self, at: Duration, now: Now) -> Tick {
        self.hidden.retain(|(_, until)| at < *until);
        let mut samples = Vec::with_capacity(self.inputs.len());
        for input in &mut self.inputs {
            let point = input.points.next();
            if self
                .hidden
                .iter()
                .any(|(matchers, _)| input.is_selected(matchers))
            {
                continue;
            }
            let value = match point {
                Some(Point::Float(value)) => value,
                Some(Point::Stale) => SampledSeries::stale(),
                Some(Point::Missing) | None => continue,
            };
            samples.extend(input.series.map(|series| (series, value)));
            // The end of a series is the store's to find, as it is live.
            if let Some((row, number)) = input.place.filter(|_| !SampledSeries::is_stale(value)) {
                self.rows[row].values[number] = value;
                self.rows[row].fresh = true;
            }
        }
        self.memory.append(now.wall, &samples);
        if self.rows.is_empty() {
            return Tick::default();
        }
        let mut batch = Batch::default();
        for row in &mut self.rows {
            if std::mem::take(&mut row.fresh) {
                batch.push_packed(row.metric, row.labels.packed(), &row.filled());
            }
        }
        self.store.commit(&batch, now);
        self.store.expire(now);
        self.engine.evaluate(&self.store, now, Some(&self.origins))
    }

    /// Evaluates the rules that query history.
    fn evaluate(&mut self, at: Duration, now: Now) -> Tick {
        // Also rules over configured metrics that are not collected.
        let mut tick = self.engine.evaluate(&self.store, now, Some(&[]));
        let batch = self.engine.query_batch(now, None);
        if !batch.is_empty() {
            let results = batch.run(Some(&self.memory), &NoLimits);
            tick.add(self.engine.apply(results));
            self.note_failures(at);
        }
        self.record_alerts(now);
        tick
    }

    fn note_failures(&mut self, at: Duration) {
        let asking = self
            .engine
            .rules()
            .filter(|status| status.rule.history_query().is_some());
        let rules = asking.map(|status| (status.rule.name.to_string(), status.last));
        let recordings = self
            .engine
            .recordings()
            .map(|status| (status.rule.record.to_string(), status.last));
        for (name, last) in rules.chain(recordings) {
            if let Some(error) = last.and_then(|last| last.error.clone()) {
                self.failed.entry(name).or_insert((at, error));
            }
        }
    }

    /// Records the series of alerts, as Prometheus does.
    fn record_alerts(&mut self, now: Now) {
        let Some((history, before)) = &mut self.alerts else {
            return;
        };
        let mut samples = Vec::new();
        for alert in self.engine.alerts() {
            let labels = self.under_test.labels(&alert);
            samples.push((
                own_series("ALERTS", &labels, Some(alert.state.as_str())),
                1.0,
            ));
            let since = alert.active_at.0 as f64 / 1000.0;
            samples.push((own_series("ALERTS_FOR_STATE", &labels, None), since));
        }
        let current: BTreeSet<LabelSet> =
            samples.iter().map(|(labels, _)| labels.clone()).collect();
        let ended = before.difference(&current);
        samples.extend(ended.map(|labels| (labels.clone(), SampledSeries::stale())));
        history.record(now.wall, &samples);
        *before = current;
    }

    /// Returns the firing alerts of this name.
    pub(super) fn firing(&self, name: &str) -> Vec<Alert> {
        let mut alerts = self.engine.alerts_where(|rule| rule.alertname() == name);
        alerts.retain(|alert| alert.alertname() == name && alert.state == AlertState::Firing);
        alerts
    }

    /// Returns input series, recorded series and those of alerts, up to the last evaluation:
    /// samples collected since are not visible, as in promtool.
    pub(super) fn samples(&self) -> Samples<'_> {
        let last = self.times.at(self.last).wall;
        Samples {
            own: &self.memory,
            alerts: self.alerts.as_ref().map(|(history, _)| history),
            last,
        }
    }
}

/// Returns the labels of a series about an alert.
fn own_series(name: &str, labels: &Labels, state: Option<&str>) -> LabelSet {
    let labels = labels
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let state = state.map(|state| ("alertstate", state));
    LabelSet::new(labels.chain([(METRIC_NAME, name)]).chain(state))
}

/// Samples that the queries of a test read.
pub(super) struct Samples<'a> {
    own: &'a History,
    alerts: Option<&'a History>,
    last: UnixMillis,
}

impl Queryable for Samples<'_> {
    fn select(
        &self,
        matchers: &[LabelMatcher],
        from: UnixMillis,
        to: UnixMillis,
        guard: &Guard,
    ) -> Result<Vec<SampledSeries>, StorageError> {
        let to = to.min(self.last);
        let mut series = self.own.select(matchers, from, to, guard)?;
        if let Some(alerts) = self.alerts {
            series.extend(alerts.select(matchers, from, to, guard)?);
        }
        Ok(series)
    }

    fn series(
        &self,
        matchers: &[LabelMatcher],
        from: UnixMillis,
        to: UnixMillis,
        guard: &Guard,
    ) -> Result<Vec<LabelSet>, StorageError> {
        let to = to.min(self.last);
        let mut series = self.own.series(matchers, from, to, guard)?;
        if let Some(alerts) = self.alerts {
            series.extend(alerts.series(matchers, from, to, guard)?);
        }
        Ok(series)
    }
}

/// Maps input series to rows of configured metrics.
struct RowIndex<'m> {
    metrics: &'m [MetricDef],
    /// By exported name.
    exported: HashMap<Arc<str>, Part>,
    /// By configured name; with the exported name.
    configured: HashMap<Arc<str>, (Part, Arc<str>)>,
    by_labels: HashMap<(MetricId, LabelValues), usize>,
    rows: Vec<Row>,
    /// Series of each value.
    series_of: HashMap<(usize, usize), LabelSet>,
    duplicates: Vec<(LabelSet, LabelSet)>,
}

impl<'m> RowIndex<'m> {
    fn new(metrics: &'m [MetricDef]) -> Self {
        let (mut exported, mut configured) = (HashMap::new(), HashMap::new());
        for (id, def) in (0..).map(MetricId).zip(metrics) {
            let own = Part::all(id, def, &def.name);
            for (part, own) in Part::all(id, def, &def.exported).into_iter().zip(own) {
                configured.insert(Arc::clone(&own.name), (own, Arc::clone(&part.name)));
                exported.insert(Arc::clone(&part.name), part);
            }
        }
        let (by_labels, rows, series_of, duplicates) = Default::default();
        Self {
            metrics,
            exported,
            configured,
            by_labels,
            rows,
            series_of,
            duplicates,
        }
    }

    /// Returns row and index of a series of a configured metric, and its labels in history: those
    /// of the exported series.
    fn locate(
        &mut self,
        labels: &LabelSet,
        under_test: &RulesUnderTest,
    ) -> (Option<(usize, usize)>, LabelSet) {
        let name = labels.name();
        let (part, labels) = match (self.exported.get(name), self.configured.get(name)) {
            (Some(part), _) => (part, labels.clone()),
            (None, Some((part, exported))) => {
                let defaults = under_test
                    .default_labels
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str()));
                let own = labels.iter().chain([(METRIC_NAME, &**exported)]);
                (part, LabelSet::new(defaults.chain(own)))
            }
            (None, None) => return (None, labels.clone()),
        };
        let def = &self.metrics[part.metric.0 as usize];
        let Some(number) = part.number(def, &labels) else {
            return (None, labels);
        };
        let values: Vec<&str> = def.labels.iter().map(|name| labels.get(name)).collect();
        let key = (part.metric, LabelValues::new(&values));
        let rows = &mut self.rows;
        let row = *self
            .by_labels
            .entry(key)
            .or_insert_with_key(|(metric, labels)| {
                let values = vec![f64::NAN; def.width()];
                let (metric, labels, buckets) = (*metric, labels.clone(), def.buckets.len());
                rows.push(Row {
                    metric,
                    labels,
                    buckets,
                    values,
                    fresh: false,
                });
                rows.len() - 1
            });
        if let Some(first) = self.series_of.insert((row, number), labels.clone()) {
            self.duplicates.push((first, labels.clone()));
        }
        (Some((row, number)), labels)
    }
}
