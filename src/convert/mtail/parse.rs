//! From tokens to statements.

use bellwether_core::MAX_NESTING;
use bellwether_schema::{Pos, YamlError};

use super::super::source::Source;
use super::lex::{Kind, Token, tokens};

/// Statements of a program.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Program {
    pub(super) declarations: Vec<Declaration>,
    pub(super) statements: Vec<Statement>,
}

/// Declaration of a metric or a variable.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Declaration {
    pub(super) at: Pos,
    /// `counter`, `gauge`, `timer`, `text` or `histogram`.
    pub(super) kind: String,
    pub(super) is_hidden: bool,
    pub(super) name: String,
    /// Name under which it is exported.
    pub(super) exported: String,
    pub(super) labels: Vec<String>,
    pub(super) buckets: Vec<f64>,
    pub(super) limit: Option<u32>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Statement {
    /// `CONDITION { .. } else { .. }`
    When {
        at: Pos,
        condition: Vec<Kind>,
        then: Vec<Statement>,
        otherwise: Vec<Statement>,
    },
    /// `otherwise { .. }`
    Otherwise { at: Pos, body: Vec<Statement> },
    /// `def NAME { .. }`
    Define { name: String, body: Vec<Statement> },
    /// `@NAME { .. }`
    Decorate {
        at: Pos,
        name: String,
        body: Vec<Statement>,
    },
    /// `const NAME PATTERN`
    Const { name: String, pattern: Vec<Kind> },
    /// Anything else, up to the end of the line.
    Action { at: Pos, tokens: Vec<Kind> },
}

impl Statement {
    /// Returns the position of a statement that has one.
    pub(super) fn at(&self) -> Option<Pos> {
        match self {
            Self::When { at, .. }
            | Self::Otherwise { at, .. }
            | Self::Decorate { at, .. }
            | Self::Action { at, .. } => Some(*at),
            Self::Define { .. } | Self::Const { .. } => None,
        }
    }
}

/// Parses a program.
///
/// # Errors
/// It is not a program of mtail.
pub(super) fn parse(source: &Source<'_>) -> Result<Program, YamlError> {
    let mut parser = Parser {
        source,
        tokens: tokens(source)?.into_iter().peekable(),
        declarations: Vec::new(),
        depth: 0,
    };
    let statements = parser.block(false)?;
    Ok(Program {
        declarations: parser.declarations,
        statements,
    })
}

struct Parser<'s> {
    source: &'s Source<'s>,
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    declarations: Vec<Declaration>,
    depth: usize,
}

impl Parser<'_> {
    fn error(&self, at: usize, message: &str) -> YamlError {
        YamlError {
            at: self.source.pos(at),
            message: format!("not a program of mtail: {message}"),
        }
    }

    fn next_is(&mut self, sign: &'static str) -> bool {
        self.tokens
            .peek()
            .is_some_and(|token| token.kind == Kind::Sign(sign))
    }

    fn take_sign(&mut self, sign: &'static str) -> bool {
        let is_next = self.next_is(sign);
        if is_next {
            self.tokens.next();
        }
        is_next
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is_next = self
            .tokens
            .peek()
            .is_some_and(|token| matches!(&token.kind, Kind::Word(next) if next == word));
        if is_next {
            self.tokens.next();
        }
        is_next
    }

    /// Parses statements up to the end, or behind `{` up to its `}`.
    fn block(&mut self, is_inner: bool) -> Result<Vec<Statement>, YamlError> {
        self.depth += 1;
        let mut statements = Vec::new();
        loop {
            if is_inner && self.take_sign("}") {
                break;
            }
            let Some(token) = self.tokens.next() else {
                if is_inner {
                    return Err(self.error(self.source.file.text.len(), "a block without its end"));
                }
                break;
            };
            if self.depth > MAX_NESTING {
                return Err(self.error(token.at, "nested too deep"));
            }
            statements.extend(self.statement(token)?);
        }
        self.depth -= 1;
        Ok(statements)
    }

    fn body(&mut self, at: usize) -> Result<Vec<Statement>, YamlError> {
        match self.take_sign("{") {
            true => self.block(true),
            false => Err(self.error(at, "expected {")),
        }
    }

    fn statement(&mut self, first: Token) -> Result<Option<Statement>, YamlError> {
        let at = self.source.pos(first.at);
        let offset = first.at;
        if first.kind == Kind::Sign("}") {
            return Err(self.error(offset, "unexpected }"));
        }
        if let Kind::Word(word) = &first.kind {
            match word.as_str() {
                "hidden" | "counter" | "gauge" | "timer" | "text" | "histogram" => {
                    let declaration = self.declaration(&first)?;
                    self.declarations.push(declaration);
                    return Ok(None);
                }
                "const" => {
                    let name = self.name(offset)?;
                    return Ok(Some(Statement::Const {
                        name,
                        pattern: self.line(None),
                    }));
                }
                "def" => {
                    let name = self.name(offset)?;
                    return Ok(Some(Statement::Define {
                        name,
                        body: self.body(offset)?,
                    }));
                }
                "otherwise" if self.next_is("{") => {
                    return Ok(Some(Statement::Otherwise {
                        at,
                        body: self.body(offset)?,
                    }));
                }
                _ => {}
            }
        }
        if let Kind::Decorator(name) = first.kind {
            return Ok(Some(Statement::Decorate {
                at,
                name,
                body: self.body(offset)?,
            }));
        }
        let tokens = self.line(Some(first.kind));
        if !self.take_sign("{") {
            return Ok(Some(Statement::Action { at, tokens }));
        }
        let then = self.block(true)?;
        let otherwise = match self.take_word("else") {
            true => self.body(offset)?,
            false => Vec::new(),
        };
        Ok(Some(Statement::When {
            at,
            condition: tokens,
            then,
            otherwise,
        }))
    }

    /// Takes the tokens up to a block or to the end of a line that ends a statement.
    fn line(&mut self, first: Option<Kind>) -> Vec<Kind> {
        let mut line: Vec<Kind> = first.into_iter().collect();
        let mut depth = 0_i32;
        while let Some(token) = self.tokens.peek() {
            let goes_on = match line.last() {
                None => true,
                Some(Kind::Sign(sign)) => !matches!(*sign, ")" | "]" | "++" | "--"),
                Some(_) => false,
            };
            let ends = match &token.kind {
                Kind::Sign("{" | "}") => true,
                // An operator at the beginning of a line goes on with the one before.
                Kind::Sign(sign) if token.begins_line => {
                    !matches!(*sign, "&&" | "||" | "+") && !goes_on
                }
                _ => token.begins_line && !goes_on,
            };
            if ends && depth <= 0 || matches!(token.kind, Kind::Sign("}")) {
                break;
            }
            match token.kind {
                Kind::Sign("(" | "[") => depth += 1,
                Kind::Sign(")" | "]") => depth -= 1,
                _ => {}
            }
            line.extend(self.tokens.next().map(|token| token.kind));
        }
        line
    }

    fn name(&mut self, at: usize) -> Result<String, YamlError> {
        match self.tokens.next().map(|token| token.kind) {
            Some(Kind::Word(name) | Kind::Text(name)) => Ok(name),
            _ => Err(self.error(at, "expected a name")),
        }
    }

    fn declaration(&mut self, first: &Token) -> Result<Declaration, YamlError> {
        let at = first.at;
        let Kind::Word(word) = &first.kind else {
            return Err(self.error(at, "expected a declaration"));
        };
        let is_hidden = word == "hidden";
        let kind = if is_hidden {
            self.name(at)?
        } else {
            word.clone()
        };
        let name = self.name(at)?;
        let mut declaration = Declaration {
            at: self.source.pos(at),
            kind,
            is_hidden,
            exported: name.clone(),
            name,
            labels: Vec::new(),
            buckets: Vec::new(),
            limit: None,
        };
        loop {
            if self.take_word("as") {
                declaration.exported = self.name(at)?;
            } else if self.take_word("by") {
                declaration.labels.push(self.name(at)?);
                while self.take_sign(",") {
                    declaration.labels.push(self.name(at)?);
                }
            } else if self.take_word("buckets") {
                declaration.buckets = self.numbers();
            } else if self.take_word("limit") {
                declaration.limit = self.numbers().first().map(|limit| *limit as u32);
            } else {
                return Ok(declaration);
            }
        }
    }

    fn numbers(&mut self) -> Vec<f64> {
        let mut numbers = Vec::new();
        loop {
            let sign = if self.take_sign("-") { -1.0 } else { 1.0 };
            let Some(Kind::Number(text)) = self.tokens.peek().map(|token| &token.kind) else {
                return numbers;
            };
            let number = text.parse::<f64>().ok();
            self.tokens.next();
            numbers.extend(number.map(|number| sign * number));
            if !self.take_sign(",") {
                return numbers;
            }
        }
    }
}
