//! Pieces to a tree.

use std::collections::HashMap;
use std::iter::Peekable;
use std::rc::Rc;
use std::vec::IntoIter;

use bellwether_core::MAX_NESTING;

use super::Foreign;
use super::lex::{Piece, Token};

/// A part of a template.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// Text.
    Text(String),
    /// A value that is shown.
    Show(Pipe),
    /// `$name := pipe`, or `=` where it is known already.
    Set {
        /// Whether the variable begins here.
        declares: bool,
        /// Its name.
        name: String,
        /// Its value.
        pipe: Pipe,
    },
    /// `if`, with each `else if`.
    If(Vec<(Pipe, Vec<Node>)>, Vec<Node>),
    /// `range`.
    Range(Block),
    /// `with`.
    With(Block),
    /// `template`: what a definition gives for a value.
    Template {
        /// The line of the template, from 0.
        line: u32,
        /// Its name.
        name: String,
        /// What it is about.
        about: Option<Pipe>,
    },
}

/// `range` or `with`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Block {
    /// The variables that it sets.
    pub names: Vec<String>,
    /// What it is about.
    pub pipe: Pipe,
    /// What is made of it.
    pub body: Vec<Node>,
    /// What is there where that is nothing.
    pub otherwise: Vec<Node>,
}

/// Commands of which each hands its value to the next.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pipe {
    /// The line of the template, from 0.
    pub line: u32,
    /// At least one.
    pub commands: Vec<Vec<Operand>>,
}

/// A value, and the fields that are taken of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Operand {
    /// The value.
    pub base: Base,
    /// Fields, outermost first.
    pub fields: Vec<String>,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Base {
    /// A text.
    Text(String),
    /// A number as written.
    Number(String),
    /// A function, `true`, `false` or `nil`.
    Word(String),
    /// A variable; empty for `$`.
    Variable(String),
    /// What `.` is.
    Dot,
    /// A pipe in parentheses.
    Paren(Pipe),
}

struct Parser<'d> {
    pieces: IntoIter<Piece>,
    definitions: &'d mut Definitions,
    /// Open blocks.
    depth: usize,
}

type Parsed<T> = Result<T, Foreign>;

/// How a list of nodes ended.
enum End {
    /// With the template.
    Whole,
    /// With `end`.
    Closed,
    /// With `else`, and what follows it.
    Else(u32, Vec<Token>),
}

/// What `define` gave, by name.
pub(super) type Definitions = HashMap<String, Rc<[Node]>>;

/// The tree of a template. What it defines is added to `definitions`.
pub(super) fn parse(pieces: Vec<Piece>, definitions: &mut Definitions) -> Parsed<Vec<Node>> {
    let mut parser = Parser {
        pieces: pieces.into_iter(),
        definitions,
        depth: 0,
    };
    let (nodes, end) = parser.nodes()?;
    match end {
        End::Whole => Ok(nodes),
        End::Closed => Err(Foreign::new(0, "an `end` too many")),
        End::Else(line, _) => Err(Foreign::new(line, "an `else` without `if`")),
    }
}

/// Refuses what is nested deeper than others can recurse over.
fn bounded(depth: usize, line: u32) -> Parsed<()> {
    match depth > MAX_NESTING {
        true => Err(Foreign::new(
            line,
            format!("nested deeper than {MAX_NESTING} levels"),
        )),
        false => Ok(()),
    }
}

impl Parser<'_> {
    /// What stands inside of a block that began on `line`.
    fn inside(&mut self, line: u32) -> Parsed<(Vec<Node>, End)> {
        self.depth += 1;
        bounded(self.depth, line)?;
        let nodes = self.nodes();
        self.depth -= 1;
        nodes
    }

    fn nodes(&mut self) -> Parsed<(Vec<Node>, End)> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let (line, tokens) = match piece {
                Piece::Text(text) if text.is_empty() => continue,
                Piece::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Piece::Action(line, tokens) => (line, tokens),
            };
            let rest = || tokens[1..].to_vec();
            match &tokens[0] {
                Token::Word(word) if word == "end" => return Ok((nodes, End::Closed)),
                Token::Word(word) if word == "else" => return Ok((nodes, End::Else(line, rest()))),
                Token::Word(word) if word == "if" => nodes.push(self.branches(line, rest())?),
                Token::Word(word) if word == "range" => {
                    nodes.push(Node::Range(self.block(line, rest())?));
                }
                Token::Word(word) if word == "with" => {
                    nodes.push(Node::With(self.block(line, rest())?));
                }
                Token::Word(word) if word == "define" || word == "block" => {
                    let (name, about) = named(line, &tokens)?;
                    let (body, End::Closed) = self.inside(line)? else {
                        return Err(Foreign::new(line, format!("a `{word}` without `end`")));
                    };
                    self.definitions.insert(name.clone(), body.into());
                    if word == "block" {
                        nodes.push(Node::Template { line, name, about });
                    }
                }
                Token::Word(word) if word == "template" => {
                    let (name, about) = named(line, &tokens)?;
                    nodes.push(Node::Template { line, name, about });
                }
                Token::Word(word) if word == "break" || word == "continue" => {
                    let hint = "write what it gives where it is used";
                    return Err(Foreign::hint(line, format!("`{word}`"), hint));
                }
                _ => nodes.push(shown(line, tokens)?),
            }
        }
        Ok((nodes, End::Whole))
    }

    fn branches(&mut self, line: u32, tokens: Vec<Token>) -> Parsed<Node> {
        let mut branches = Vec::new();
        let (mut line, mut tokens) = (line, tokens);
        loop {
            let condition = pipe(line, tokens)?;
            let (body, end) = self.inside(line)?;
            branches.push((condition, body));
            bounded(self.depth + branches.len(), line)?;
            match end {
                End::Closed => return Ok(Node::If(branches, Vec::new())),
                End::Whole => return Err(Foreign::new(line, "an `if` without `end`")),
                End::Else(_, rest) if rest.is_empty() => {
                    return Ok(Node::If(branches, self.last(line)?));
                }
                End::Else(at, rest) if rest[0] == Token::Word("if".into()) => {
                    (line, tokens) = (at, rest[1..].to_vec());
                }
                End::Else(at, _) => return Err(Foreign::new(at, "what follows `else`")),
            }
        }
    }

    /// What stands between an `else` and its `end`.
    fn last(&mut self, line: u32) -> Parsed<Vec<Node>> {
        match self.inside(line)? {
            (nodes, End::Closed) => Ok(nodes),
            _ => Err(Foreign::new(line, "an `else` without `end`")),
        }
    }

    fn block(&mut self, line: u32, tokens: Vec<Token>) -> Parsed<Block> {
        let (names, tokens) = match tokens.iter().position(|t| *t == Token::Sign(":=")) {
            Some(at) => (names(&tokens[..at]), tokens[at + 1..].to_vec()),
            None => (Vec::new(), tokens),
        };
        let pipe = pipe(line, tokens)?;
        let (body, end) = self.inside(line)?;
        let otherwise = match end {
            End::Closed => Vec::new(),
            End::Else(_, rest) if rest.is_empty() => self.last(line)?,
            _ => return Err(Foreign::new(line, "a `range` or `with` without `end`")),
        };
        Ok(Block {
            names,
            pipe,
            body,
            otherwise,
        })
    }
}

/// The name of a definition, and what it is about.
fn named(line: u32, tokens: &[Token]) -> Parsed<(String, Option<Pipe>)> {
    let Some(Token::Text(name)) = tokens.get(1) else {
        return Err(Foreign::new(line, "a definition without a name"));
    };
    let about = match &tokens[2..] {
        [] => None,
        about => Some(pipe(line, about.to_vec())?),
    };
    Ok((name.clone(), about))
}

fn names(tokens: &[Token]) -> Vec<String> {
    let name = |token: &Token| match token {
        Token::Variable(name) => Some(name.clone()),
        _ => None,
    };
    tokens.iter().filter_map(name).collect()
}

fn shown(line: u32, tokens: Vec<Token>) -> Parsed<Node> {
    let (declares, name) = match tokens.as_slice() {
        [Token::Variable(name), Token::Sign(":="), ..] => (true, name.clone()),
        [Token::Variable(name), Token::Sign("="), ..] => (false, name.clone()),
        _ => return pipe(line, tokens).map(Node::Show),
    };
    let pipe = pipe(line, tokens[2..].to_vec())?;
    Ok(Node::Set {
        declares,
        name,
        pipe,
    })
}

fn pipe(line: u32, tokens: Vec<Token>) -> Parsed<Pipe> {
    let mut tokens = tokens.into_iter().peekable();
    let pipe = commands(line, &mut tokens, 0)?;
    match tokens.next() {
        None => Ok(pipe),
        Some(_) => Err(Foreign::new(line, "a parenthesis too many")),
    }
}

/// Commands up to the end or to a parenthesis that closes.
fn commands(line: u32, tokens: &mut Peekable<IntoIter<Token>>, depth: usize) -> Parsed<Pipe> {
    bounded(depth, line)?;
    let mut commands = vec![Vec::new()];
    while let Some(token) = tokens.next_if(|token| *token != Token::Sign(")")) {
        let base = match token {
            Token::Sign("|") => {
                bounded(depth + commands.len(), line)?;
                commands.push(Vec::new());
                continue;
            }
            Token::Sign("(") => {
                let inside = self::commands(line, tokens, depth + 1)?;
                tokens
                    .next()
                    .ok_or_else(|| Foreign::new(line, "an open parenthesis"))?;
                Base::Paren(inside)
            }
            Token::Sign(sign) => return Err(Foreign::new(line, format!("an unexpected `{sign}`"))),
            Token::Text(text) => Base::Text(text),
            Token::Number(number) => Base::Number(number),
            Token::Word(word) => Base::Word(word),
            Token::Variable(name) => Base::Variable(name),
            Token::Dot => Base::Dot,
            Token::Field { name, joined } => {
                let operand = commands
                    .last_mut()
                    .and_then(|command: &mut Vec<Operand>| command.last_mut().filter(|_| joined));
                match operand {
                    Some(operand) => {
                        bounded(depth + operand.fields.len(), line)?;
                        operand.fields.push(name);
                    }
                    None => push(
                        &mut commands,
                        Operand {
                            base: Base::Dot,
                            fields: vec![name],
                        },
                    ),
                }
                continue;
            }
        };
        push(
            &mut commands,
            Operand {
                base,
                fields: Vec::new(),
            },
        );
    }
    match commands.iter().all(|command| !command.is_empty()) {
        true => Ok(Pipe { line, commands }),
        false => Err(Foreign::new(line, "an action without a value")),
    }
}

fn push(commands: &mut [Vec<Operand>], operand: Operand) {
    if let Some(command) = commands.last_mut() {
        command.push(operand);
    }
}
