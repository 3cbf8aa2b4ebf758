//! Text to tokens, with everything refused that evalexpr would take in a way nobody means.
//!
//! Operands and functions are handed on as numbered placeholders, so evalexpr sees operators and
//! parentheses only, and every operand keeps its place in the text.

use bellwether_core::MAX_NESTING;

use super::Fault;

/// Longest expression taken, in characters.
const MAX_LENGTH: usize = 4_000;
/// Most tokens taken; bounds the depth of the tree and so the recursion over it.
const MAX_TOKENS: usize = 200;

/// What a placeholder stands for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    Number(f64),
    Bool(bool),
    /// A quoted text, or what stands in `[...]`.
    Text(String),
    Name(String),
    Function(String),
}

/// An expression taken apart.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    /// What evalexpr parses: `v0 / ( v1 + v2 )`; placeholder `vN` is `operands[N]`.
    pub(super) skeleton: String,
    /// Operands and functions with their columns.
    pub(super) operands: Vec<(Operand, usize)>,
}

pub(super) fn scan(text: &str) -> Result<Scanned, Fault> {
    let length = text.chars().count();
    if length > MAX_LENGTH {
        return Err(Fault::new(
            None,
            format!("longer than {MAX_LENGTH} characters: {length}"),
        ));
    }
    let mut scanner = Scanner {
        chars: text.chars().collect(),
        at: 0,
        tokens: 0,
        after_operand: false,
        open: Vec::new(),
        out: Scanned::default(),
    };
    while scanner.token()? {}
    scanner.finish()
}

struct Scanner {
    chars: Vec<char>,
    at: usize,
    tokens: usize,
    /// Whether the token before ended an operand, so that an operator must follow.
    after_operand: bool,
    /// Open parentheses: their columns, and whether they hold a function's arguments.
    open: Vec<(usize, bool)>,
    out: Scanned,
}

impl Scanner {
    fn token(&mut self) -> Result<bool, Fault> {
        while self.peek(0).is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        let Some(next) = self.peek(0) else {
            return Ok(false);
        };
        self.tokens += 1;
        if self.tokens > MAX_TOKENS {
            return Err(self.fault(format!("more than {MAX_TOKENS} parts")));
        }
        match next {
            '0'..='9' | '.' => self.number()?,
            '"' | '\'' => self.quoted(next)?,
            'a'..='z' | 'A'..='Z' | '_' => self.word()?,
            '(' => self.open(false)?,
            ')' => self.close()?,
            ',' => self.comma()?,
            '[' => self.bracket()?,
            _ => self.operator()?,
        }
        Ok(true)
    }

    fn finish(self) -> Result<Scanned, Fault> {
        if let Some((column, _)) = self.open.last() {
            return Err(Fault::new(*column, "parenthesis is never closed"));
        }
        if self.tokens == 0 {
            return Err(Fault::new(None, "empty expression"));
        }
        if !self.after_operand {
            return Err(self.fault("ends where a value is expected"));
        }
        Ok(self.out)
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn fault(&self, message: impl Into<String>) -> Fault {
        Fault::new(self.at + 1, message)
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> String {
        let start = self.at;
        while self.peek(0).is_some_and(&accept) {
            self.at += 1;
        }
        self.chars[start..self.at].iter().collect()
    }

    fn emit(&mut self, text: &str) {
        self.out.skeleton.push_str(text);
        self.out.skeleton.push(' ');
    }

    /// Hands on an operand that began at `start`.
    fn operand(&mut self, operand: Operand, start: usize) -> Result<(), Fault> {
        if self.after_operand {
            return Err(Fault::new(
                start + 1,
                "expected an operator before this value",
            ));
        }
        let placeholder = format!("v{}", self.out.operands.len());
        self.after_operand = !matches!(operand, Operand::Function(_));
        self.out.operands.push((operand, start + 1));
        self.emit(&placeholder);
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        let start = self.at;
        let mut text = self.take_while(|c| c.is_ascii_alphanumeric() || c == '.' || c == '_');
        if text.ends_with(['e', 'E']) && matches!(self.peek(0), Some('+' | '-')) {
            text.extend(self.peek(0));
            self.at += 1;
            text += &self.take_while(|c| c.is_ascii_digit());
        }
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => self.operand(Operand::Number(number), start),
            _ => Err(Fault::new(start + 1, format!("not a number: {text}"))),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<(), Fault> {
        let start = self.at;
        self.at += 1;
        let text = self.take_while(|c| c != quote);
        if self.peek(0).is_none() {
            return Err(Fault::new(start + 1, "quote is never closed"));
        }
        self.at += 1;
        if !self.in_call() {
            return Err(Fault::new(
                start + 1,
                "text outside of a function's arguments",
            ));
        }
        self.operand(Operand::Text(text), start)
    }

    fn in_call(&self) -> bool {
        self.open.last().is_some_and(|(_, function)| *function)
    }

    fn word(&mut self) -> Result<(), Fault> {
        let start = self.at;
        let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut word = self.take_while(part);
        // `math::abs` is how evalexpr spells it; the last part is the name here.
        while self.peek(0) == Some(':') && self.peek(1) == Some(':') {
            self.at += 2;
            word = self.take_while(part);
        }
        let operator = match word.as_str() {
            "and" => Some("&&"),
            "or" => Some("||"),
            "not" => Some("!"),
            _ => None,
        };
        if let Some(operator) = operator {
            return self.push_operator(operator, start);
        }
        let blanks = self.chars[self.at..]
            .iter()
            .take_while(|c| c.is_whitespace())
            .count();
        match (self.peek(blanks), word.as_str()) {
            (Some('('), _) => {
                self.operand(Operand::Function(word), start)?;
                self.at += blanks;
                self.open(true)
            }
            (Some('{'), _) => Err(Fault::new(self.at + blanks + 1, "unexpected '{'")
                .hint("select series with the rule's `labels`")),
            (_, "true" | "false") => self.operand(Operand::Bool(word == "true"), start),
            _ => self.operand(Operand::Name(word), start),
        }
    }

    fn open(&mut self, function: bool) -> Result<(), Fault> {
        if self.after_operand {
            return Err(self.fault("expected an operator before '('"));
        }
        if self.open.len() == MAX_NESTING {
            return Err(self.fault(format!("nested deeper than {MAX_NESTING}")));
        }
        self.open.push((self.at + 1, function));
        self.at += 1;
        self.emit("(");
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        if !self.after_operand {
            return Err(self.fault("expected a value before ')'"));
        }
        if self.open.pop().is_none() {
            return Err(self.fault("')' closes nothing"));
        }
        self.at += 1;
        self.emit(")");
        Ok(())
    }

    fn comma(&mut self) -> Result<(), Fault> {
        if !self.after_operand {
            return Err(self.fault("expected a value before ','"));
        }
        if !self.in_call() {
            return Err(self.fault("',' outside of a function's arguments"));
        }
        self.at += 1;
        self.after_operand = false;
        self.emit(",");
        Ok(())
    }

    /// `rate(x[5m])` is `rate(x, "5m")`, for those who come from Prometheus.
    fn bracket(&mut self) -> Result<(), Fault> {
        let start = self.at;
        if !self.after_operand || !self.in_call() {
            return Err(self
                .fault("a window outside of a function")
                .hint("write rate(x[5m])"));
        }
        self.at += 1;
        let window = self.take_while(|c| c != ']');
        if self.peek(0).is_none() {
            return Err(Fault::new(start + 1, "'[' is never closed"));
        }
        self.at += 1;
        self.emit(",");
        self.after_operand = false;
        self.operand(Operand::Text(window.trim().to_owned()), start)
    }

    fn operator(&mut self) -> Result<(), Fault> {
        const OPERATORS: [&str; 15] = [
            "==", "!=", ">=", "<=", "&&", "||", ">", "<", "+", "-", "*", "/", "%", "^", "!",
        ];
        let start = self.at;
        let two: String = self.chars[start..].iter().take(2).collect();
        if two == "//" || two == "/*" {
            return Err(self.fault("comments have no place here"));
        }
        match OPERATORS
            .iter()
            .find(|operator| two.starts_with(**operator))
        {
            Some(operator) => {
                self.at += operator.len();
                self.push_operator(operator, start)
            }
            None if two.starts_with('=') => Err(self
                .fault("'=' is not a comparison")
                .hint("write == to compare")),
            None => {
                let shown = two.chars().next().unwrap_or_default();
                Err(self.fault(format!("unexpected {shown:?}")))
            }
        }
    }

    fn push_operator(&mut self, operator: &str, start: usize) -> Result<(), Fault> {
        let column = start + 1;
        let unary = operator == "!" || (operator == "-" && !self.after_operand);
        if operator == "!" && self.after_operand {
            return Err(Fault::new(column, "expected an operator before '!'"));
        }
        if !unary && !self.after_operand {
            return Err(Fault::new(
                column,
                format!("expected a value before '{operator}'"),
            ));
        }
        if self.peek(0) == Some('=') && matches!(operator, "+" | "-" | "*" | "/" | "%" | "^") {
            return Err(Fault::new(column, "assignment has no place here"));
        }
        self.after_operand = false;
        self.emit(operator);
        Ok(())
    }
}
