//! The world of one test on virtual time: series are collected, rules are judged.
//!
//! Owns the clock. The store, the engine and history are those that run live.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    Alert, AlertState, Batch, LabelSet, LabelValues, METRIC_NAME, MetricDef, MetricId, MonoMillis,
    Now, Origin, Transition, UnixMillis,
};
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, Queryable, SampledSeries, StorageError};
use bellwether_rules::{Engine, NoLimits, RuleSet, SampleStorage, Tick, roundtrip};
use bellwether_tsdb::history::{History, SeriesRef};
use bellwether_tsdb::store::{Options, Store};

use super::notation::{Cursor, Point, Values};
use super::subject::Subject;
use crate::replay::Part;

/// Where the monotonic clock of a test begins, so that "an hour ago" can be said from the start.
const START: MonoMillis = MonoMillis(3_600_000);

/// When things happen in a test.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// What all times count from.
    pub(super) start: UnixMillis,
    /// From one collection to the next.
    pub(super) interval: Duration,
    /// From one evaluation of rules that ask history to the next.
    pub(super) evaluation: Duration,
}

impl Times {
    /// Both clocks, this long after the start.
    pub(super) fn at(&self, offset: Duration) -> Now {
        Now {
            mono: START,
            wall: self.start,
        }
        .after(offset)
    }
}

/// What a test needs beside the usual.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wants {
    /// The series of alerts.
    pub(super) alerts: bool,
    /// To go on after a restart.
    pub(super) restart: bool,
}

/// Rules, and the series that are fed to them.
pub(super) struct Stage<'a> {
    subject: &'a Subject,
    times: Times,
    /// The next collection and the next evaluation.
    next: (Duration, Duration),
    /// The last evaluation.
    last: Duration,
    /// What was collected, for a restart; kept where there is one.
    past: Option<Arc<History>>,
    /// Series without values, and until when.
    hidden: Vec<(Vec<Vec<LabelMatcher>>, Duration)>,
    fed: Vec<Fed<'a>>,
    rows: Vec<Row>,
    origins: Vec<Origin>,
    store: Store,
    engine: Engine,
    memory: History,
    /// `ALERTS` and `ALERTS_FOR_STATE`, where somebody asks for them.
    alerts: Option<(History, BTreeSet<LabelSet>)>,
    /// Series that are the same to a declared metric.
    pub(super) twins: Vec<(LabelSet, LabelSet)>,
    /// Rules that ask history and failed: when first, and why.
    pub(super) failed: BTreeMap<String, (Duration, String)>,
}

/// One series.
struct Fed<'a> {
    /// What it is called, as it is written and as on the page.
    names: [LabelSet; 2],
    points: Cursor<'a>,
    series: Option<SeriesRef>,
    /// The row of a declared metric, and the number in it.
    place: Option<(usize, usize)>,
}

impl Fed<'_> {
    fn is_meant(&self, alternatives: &[Vec<LabelMatcher>]) -> bool {
        let meant = |name: &LabelSet| {
            alternatives
                .iter()
                .any(|all| all.iter().all(|matcher| matcher.accepts(name)))
        };
        self.names.iter().any(meant)
    }
}

/// An empty store for the metrics of `subject`.
fn store(
    subject: &Subject,
    rules: &RuleSet,
    times: &Times,
    history: Option<&Arc<History>>,
) -> Store {
    let options = Options {
        default_labels: subject.default_labels.clone(),
        windows: rules.windows(),
        history: history.cloned(),
    };
    Store::new(subject.metrics_every(times.interval).into(), options)
}

/// One row of a declared metric.
struct Row {
    metric: MetricId,
    labels: LabelValues,
    /// Of a histogram, how many buckets it has.
    buckets: usize,
    numbers: Vec<f64>,
    fresh: bool,
}

impl Row {
    /// A bucket that no series is given for has what the next lower one has, and so has a count.
    fn filled(&self) -> Vec<f64> {
        let mut numbers = self.numbers.clone();
        if self.buckets == 0 {
            return numbers;
        }
        let mut below = 0.0;
        for number in numbers.iter_mut().take(self.buckets + 1) {
            *number = if number.is_nan() { below } else { *number };
            below = *number;
        }
        numbers
    }
}

impl<'a> Stage<'a> {
    /// Before the first collection.
    pub(super) fn new(
        subject: &'a Subject,
        rules: Arc<RuleSet>,
        series: impl Iterator<Item = (&'a LabelSet, &'a Values)>,
        times: Times,
        wants: Wants,
    ) -> Self {
        let metrics = subject.metrics_every(times.interval);
        let memory = History::in_memory(usize::MAX);
        let mut places = Places::new(&metrics);
        let fed = series.map(|(given, values)| {
            let (place, labels) = places.of(given, subject);
            let series = memory.series_ref(&labels);
            Fed {
                names: [given.clone(), labels],
                points: values.points(),
                series,
                place,
            }
        });
        let fed = fed.collect();
        let Places { rows, twins, .. } = places;
        let past = wants
            .restart
            .then(|| Arc::new(History::in_memory(usize::MAX)));
        let origins: BTreeSet<Origin> = rows
            .iter()
            .map(|row| metrics[row.metric.0 as usize].origin)
            .collect();
        Self {
            subject,
            times,
            next: (Duration::ZERO, Duration::ZERO),
            last: Duration::ZERO,
            hidden: Vec::new(),
            fed,
            rows,
            twins,
            origins: origins.into_iter().collect(),
            store: store(subject, &rules, &times, past.as_ref()),
            past,
            engine: Engine::of(rules, times.at(Duration::ZERO)),
            memory,
            alerts: wants
                .alerts
                .then(|| (History::in_memory(usize::MAX), BTreeSet::new())),
            failed: BTreeMap::new(),
        }
    }

    /// The next moment at which something is collected or judged.
    pub(super) fn next(&self) -> Duration {
        self.next.0.min(self.next.1)
    }

    /// Goes on to the next moment; when that is, and what changed.
    pub(super) fn turn(&mut self) -> (Now, Tick) {
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

    /// Stops, and starts again at `up`: nothing but files is left. The alerts that fired then, and
    /// what of them ends by it.
    ///
    /// # Errors
    /// Nothing would be left of the state file.
    pub(super) fn restart(
        &mut self,
        down: Duration,
        up: Duration,
        rules: Arc<RuleSet>,
    ) -> Result<(Vec<Arc<Alert>>, Vec<Transition>), String> {
        let carried = roundtrip(&self.engine.carried(), self.times.at(down))?;
        let now = self.times.at(up);
        while self.next.0 < up {
            self.next.0 += self.times.interval;
            for fed in &mut self.fed {
                fed.points.next();
            }
        }
        while self.next.1 < up {
            self.next.1 += self.times.evaluation;
        }
        self.store = store(self.subject, &rules, &self.times, self.past.as_ref());
        self.store.recall(now).map_err(|error| error.to_string())?;
        self.engine = Engine::of(rules, now);
        let ended = self.engine.restore(carried, now);
        let firing = self
            .alerts_now()
            .into_iter()
            .filter(|one| one.state == AlertState::Firing);
        Ok((firing.map(Arc::new).collect(), ended))
    }

    /// Series that any of `matchers` means have no values until `until`.
    pub(super) fn hide(&mut self, matchers: Vec<Vec<LabelMatcher>>, until: Duration) {
        self.hidden.push((matchers, until));
    }

    /// The alerts that are pending or fire now.
    pub(super) fn alerts_now(&self) -> Vec<Alert> {
        self.engine.alerts()
    }

    /// One value of each series; rules over collected metrics are judged by them.
    fn collect(&mut self, at: Duration, now: Now) -> Tick {
        self.hidden.retain(|(_, until)| at < *until);
        let mut samples = Vec::with_capacity(self.fed.len());
        for fed in &mut self.fed {
            let point = fed.points.next();
            if self
                .hidden
                .iter()
                .any(|(matchers, _)| fed.is_meant(matchers))
            {
                continue;
            }
            let value = match point {
                Some(Point::Float(value)) => value,
                Some(Point::Stale) => SampledSeries::stale(),
                Some(Point::Missing) | None => continue,
            };
            samples.extend(fed.series.map(|series| (series, value)));
            // The end of a series is the store's to find, as it is live.
            if let Some((row, number)) = fed.place.filter(|_| !SampledSeries::is_stale(value)) {
                self.rows[row].numbers[number] = value;
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
        self.engine.judge(&self.store, now, Some(&self.origins))
    }

    /// The rules that ask history.
    fn evaluate(&mut self, at: Duration, now: Now) -> Tick {
        // And those over collected metrics that nobody collects.
        let mut tick = self.engine.judge(&self.store, now, Some(&[]));
        let round = self.engine.round(now, None);
        if !round.is_empty() {
            let answered = round.ask(Some(&self.memory), &NoLimits);
            tick.add(self.engine.answered(answered));
            self.note_failures(at);
        }
        self.record_alerts(now);
        tick
    }

    fn note_failures(&mut self, at: Duration) {
        let asking = self
            .engine
            .rules()
            .filter(|status| status.rule.question().is_some());
        let rules = asking.map(|status| (status.rule.name.to_string(), status.last));
        let recordings = self.engine.recordings();
        let recordings = recordings.map(|status| (status.rule.record.to_string(), status.last));
        for (name, last) in rules.chain(recordings) {
            if let Some(error) = last.and_then(|last| last.error.clone()) {
                self.failed.entry(name).or_insert((at, error));
            }
        }
    }

    /// What Prometheus keeps of its alerts.
    fn record_alerts(&mut self, now: Now) {
        let Some((history, before)) = &mut self.alerts else {
            return;
        };
        let mut samples = Vec::new();
        for alert in self.engine.alerts() {
            let labels = self.subject.labels(&alert);
            let own = |name: &str, state: Option<&str>| {
                let labels = labels
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str()));
                let state = state.map(|state| ("alertstate", state));
                LabelSet::new(labels.chain([(METRIC_NAME, name)]).chain(state))
            };
            samples.push((own("ALERTS", Some(alert.state.as_str())), 1.0));
            let since = alert.active_at.0 as f64 / 1000.0;
            samples.push((own("ALERTS_FOR_STATE", None), since));
        }
        let current: BTreeSet<LabelSet> =
            samples.iter().map(|(labels, _)| labels.clone()).collect();
        let ended = before.difference(&current);
        samples.extend(ended.map(|labels| (labels.clone(), SampledSeries::stale())));
        history.record(now.wall, &samples);
        *before = current;
    }

    /// The alerts of this name that fire now.
    pub(super) fn firing(&self, name: &str) -> Vec<Alert> {
        let mut alerts = self.engine.alerts_of(|rule| rule.alertname() == name);
        alerts.retain(|alert| alert.alertname() == name && alert.state == AlertState::Firing);
        alerts
    }

    /// Fed and recorded series, and those of alerts, up to the last evaluation: what was collected
    /// since is not there yet, as in promtool.
    pub(super) fn samples(&self) -> Samples<'_> {
        let last = self.times.at(self.last).wall;
        Samples {
            own: &self.memory,
            alerts: self.alerts.as_ref().map(|(history, _)| history),
            last,
        }
    }
}

/// What a query of a test sees.
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
        let mut found = self.own.select(matchers, from, to, guard)?;
        if let Some(alerts) = self.alerts {
            found.extend(alerts.select(matchers, from, to, guard)?);
        }
        Ok(found)
    }

    fn series(
        &self,
        matchers: &[LabelMatcher],
        from: UnixMillis,
        to: UnixMillis,
        guard: &Guard,
    ) -> Result<Vec<LabelSet>, StorageError> {
        let to = to.min(self.last);
        let mut found = self.own.series(matchers, from, to, guard)?;
        if let Some(alerts) = self.alerts {
            found.extend(alerts.series(matchers, from, to, guard)?);
        }
        Ok(found)
    }
}

/// Finds the rows of declared metrics that series are.
struct Places<'m> {
    metrics: &'m [MetricDef],
    /// By the name on the page.
    exported: HashMap<Arc<str>, Part>,
    /// By the declared name; and the name on the page.
    declared: HashMap<Arc<str>, (Part, Arc<str>)>,
    known: HashMap<(MetricId, LabelValues), usize>,
    rows: Vec<Row>,
    /// Which series each number is.
    taken: HashMap<(usize, usize), LabelSet>,
    twins: Vec<(LabelSet, LabelSet)>,
}

impl<'m> Places<'m> {
    fn new(metrics: &'m [MetricDef]) -> Self {
        let (mut exported, mut declared) = (HashMap::new(), HashMap::new());
        for (id, def) in (0..).map(MetricId).zip(metrics) {
            let own = Part::all(id, def, &def.name);
            for (part, own) in Part::all(id, def, &def.exported).into_iter().zip(own) {
                declared.insert(Arc::clone(&own.name), (own, Arc::clone(&part.name)));
                exported.insert(Arc::clone(&part.name), part);
            }
        }
        let (known, rows, taken, twins) = Default::default();
        Self {
            metrics,
            exported,
            declared,
            known,
            rows,
            taken,
            twins,
        }
    }

    /// The row and the number that a series is, if it is one of a declared metric, and what it is
    /// called in history: one with a declared name is called and labelled as on the page.
    fn of(&mut self, labels: &LabelSet, subject: &Subject) -> (Option<(usize, usize)>, LabelSet) {
        let name = labels.name();
        let (part, labels) = match (self.exported.get(name), self.declared.get(name)) {
            (Some(part), _) => (part, labels.clone()),
            (None, Some((part, exported))) => {
                let defaults = subject.default_labels.iter();
                let defaults = defaults.map(|(name, value)| (name.as_str(), value.as_str()));
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
            .known
            .entry(key)
            .or_insert_with_key(|(metric, labels)| {
                let numbers = vec![f64::NAN; def.width()];
                let (metric, labels, buckets) = (*metric, labels.clone(), def.buckets.len());
                rows.push(Row {
                    metric,
                    labels,
                    buckets,
                    numbers,
                    fresh: false,
                });
                rows.len() - 1
            });
        if let Some(first) = self.taken.insert((row, number), labels.clone()) {
            self.twins.push((first, labels.clone()));
        }
        (Some((row, number)), labels)
    }
}
