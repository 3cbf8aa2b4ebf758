//! Aggregations: reduction of each group to one series, or selection among the series of a group.

use bellwether_core::LabelSet;
use hashbrown::HashMap;

use super::ast::{AggregateExpr, Aggregation, Expr, LabelModifier};
use super::eval::{ABSENT, Eval, Series, absent};
use super::functions::{number_text, short_text};
use super::labels::{drop, keep, with};
use super::query::QueryError;
use super::sum::{Mean, Spread, Sum, order, quantile};

impl Eval<'_> {
    pub(super) fn aggregate(&self, aggregate: &AggregateExpr) -> Result<Vec<Series>, QueryError> {
        let op = aggregate.op;
        let vector = self.instant_vector(&aggregate.expr)?;
        let groups = Groups::new(self, &vector, aggregate.modifier.as_ref())?;
        let param = aggregate.param.as_deref();
        let at = param.map_or(aggregate.at, Expr::span);
        match op {
            Aggregation::CountValues => self.count_values(&vector, &groups, param),
            Aggregation::Topk
            | Aggregation::Bottomk
            | Aggregation::Limitk
            | Aggregation::LimitRatio => {
                let param = self.number(param)?;
                if op == Aggregation::LimitRatio {
                    for ratio in outside(&param, -1.0)
                        .into_iter()
                        .filter(|ratio| !ratio.is_nan())
                    {
                        let (got, cap) = (short_text(ratio), short_text(ratio.signum()));
                        let text = format!(
                            "ratio value should be between -1 and 1, got {got}, capping to {cap}"
                        );
                        self.notes.warn(at, text);
                    }
                }
                self.select_series(op, vector, &groups, &param)
            }
            Aggregation::Quantile => {
                let q = self.number(param)?;
                for q in outside(&q, 0.0) {
                    let text = short_text(q);
                    self.notes.warn(
                        at,
                        format!("quantile value should be between 0 and 1, got {text}"),
                    );
                }
                groups.each_step(self, &vector, |step, values| quantile(q[step], values))
            }
            _ => groups.each_step(self, &vector, |_, values| reduce(op, values)),
        }
    }

    fn number(&self, param: Option<&Expr>) -> Result<Vec<f64>, QueryError> {
        match param {
            Some(param) => self.scalar(param),
            None => Err(QueryError::BadData(
                "the aggregation needs a parameter".into(),
            )),
        }
    }

    /// Returns one series per value that occurs in a group, with the number of its occurrences.
    fn count_values(
        &self,
        vector: &[Series],
        groups: &Groups,
        param: Option<&Expr>,
    ) -> Result<Vec<Series>, QueryError> {
        let label = match param {
            Some(param) => self.string(param)?,
            None => String::new(),
        };
        if label.is_empty() {
            return Err(QueryError::Execution(format!(
                "invalid label name {label:?}"
            )));
        }
        let mut indices = HashMap::<LabelSet, usize>::new();
        let mut counts: Vec<Series> = Vec::new();
        for (series, group) in vector.iter().zip(&groups.group_of) {
            self.guard.check()?;
            for (step, value) in series
                .values
                .iter()
                .enumerate()
                .filter(|(_, value)| !absent(**value))
            {
                let labels = with(&groups.labels[*group], &label, &number_text(*value));
                let index = match indices.get(&labels) {
                    Some(index) => *index,
                    None => {
                        // There are as many series as different values: charge each.
                        indices.insert(labels.clone(), counts.len());
                        counts.push(self.new_series(self.charge_labels(labels)?, false)?);
                        counts.len() - 1
                    }
                };
                let count = &mut counts[index].values[step];
                *count = if absent(*count) { 1.0 } else { *count + 1.0 };
            }
        }
        Ok(counts)
    }

    /// Selects some series of each group.
    fn select_series(
        &self,
        op: Aggregation,
        mut vector: Vec<Series>,
        groups: &Groups,
        param: &[f64],
    ) -> Result<Vec<Series>, QueryError> {
        let members = groups.members();
        let mut order_of_first = Vec::new();
        let mut selected = vec![false; vector.len()];
        for (step, param) in param.iter().enumerate() {
            let size = self.size(op, *param)?;
            for members in &members {
                self.guard.check()?;
                let mut present: Vec<usize> = members
                    .iter()
                    .copied()
                    .filter(|at| !absent(vector[*at].values[step]))
                    .collect();
                let value = |at: &usize| vector[*at].values[step];
                match (op, size) {
                    (Aggregation::LimitRatio, Size::Ratio(ratio)) => {
                        present.retain(|at| in_ratio(&vector[*at].labels, ratio));
                    }
                    (_, Size::Count(count)) => match op {
                        Aggregation::Topk => {
                            present = best(&present, count, |a, b| before(value(a), value(b)));
                            present.sort_by(|a, b| falling(value(a), value(b)));
                        }
                        Aggregation::Bottomk => {
                            present = best(&present, count, |a, b| before(-value(a), -value(b)));
                            present.sort_by(|a, b| rising(value(a), value(b)));
                        }
                        _ => present.truncate(count),
                    },
                    _ => {}
                }
                present.iter().for_each(|at| selected[*at] = true);
                for at in members {
                    if !std::mem::take(&mut selected[*at]) {
                        vector[*at].values[step] = ABSENT;
                    }
                }
                if step == 0 {
                    order_of_first.extend(present);
                }
            }
        }
        if self.grid.steps() == 1 {
            let mut series: Vec<Option<Series>> = vector.into_iter().map(Some).collect();
            return Ok(order_of_first
                .into_iter()
                .filter_map(|at| series[at].take())
                .collect());
        }
        vector.retain(|series| !series.values.iter().copied().all(absent));
        Ok(vector)
    }

    fn size(&self, op: Aggregation, param: f64) -> Result<Size, QueryError> {
        if op != Aggregation::LimitRatio {
            if param.is_nan() {
                return Err(QueryError::Execution("Parameter value is NaN".into()));
            }
            if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_807.0).contains(&param) {
                let text = short_text(param);
                return Err(QueryError::Execution(format!(
                    "Scalar value {text} overflows int64"
                )));
            }
            return Ok(Size::Count(param.max(0.0) as usize));
        }
        if param.is_nan() {
            return Err(QueryError::Execution("Ratio value is NaN".into()));
        }
        Ok(Size::Ratio(param.clamp(-1.0, 1.0)))
    }
}

/// Returns the parameters to warn about because they are not in `least..=1`: NaN, the greatest and the
/// least of all steps.
fn outside(param: &[f64], least: f64) -> Vec<f64> {
    let nan = param.iter().copied().find(|value| value.is_nan());
    let greatest = param
        .iter()
        .copied()
        .reduce(f64::max)
        .filter(|value| *value > 1.0);
    let smallest = param
        .iter()
        .copied()
        .reduce(f64::min)
        .filter(|value| *value < least);
    [nan, greatest, smallest].into_iter().flatten().collect()
}

#[derive(Clone, Copy)]
enum Size {
    Count(usize),
    Ratio(f64),
}

/// Returns whether `a` ranks below `b` for `topk`; NaN ranks lowest.
fn before(a: f64, b: f64) -> bool {
    a.is_nan() || a < b
}

/// Returns the `count` best of `items`. Uses the same heap as Prometheus, because the heap decides which
/// of equal items are selected, and in which order. `worse` compares two items.
fn best(items: &[usize], count: usize, worse: impl Fn(&usize, &usize) -> bool) -> Vec<usize> {
    let mut heap: Vec<usize> = Vec::with_capacity(count.min(items.len()));
    for item in items {
        if heap.len() < count {
            heap.push(*item);
            let mut at = heap.len() - 1;
            while at > 0 && worse(&heap[at], &heap[(at - 1) / 2]) {
                heap.swap(at, (at - 1) / 2);
                at = (at - 1) / 2;
            }
        } else if let Some(worst) = heap.first()
            && worse(worst, item)
            && !worse(item, worst)
        {
            heap[0] = *item;
            let mut at = 0;
            loop {
                let mut child = 2 * at + 1;
                if child + 1 < heap.len() && worse(&heap[child + 1], &heap[child]) {
                    child += 1;
                }
                if child >= heap.len() || !worse(&heap[child], &heap[at]) {
                    break;
                }
                heap.swap(at, child);
                at = child;
            }
        }
    }
    heap
}

/// Orders descending, NaN last.
fn falling(a: f64, b: f64) -> std::cmp::Ordering {
    order(b, a)
}

/// Orders ascending, NaN last.
fn rising(a: f64, b: f64) -> std::cmp::Ordering {
    a.partial_cmp(&b)
        .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// Returns whether a series is in the sample of this ratio; with a negative ratio, in its complement.
fn in_ratio(labels: &LabelSet, ratio: f64) -> bool {
    let place = super::hash::place(labels);
    if ratio >= 0.0 {
        place < ratio
    } else {
        place >= 1.0 + ratio
    }
}

/// Partition of series into groups.
struct Groups {
    /// Labels, by group.
    labels: Vec<LabelSet>,
    /// Index of the group, by series.
    group_of: Vec<usize>,
}

impl Groups {
    fn new(
        eval: &Eval<'_>,
        vector: &[Series],
        modifier: Option<&LabelModifier>,
    ) -> Result<Self, QueryError> {
        let mut numbers = HashMap::new();
        let mut all = Vec::new();
        let mut group_of = Vec::with_capacity(vector.len());
        for series in vector {
            let labels = match modifier {
                None => LabelSet::default(),
                Some(LabelModifier::Include(names)) => keep(&series.labels, names),
                Some(LabelModifier::Exclude(names)) => drop(&series.labels, names),
            };
            let labels = eval.charge_labels(labels)?;
            group_of.push(*numbers.entry(labels.clone()).or_insert_with(|| {
                all.push(labels);
                all.len() - 1
            }));
        }
        Ok(Self {
            labels: all,
            group_of,
        })
    }

    /// Returns the series of each group.
    fn members(&self) -> Vec<Vec<usize>> {
        let mut members = vec![Vec::new(); self.labels.len()];
        for (series, group) in self.group_of.iter().enumerate() {
            members[*group].push(series);
        }
        members
    }

    /// Reduces the values of each group to one value per step.
    fn each_step(
        &self,
        eval: &Eval<'_>,
        vector: &[Series],
        mut reduce: impl FnMut(usize, &mut [f64]) -> f64,
    ) -> Result<Vec<Series>, QueryError> {
        let mut out = Vec::with_capacity(self.labels.len());
        let mut present = Vec::new();
        for (labels, members) in self.labels.iter().zip(self.members()) {
            let drop_name = members.iter().any(|at| vector[*at].drop_name);
            let mut result = eval.new_series(labels.clone(), drop_name)?;
            for (step, slot) in result.values.iter_mut().enumerate() {
                eval.guard.check()?;
                present.clear();
                let values = members.iter().map(|at| vector[*at].values[step]);
                present.extend(values.filter(|value| !absent(*value)));
                if !present.is_empty() {
                    *slot = reduce(step, &mut present);
                }
            }
            out.push(result);
        }
        Ok(out)
    }
}

/// Reduces the values of a group, of which there is at least one.
fn reduce(op: Aggregation, values: &mut [f64]) -> f64 {
    match op {
        Aggregation::Sum => {
            let mut sum = Sum::default();
            values.iter().for_each(|value| sum.add(*value));
            sum.total()
        }
        Aggregation::Avg => {
            let mut mean = Mean::default();
            values.iter().for_each(|value| mean.add(*value));
            mean.mean()
        }
        Aggregation::Count => values.len() as f64,
        Aggregation::Group => 1.0,
        Aggregation::Max => best_value(values, |a, b| a > b),
        Aggregation::Min => best_value(values, |a, b| a < b),
        Aggregation::Stddev => spread(values).sqrt(),
        Aggregation::Stdvar => spread(values),
        _ => f64::NAN,
    }
}

fn spread(values: &[f64]) -> f64 {
    let mut spread = Spread::default();
    values.iter().for_each(|value| spread.add(*value));
    spread.variance()
}

/// Returns the value that is better than all others; NaN only if there is no other.
fn best_value(values: &[f64], better: fn(f64, f64) -> bool) -> f64 {
    values.iter().fold(f64::NAN, |best, value| {
        if better(*value, best) || best.is_nan() {
            *value
        } else {
            best
        }
    })
}
