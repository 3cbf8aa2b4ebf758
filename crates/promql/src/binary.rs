//! Binary operators: arithmetic, comparison, sets; between numbers and between vectors.

use bellwether_core::LabelSet;
use hashbrown::HashMap;

use super::ast::{BinModifier, BinaryExpr, Cardinality, Expr, Fill, LabelModifier, Op};
use super::eval::{ABSENT, Eval, Line, Out, absent};
use super::labels::{drop, keep, shown, without_name};
use super::query::QueryError;

/// What an operator makes of two numbers.
enum Made {
    Number(f64),
    /// A comparison: whether it holds.
    Truth(bool),
}

fn apply(op: Op, a: f64, b: f64) -> Made {
    match op {
        Op::Add => Made::Number(a + b),
        Op::Sub => Made::Number(a - b),
        Op::Mul => Made::Number(a * b),
        Op::Div => Made::Number(a / b),
        Op::Mod => Made::Number(a % b),
        Op::Pow => Made::Number(a.powf(b)),
        Op::Atan2 => Made::Number(a.atan2(b)),
        Op::Equal => Made::Truth(a == b),
        Op::NotEqual => Made::Truth(a != b),
        Op::Greater => Made::Truth(a > b),
        Op::Less => Made::Truth(a < b),
        Op::GreaterOrEqual => Made::Truth(a >= b),
        Op::LessOrEqual => Made::Truth(a <= b),
        _ => Made::Number(f64::NAN),
    }
}

/// The result of an operator where a comparison filters: `kept` stays if it holds.
fn result(op: Op, a: f64, b: f64, as_bool: bool, kept: f64) -> f64 {
    match apply(op, a, b) {
        Made::Number(number) => number,
        Made::Truth(truth) if as_bool => f64::from(u8::from(truth)),
        Made::Truth(true) => kept,
        Made::Truth(false) => ABSENT,
    }
}

impl Eval<'_> {
    pub(super) fn binary(&self, binary: &BinaryExpr) -> Result<Out, QueryError> {
        // One after the other, not one within the other: hundreds of `or` are no deep stack.
        let before = self.guard.held();
        let (mut chain, mut first) = (vec![binary], &*binary.lhs);
        while let Expr::Binary(inner) = first {
            chain.push(inner);
            first = &inner.lhs;
        }
        let mut left = self.eval(first)?;
        while let Some(one) = chain.pop() {
            let right = self.eval(&one.rhs)?;
            left = self.finished(before, self.operated(one, left, right)?, false)?;
        }
        Ok(left)
    }

    /// One operator between two results.
    fn operated(&self, binary: &BinaryExpr, left: Out, right: Out) -> Result<Out, QueryError> {
        let as_bool = binary.modifier.return_bool;
        let op = binary.op;
        Ok(match (left, right) {
            (Out::Scalar(left), Out::Scalar(right)) => {
                let pairs = left.into_iter().zip(right);
                Out::Scalar(pairs.map(|(a, b)| result(op, a, b, true, a)).collect())
            }
            (Out::Vector(lines), Out::Scalar(numbers)) => Out::Vector(with_numbers(
                lines,
                &numbers,
                op,
                as_bool,
                |value, number| (value, number),
            )),
            (Out::Scalar(numbers), Out::Vector(lines)) => Out::Vector(with_numbers(
                lines,
                &numbers,
                op,
                as_bool,
                |value, number| (number, value),
            )),
            (Out::Vector(left), Out::Vector(right)) => {
                let modifier = &binary.modifier;
                let matching = Matching::new(modifier);
                Out::Vector(match op {
                    Op::And => self.filtered(left, &right, &matching, true)?,
                    Op::Unless => self.filtered(left, &right, &matching, false)?,
                    Op::Or => self.either(left, right, &matching)?,
                    _ => self.joined(left, right, op, &matching, modifier)?,
                })
            }
            _ => return Err(QueryError::BadData("an operator between texts".into())),
        })
    }

    /// An operator between two vectors.
    fn joined(
        &self,
        left: Vec<Line>,
        right: Vec<Line>,
        op: Op,
        matching: &Matching,
        modifier: &BinModifier,
    ) -> Result<Vec<Line>, QueryError> {
        // The side of which each label set may occur once per group is the right one.
        let swapped = matches!(matching.card, Cardinality::OneToMany(_));
        let (many, one) = if swapped {
            (right, left)
        } else {
            (left, right)
        };
        let mut groups = Groups::default();
        let many_groups = groups.of(self, &many, matching)?;
        let one_groups = groups.of(self, &one, matching)?;
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
        let mut made = Joined::new(self);
        let single = matches!(matching.card, Cardinality::OneToOne);
        let mut groups = vec![Group::default(); groups.count()];
        for step in 0..self.grid.steps() {
            self.guard.check()?;
            let there = |side: &[Line]| side.iter().any(|line| !absent(line.values[step]));
            // Nothing can match, so nothing is amiss either.
            if !(filled || there(&many) && there(&one)) {
                continue;
            }
            groups.fill(Group::default());
            for (index, group) in one_groups.iter().enumerate() {
                if !absent(one[index].values[step])
                    && let Some(other) = groups[*group].one.replace(index)
                {
                    return Err(join.ambiguous(other, index));
                }
            }
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
                if std::mem::replace(&mut group.met, true) && single {
                    return Err(QueryError::Execution(EXPLICIT.into()));
                }
                made.take(&join, (Some(index), group.one), (value, other), step)?;
            }
            let Some(fill) = fill_many else { continue };
            for (index, group) in one_groups.iter().enumerate() {
                let value = one[index].values[step];
                if !absent(value) && !groups[*group].met {
                    made.take(&join, (None, Some(index)), (fill, value), step)?;
                }
            }
        }
        made.lines
            .retain(|line| !line.values.iter().copied().all(absent));
        Ok(made.lines)
    }
}

const EXPLICIT: &str =
    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
const UNIQUE: &str = "multiple matches for labels: grouping labels must ensure unique matches";

/// What a step knows of the series that match each other.
#[derive(Clone, Copy, Default)]
struct Group {
    /// The series of the side that has one.
    one: Option<usize>,
    /// Whether the other side has any.
    met: bool,
}

/// A vector with a number per step. `sides` puts the two in order.
fn with_numbers(
    mut lines: Vec<Line>,
    numbers: &[f64],
    op: Op,
    as_bool: bool,
    sides: impl Fn(f64, f64) -> (f64, f64),
) -> Vec<Line> {
    for line in &mut lines {
        for (value, number) in line.values.iter_mut().zip(numbers) {
            if !absent(*value) {
                let (a, b) = sides(*value, *number);
                *value = result(op, a, b, as_bool, *value);
            }
        }
        line.drop_name |= as_bool || !op.is_comparison();
    }
    lines.retain(|line| !line.values.iter().copied().all(absent));
    lines
}

/// How series of two sides find each other.
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

    /// What must be equal on both sides.
    fn group(&self, labels: &LabelSet) -> LabelSet {
        if self.on {
            keep(labels, &self.labels)
        } else {
            drop(labels, &self.labels)
        }
    }
}

/// Numbers for groups of matching series.
#[derive(Default)]
struct Groups(HashMap<LabelSet, usize>);

impl Groups {
    fn of(
        &mut self,
        eval: &Eval<'_>,
        lines: &[Line],
        matching: &Matching,
    ) -> Result<Vec<usize>, QueryError> {
        let number = |line: &Line| {
            let next = self.0.len();
            let group = eval.made(matching.group(&line.labels))?;
            Ok(*self.0.entry(group).or_insert(next))
        };
        lines.iter().map(number).collect()
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
    many: &'a [Line],
    one: &'a [Line],
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

    /// Labels of the result of a pair; of a missing side nothing is taken.
    fn labels(&self, many: Option<usize>, one: Option<usize>) -> LabelSet {
        let empty = LabelSet::default();
        let of = |lines: &'_ [Line], index: Option<usize>| {
            index.map(|index| lines[index].labels.clone())
        };
        let (many, one) = (of(self.many, many), of(self.one, one));
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
                let taken = include.iter().map(|name| (name.as_str(), one.get(name)));
                LabelSet::new(base.iter().chain(taken))
            }
        }
    }
}

/// Series of the many side and of the one side; of a side that was filled there is none.
type Pair = (Option<usize>, Option<usize>);

/// The result of an operator so far.
struct Joined<'e> {
    eval: &'e Eval<'e>,
    lines: Vec<Line>,
    /// By line: the last step in which it was the result of a pair.
    taken: Vec<Option<usize>>,
    by_pair: HashMap<Pair, usize>,
    by_labels: HashMap<LabelSet, usize>,
}

impl<'e> Joined<'e> {
    fn new(eval: &'e Eval<'e>) -> Self {
        Self {
            eval,
            lines: Vec::new(),
            taken: Vec::new(),
            by_pair: HashMap::new(),
            by_labels: HashMap::new(),
        }
    }

    /// Takes in the result of one pair in one step.
    fn take(
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
            None => self.line_of(join, pair)?,
        };
        // Also where a comparison does not hold.
        if self.taken[index].replace(step) == Some(step) {
            return Err(QueryError::Execution(UNIQUE.into()));
        }
        self.lines[index].values[step] = value;
        Ok(())
    }

    fn line_of(&mut self, join: &Join<'_>, pair: Pair) -> Result<usize, QueryError> {
        let labels = self.eval.made(join.labels(pair.0, pair.1))?;
        let index = match self.by_labels.get(&labels) {
            Some(index) => *index,
            None => {
                let dropped = pair.0.is_some_and(|index| join.many[index].drop_name);
                self.by_labels.insert(labels.clone(), self.lines.len());
                self.lines
                    .push(self.eval.new_line(labels, join.as_bool || dropped)?);
                self.taken.push(None);
                self.lines.len() - 1
            }
        };
        self.by_pair.insert(pair, index);
        Ok(index)
    }
}

impl Eval<'_> {
    /// `and`, `unless`: what of the left has, or has not, a match on the right in the same step.
    fn filtered(
        &self,
        mut left: Vec<Line>,
        right: &[Line],
        matching: &Matching,
        wanted: bool,
    ) -> Result<Vec<Line>, QueryError> {
        let mut groups = Groups::default();
        let left_groups = groups.of(self, &left, matching)?;
        let present = self.presence(&mut groups, right, matching)?;
        for (line, group) in left.iter_mut().zip(left_groups) {
            self.guard.check()?;
            for (step, value) in line.values.iter_mut().enumerate() {
                let met = present.get(group).is_some_and(|steps| steps[step]);
                if met != wanted {
                    *value = ABSENT;
                }
            }
        }
        left.retain(|line| !line.values.iter().copied().all(absent));
        Ok(left)
    }

    /// `or`: the left, and of the right what has no match on the left in the same step.
    fn either(
        &self,
        left: Vec<Line>,
        mut right: Vec<Line>,
        matching: &Matching,
    ) -> Result<Vec<Line>, QueryError> {
        let mut groups = Groups::default();
        let right_groups = groups.of(self, &right, matching)?;
        let present = self.presence(&mut groups, &left, matching)?;
        for (line, group) in right.iter_mut().zip(right_groups) {
            self.guard.check()?;
            for (step, value) in line.values.iter_mut().enumerate() {
                if present.get(group).is_some_and(|steps| steps[step]) {
                    *value = ABSENT;
                }
            }
        }
        right.retain(|line| !line.values.iter().copied().all(absent));
        let mut all = left;
        all.extend(right);
        Ok(all)
    }

    /// By group and step, whether a series of `lines` has a value.
    fn presence(
        &self,
        groups: &mut Groups,
        lines: &[Line],
        matching: &Matching,
    ) -> Result<Vec<Vec<bool>>, QueryError> {
        let steps = self.grid.steps();
        let numbers = groups.of(self, lines, matching)?;
        self.guard
            .charge_bytes(steps.saturating_mul(groups.count()))?;
        let mut present = vec![vec![false; steps]; groups.count()];
        for (line, group) in lines.iter().zip(numbers) {
            self.guard.check()?;
            for (seen, value) in present[group].iter_mut().zip(&line.values) {
                *seen |= !absent(*value);
            }
        }
        Ok(present)
    }
}
