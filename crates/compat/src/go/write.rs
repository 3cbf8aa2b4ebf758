//! Writer: a tree to our template.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;

use super::Untranslatable;
use super::lex::{Piece, Token};
use super::parse::{Base, Block, Definitions, Node, Operand, Pipe, parse};

mod call;
mod value;

pub(super) use value::quoted;
use value::{Kind, Value};

/// Context of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Annotation or label of a rule.
    Rule,
    /// Message of Alertmanager.
    Message,
}

/// Names that no variable may have: keywords, and variables of templates.
const TAKEN: [&str; 40] = [
    "and",
    "or",
    "not",
    "is",
    "in",
    "if",
    "else",
    "true",
    "false",
    "none",
    "loop",
    "labels",
    "value",
    "threshold",
    "rule",
    "alertname",
    "severity",
    "state",
    "metric",
    "alerts",
    "status",
    "receiver",
    "now",
    "item",
    "groupLabels",
    "commonLabels",
    "commonAnnotations",
    "externalURL",
    "series_labels",
    "external_labels",
    "external_url",
    "fired_value",
    "peak",
    "groupKey",
    "truncatedAlerts",
    "expected_low",
    "expected_high",
    "forecast",
    "query",
    "args",
];

/// Longest translation, in bytes: definitions that use each other could double it many times.
const LONGEST: usize = 1 << 18;

/// Maximum nesting of definitions.
const MOST_INSIDE: usize = 20;

/// Returns a template without actions.
pub(super) fn plain(text: &str) -> String {
    if ["{%", "{#"].iter().any(|open| text.contains(open)) {
        format!("{{{{ {} }}}}", quoted(text))
    } else {
        text.to_owned()
    }
}

/// Writes the template of a tree.
pub(super) fn write(
    nodes: &[Node],
    dialect: Dialect,
    definitions: &Definitions,
) -> Result<String, Untranslatable> {
    let mut writer = Writer::new(dialect, definitions);
    writer.nodes(nodes)?;
    Ok(writer.finish())
}

/// Writes the template of `pieces`, which are parts of `text`; parts that cannot be translated stay
/// as they are written.
pub(super) fn write_in_part(
    text: &str,
    pieces: &[(Piece, Range<usize>)],
    dialect: Dialect,
) -> (String, Vec<Untranslatable>) {
    let nothing = Definitions::new();
    let mut writer = Writer::new(dialect, &nothing);
    let mut foreign = Vec::new();
    for chunk in wholes(pieces) {
        let chunk = &pieces[chunk];
        let whole = chunk.iter().map(|(piece, _)| piece.clone()).collect();
        let before = (writer.out.len(), writer.variables.clone());
        let root = writer.root.clone();
        let nodes = parse(whole, &mut Definitions::new());
        if let Err(what) = nodes.and_then(|nodes| writer.nodes(&nodes)) {
            let (length, variables) = before;
            writer.out.truncate(length);
            (writer.dots, writer.root, writer.variables) = (vec![root.clone()], root, variables);
            (writer.loops, writer.inside) = (0, 0);
            let ends = chunk.first().zip(chunk.last());
            let written = ends.map_or("", |((_, from), (_, to))| &text[from.start..to.end]);
            writer.put(&format!("{{{{ {} }}}}", quoted(written)));
            foreign.push(what);
        }
    }
    (writer.finish(), foreign)
}

/// Returns the ranges of `pieces` that can be parsed by themselves: texts, values and whole blocks.
pub(super) fn wholes(pieces: &[(Piece, Range<usize>)]) -> Vec<Range<usize>> {
    let (mut ranges, mut open, mut from) = (Vec::new(), 0_usize, 0);
    for (index, (piece, _)) in pieces.iter().enumerate() {
        match first_word(piece) {
            "if" | "range" | "with" | "define" | "block" => open += 1,
            "end" => open = open.saturating_sub(1),
            _ => {}
        }
        if open == 0 || index + 1 == pieces.len() {
            ranges.push(from..index + 1);
            from = index + 1;
        }
    }
    ranges
}

/// Returns the first word of an action.
fn first_word(piece: &Piece) -> &str {
    match piece {
        Piece::Action(_, tokens) => match tokens.first() {
            Some(Token::Word(word)) => word,
            _ => "",
        },
        Piece::Text(_) => "",
    }
}

struct Writer<'d> {
    dialect: Dialect,
    out: String,
    root: Value,
    /// Values of `.`, innermost last.
    dots: Vec<Value>,
    /// Variables, with the number of open loops at their start.
    variables: HashMap<String, (Value, usize)>,
    loops: usize,
    items: usize,
    definitions: &'d Definitions,
    /// Number of open definitions.
    inside: usize,
}

type Written<T> = Result<T, Untranslatable>;

impl<'d> Writer<'d> {
    fn new(dialect: Dialect, definitions: &'d Definitions) -> Self {
        let root = match dialect {
            Dialect::Rule => Value::new("", Kind::Rule),
            Dialect::Message => Value::new("", Kind::Message),
        };
        let mut writer = Self {
            dialect,
            out: String::new(),
            root: root.clone(),
            dots: vec![root],
            variables: HashMap::new(),
            loops: 0,
            items: 0,
            definitions,
            inside: 0,
        };
        writer.declare_variables();
        writer
    }

    fn finish(mut self) -> String {
        // The last line break of a template is not rendered.
        if self.out.ends_with('\n') {
            self.out.pop();
            self.out.push_str("{{ \"\\n\" }}");
        }
        self.out
    }

    fn declare_variables(&mut self) {
        if self.dialect == Dialect::Rule {
            for (name, own, kind) in [
                ("labels", "series_labels", Kind::Map),
                ("value", "value", Kind::Number),
                ("externalLabels", "external_labels", Kind::Map),
                ("externalURL", "external_url", Kind::Text),
            ] {
                self.variables
                    .insert(name.into(), (Value::new(own, kind), 0));
            }
        }
    }

    fn nodes(&mut self, nodes: &[Node]) -> Written<()> {
        nodes.iter().try_for_each(|node| self.node(node))
    }

    fn node(&mut self, node: &Node) -> Written<()> {
        match node {
            Node::Text(text) => self.text(text),
            Node::Show(pipe) => {
                let value = self.pipe(pipe)?;
                self.put(&format!("{{{{ {} }}}}", value.shown()));
            }
            Node::Set {
                declares,
                name,
                pipe,
            } => self.set(*declares, name, pipe)?,
            Node::If(branches, otherwise) => {
                for (index, (condition, body)) in branches.iter().enumerate() {
                    let condition = self.pipe(condition)?.text;
                    let word = if index == 0 { "if" } else { "elif" };
                    self.put(&format!("{{% {word} {condition} %}}"));
                    self.nodes(body)?;
                }
                self.otherwise(otherwise)?;
                self.put("{% endif %}");
            }
            Node::Range(block) => self.range(block)?,
            Node::With(block) => self.with(block)?,
            Node::Template { line, name, about } => self.definition(*line, name, about.as_ref())?,
        }
        Ok(())
    }

    /// Writes the definition `name` inline.
    fn definition(&mut self, line: u32, name: &str, about: Option<&Pipe>) -> Written<()> {
        let Some(nodes) = self.definitions.get(name).cloned() else {
            let hint = "define it in a file of `templates:`, or write what it gives";
            return Err(Untranslatable::hint(
                line,
                format!("the template {name:?} is not there"),
                hint,
            ));
        };
        if self.inside == MOST_INSIDE || self.out.len() > LONGEST {
            return Err(Untranslatable::new(
                line,
                format!("the template {name:?} is too large"),
            ));
        }
        let mut dot = match about {
            Some(pipe) => self.pipe(pipe)?,
            None => Value::new("none", Kind::Other),
        };
        if dot.compound {
            let own = self.fresh("");
            self.put(&format!("{{% set {own} = {} %}}", dot.text));
            dot = Value {
                text: own,
                compound: false,
                ..dot
            };
        }
        let root = std::mem::replace(&mut self.root, dot.clone());
        let dots = std::mem::replace(&mut self.dots, vec![dot]);
        let variables = std::mem::take(&mut self.variables);
        self.inside += 1;
        self.nodes(&nodes)?;
        self.inside -= 1;
        (self.root, self.dots, self.variables) = (root, dots, variables);
        Ok(())
    }

    fn put(&mut self, tag: &str) {
        // A brace before a tag would become a part of it.
        if self.out.ends_with('{') {
            self.out.pop();
            self.out.push_str("{{ \"{\" }}");
        }
        self.out.push_str(tag);
    }

    fn text(&mut self, text: &str) {
        let escaped = text
            .replace("{%", "{{ \"{%\" }}")
            .replace("{#", "{{ \"{#\" }}");
        self.out.push_str(&escaped);
    }

    fn otherwise(&mut self, nodes: &[Node]) -> Written<()> {
        if !nodes.is_empty() {
            self.put("{% else %}");
            self.nodes(nodes)?;
        }
        Ok(())
    }

    /// Returns a unique name for a variable of Go.
    fn fresh(&mut self, name: &str) -> String {
        self.items += 1;
        match name {
            "" => format!("item{}", self.items),
            name if TAKEN.contains(&name) => format!("{name}_{}", self.items),
            name => name.to_owned(),
        }
    }

    fn set(&mut self, declares: bool, name: &str, pipe: &Pipe) -> Written<()> {
        let value = self.pipe(pipe)?;
        let own: String = match self.variables.get(name) {
            _ if declares => self.fresh(name),
            Some((value, loops)) if *loops == self.loops => value.text.clone(),
            Some(_) => {
                return Err(Untranslatable::hint(
                    pipe.line,
                    format!("`${name} =` inside of `range`"),
                    "a variable that a loop changes is not there after it",
                ));
            }
            None => {
                return Err(Untranslatable::new(
                    pipe.line,
                    format!("unknown variable `${name}`"),
                ));
            }
        };
        self.put(&format!("{{% set {own} = {} %}}", value.text));
        let value = Value {
            text: own,
            compound: false,
            ..value
        };
        self.variables.insert(name.to_owned(), (value, self.loops));
        Ok(())
    }

    fn with(&mut self, block: &Block) -> Written<()> {
        let value = self.pipe(&block.pipe)?;
        let name = block.names.first().map_or("", String::as_str);
        let own = self.fresh(name);
        self.put(&format!(
            "{{% set {own} = {} %}}{{% if {own} %}}",
            value.text
        ));
        let dot = Value {
            text: own,
            compound: false,
            ..value
        };
        let before = self.variables.clone();
        if !name.is_empty() {
            self.variables
                .insert(name.to_owned(), (dot.clone(), self.loops));
        }
        self.dots.push(dot);
        self.nodes(&block.body)?;
        self.dots.pop();
        self.variables = before;
        self.otherwise(&block.otherwise)?;
        self.put("{% endif %}");
        Ok(())
    }

    fn range(&mut self, block: &Block) -> Written<()> {
        let over = self.pipe(&block.pipe)?;
        let (list, item_kind) = over.items();
        let (key, item) = match block.names.as_slice() {
            [key, item] => (Some(key.as_str()), item.as_str()),
            [item] => (None, item.as_str()),
            _ => (None, ""),
        };
        let own = self.fresh(item);
        let before = self.variables.clone();
        self.loops += 1;
        let mut head = format!("{{% for {own} in {list} %}}");
        let mut dot = Value::new(&own, item_kind);
        if over.kind == Kind::Map {
            dot = Value::new(&format!("{own}[1]"), Kind::Text);
        }
        if let Some(key) = key {
            let (index, kind) = match over.kind {
                Kind::Map => (format!("{own}[0]"), Kind::Text),
                _ => ("loop.index0".to_owned(), Kind::Number),
            };
            let named = self.fresh(key);
            write!(head, "{{% set {named} = {index} %}}").unwrap_or_default();
            self.variables
                .insert(key.to_owned(), (Value::new(&named, kind), self.loops));
        }
        if !item.is_empty() {
            self.variables
                .insert(item.to_owned(), (dot.clone(), self.loops));
        }
        self.put(&head);
        self.dots.push(dot);
        self.nodes(&block.body)?;
        self.dots.pop();
        self.loops -= 1;
        self.variables = before;
        self.otherwise(&block.otherwise)?;
        self.put("{% endfor %}");
        Ok(())
    }

    fn pipe(&mut self, pipe: &Pipe) -> Written<Value> {
        let mut piped = None;
        for command in &pipe.commands {
            piped = Some(self.command(command, piped, pipe.line)?);
        }
        piped.ok_or_else(|| Untranslatable::new(pipe.line, "an action without a value"))
    }

    fn command(&mut self, command: &[Operand], piped: Option<Value>, line: u32) -> Written<Value> {
        let (first, arguments) = (&command[0], &command[1..]);
        if let (Base::Word(name), true) = (&first.base, first.fields.is_empty()) {
            let mut values = Vec::new();
            for argument in arguments {
                values.push(self.operand(argument, line)?);
            }
            return call::call(self.dialect, name, &values, piped, line);
        }
        if let (Some((method, of)), [names]) = (first.fields.split_last(), arguments)
            && method == "Remove"
        {
            let map = Operand {
                base: first.base.clone(),
                fields: of.to_vec(),
            };
            let (map, names) = (self.operand(&map, line)?, self.operand(names, line)?);
            if map.kind == Kind::Map {
                let text = format!("without({}, {})", map.text, names.text);
                return Ok(Value {
                    absent: map.absent,
                    ..Value::new(&text, Kind::Map)
                });
            }
        }
        match (arguments, piped) {
            ([], None) => self.operand(first, line),
            _ => {
                let name = first.fields.last().map_or("a value", String::as_str);
                Err(Untranslatable::hint(
                    line,
                    format!("`{name}` with arguments"),
                    "methods of Go are not there",
                ))
            }
        }
    }

    fn operand(&mut self, operand: &Operand, line: u32) -> Written<Value> {
        let base = match &operand.base {
            Base::Text(text) => Value::new(&quoted(text), Kind::Text),
            Base::Number(number) => Value::new(number, Kind::Number),
            Base::Word(name) => call::call(self.dialect, name, &[], None, line)?,
            Base::Variable(name) if name.is_empty() => self.root.clone(),
            Base::Variable(name) => self.variable(name, line)?,
            Base::Dot => self.dots.last().unwrap_or(&self.root).clone(),
            Base::Paren(pipe) => self.pipe(pipe)?,
        };
        operand
            .fields
            .iter()
            .try_fold(base, |value, field| value.field(field, line))
    }

    fn variable(&self, name: &str, line: u32) -> Written<Value> {
        match self.variables.get(name) {
            Some((value, _)) => Ok(value.clone()),
            None => Err(Untranslatable::new(
                line,
                format!("unknown variable `${name}`"),
            )),
        }
    }
}
