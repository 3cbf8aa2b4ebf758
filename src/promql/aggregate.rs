//! Aggregations: many series to one per group, or a choice among those of a group.

use hashbrown::HashMap;
use promql_parser::parser::token::{
    T_AVG, T_BOTTOMK, T_COUNT, T_COUNT_VALUES, T_GROUP, T_LIMIT_RATIO, T_LIMITK, T_MAX, T_MIN,
    T_QUANTILE, T_STDDEV, T_STDVAR, T_SUM, T_TOPK, TokenId,
};
use promql_parser::parser::{AggregateExpr, Expr, LabelModifier};

use super::eval::{ABSENT, Eval, Line, absent};
use super::functions::{number_text, short_text};
use super::labels::{drop, keep, with};
use super::query::QueryError;
use super::sum::{Mean, Spread, Sum, order, quantile};
use crate::model::LabelSet;

impl Eval<'_> {
    pub(super) fn aggregate(&self, aggregate: &AggregateExpr) -> Result<Vec<Line>, QueryError> {
        let op = aggregate.op.id();
        let lines = self.lines(&aggregate.expr)?;
        let groups = Grouped::new(&lines, aggregate.modifier.as_ref());
        let param = aggregate.param.as_deref();
        match op {
            T_COUNT_VALUES => self.count_values(&lines, &groups, param),
            T_TOPK | T_BOTTOMK | T_LIMITK | T_LIMIT_RATIO => {
                self.chosen(op, lines, &groups, &self.number(param)?)
            }
            T_QUANTILE => {
                let q = self.number(param)?;
                for q in q.iter().filter(|q| q.is_nan() || **q < 0.0 || **q > 1.0) {
                    self.notes.warn(format!(
                        "quantile value should be between 0 and 1, got {}",
                        short_text(*q)
                    ));
                }
                Ok(groups
                    .each_step(&lines, self.grid.steps(), |step, values| quantile(q[step], values)))
            }
            _ => Ok(groups.each_step(&lines, self.grid.steps(), |_, values| reduce(op, values))),
        }
    }

    fn number(&self, param: Option<&Expr>) -> Result<Vec<f64>, QueryError> {
        match param {
            Some(param) => self.scalar(param),
            None => Err(QueryError::BadData("the aggregation needs a parameter".into())),
        }
    }

    /// One series per value that occurs in a group, with how often it does.
    fn count_values(
        &self,
        lines: &[Line],
        groups: &Grouped,
        param: Option<&Expr>,
    ) -> Result<Vec<Line>, QueryError> {
        let label = match param {
            Some(param) => self.string(param)?,
            None => String::new(),
        };
        if label.is_empty() {
            return Err(QueryError::Execution(format!("invalid label name {label:?}")));
        }
        let mut made = HashMap::<LabelSet, usize>::new();
        let mut counts: Vec<Line> = Vec::new();
        for (line, group) in lines.iter().zip(&groups.of) {
            for (step, value) in
                line.values.iter().enumerate().filter(|(_, value)| !absent(**value))
            {
                let labels = with(&groups.labels[*group], &label, &number_text(*value));
                let index = match made.get(&labels) {
                    Some(index) => *index,
                    None => {
                        // As many series as there are values: they may be too many.
                        self.guard.charge(self.grid.steps())?;
                        let values = vec![ABSENT; self.grid.steps()];
                        made.insert(labels.clone(), counts.len());
                        counts.push(Line { labels, drop_name: false, values });
                        counts.len() - 1
                    }
                };
                let count = &mut counts[index].values[step];
                *count = if absent(*count) { 1.0 } else { *count + 1.0 };
            }
        }
        Ok(counts)
    }

    /// Some series of each group, unchanged.
    fn chosen(
        &self,
        op: TokenId,
        mut lines: Vec<Line>,
        groups: &Grouped,
        param: &[f64],
    ) -> Result<Vec<Line>, QueryError> {
        let members = groups.members();
        let mut order_of_first = Vec::new();
        for (step, param) in param.iter().enumerate() {
            let size = self.size(op, *param)?;
            for members in &members {
                let mut there: Vec<usize> =
                    members.iter().copied().filter(|at| !absent(lines[*at].values[step])).collect();
                let value = |at: &usize| lines[*at].values[step];
                match (op, size) {
                    (T_LIMIT_RATIO, Size::Ratio(ratio)) => {
                        there.retain(|at| sampled(&lines[*at].labels, ratio));
                    }
                    (_, Size::Count(count)) => {
                        if op == T_TOPK {
                            there.sort_by(|a, b| falling(value(a), value(b)));
                        } else if op == T_BOTTOMK {
                            there.sort_by(|a, b| rising(value(a), value(b)));
                        }
                        there.truncate(count);
                    }
                    _ => {}
                }
                for at in members.iter().filter(|at| !there.contains(at)) {
                    lines[*at].values[step] = ABSENT;
                }
                if step == 0 {
                    order_of_first.extend(there);
                }
            }
        }
        if self.grid.steps() == 1 {
            let mut taken: Vec<Option<Line>> = lines.into_iter().map(Some).collect();
            return Ok(order_of_first.into_iter().filter_map(|at| taken[at].take()).collect());
        }
        lines.retain(|line| !line.values.iter().copied().all(absent));
        Ok(lines)
    }

    fn size(&self, op: TokenId, param: f64) -> Result<Size, QueryError> {
        if op != T_LIMIT_RATIO {
            if param.is_nan() {
                return Err(QueryError::Execution("Parameter value is NaN".into()));
            }
            if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_807.0).contains(&param) {
                let text = short_text(param);
                return Err(QueryError::Execution(format!("Scalar value {text} overflows int64")));
            }
            return Ok(Size::Count(param.max(0.0) as usize));
        }
        if param.is_nan() {
            return Err(QueryError::Execution("Ratio value is NaN".into()));
        }
        let ratio = param.clamp(-1.0, 1.0);
        if ratio != param {
            self.notes.warn(format!(
                "ratio value should be between -1 and 1, got {}, capping to {}",
                short_text(param),
                short_text(ratio)
            ));
        }
        Ok(Size::Ratio(ratio))
    }
}

#[derive(Clone, Copy)]
enum Size {
    Count(usize),
    Ratio(f64),
}

/// Largest first, NaN last.
fn falling(a: f64, b: f64) -> std::cmp::Ordering {
    order(b, a)
}

/// Smallest first, NaN last.
fn rising(a: f64, b: f64) -> std::cmp::Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// Whether a series is in a sample of this ratio; with a negative ratio, in the rest of one.
fn sampled(labels: &LabelSet, ratio: f64) -> bool {
    let hash = labels.packed().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    // FNV leaves the high bits of short texts alike: mix them once more.
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let place = (mixed ^ (mixed >> 33)) as f64 / u64::MAX as f64;
    if ratio >= 0.0 { place < ratio } else { place >= 1.0 + ratio }
}

/// The groups of the series.
struct Grouped {
    /// By group.
    labels: Vec<LabelSet>,
    /// By series: its group.
    of: Vec<usize>,
}

impl Grouped {
    fn new(lines: &[Line], modifier: Option<&LabelModifier>) -> Self {
        let mut numbers = HashMap::new();
        let mut all = Vec::new();
        let of = lines.iter().map(|line| {
            let labels = match modifier {
                None => LabelSet::default(),
                Some(LabelModifier::Include(names)) => keep(&line.labels, &names.labels),
                Some(LabelModifier::Exclude(names)) => drop(&line.labels, &names.labels),
            };
            *numbers.entry(labels.clone()).or_insert_with(|| {
                all.push(labels);
                all.len() - 1
            })
        });
        let of = of.collect();
        Self { labels: all, of }
    }

    /// By group: its series.
    fn members(&self) -> Vec<Vec<usize>> {
        let mut members = vec![Vec::new(); self.labels.len()];
        for (series, group) in self.of.iter().enumerate() {
            members[*group].push(series);
        }
        members
    }

    /// Reduces the values of each group in each step to one.
    fn each_step(
        &self,
        lines: &[Line],
        steps: usize,
        mut reduce: impl FnMut(usize, &mut [f64]) -> f64,
    ) -> Vec<Line> {
        let mut out = Vec::with_capacity(self.labels.len());
        let mut present = Vec::new();
        for (labels, members) in self.labels.iter().zip(self.members()) {
            let drop_name = members.iter().any(|at| lines[*at].drop_name);
            let mut values = vec![ABSENT; steps];
            for (step, slot) in values.iter_mut().enumerate() {
                present.clear();
                let there = members.iter().map(|at| lines[*at].values[step]);
                present.extend(there.filter(|value| !absent(*value)));
                if !present.is_empty() {
                    *slot = reduce(step, &mut present);
                }
            }
            out.push(Line { labels: labels.clone(), drop_name, values });
        }
        out
    }
}

/// One number of the values of a group, of which there is at least one.
fn reduce(op: TokenId, values: &mut [f64]) -> f64 {
    let first = values[0];
    let best =
        |better: fn(f64, f64) -> bool| {
            values.iter().fold(first, |best, value| {
                if better(*value, best) || best.is_nan() { *value } else { best }
            })
        };
    match op {
        T_SUM => {
            let mut sum = Sum::default();
            values.iter().for_each(|value| sum.add(*value));
            sum.total()
        }
        T_AVG => {
            let mut mean = Mean::default();
            values.iter().for_each(|value| mean.add(*value));
            mean.mean()
        }
        T_COUNT => values.len() as f64,
        T_GROUP => 1.0,
        T_MAX => best(|a, b| a > b),
        T_MIN => best(|a, b| a < b),
        T_STDDEV => spread(values).sqrt(),
        T_STDVAR => spread(values),
        _ => f64::NAN,
    }
}

fn spread(values: &[f64]) -> f64 {
    let mut spread = Spread::default();
    values.iter().for_each(|value| spread.add(*value));
    spread.variance()
}
