//! Binary operators: arithmetic, comparisons and set operators, between scalars and vectors.

use bellwether_core::LabelSet;
use hashbrown::HashMap;

use super::ast::{BinModifier, BinaryExpr, Cardinality, Expr, Fill, LabelModifier, Op};
use super::eval::{ABSENT, Eval, Evaluated, Series, absent};
use super::labels::{drop, keep, shown, without_name};
use super::query::QueryError;

/// Result of an operator on two numbers.
enum OpResult {
    Number(f64),
    /// Result of a comparison.
    Truth(bool),
}

fn apply(op: Op, a: f64, b: f64) -> OpResult {
    match op {
        Op::Add => OpResult::Number(a + b),
        Op::Sub => OpResult::Number(a - b),
        Op::Mul => OpResult::Number(a * b),
        Op::Div => OpResult::Number(a / b),
        Op::Mod => OpResult::Number(a % b),
        Op::Pow => OpResult::Number(a.powf(b)),
        Op::Atan2 => OpResult::Number(a.atan2(b)),
        Op::Equal => OpResult::Truth(a == b),
        Op::NotEqual => OpResult::Truth(a != b),
        Op::Greater => OpResult::Truth(a > b),
        Op::Less => OpResult::Truth(a < b),
        Op::GreaterOrEqual => OpResult::Truth(a >= b),
        Op::LessOrEqual => OpResult::Truth(a <= b),
        _ => OpResult::Number(f64::NAN),
    }
}

/// Returns the result of an operator. A comparison without `bool` returns `value` if it is true.
fn result(op: Op, a: f64, b: f64, as_bool: bool, value: f64) -> f64 {
    match apply(op, a, b) {
        OpResult::Number(number) => number,
        OpResult::Truth(truth) if as_bool => f64::from(u8::from(truth)),
        OpResult::Truth(true) => value,
        OpResult::Truth(false) => ABSENT,
    }
}

impl Eval<'_> {
    pub(super) fn binary(&self, binary: &BinaryExpr) -> Result<Evaluated, QueryError> {
        // A loop instead of recursion, so that hundreds of `or` need no deep stack.
        let before = self.guard.usage();
        let (mut chain, mut first) = (vec![binary], &*binary.lhs);
        while let Expr::Binary(inner) = first {
            chain.push(inner);
            first = &inner.lhs;
        }
        let mut left = self.eval(first)?;
        while let Some(one) = chain.pop() {
            let right = self.eval(&one.rhs)?;
            left = self.finished(before, self.apply_operator(one, left, right)?, false)?;
        }
        Ok(left)
    }

    /// Applies an operator to two results.
    fn apply_operator(
        &self,
        binary: &BinaryExpr,
        left: Evaluated,
        right: Evaluated,
    ) -> Result<Evaluated, QueryError> {
        let as_bool = binary.modifier.return_bool;
        let op = binary.op;
        Ok(match (left, right) {
            (Evaluated::Scalar(left), Evaluated::Scalar(right)) => {
                let pairs = left.into_iter().zip(right);
                Evaluated::Scalar(pairs.map(|(a, b)| result(op, a, b, true, a)).collect())
            }
            (Evaluated::Vector(vector), Evaluated::Scalar(numbers)) => Evaluated::Vector(
                with_numbers(vector, &numbers, op, as_bool, |value, number| {
                    (value, number)
                }),
            ),
            (Evaluated::Scalar(numbers), Evaluated::Vector(vector)) => Evaluated::Vector(
                with_numbers(vector, &numbers, op, as_bool, |value, number| {
                    (number, value)
                }),
            ),
            (Evaluated::Vector(left), Evaluated::Vector(right)) => {
                let modifier = &binary.modifier;
                let matching = Matching::new(modifier);
                Evaluated::Vector(match op {
                    Op::And => self.filtered(left, &right, &matching, true)?,
                    Op::Unless => self.filtered(left, &right, &matching, false)?,
                    Op::Or => self.either(left, right, &matching)?,
                    _ => self.join(left, right, op, &matching, modifier)?,
                })
            }
            _ => {
                return Err(QueryError::BadData(
                    "operators cannot be applied to strings".into(),
                ));
            }
        })
    }

    /// Applies an operator to two vectors.
    fn join(
        &self,
        left: Vec<Series>,
        right: Vec<Series>,
        op: Op,
        matching: &Matching,
        modifier: &BinModifier,
    ) -> Result<Vec<Series>, QueryError> {
        // `one` is the side that may have only one series per group.
        let swapped = matches!(matching.card, Cardinality::OneToMany(_));
        let (many, one) = if swapped {
            (right, left)
        } else {
            (left, right)
        };
        let mut groups = Groups::default();
        let many_groups = groups.assign(self, &many, matching)?;
        let one_groups = groups.assign(self, &one, matching)?;
        let Fill { lhs, rhs } = modifier.fill;
        let (fill_many, fill_one) = if swapped { (rhs, lhs) } else { (lhs, rhs) };
        let filled = fill_many.is_some() || fill_one.is_some();
        let as_bool = modifier.return_bool;
        let join = Join {
            op,
            as_bool,
            matching,
            many: &many,
            one: &one,
            swapped,
        };
        let mut joined = Joined::new(self);
        let single = matches!(matching.card, Cardinality::OneToOne);
        let mut groups = vec![Group::default(); groups.count()];
        for step in 0..self.grid.steps() {
            self.guard.check()?;
            // Nothing can match, so there is no error to report either.
            if !(filled || has_values(&many, step) && has_values(&one, step)) {
                continue;
            }
            groups.fill(Group::default());
            join.partners(&one_groups, &mut groups, step)?;
            for (index, group) in many_groups.iter().enumerate() {
                let value = many[index].values[step];
                if absent(value) {
                    continue;
                }
                let group = &mut groups[*group];
                let other = match (group.one, fill_one) {
                    (Some(partner), _) => one[partner].values[step],
                    (None, Some(fill)) => fill,
                    (None, None) => continue,
                };
                if std::mem::replace(&mut group.matched, true) && single {
                    return Err(QueryError::Execution(EXPLICIT.into()));
                }
                joined.add(&join, (Some(index), group.one), (value, other), step)?;
            }
            if let Some(fill) = fill_many {
                for (index, value) in join.unmatched(&one_groups, &groups, step) {
                    joined.add(&join, (None, Some(index)), (fill, value), step)?;
                }
            }
        }
        joined
            .vector
            .retain(|series| !series.values.iter().copied().all(absent));
        Ok(joined.vector)
    }
}

/// Returns whether a side has a value in `step`.
fn has_values(side: &[Series], step: usize) -> bool {
    side.iter().any(|series| !absent(series.values[step]))
}

const EXPLICIT: &str =
    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
const UNIQUE: &str = "multiple matches for labels: grouping labels must ensure unique matches";

/// State of a match group in one step.
#[derive(Clone, Copy, Default)]
struct Group {
    /// Series of the side that may have only one.
    one: Option<usize>,
    /// The other side has a series.
    matched: bool,
}

/// Applies an operator to a vector and a scalar per step. `sides` puts the operands in order.
fn with_numbers(
    mut vector: Vec<Series>,
    numbers: &[f64],
    op: Op,
    as_bool: bool,
    sides: impl Fn(f64, f64) -> (f64, f64),
) -> Vec<Series> {
    for series in &mut vector {
        for (value, number) in series.values.iter_mut().zip(numbers) {
            if !absent(*value) {
                let (a, b) = sides(*value, *number);
                *value = result(op, a, b, as_bool, *value);
            }
        }
        series.drop_name |= as_bool || !op.is_comparison();
    }
    vector.retain(|series| !series.values.iter().copied().all(absent));
    vector
}

/// Vector matching.
struct Matching {
    card: Cardinality,
    on: bool,
    labels: Vec<String>,
}

impl Matching {
    fn new(modifier: &BinModifier) -> Self {
        let (on, labels) = match &modifier.matching {
            Some(LabelModifier::Include(labels)) => (true, labels.clone()),
            Some(LabelModifier::Exclude(labels)) => (false, labels.clone()),
            None => (false, Vec::new()),
        };
        Self {
            card: modifier.card.clone(),
            on,
            labels,
        }
    }

    /// Returns the labels that must be equal on both sides.
    fn group(&self, labels: &LabelSet) -> LabelSet {
        if self.on {
            keep(labels, &self.labels)
        } else {
            drop(labels, &self.labels)
        }
    }
}

/// Indices of match groups, by the labels that their series have in common.
#[derive(Default)]
struct Groups(HashMap<LabelSet, usize>);

impl Groups {
    fn assign(
        &mut self,
        eval: &Eval<'_>,
        vector: &[Series],
        matching: &Matching,
    ) -> Result<Vec<usize>, QueryError> {
        vector
            .iter()
            .map(|series| {
                let next = self.0.len();
                let group = eval.charge_labels(matching.group(&series.labels))?;
                Ok(*self.0.entry(group).or_insert(next))
            })
            .collect()
    }

    fn count(&self) -> usize {
        self.0.len()
    }
}

/// The two sides of an operator.
struct Join<'a> {
    op: Op,
    as_bool: bool,
    matching: &'a Matching,
    many: &'a [Series],
    one: &'a [Series],
    swapped: bool,
}

impl Join<'_> {
    fn ambiguous(&self, first: usize, second: usize) -> QueryError {
        let group = shown(&self.matching.group(&self.one[first].labels));
        let mut both = [first, second].map(|index| shown(&self.one[index].labels));
        both.sort();
        let [first, second] = both;
        let side = if self.swapped { "left" } else { "right" };
        QueryError::Execution(format!(
            "found duplicate series for the match group {group} on the {side} hand-side of the operation: [{first}, {second}];many-to-many matching not allowed: matching labels must be unique on one side"
        ))
    }

    /// Sets the partner of each group in `step`.
    fn partners(
        &self,
        one_groups: &[usize],
        groups: &mut [Group],
        step: usize,
    ) -> Result<(), QueryError> {
        for (index, group) in one_groups.iter().enumerate() {
            if !absent(self.one[index].values[step])
                && let Some(other) = groups[*group].one.replace(index)
            {
                return Err(self.ambiguous(other, index));
            }
        }
        Ok(())
    }

    /// Returns the series of the one side that have a value in `step` and no partner.
    fn unmatched(
        &self,
        one_groups: &[usize],
        groups: &[Group],
        step: usize,
    ) -> impl Iterator<Item = (usize, f64)> {
        one_groups
            .iter()
            .enumerate()
            .map(move |(index, group)| (index, *group, self.one[index].values[step]))
            .filter(|(_, group, value)| !absent(*value) && !groups[*group].matched)
            .map(|(index, _, value)| (index, value))
    }

    /// Returns the labels of the result of a pair; a missing side contributes nothing.
    fn labels(&self, many: Option<usize>, one: Option<usize>) -> LabelSet {
        let empty = LabelSet::default();
        let (many, one) = (
            many.map(|index| self.many[index].labels.clone()),
            one.map(|index| self.one[index].labels.clone()),
        );
        let base = match (&many, &one) {
            (Some(many), _) => many.clone(),
            (None, Some(one)) => self.matching.group(one),
            (None, None) => empty.clone(),
        };
        let base = if self.op.is_comparison() {
            base
        } else {
            without_name(&base)
        };
        match &self.matching.card {
            Cardinality::OneToOne if self.matching.on => keep(&base, &self.matching.labels),
            Cardinality::OneToOne => {
                let ignored = &self.matching.labels;
                LabelSet::new(
                    base.iter()
                        .filter(|(name, _)| !ignored.iter().any(|one| one == name)),
                )
            }
            Cardinality::ManyToOne(include) | Cardinality::OneToMany(include) => {
                let one = one.unwrap_or(empty);
                let last_step = include.iter().map(|name| (name.as_str(), one.get(name)));
                LabelSet::new(base.iter().chain(last_step))
            }
        }
    }
}

/// Series of the many side and of the one side; `None` for a side that is filled in.
type Pair = (Option<usize>, Option<usize>);

/// Result of an operator so far.
struct Joined<'e> {
    eval: &'e Eval<'e>,
    vector: Vec<Series>,
    /// Last step in which a series was the result of a pair, by series.
    last_step: Vec<Option<usize>>,
    by_pair: HashMap<Pair, usize>,
    by_labels: HashMap<LabelSet, usize>,
}

impl<'e> Joined<'e> {
    fn new(eval: &'e Eval<'e>) -> Self {
        Self {
            eval,
            vector: Vec::new(),
            last_step: Vec::new(),
            by_pair: HashMap::new(),
            by_labels: HashMap::new(),
        }
    }

    /// Adds the result of one pair in one step.
    fn add(
        &mut self,
        join: &Join<'_>,
        pair: Pair,
        (many, one): (f64, f64),
        step: usize,
    ) -> Result<(), QueryError> {
        let (a, b) = if join.swapped {
            (one, many)
        } else {
            (many, one)
        };
        let value = result(join.op, a, b, join.as_bool, a);
        let index = match self.by_pair.get(&pair) {
            Some(index) => *index,
            None => self.series_index(join, pair)?,
        };
        // Also if a comparison is false.
        if self.last_step[index].replace(step) == Some(step) {
            return Err(QueryError::Execution(UNIQUE.into()));
        }
        self.vector[index].values[step] = value;
        Ok(())
    }

    fn series_index(&mut self, join: &Join<'_>, pair: Pair) -> Result<usize, QueryError> {
        let labels = self.eval.charge_labels(join.labels(pair.0, pair.1))?;
        let index = match self.by_labels.get(&labels) {
            Some(index) => *index,
            None => {
                let dropped = pair.0.is_some_and(|index| join.many[index].drop_name);
                self.by_labels.insert(labels.clone(), self.vector.len());
                self.vector
                    .push(self.eval.new_series(labels, join.as_bool || dropped)?);
                self.last_step.push(None);
                self.vector.len() - 1
            }
        };
        self.by_pair.insert(pair, index);
        Ok(index)
    }
}

impl Eval<'_> {
    /// Evaluates `and` and `unless`: values of the left side with or without a match on the right side in
    /// the same step.
    fn filtered(
        &self,
        mut left: Vec<Series>,
        right: &[Series],
        matching: &Matching,
        wanted: bool,
    ) -> Result<Vec<Series>, QueryError> {
        let mut groups = Groups::default();
        let left_groups = groups.assign(self, &left, matching)?;
        let present = self.presence(&mut groups, right, matching)?;
        for (series, group) in left.iter_mut().zip(left_groups) {
            self.guard.check()?;
            for (step, value) in series.values.iter_mut().enumerate() {
                let matched = present.get(group).is_some_and(|steps| steps[step]);
                if matched != wanted {
                    *value = ABSENT;
                }
            }
        }
        left.retain(|series| !series.values.iter().copied().all(absent));
        Ok(left)
    }

    /// Evaluates `or`: the left side, and values of the right side without a match in the same step.
    fn either(
        &self,
        left: Vec<Series>,
        mut right: Vec<Series>,
        matching: &Matching,
    ) -> Result<Vec<Series>, QueryError> {
        let mut groups = Groups::default();
        let right_groups = groups.assign(self, &right, matching)?;
        let present = self.presence(&mut groups, &left, matching)?;
        for (series, group) in right.iter_mut().zip(right_groups) {
            self.guard.check()?;
            for (step, value) in series.values.iter_mut().enumerate() {
                if present.get(group).is_some_and(|steps| steps[step]) {
                    *value = ABSENT;
                }
            }
        }
        right.retain(|series| !series.values.iter().copied().all(absent));
        let mut all = left;
        all.extend(right);
        Ok(all)
    }

    /// Returns whether a series of `vector` has a value, by group and step.
    fn presence(
        &self,
        groups: &mut Groups,
        vector: &[Series],
        matching: &Matching,
    ) -> Result<Vec<Vec<bool>>, QueryError> {
        let steps = self.grid.steps();
        let numbers = groups.assign(self, vector, matching)?;
        self.guard
            .charge_bytes(steps.saturating_mul(groups.count()))?;
        let mut present = vec![vec![false; steps]; groups.count()];
        for (series, group) in vector.iter().zip(numbers) {
            self.guard.check()?;
            for (seen, value) in present[group].iter_mut().zip(&series.values) {
                *seen |= !absent(*value);
            }
        }
        Ok(present)
    }
}
