//! Binary operators: arithmetic, comparison, sets; between numbers and between vectors.

use hashbrown::HashMap;
use promql_parser::parser::token::{
    T_ADD, T_ATAN2, T_DIV, T_EQLC, T_GTE, T_GTR, T_LAND, T_LOR, T_LSS, T_LTE, T_LUNLESS, T_MOD,
    T_MUL, T_NEQ, T_POW, T_SUB, TokenType,
};
use promql_parser::parser::{BinModifier, BinaryExpr, LabelModifier, VectorMatchCardinality};

use super::eval::{ABSENT, Eval, Line, Out, absent};
use super::labels::{drop, keep, shown, with, without_name};
use super::query::QueryError;
use crate::model::LabelSet;

/// What an operator makes of two numbers.
enum Made {
    Number(f64),
    /// A comparison: whether it holds.
    Truth(bool),
}

fn apply(op: TokenType, a: f64, b: f64) -> Made {
    match op.id() {
        T_ADD => Made::Number(a + b),
        T_SUB => Made::Number(a - b),
        T_MUL => Made::Number(a * b),
        T_DIV => Made::Number(a / b),
        T_MOD => Made::Number(a % b),
        T_POW => Made::Number(a.powf(b)),
        T_ATAN2 => Made::Number(a.atan2(b)),
        T_EQLC => Made::Truth(a == b),
        T_NEQ => Made::Truth(a != b),
        T_GTR => Made::Truth(a > b),
        T_LSS => Made::Truth(a < b),
        T_GTE => Made::Truth(a >= b),
        T_LTE => Made::Truth(a <= b),
        _ => Made::Number(f64::NAN),
    }
}

/// The result of an operator where a comparison filters: `kept` stays if it holds.
fn result(op: TokenType, a: f64, b: f64, as_bool: bool, kept: f64) -> f64 {
    match apply(op, a, b) {
        Made::Number(number) => number,
        Made::Truth(truth) if as_bool => f64::from(u8::from(truth)),
        Made::Truth(true) => kept,
        Made::Truth(false) => ABSENT,
    }
}

impl Eval<'_> {
    pub(super) fn binary(&self, binary: &BinaryExpr) -> Result<Out, QueryError> {
        let (left, right) = (self.eval(&binary.lhs)?, self.eval(&binary.rhs)?);
        let as_bool = binary.return_bool();
        let op = binary.op;
        Ok(match (left, right) {
            (Out::Scalar(left), Out::Scalar(right)) => {
                let pairs = left.into_iter().zip(right);
                Out::Scalar(pairs.map(|(a, b)| result(op, a, b, true, a)).collect())
            }
            (Out::Vector(lines), Out::Scalar(numbers)) => {
                Out::Vector(with_numbers(lines, &numbers, op, as_bool, |value, number| {
                    (value, number)
                }))
            }
            (Out::Scalar(numbers), Out::Vector(lines)) => {
                Out::Vector(with_numbers(lines, &numbers, op, as_bool, |value, number| {
                    (number, value)
                }))
            }
            (Out::Vector(left), Out::Vector(right)) => {
                let modifier = binary.modifier.as_ref();
                let matching = Matching::new(modifier);
                let steps = self.grid.steps();
                Out::Vector(match op.id() {
                    T_LAND => filtered(left, &right, &matching, steps, true),
                    T_LUNLESS => filtered(left, &right, &matching, steps, false),
                    T_LOR => either(left, right, &matching, steps),
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
        op: TokenType,
        matching: &Matching,
        modifier: Option<&BinModifier>,
    ) -> Result<Vec<Line>, QueryError> {
        // The side of which each label set may occur once per group is the right one.
        let swapped = matches!(matching.card, VectorMatchCardinality::OneToMany(_));
        let (many, one) = if swapped { (right, left) } else { (left, right) };
        let mut groups = Groups::default();
        let many_groups = groups.of(&many, matching);
        let one_groups = groups.of(&one, matching);
        let fill = modifier.map(|modifier| &modifier.fill_values);
        // Prometheus has the sides changed already when it fills.
        let (fill_many, fill_one) = fill.map_or((None, None), |fill| (fill.lhs, fill.rhs));
        let as_bool = modifier.is_some_and(|modifier| modifier.return_bool);
        let join = Join { op, as_bool, matching, many: &many, one: &one, swapped };
        let mut made = Joined::new(self.grid.steps());
        let single = matches!(matching.card, VectorMatchCardinality::OneToOne);
        let mut groups = vec![Group::default(); groups.count()];
        for step in 0..self.grid.steps() {
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
        made.lines.retain(|line| !line.values.iter().copied().all(absent));
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
    op: TokenType,
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
        line.drop_name |= as_bool || !op.is_comparison_operator();
    }
    lines.retain(|line| !line.values.iter().copied().all(absent));
    lines
}

/// How series of two sides find each other.
struct Matching {
    card: VectorMatchCardinality,
    on: bool,
    labels: Vec<String>,
}

impl Matching {
    fn new(modifier: Option<&BinModifier>) -> Self {
        let (on, labels) = match modifier.and_then(|modifier| modifier.matching.as_ref()) {
            Some(LabelModifier::Include(labels)) => (true, labels.labels.clone()),
            Some(LabelModifier::Exclude(labels)) => (false, labels.labels.clone()),
            None => (false, Vec::new()),
        };
        let card = modifier.map_or(VectorMatchCardinality::OneToOne, |one| one.card.clone());
        Self { card, on, labels }
    }

    /// What must be equal on both sides.
    fn group(&self, labels: &LabelSet) -> LabelSet {
        if self.on { keep(labels, &self.labels) } else { drop(labels, &self.labels) }
    }
}

/// Numbers for groups of matching series.
#[derive(Default)]
struct Groups(HashMap<LabelSet, usize>);

impl Groups {
    fn of(&mut self, lines: &[Line], matching: &Matching) -> Vec<usize> {
        let number = |line: &Line| {
            let next = self.0.len();
            *self.0.entry(matching.group(&line.labels)).or_insert(next)
        };
        lines.iter().map(number).collect()
    }

    fn count(&self) -> usize {
        self.0.len()
    }
}

/// The two sides of an operator.
struct Join<'a> {
    op: TokenType,
    as_bool: bool,
    matching: &'a Matching,
    many: &'a [Line],
    one: &'a [Line],
    swapped: bool,
}

impl Join<'_> {
    fn ambiguous(&self, first: usize, second: usize) -> QueryError {
        let (first, second) = (&self.one[first].labels, &self.one[second].labels);
        let side = if self.swapped { "left" } else { "right" };
        QueryError::Execution(format!(
            "found duplicate series for the match group {} on the {side} hand-side of the operation: [{}, {}];many-to-many matching not allowed: matching labels must be unique on one side",
            shown(&self.matching.group(first)),
            shown(first),
            shown(second),
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
        let base = if self.op.is_comparison_operator() { base } else { without_name(&base) };
        match &self.matching.card {
            VectorMatchCardinality::OneToOne if self.matching.on => {
                keep(&base, &self.matching.labels)
            }
            VectorMatchCardinality::OneToOne => {
                let ignored = &self.matching.labels;
                LabelSet::new(
                    base.iter().filter(|(name, _)| !ignored.iter().any(|one| one == name)),
                )
            }
            VectorMatchCardinality::ManyToOne(include)
            | VectorMatchCardinality::OneToMany(include) => {
                let one = one.unwrap_or(empty);
                let set = |base: LabelSet, name: &String| with(&base, name, one.get(name));
                include.labels.iter().fold(base, set)
            }
            VectorMatchCardinality::ManyToMany => base,
        }
    }
}

/// Series of the many side and of the one side; of a side that was filled there is none.
type Pair = (Option<usize>, Option<usize>);

/// The result of an operator so far.
struct Joined {
    lines: Vec<Line>,
    by_pair: HashMap<Pair, usize>,
    by_labels: HashMap<LabelSet, usize>,
    steps: usize,
}

impl Joined {
    fn new(steps: usize) -> Self {
        Self { lines: Vec::new(), by_pair: HashMap::new(), by_labels: HashMap::new(), steps }
    }

    /// Takes in the result of one pair in one step.
    fn take(
        &mut self,
        join: &Join<'_>,
        pair: Pair,
        (many, one): (f64, f64),
        step: usize,
    ) -> Result<(), QueryError> {
        let (a, b) = if join.swapped { (one, many) } else { (many, one) };
        let value = result(join.op, a, b, join.as_bool, a);
        if absent(value) {
            return Ok(());
        }
        let index = match self.by_pair.get(&pair) {
            Some(index) => *index,
            None => self.line_of(join, pair),
        };
        let slot = &mut self.lines[index].values[step];
        if !absent(*slot) {
            return Err(QueryError::Execution(UNIQUE.into()));
        }
        *slot = value;
        Ok(())
    }

    fn line_of(&mut self, join: &Join<'_>, pair: Pair) -> usize {
        let labels = join.labels(pair.0, pair.1);
        let Self { lines, by_labels, steps, .. } = self;
        let index = *by_labels.entry(labels.clone()).or_insert_with(|| {
            let dropped = pair.0.is_some_and(|index| join.many[index].drop_name);
            let drop_name = join.as_bool || dropped;
            lines.push(Line { labels, drop_name, values: vec![ABSENT; *steps] });
            lines.len() - 1
        });
        self.by_pair.insert(pair, index);
        index
    }
}

/// `and`, `unless`: what of the left has, or has not, a match on the right in the same step.
fn filtered(
    mut left: Vec<Line>,
    right: &[Line],
    matching: &Matching,
    steps: usize,
    wanted: bool,
) -> Vec<Line> {
    let mut groups = Groups::default();
    let left_groups = groups.of(&left, matching);
    let present = presence(&mut groups, right, matching, steps);
    for (line, group) in left.iter_mut().zip(left_groups) {
        for (step, value) in line.values.iter_mut().enumerate() {
            let met = present.get(group).is_some_and(|steps| steps[step]);
            if met != wanted {
                *value = ABSENT;
            }
        }
    }
    left.retain(|line| !line.values.iter().copied().all(absent));
    left
}

/// `or`: the left, and of the right what has no match on the left in the same step.
fn either(left: Vec<Line>, mut right: Vec<Line>, matching: &Matching, steps: usize) -> Vec<Line> {
    let mut groups = Groups::default();
    let right_groups = groups.of(&right, matching);
    let present = presence(&mut groups, &left, matching, steps);
    for (line, group) in right.iter_mut().zip(right_groups) {
        for (step, value) in line.values.iter_mut().enumerate() {
            if present.get(group).is_some_and(|steps| steps[step]) {
                *value = ABSENT;
            }
        }
    }
    right.retain(|line| !line.values.iter().copied().all(absent));
    let mut all = left;
    all.extend(right);
    all
}

/// By group and step, whether a series of `lines` has a value.
fn presence(
    groups: &mut Groups,
    lines: &[Line],
    matching: &Matching,
    steps: usize,
) -> Vec<Vec<bool>> {
    let numbers = groups.of(lines, matching);
    let mut present = vec![vec![false; steps]; groups.count()];
    for (line, group) in lines.iter().zip(numbers) {
        for (seen, value) in present[group].iter_mut().zip(&line.values) {
            *seen |= !absent(*value);
        }
    }
    present
}
