//! From statements to metrics of a collector of type `log`.

use std::collections::{BTreeSet, HashMap};

use bellwether_core::{is_label_name, is_metric_name};
use bellwether_schema::Pos;
use regex::bytes::Regex;

use super::super::yaml::{Map, Yaml};
use super::lex::{Kind, Token};
use super::parse::{Declaration, Program, Statement};
use super::pattern::{field, joined, with_named_groups, within};

/// Most statements that are walked through: a definition may be used several times.
const MAX_STEPS: usize = 20_000;
/// Deepest use of definitions within one another.
const MAX_DEPTH: usize = 64;
/// Most tokens of an action or a condition, and the longest expression of constants.
const MAX_TOKENS: usize = 1_000;
const MAX_EXPRESSION: usize = 10_000;
/// Field with the path of the log.
const PATH: &str = "_path";

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

/// Conditions that hold at a statement.
#[derive(Clone, Default)]
struct Scope<'p> {
    patterns: Vec<String>,
    /// Conditions on fields of a pattern, which is none for the path.
    conditions: Vec<(Option<usize>, String, String)>,
    /// Body of the use of a definition, for `next` in it.
    body: &'p [Statement],
}

/// A text of fields and words, with the patterns that the fields are from.
#[derive(Default)]
struct Composed {
    text: String,
    patterns: BTreeSet<usize>,
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
    fn condition(&self, tokens: &[Token], scope: &Scope<'p>) -> Option<Scope<'p>> {
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
            let (pattern, name) = match subject {
                [
                    Token {
                        kind: Kind::Capture(reference),
                        ..
                    },
                ] => {
                    let (index, name) = inner.field(reference)?;
                    (Some(index), name)
                }
                tokens if is_path(tokens) => (None, PATH.to_owned()),
                _ => return None,
            };
            let expression = match (operator, object) {
                (
                    "==",
                    [
                        Token {
                            kind: Kind::Text(text) | Kind::Number(text),
                            ..
                        },
                    ],
                ) => regex::escape(text),
                ("=~", tokens) => within(&self.pattern(tokens)?),
                _ => return None,
            };
            inner.conditions.push((pattern, name, expression));
        }
        Some(inner)
    }

    /// Returns the expression of patterns with `||` between them.
    fn alternatives(&self, tokens: &[Token]) -> Option<String> {
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
    fn pattern(&self, tokens: &[Token]) -> Option<String> {
        let mut out = String::new();
        for part in split(tokens, "+") {
            match part {
                [
                    Token {
                        kind: Kind::Regex(regex),
                        ..
                    },
                ] => out.push_str(regex),
                [
                    Token {
                        kind: Kind::Word(name),
                        ..
                    },
                ] => out.push_str(self.constants.get(name.as_str())?),
                _ => return None,
            }
            if out.len() > MAX_EXPRESSION {
                return None;
            }
        }
        let named = with_named_groups(&out);
        Regex::new(&named).is_ok().then_some(named)
    }

    fn action(&mut self, tokens: &[Token], at: Pos, scope: &Scope<'p>) {
        let Some(Kind::Word(name)) = tokens
            .first()
            .map(|token| &token.kind)
            .filter(|_| tokens.len() <= MAX_TOKENS)
        else {
            self.collector.lose(at, shown(tokens));
            return;
        };
        match name.as_str() {
            "next" => {
                self.depth += 1;
                self.block(
                    scope.body,
                    &Scope {
                        body: &[],
                        ..scope.clone()
                    },
                );
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
        tokens: &[Token],
        scope: &Scope<'p>,
    ) -> Result<Map, &'static str> {
        let (keys, rest) = keys(tokens).ok_or("it has no counterpart")?;
        let mut composed = BTreeSet::new();
        if keys.len() != declaration.labels.len() {
            return Err("it has not the labels of its declaration");
        }
        let mut labels = Map::default();
        for (label, key) in declaration.labels.iter().zip(keys) {
            let value = scope
                .compose(key)
                .ok_or("a label that is no part of the line")?;
            composed.extend(value.patterns);
            let label = label.replace('-', "_");
            if !is_label_name(&label) {
                return Err("a label with another name");
            }
            labels.put(&label, Yaml::raw(&value.text));
        }
        let (kind, value) = change(&declaration.kind, rest)?;
        let value = match value {
            Some((reference, scale)) => {
                let (pattern, name) = scope
                    .field(reference)
                    .ok_or("no group of an expression around it")?;
                composed.insert(pattern);
                Some((name, scale))
            }
            None => None,
        };
        let (expression, conditions) = scope.matched(&composed)?;
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

impl Scope<'_> {
    /// Returns the pattern and the field of a reference to a group; the innermost pattern counts.
    fn field(&self, reference: &str) -> Option<(usize, String)> {
        let mut patterns = self.patterns.iter().enumerate().rev();
        patterns.find_map(|(index, pattern)| Some((index, field(pattern, reference)?)))
    }

    /// Returns the text of groups and texts with `+` between them.
    fn compose(&self, tokens: &[Token]) -> Option<Composed> {
        let mut composed = Composed::default();
        for part in split(tokens, "+") {
            match part {
                [
                    Token {
                        kind: Kind::Capture(reference),
                        ..
                    },
                ] => {
                    let (pattern, name) = self.field(reference)?;
                    composed.patterns.insert(pattern);
                    composed.text += &format!("{{{{ {name} }}}}");
                }
                [
                    Token {
                        kind: Kind::Text(text) | Kind::Number(text),
                        ..
                    },
                ] if !text.contains("{{") => composed.text += text,
                tokens if is_path(tokens) => composed.text += &format!("{{{{ {PATH} }}}}"),
                _ => return None,
            }
        }
        Some(composed)
    }

    /// Returns the expression with the groups that are used, and the conditions beside it.
    fn matched(&self, used: &BTreeSet<usize>) -> Result<(String, Map), &'static str> {
        let fields = self
            .conditions
            .iter()
            .filter_map(|(pattern, _, _)| *pattern);
        let used: BTreeSet<usize> = used.iter().copied().chain(fields).collect();
        let mut used = used.into_iter();
        let main = used.next().or(self.patterns.len().checked_sub(1));
        if used.next().is_some() {
            return Err("groups of two expressions");
        }
        let Some(main) = main else {
            let conditions = self.conditions.iter();
            let conditions =
                conditions.map(|(_, name, expression)| (name.clone(), Yaml::raw(expression)));
            return Ok(("^".to_owned(), conditions.collect()));
        };
        let others = self
            .patterns
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != main);
        let others: Vec<&str> = others.map(|(_, pattern)| pattern.as_str()).collect();
        let (expression, lines) =
            joined(&self.patterns[main], &others).ok_or("an expression within another one")?;
        let mut conditions = Map::default();
        let own = self
            .conditions
            .iter()
            .map(|(_, name, expression)| (name.clone(), expression.clone()));
        for (name, expression) in own.chain(lines) {
            if conditions.has(&name) {
                return Err("two conditions on one group");
            }
            conditions.put(&name, Yaml::raw(&expression));
        }
        match Regex::new(&expression) {
            Ok(_) => Ok((expression, conditions)),
            Err(_) => Err("expressions within one another"),
        }
    }
}

impl Statement {
    fn at(&self) -> Option<Pos> {
        match self {
            Self::When { at, .. }
            | Self::Otherwise { at, .. }
            | Self::Decorate { at, .. }
            | Self::Action { at, .. } => Some(*at),
            Self::Define { .. } | Self::Const { .. } => None,
        }
    }
}

/// Returns the type that an action makes of a metric, and the group with the value and its factor.
fn change<'t>(
    kind: &str,
    tokens: &'t [Token],
) -> Result<(&'static str, Option<(&'t str, f64)>), &'static str> {
    let (operator, operand) = match tokens.split_first() {
        Some((
            Token {
                kind: Kind::Sign(sign),
                ..
            },
            operand,
        )) => (*sign, operand),
        _ => return Err("it is not changed"),
    };
    match (kind, operator) {
        ("counter", "++") => Ok(("counter", None)),
        ("counter", "+=") if matches!(operand, [Token { kind: Kind::Number(one), .. }] if one == "1") => {
            Ok(("counter", None))
        }
        ("counter", "+=") => Ok(("counter", Some(value(operand)?))),
        ("counter", _) => Err("a counter that is set"),
        ("gauge" | "timer", "=") => Ok(("gauge", Some(value(operand)?))),
        ("gauge" | "timer", _) => Err("a gauge that is counted up"),
        ("histogram", "=") => Ok(("histogram", Some(value(operand)?))),
        _ => Err("it has no counterpart"),
    }
}

/// Returns the group and the factor of `$x`, `float($x)`, `$x * 0.001` or `$x / 1000`.
fn value(tokens: &[Token]) -> Result<(&str, f64), &'static str> {
    const REASON: &str = "a value that is no group of an expression";
    let tokens = unwrapped(tokens);
    let number = |token: &Token| match &token.kind {
        Kind::Number(text) => text
            .parse::<f64>()
            .ok()
            .filter(|number| *number != 0.0 && number.is_finite()),
        _ => None,
    };
    match tokens {
        [
            Token {
                kind: Kind::Capture(name),
                ..
            },
        ] => Ok((name, 1.0)),
        [
            Token {
                kind: Kind::Word(word),
                ..
            },
            rest @ ..,
        ] if matches!(word.as_str(), "float" | "int") && is_wrapped(rest) => value(rest),
        [
            factor,
            Token {
                kind: Kind::Sign("*"),
                ..
            },
            rest @ ..,
        ] if number(factor).is_some() => {
            let (name, scale) = value(rest)?;
            Ok((name, scale * number(factor).unwrap_or(1.0)))
        }
        [
            rest @ ..,
            Token {
                kind: Kind::Sign(sign @ ("*" | "/")),
                ..
            },
            factor,
        ] => {
            let factor = number(factor).ok_or(REASON)?;
            let (name, scale) = value(rest)?;
            Ok((
                name,
                if *sign == "*" {
                    scale * factor
                } else {
                    scale / factor
                },
            ))
        }
        _ => Err(REASON),
    }
}

/// Returns the keys `[a][b]` or `[a, b]` of a metric, and the tokens behind them.
fn keys(mut tokens: &[Token]) -> Option<(Vec<&[Token]>, &[Token])> {
    let mut keys = Vec::new();
    while let [
        Token {
            kind: Kind::Sign("["),
            ..
        },
        rest @ ..,
    ] = tokens
    {
        let mut depth = 0_usize;
        let end = rest.iter().position(|token| match token.kind {
            Kind::Sign("[" | "(") => {
                depth += 1;
                false
            }
            Kind::Sign("]") if depth == 0 => true,
            Kind::Sign("]" | ")") => {
                depth = depth.saturating_sub(1);
                false
            }
            _ => false,
        })?;
        keys.extend(split(&rest[..end], ","));
        tokens = &rest[end + 1..];
    }
    Some((keys, tokens))
}

/// Splits tokens at a sign outside of parentheses.
fn split<'t>(tokens: &'t [Token], sign: &'static str) -> Vec<&'t [Token]> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_i32);
    for (index, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Sign("(" | "[") => depth += 1,
            Kind::Sign(")" | "]") => depth -= 1,
            Kind::Sign(found) if found == sign && depth == 0 => {
                parts.push(&tokens[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&tokens[start..]);
    parts
}

/// Returns whether one pair of parentheses is around all tokens.
fn is_wrapped(tokens: &[Token]) -> bool {
    let mut depth = 0_i32;
    let closes_at = tokens.iter().position(|token| {
        match token.kind {
            Kind::Sign("(") => depth += 1,
            Kind::Sign(")") => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    tokens
        .first()
        .is_some_and(|token| token.kind == Kind::Sign("("))
        && closes_at == Some(tokens.len() - 1)
}

fn unwrapped(mut tokens: &[Token]) -> &[Token] {
    while is_wrapped(tokens) {
        tokens = &tokens[1..tokens.len() - 1];
    }
    tokens
}

/// Returns both sides of `==` or `=~`.
fn comparison(tokens: &[Token]) -> Option<(&[Token], &'static str, &[Token])> {
    let at = tokens
        .iter()
        .position(|token| matches!(token.kind, Kind::Sign("==" | "=~")))?;
    match tokens[at].kind {
        Kind::Sign(sign) => Some((&tokens[..at], sign, unwrapped(&tokens[at + 1..]))),
        _ => None,
    }
}

fn is_path(tokens: &[Token]) -> bool {
    matches!(tokens, [Token { kind: Kind::Word(word), .. }, Token { kind: Kind::Sign("("), .. }, Token { kind: Kind::Sign(")"), .. }] if word == "getfilename")
}

/// Returns tokens as a short text.
fn shown(tokens: &[Token]) -> String {
    let words = tokens.iter().map(|token| match &token.kind {
        Kind::Word(text) | Kind::Number(text) => text.clone(),
        Kind::Text(text) => format!("{text:?}"),
        Kind::Regex(text) => format!("/{text}/"),
        Kind::Capture(text) => format!("${text}"),
        Kind::Decorator(text) => format!("@{text}"),
        Kind::Sign(sign) => (*sign).to_owned(),
    });
    let text: String = words.collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
