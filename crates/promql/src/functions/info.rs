//! `info`: adds labels of info metrics such as `target_info` to the series of the same target.

use std::cmp::Ordering;

use bellwether_core::{LabelSet, METRIC_NAME};
use bellwether_matcher::{LabelMatcher, ValueTest};
use hashbrown::{HashMap, HashSet};

use crate::ast::{Call, Expr};
use crate::eval::{Eval, Evaluated, Series, absent};
use crate::labels::{shown, with};
use crate::query::QueryError;
use crate::queryable::SampledSeries;
use crate::selector::{SelectedTime, matchers_of, millis};

/// Labels that identify the target of a series and of an info series.
const IDENTIFYING: [&str; 2] = ["instance", "job"];
/// Info metric if none is named.
const DEFAULT_INFO: &str = "target_info";

pub(super) fn info(eval: &Eval<'_>, call: &Call) -> Result<Evaluated, QueryError> {
    let base = &call.args[0];
    let selector = match call.args.get(1) {
        None => InfoSelector::new(Vec::new())?,
        Some(Expr::VectorSelector(selector)) => {
            let mut alternatives = matchers_of(selector);
            InfoSelector::new(alternatives.pop().unwrap_or_default())?
        }
        Some(_) => {
            return Err(QueryError::BadData("info needs a label selector".into()));
        }
    };
    let vector = eval.instant_vector(base)?;
    // Info series get no labels of other info series.
    let targets = Targets::new(vector.iter().filter(|series| !selector.selects(series)));
    let infos = InfoSeries::read(eval, base, &selector, &targets)?;
    infos.check(eval, &vector)?;
    let mut enriched = Vec::new();
    for series in vector {
        if selector.selects(&series) {
            enriched.push(series);
        } else {
            infos.enrich(eval, series, &selector, &mut enriched)?;
        }
    }
    eval.merged(enriched).map(Evaluated::Vector)
}

/// Selector of info series and of their labels.
struct InfoSelector {
    names: Vec<LabelMatcher>,
    data: Vec<LabelMatcher>,
}

impl InfoSelector {
    fn new(matchers: Vec<LabelMatcher>) -> Result<Self, QueryError> {
        let (mut names, data): (Vec<_>, Vec<_>) = matchers
            .into_iter()
            .partition(|one| &*one.name == METRIC_NAME);
        if names.is_empty() {
            names.push(LabelMatcher::equal(METRIC_NAME, DEFAULT_INFO));
        } else if names.iter().all(|one| one.test.operator().starts_with('!')) {
            let test = ValueTest::regex(".+_info", false)
                .map_err(|error| QueryError::BadData(error.to_string()))?;
            names.push(LabelMatcher {
                name: METRIC_NAME.into(),
                test,
            });
        }
        Ok(Self { names, data })
    }

    /// Returns whether a series is an info series.
    fn selects(&self, series: &Series) -> bool {
        self.names.iter().all(|one| one.matches(&series.labels))
    }

    fn adds_label(&self, label: &str) -> bool {
        label != METRIC_NAME
            && !IDENTIFYING.contains(&label)
            && (self.data.is_empty() || self.data.iter().any(|one| &*one.name == label))
    }

    /// Returns whether a series without an info series is kept.
    fn optional(&self) -> bool {
        self.data.iter().all(|one| one.test.matches(""))
    }
}

/// Values of each identifying label in the series that get labels.
struct Targets([HashSet<String>; 2]);

impl Targets {
    fn new<'a>(vector: impl Iterator<Item = &'a Series> + Clone) -> Self {
        Self(IDENTIFYING.map(|label| {
            let values = vector
                .clone()
                .map(|series| series.labels.get(label).to_owned());
            values.filter(|value| !value.is_empty()).collect()
        }))
    }

    /// Returns whether each identifying label of an info series has a value that some series has, not
    /// necessarily the same series, as in Prometheus.
    fn contains(&self, labels: &LabelSet) -> bool {
        let mut both = IDENTIFYING.iter().zip(&self.0);
        let any = self.0.iter().any(|values| !values.is_empty());
        any && both.all(|(label, values)| values.is_empty() || values.contains(labels.get(label)))
    }
}

/// Info series, by target.
struct InfoSeries {
    by_target: HashMap<LabelSet, Vec<Info>>,
}

struct Info {
    labels: LabelSet,
    /// Timestamp of the sample in milliseconds, by step.
    sample_times: Vec<Option<i64>>,
}

impl InfoSeries {
    fn read(
        eval: &Eval<'_>,
        base: &Expr,
        selector: &InfoSelector,
        targets: &Targets,
    ) -> Result<Self, QueryError> {
        let outer_times = selected_times(eval, base);
        let times: Vec<i64> = eval
            .grid
            .times()
            .map(|step| outer_times.iter().fold(step, |at, outer| outer.at(at)))
            .collect();
        let lookback = millis(eval.options.lookback);
        let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else {
            return Ok(Self {
                by_target: HashMap::new(),
            });
        };
        let matchers: Vec<LabelMatcher> = selector
            .names
            .iter()
            .chain(&selector.data)
            .cloned()
            .collect();
        let mut by_target = HashMap::<LabelSet, Vec<Info>>::new();
        let mut all = eval.select(&matchers, first.saturating_sub(lookback) + 1, *last)?;
        all.retain(|series| targets.contains(&series.labels));
        all.sort_by(|a, b| a.labels.cmp(&b.labels));
        for series in all {
            eval.guard.charge(times.len())?;
            let sample_times = times.iter().map(|at| {
                let index = series
                    .times
                    .partition_point(|time| time <= at)
                    .checked_sub(1)?;
                let fresh = series.times[index] > at - lookback;
                (fresh && !SampledSeries::is_stale(series.values[index]))
                    .then(|| series.times[index])
            });
            let info = Info {
                sample_times: sample_times.collect(),
                labels: series.labels,
            };
            by_target
                .entry(target(&info.labels))
                .or_default()
                .push(info);
        }
        Ok(Self { by_target })
    }

    /// Reports info series that are ambiguous: of the same name and target, with samples of the same time.
    /// Only steps in which some series has a value are checked.
    fn check(&self, eval: &Eval<'_>, vector: &[Series]) -> Result<(), QueryError> {
        let alike: Vec<&Vec<Info>> = self
            .by_target
            .values()
            .filter(|infos| infos.len() > 1)
            .collect();
        for step in 0..eval.grid.steps() {
            eval.guard.check()?;
            if !alike.is_empty() && vector.iter().any(|series| !absent(series.values[step])) {
                alike
                    .iter()
                    .try_for_each(|infos| newest(infos, step).map(drop))?;
            }
        }
        Ok(())
    }

    /// Adds labels to a series, which becomes several series if the labels change over time.
    fn enrich(
        &self,
        eval: &Eval<'_>,
        series: Series,
        selector: &InfoSelector,
        into: &mut Vec<Series>,
    ) -> Result<(), QueryError> {
        let infos = self
            .by_target
            .get(&target(&series.labels))
            .map(Vec::as_slice)
            .unwrap_or_default();
        let mut vector: Vec<Series> = Vec::new();
        for (step, value) in series
            .values
            .iter()
            .enumerate()
            .filter(|(_, value)| !absent(**value))
        {
            eval.guard.check()?;
            let Some(labels) = enriched_labels(&series.labels, infos, step, selector)? else {
                continue;
            };
            let index = match vector.iter().position(|one| one.labels == labels) {
                Some(index) => index,
                None => {
                    vector.push(eval.new_series(eval.charge_labels(labels)?, series.drop_name)?);
                    vector.len() - 1
                }
            };
            vector[index].values[step] = *value;
        }
        into.extend(vector);
        Ok(())
    }
}

/// Returns the labels of a series in one step; `None` if the selector requires an info series and there is
/// none.
fn enriched_labels(
    labels: &LabelSet,
    infos: &[Info],
    step: usize,
    selector: &InfoSelector,
) -> Result<Option<LabelSet>, QueryError> {
    let latest = newest(infos, step)?;
    if latest.is_empty() {
        return Ok(selector.optional().then(|| labels.clone()));
    }
    let mut all = labels.clone();
    for info in latest {
        for (name, value) in info
            .labels
            .iter()
            .filter(|(name, _)| selector.adds_label(name))
        {
            let before = all.get(name);
            if !labels.get(name).is_empty() || before == value {
                continue;
            }
            if !before.is_empty() {
                return Err(QueryError::Execution(format!("conflicting label: {name}")));
            }
            all = with(&all, name, value);
        }
    }
    Ok(Some(all))
}

/// Returns, for each name, the info series with the newest sample in this step.
fn newest(infos: &[Info], step: usize) -> Result<Vec<&Info>, QueryError> {
    let mut latest = HashMap::<&str, (&Info, i64)>::new();
    for info in infos {
        let Some(time) = info.sample_times[step] else {
            continue;
        };
        let best = latest.entry(info.labels.name()).or_insert((info, time));
        match time.cmp(&best.1) {
            Ordering::Greater => *best = (info, time),
            Ordering::Equal if !std::ptr::eq(best.0, info) => {
                return Err(QueryError::Execution(format!(
                    "found duplicate series for info metric: existing {} @ {time}, new {} @ {time}",
                    shown(&best.0.labels),
                    shown(&info.labels)
                )));
            }
            _ => {}
        }
    }
    Ok(latest.into_values().map(|(info, _)| info).collect())
}

fn target(labels: &LabelSet) -> LabelSet {
    LabelSet::new(labels.iter().filter(|(name, _)| IDENTIFYING.contains(name)))
}

/// Returns the selected times on the way to the first selector of an expression, outermost first.
fn selected_times(eval: &Eval<'_>, base: &Expr) -> Vec<SelectedTime> {
    match base {
        Expr::VectorSelector(selector) => vec![SelectedTime::new(eval, &selector.modifiers)],
        Expr::MatrixSelector(matrix) => vec![SelectedTime::new(eval, &matrix.vs.modifiers)],
        Expr::Subquery(subquery) => {
            let outer = SelectedTime::new(eval, &subquery.modifiers);
            std::iter::once(outer)
                .chain(selected_times(eval, &subquery.expr))
                .collect()
        }
        other => other
            .children()
            .into_iter()
            .map(|child| selected_times(eval, child))
            .find(|times| !times.is_empty())
            .unwrap_or_default(),
    }
}
