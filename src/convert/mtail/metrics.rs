//! From statements to metrics of a collector of type `log`.

use std::collections::{BTreeSet, HashMap};

use bellwether_core::{is_label_name, is_metric_name};
use bellwether_schema::Pos;
use regex::bytes::Regex;

use super::super::yaml::{Map, Yaml};
use super::lex::Kind;
use super::parse::{Declaration, Program, Statement};
use super::pattern::{with_named_groups, within};
use super::scope::{Condition, PATH, Scope, Test};
use super::terms::{comparison, is_path, is_wrapped, keys, shown, split, unwrapped};

/// Most statements that are walked through: a definition may be used several times.
const MAX_STEPS: usize = 20_000;
/// Deepest use of definitions within one another.
const MAX_DEPTH: usize = 64;
/// Most tokens of an action or a condition, and the longest expression of constants.
const MAX_TOKENS: usize = 1_000;
const MAX_EXPRESSION: usize = 10_000;
/// Expression of numbers above zero.
const ABOVE_ZERO: &str = "[0-9.]*[1-9][0-9.]*";

/// A walk through the statements of a program.
pub(super) struct Walk<'p, 'm> {
    declarations: HashMap<&'p str, &'p Declaration>,
    definitions: HashMap<&'p str, &'p [Statement]>,
    constants: HashMap<&'p str, String>,
    metrics: Vec<Map>,
    /// Receives what has no counterpart.
    collector: &'m mut Map,
    steps: usize,
    depth: usize,
}

impl<'p, 'm> Walk<'p, 'm> {
    /// Returns the metrics of a program; what has no counterpart is noted in `collector`.
    pub(super) fn run(program: &'p Program, collector: &'m mut Map) -> Vec<Map> {
        let declarations = program.declarations.iter();
        let mut walk = Self {
            declarations: declarations
                .map(|declaration| (declaration.name.as_str(), declaration))
                .collect(),
            definitions: HashMap::new(),
            constants: HashMap::new(),
            metrics: Vec::new(),
            collector,
            steps: 0,
            depth: 0,
        };
        walk.block(&program.statements, &Scope::default());
        for declaration in program
            .declarations
            .iter()
            .filter(|declaration| declaration.kind == "text" && !declaration.is_hidden)
        {
            walk.collector
                .lose(declaration.at, format!("{}: a text", declaration.name));
        }
        walk.metrics
    }

    fn block(&mut self, statements: &'p [Statement], scope: &Scope<'p>) {
        for statement in statements {
            self.steps += 1;
            if self.steps > MAX_STEPS || self.depth > MAX_DEPTH {
                self.collector.lose(
                    Pos::default(),
                    "definitions that are used too often, or in themselves",
                );
                return;
            }
            self.statement(statement, scope);
        }
    }

    fn statement(&mut self, statement: &'p Statement, scope: &Scope<'p>) {
        match statement {
            Statement::When {
                at,
                condition,
                then,
                otherwise,
            } => {
                match self.condition(condition, scope) {
                    Some(inner) => self.block(then, &inner),
                    None => self
                        .collector
                        .lose(*at, format!("the condition {}", shown(condition))),
                }
                if let Some(first) = otherwise.first() {
                    self.collector
                        .lose(first.at().unwrap_or(*at), "what is in `else`");
                }
            }
            Statement::Otherwise { at, .. } => self.collector.lose(*at, "what is in `otherwise`"),
            Statement::Define { name, body } => drop(self.definitions.insert(name, body)),
            Statement::Decorate { at, name, body } => {
                match self.definitions.get(name.as_str()).copied() {
                    Some(definition) => {
                        self.depth += 1;
                        let inner = Scope {
                            body,
                            ..scope.clone()
                        };
                        self.block(definition, &inner);
                        self.depth -= 1;
                    }
                    None => self
                        .collector
                        .lose(*at, format!("@{name}: there is no such definition")),
                }
            }
            Statement::Const { name, pattern } => {
                if let Some(pattern) = self.pattern(pattern) {
                    self.constants.insert(name, pattern);
                }
            }
            Statement::Action { at, tokens } => self.action(tokens, *at, scope),
        }
    }

    /// Returns the scope in which a condition holds; `None` if there is no counterpart.
    fn condition(&self, tokens: &[Kind], scope: &Scope<'p>) -> Option<Scope<'p>> {
        if tokens.len() > MAX_TOKENS {
            return None;
        }
        let mut inner = scope.clone();
        for part in split(tokens, "&&") {
            let part = unwrapped(part);
            if let Some(pattern) = self.alternatives(part) {
                inner.patterns.push(pattern);
                continue;
            }
            let (subject, operator, object) = comparison(part)?;
            let (subject, is_length) = match subject {
                [Kind::Word(word), rest @ ..] if word == "len" => (unwrapped(rest), true),
                subject => (subject, false),
            };
            let (pattern, field) = match subject {
                [Kind::Capture(reference)] => {
                    let (index, name) = inner.field(reference)?;
                    (Some(index), name)
                }
                tokens if is_path(tokens) => (None, PATH.to_owned()),
                _ => return None,
            };
            let test = match (operator, object) {
                (">" | "!=", [Kind::Number(zero)]) if is_length && zero == "0" => {
                    Test::Matches(".+".to_owned())
                }
                _ if is_length => return None,
                ("==", [Kind::Text(text) | Kind::Number(text)]) => Test::Equals(text.clone()),
                ("=~", tokens) => {
                    let pattern = self.pattern(tokens)?;
                    let test = Test::Matches(within(&pattern));
                    inner.compared.push((inner.patterns.len(), pattern));
                    test
                }
                ("!=", [Kind::Text(text)]) if text.is_empty() => Test::Matches(".+".to_owned()),
                (">" | "!=", [Kind::Number(zero)]) if zero == "0" => {
                    Test::Matches(ABOVE_ZERO.to_owned())
                }
                _ => return None,
            };
            inner.conditions.push(Condition {
                pattern,
                field,
                test,
            });
        }
        Some(inner)
    }

    /// Returns the expression of patterns with `||` between them.
    fn alternatives(&self, tokens: &[Kind]) -> Option<String> {
        let patterns: Option<Vec<String>> = split(tokens, "||")
            .into_iter()
            .map(|part| self.pattern(unwrapped(part)))
            .collect();
        match patterns?.as_slice() {
            [pattern] => Some(pattern.clone()),
            patterns => {
                let joined: Vec<String> = patterns
                    .iter()
                    .map(|pattern| format!("(?:{pattern})"))
                    .collect();
                Some(joined.join("|"))
            }
        }
    }

    /// Returns the expression of `/a/ + CONSTANT + /b/`.
    fn pattern(&self, tokens: &[Kind]) -> Option<String> {
        let mut out = String::new();
        for part in split(tokens, "+") {
            match part {
                [Kind::Regex(regex)] => out.push_str(regex),
                [Kind::Word(name)] => out.push_str(self.constants.get(name.as_str())?),
                _ => return None,
            }
            if out.len() > MAX_EXPRESSION {
                return None;
            }
        }
        let named = with_named_groups(&out);
        Regex::new(&named).is_ok().then_some(named)
    }

    fn action(&mut self, tokens: &[Kind], at: Pos, scope: &Scope<'p>) {
        let name = match tokens {
            [Kind::Word(name), ..] if tokens.len() <= MAX_TOKENS => name,
            _ => return self.collector.lose(at, shown(tokens)),
        };
        match name.as_str() {
            "next" => {
                self.depth += 1;
                let inner = Scope {
                    body: &[],
                    ..scope.clone()
                };
                self.block(scope.body, &inner);
                self.depth -= 1;
            }
            // The time within a line is not looked at.
            "strptime" | "settime" => {}
            "del" | "stop" => self.collector.lose(at, shown(tokens)),
            name => match self.declarations.get(name).copied() {
                Some(declaration) if declaration.is_hidden || declaration.kind == "text" => {}
                Some(declaration) => match self.metric(declaration, &tokens[1..], scope) {
                    Ok(metric) => self.metrics.push(metric),
                    Err(reason) => self
                        .collector
                        .lose(at, format!("{}: {reason}", shown(tokens))),
                },
                None => self.collector.lose(at, shown(tokens)),
            },
        }
    }

    /// Returns the metric that an action on it is.
    fn metric(
        &self,
        declaration: &Declaration,
        tokens: &[Kind],
        scope: &Scope<'p>,
    ) -> Result<Map, &'static str> {
        let (keys, rest) = keys(tokens).ok_or("it has no counterpart")?;
        let mut used = BTreeSet::new();
        let labels = labels(declaration, &keys, scope, &mut used)?;
        let Change { kind, value } = change(&declaration.kind, rest)?;
        let value = match value {
            Some(Number { group, scale }) => {
                let (pattern, name) = scope
                    .field(group)
                    .ok_or("no group of an expression around it")?;
                used.insert(pattern);
                Some((name, scale))
            }
            None => None,
        };
        let (expression, conditions) = scope.matched(&used)?;
        let name = declaration.exported.replace('-', "_");
        if !is_metric_name(&name) {
            return Err("the name of the metric");
        }
        let mut metric = Map::of([("name", &name)]);
        if kind != "counter" {
            metric.put("type", Yaml::text(kind));
        }
        metric.put("match", Yaml::raw(&expression));
        metric.put_filled("where", conditions);
        if let Some((field, scale)) = value {
            metric.put("value", Yaml::text(&field));
            metric.put_some("scale", (scale != 1.0).then(|| Yaml::word(scale)));
        }
        if kind == "histogram" {
            metric.put_filled("buckets", Yaml::ascending(declaration.buckets.clone()));
        }
        metric.put_filled("labels", labels);
        metric.put_some(
            "max_series",
            declaration.limit.filter(|limit| *limit > 0).map(Yaml::word),
        );
        Ok(metric)
    }
}

/// Returns the labels of a metric by its keys, and adds the patterns that they are from to `used`.
fn labels(
    declaration: &Declaration,
    keys: &[&[Kind]],
    scope: &Scope<'_>,
    used: &mut BTreeSet<usize>,
) -> Result<Map, &'static str> {
    if keys.len() != declaration.labels.len() {
        return Err("it has not the labels of its declaration");
    }
    let mut labels = Map::default();
    for (label, key) in declaration.labels.iter().zip(keys) {
        let value = scope
            .compose(key)
            .ok_or("a label that is no part of the line")?;
        used.extend(value.patterns);
        if !is_label_name(label) {
            return Err("a label with another name");
        }
        labels.put(label, Yaml::raw(&value.text));
    }
    Ok(labels)
}

/// Change that an action makes of a metric.
struct Change<'t> {
    /// Type of the metric.
    kind: &'static str,
    /// Number that is added, set or observed. A counter without it counts lines.
    value: Option<Number<'t>>,
}

/// Group with a number, and its factor.
struct Number<'t> {
    group: &'t str,
    scale: f64,
}

impl Number<'_> {
    /// Returns the number times a factor, unless that leaves no number.
    fn times(self, factor: Option<f64>) -> Option<Self> {
        let scale = self.scale * factor?;
        let is_valid = scale.is_finite() && scale != 0.0;
        is_valid.then_some(Self { scale, ..self })
    }
}

/// Returns the change of a metric that is declared as `kind`.
fn change<'t>(kind: &str, tokens: &'t [Kind]) -> Result<Change<'t>, &'static str> {
    let (operator, operand) = match tokens.split_first() {
        Some((Kind::Sign(sign), operand)) => (*sign, operand),
        _ => return Err("it is not changed"),
    };
    let is_one = matches!(operand, [Kind::Number(one)] if one == "1");
    let (kind, has_value) = match (kind, operator) {
        ("counter", "++") => ("counter", false),
        ("counter", "+=") => ("counter", !is_one),
        ("counter", _) => return Err("a counter that is set"),
        ("gauge" | "timer", "=") => ("gauge", true),
        ("gauge" | "timer", _) => return Err("a gauge that is counted up or down"),
        ("histogram", "=") => ("histogram", true),
        _ => return Err("it has no counterpart"),
    };
    let value = has_value.then(|| number(operand)).transpose()?;
    Ok(Change { kind, value })
}

/// Returns the number of `$x`, `float($x)`, `$x * 0.001` or `$x / 1000`.
fn number(tokens: &[Kind]) -> Result<Number<'_>, &'static str> {
    const REASON: &str = "a value that is no group of an expression";
    let tokens = unwrapped(tokens);
    let factor = |token: &Kind| match token {
        Kind::Number(text) => text.parse::<f64>().ok(),
        _ => None,
    };
    match tokens {
        [Kind::Capture(group)] => Ok(Number { group, scale: 1.0 }),
        [Kind::Word(word), rest @ ..]
            if matches!(word.as_str(), "float" | "int") && is_wrapped(rest) =>
        {
            number(rest)
        }
        [first, Kind::Sign("*"), rest @ ..] if factor(first).is_some() => {
            number(rest)?.times(factor(first)).ok_or(REASON)
        }
        [rest @ .., Kind::Sign("*"), last] => number(rest)?.times(factor(last)).ok_or(REASON),
        [rest @ .., Kind::Sign("/"), last] => number(rest)?
            .times(factor(last).map(f64::recip))
            .ok_or(REASON),
        _ => Err(REASON),
    }
}
