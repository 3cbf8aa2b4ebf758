//! `info`: labels of info metrics, such as `target_info`, given to the series they tell of.

use std::cmp::Ordering;

use bellwether_core::{LabelSet, METRIC_NAME};
use bellwether_matcher::{LabelMatcher, ValueTest};
use hashbrown::{HashMap, HashSet};

use crate::ast::{Call, Expr, TimeModifiers};
use crate::eval::{Eval, Line, Out, absent};
use crate::labels::{shown, with};
use crate::query::QueryError;
use crate::queryable::SampledSeries;
use crate::selector::{Moment, matchers_of, millis};

/// Labels by which an info series and the series it tells of find each other.
const IDENTIFYING: [&str; 2] = ["instance", "job"];
/// The info metric where none is named.
const USUAL: &str = "target_info";

pub(super) fn info(eval: &Eval<'_>, call: &Call) -> Result<Out, QueryError> {
    let base = &call.args[0];
    let wanted = match call.args.get(1) {
        None => Wanted::new(Vec::new())?,
        Some(Expr::VectorSelector(selector)) => {
            let mut alternatives = matchers_of(selector);
            Wanted::new(alternatives.pop().unwrap_or_default())?
        }
        Some(_) => {
            return Err(QueryError::BadData(
                "info needs a selector of labels".into(),
            ));
        }
    };
    let lines = eval.lines(base)?;
    // Info series tell nothing of each other.
    let is_info = |line: &Line| wanted.names.iter().all(|one| one.accepts(&line.labels));
    let asking = Asking::of(lines.iter().filter(|line| !is_info(line)));
    let told = Told::read(eval, base, &wanted, &asking)?;
    told.check(eval, &lines)?;
    let mut enriched = Vec::new();
    for line in lines {
        if is_info(&line) {
            enriched.push(line);
        } else {
            told.enrich(eval, line, &wanted, &mut enriched)?;
        }
    }
    eval.merged(enriched).map(Out::Vector)
}

/// Which info series, and which of their labels.
struct Wanted {
    names: Vec<LabelMatcher>,
    data: Vec<LabelMatcher>,
}

impl Wanted {
    fn new(matchers: Vec<LabelMatcher>) -> Result<Self, QueryError> {
        let (mut names, data): (Vec<_>, Vec<_>) = matchers
            .into_iter()
            .partition(|one| &*one.name == METRIC_NAME);
        if names.is_empty() {
            names.push(LabelMatcher::equal(METRIC_NAME, USUAL));
        } else if names.iter().all(|one| one.test.operator().starts_with('!')) {
            let test = ValueTest::regex(".+_info", false).map_err(QueryError::BadData)?;
            names.push(LabelMatcher {
                name: METRIC_NAME.into(),
                test,
            });
        }
        Ok(Self { names, data })
    }

    fn takes(&self, label: &str) -> bool {
        label != METRIC_NAME
            && !IDENTIFYING.contains(&label)
            && (self.data.is_empty() || self.data.iter().any(|one| &*one.name == label))
    }

    /// Whether a series that nothing is told of stays.
    fn optional(&self) -> bool {
        self.data.iter().all(|one| one.test.accepts(""))
    }
}

/// The identifying labels of the series that info is wanted for, each with its values.
struct Asking([HashSet<String>; 2]);

impl Asking {
    fn of<'a>(lines: impl Iterator<Item = &'a Line> + Clone) -> Self {
        Self(IDENTIFYING.map(|label| {
            let values = lines.clone().map(|line| line.labels.get(label).to_owned());
            values.filter(|value| !value.is_empty()).collect()
        }))
    }

    /// Whether an info series is read for them: as in Prometheus, each of its labels has a value that some
    /// series has, not of necessity the same one.
    fn takes(&self, labels: &LabelSet) -> bool {
        let mut both = IDENTIFYING.iter().zip(&self.0);
        let any = self.0.iter().any(|values| !values.is_empty());
        any && both.all(|(label, values)| values.is_empty() || values.contains(labels.get(label)))
    }
}

/// The info series, by what they tell of.
struct Told {
    by_target: HashMap<LabelSet, Vec<Info>>,
}

struct Info {
    labels: LabelSet,
    /// By step: when its sample was taken, if it has one.
    taken: Vec<Option<i64>>,
}

impl Told {
    fn read(
        eval: &Eval<'_>,
        base: &Expr,
        wanted: &Wanted,
        asking: &Asking,
    ) -> Result<Self, QueryError> {
        let moments = moments(eval, base);
        let at = |step: i64| moments.iter().fold(step, |at, moment| moment.at(at));
        let times: Vec<i64> = eval.grid.times().map(at).collect();
        let lookback = millis(eval.options.lookback);
        let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else {
            return Ok(Self {
                by_target: HashMap::new(),
            });
        };
        let matchers: Vec<LabelMatcher> =
            wanted.names.iter().chain(&wanted.data).cloned().collect();
        let mut by_target = HashMap::<LabelSet, Vec<Info>>::new();
        let mut found = eval.select(&matchers, first.saturating_sub(lookback) + 1, *last)?;
        found.retain(|series| asking.takes(&series.labels));
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        for series in found {
            eval.guard.charge(times.len())?;
            let taken = times.iter().map(|at| {
                let index = series
                    .times
                    .partition_point(|time| time <= at)
                    .checked_sub(1)?;
                let fresh = series.times[index] > at - lookback;
                let there = fresh && !SampledSeries::is_stale(series.values[index]);
                there.then(|| series.times[index])
            });
            let info = Info {
                taken: taken.collect(),
                labels: series.labels,
            };
            by_target
                .entry(target(&info.labels))
                .or_default()
                .push(info);
        }
        Ok(Self { by_target })
    }

    /// Refuses info series that cannot be told apart, in steps in which there is anything to tell of: of one name,
    /// of one target, and with samples of one time.
    fn check(&self, eval: &Eval<'_>, lines: &[Line]) -> Result<(), QueryError> {
        let alike: Vec<&Vec<Info>> = self
            .by_target
            .values()
            .filter(|told| told.len() > 1)
            .collect();
        for step in 0..eval.grid.steps() {
            eval.guard.check()?;
            if !alike.is_empty() && lines.iter().any(|line| !absent(line.values[step])) {
                alike
                    .iter()
                    .try_for_each(|told| newest(told, step).map(drop))?;
            }
        }
        Ok(())
    }

    /// Gives a series its labels; where these change over time it becomes several.
    fn enrich(
        &self,
        eval: &Eval<'_>,
        line: Line,
        wanted: &Wanted,
        into: &mut Vec<Line>,
    ) -> Result<(), QueryError> {
        let told = self
            .by_target
            .get(&target(&line.labels))
            .map(Vec::as_slice)
            .unwrap_or_default();
        let mut made: Vec<Line> = Vec::new();
        for (step, value) in line
            .values
            .iter()
            .enumerate()
            .filter(|(_, value)| !absent(**value))
        {
            eval.guard.check()?;
            let Some(labels) = enriched(&line.labels, told, step, wanted)? else {
                continue;
            };
            let index = match made.iter().position(|one| one.labels == labels) {
                Some(index) => index,
                None => {
                    made.push(eval.new_line(eval.made(labels)?, line.drop_name)?);
                    made.len() - 1
                }
            };
            made[index].values[step] = *value;
        }
        into.extend(made);
        Ok(())
    }
}

/// The labels of a series in one step; `None`: nothing is told of it, and something must be.
fn enriched(
    labels: &LabelSet,
    told: &[Info],
    step: usize,
    wanted: &Wanted,
) -> Result<Option<LabelSet>, QueryError> {
    let latest = newest(told, step)?;
    if latest.is_empty() {
        return Ok(wanted.optional().then(|| labels.clone()));
    }
    let mut all = labels.clone();
    for info in latest {
        for (name, value) in info.labels.iter().filter(|(name, _)| wanted.takes(name)) {
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

/// Of the info series of each name the one whose sample in this step is the newest.
fn newest(told: &[Info], step: usize) -> Result<Vec<&Info>, QueryError> {
    let mut latest = HashMap::<&str, (&Info, i64)>::new();
    for info in told {
        let Some(taken) = info.taken[step] else {
            continue;
        };
        let best = latest.entry(info.labels.name()).or_insert((info, taken));
        match taken.cmp(&best.1) {
            Ordering::Greater => *best = (info, taken),
            Ordering::Equal if !std::ptr::eq(best.0, info) => {
                return Err(QueryError::Execution(format!(
                    "found duplicate series for info metric: existing {} @ {taken}, new {} @ {taken}",
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

/// The times that lead from a step to what the base looks at, outermost first.
fn moments(eval: &Eval<'_>, base: &Expr) -> Vec<Moment> {
    let of = |moment: &TimeModifiers| Moment::new(eval, moment);
    match base {
        Expr::VectorSelector(selector) => vec![of(&selector.moment)],
        Expr::MatrixSelector(matrix) => vec![of(&matrix.vs.moment)],
        Expr::Subquery(subquery) => {
            let outer = of(&subquery.moment);
            std::iter::once(outer)
                .chain(moments(eval, &subquery.expr))
                .collect()
        }
        other => other
            .children()
            .into_iter()
            .map(|child| moments(eval, child))
            .find(|moments| !moments.is_empty())
            .unwrap_or_default(),
    }
}
