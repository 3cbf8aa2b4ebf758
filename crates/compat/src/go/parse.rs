//! Parser: pieces to a tree.

use std::collections::HashMap;
use std::iter::Peekable;
use std::rc::Rc;
use std::vec::IntoIter;

use bellwether_core::MAX_NESTING;

use super::Untranslatable;
use super::lex::{Piece, Token};

/// Node of a template.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Text(String),
    /// Value to show.
    Show(Pipe),
    /// `$name := pipe`, or `=` for a variable that exists.
    Set {
        /// True for `:=`.
        declares: bool,
        name: String,
        pipe: Pipe,
    },
    /// `if`, with each `else if`.
    If(Vec<(Pipe, Vec<Node>)>, Vec<Node>),
    /// `range`.
    Range(Block),
    /// `with`.
    With(Block),
    /// `template`: the result of a definition for a value.
    Template {
        /// Line of the template, from 0.
        line: u32,
        name: String,
        /// Value of `.` in the definition.
        about: Option<Pipe>,
    },
}

/// `range` or `with`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Block {
    /// Variables that it sets.
    pub names: Vec<String>,
    /// Value of the block.
    pub pipe: Pipe,
    /// Nodes for a value that is not empty.
    pub body: Vec<Node>,
    /// Nodes for an empty value.
    pub otherwise: Vec<Node>,
}

/// Commands, each of which passes its value to the next.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pipe {
    /// Line of the template, from 0.
    pub line: u32,
    /// At least one.
    pub commands: Vec<Vec<Operand>>,
}

/// Value with its fields.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Operand {
    pub base: Base,
    /// Fields, outermost first.
    pub fields: Vec<String>,
}

/// Base of an operand.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Base {
    Text(String),
    /// Number as written.
    Number(String),
    /// Function, `true`, `false` or `nil`.
    Word(String),
    /// Variable; empty for `$`.
    Variable(String),
    /// `.`.
    Dot,
    /// Pipe in parentheses.
    Paren(Pipe),
}

struct Parser<'d> {
    pieces: IntoIter<Piece>,
    definitions: &'d mut Definitions,
    /// Number of open blocks.
    depth: usize,
}

type Parsed<T> = Result<T, Untranslatable>;

/// End of a list of nodes.
enum End {
    /// End of the template.
    Whole,
    /// `end`.
    Closed,
    /// `else`, with the rest of its action.
    Else(u32, Vec<Token>),
}

/// Definitions of `define`, by name.
pub(super) type Definitions = HashMap<String, Rc<[Node]>>;

/// Parses a template. Its definitions are added to `definitions`.
pub(super) fn parse(pieces: Vec<Piece>, definitions: &mut Definitions) -> Parsed<Vec<Node>> {
    let mut parser = Parser {
        pieces: pieces.into_iter(),
        definitions,
        depth: 0,
    };
    let (nodes, end) = parser.nodes()?;
    match end {
        End::Whole => Ok(nodes),
        End::Closed => Err(Untranslatable::new(0, "an `end` too many")),
        End::Else(line, _) => Err(Untranslatable::new(line, "an `else` without `if`")),
    }
}

/// Rejects nesting deeper than the recursion of the writer allows.
fn bounded(depth: usize, line: u32) -> Parsed<()> {
    match depth > MAX_NESTING {
        true => Err(Untranslatable::new(
            line,
            format!("nested deeper than {MAX_NESTING} levels"),
        )),
        false => Ok(()),
    }
}

impl Parser<'_> {
    /// Parses the inside of a block that began on `line`.
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
                        return Err(Untranslatable::new(
                            line,
                            format!("a `{word}` without `end`"),
                        ));
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
                    return Err(Untranslatable::hint(line, format!("`{word}`"), hint));
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
                End::Whole => return Err(Untranslatable::new(line, "an `if` without `end`")),
                End::Else(_, rest) if rest.is_empty() => {
                    return Ok(Node::If(branches, self.last(line)?));
                }
                End::Else(at, rest) if rest[0] == Token::Word("if".into()) => {
                    (line, tokens) = (at, rest[1..].to_vec());
                }
                End::Else(at, _) => return Err(Untranslatable::new(at, "what follows `else`")),
            }
        }
    }

    /// Parses the nodes between an `else` and its `end`.
    fn last(&mut self, line: u32) -> Parsed<Vec<Node>> {
        match self.inside(line)? {
            (nodes, End::Closed) => Ok(nodes),
            _ => Err(Untranslatable::new(line, "an `else` without `end`")),
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
            _ => {
                return Err(Untranslatable::new(
                    line,
                    "a `range` or `with` without `end`",
                ));
            }
        };
        Ok(Block {
            names,
            pipe,
            body,
            otherwise,
        })
    }
}

/// Parses the name of a definition and its value.
fn named(line: u32, tokens: &[Token]) -> Parsed<(String, Option<Pipe>)> {
    let Some(Token::Text(name)) = tokens.get(1) else {
        return Err(Untranslatable::new(line, "a definition without a name"));
    };
    let about = match &tokens[2..] {
        [] => None,
        about => Some(pipe(line, about.to_vec())?),
    };
    Ok((name.clone(), about))
}

fn names(tokens: &[Token]) -> Vec<String> {
    tokens
        .iter()
        .filter_map(|token| match token {
            Token::Variable(name) => Some(name.clone()),
            _ => None,
        })
        .collect()
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
        Some(_) => Err(Untranslatable::new(line, "a parenthesis too many")),
    }
}

/// Parses commands up to the end or to a closing parenthesis.
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
                    .ok_or_else(|| Untranslatable::new(line, "an open parenthesis"))?;
                Base::Paren(inside)
            }
            Token::Sign(sign) => {
                return Err(Untranslatable::new(line, format!("an unexpected `{sign}`")));
            }
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
        false => Err(Untranslatable::new(line, "an action without a value")),
    }
}

fn push(commands: &mut [Vec<Operand>], operand: Operand) {
    if let Some(command) = commands.last_mut() {
        command.push(operand);
    }
}
