//! Scanner of expressions; rejects text that evalexpr would accept with an unexpected meaning.
//!
//! Operands and functions become numbered placeholders, so evalexpr sees only operators and
//! parentheses, and every operand keeps its column.

use bellwether_core::MAX_NESTING;

use super::ExprError;

/// Longest expression, in characters.
const MAX_LENGTH: usize = 4_000;
/// Maximum number of tokens; bounds the depth of the tree and so the recursion over it.
const MAX_TOKENS: usize = 200;

/// Operand of a placeholder.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    Number(f64),
    Bool(bool),
    /// Quoted text, or the content of `[...]`.
    Text(String),
    Name(String),
    Function(String),
}

/// Scanned expression.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    /// Input of evalexpr: `v0 / ( v1 + v2 )`; placeholder `vN` is `operands[N]`.
    pub(super) skeleton: String,
    /// Operands and functions with their columns.
    pub(super) operands: Vec<(Operand, usize)>,
}

pub(super) fn scan(text: &str) -> Result<Scanned, ExprError> {
    let length = text.chars().count();
    if length > MAX_LENGTH {
        return Err(ExprError::new(
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
    /// Set if the last token ended an operand, so that an operator must follow.
    after_operand: bool,
    /// Columns of open parentheses; true for those of a function call.
    open: Vec<(usize, bool)>,
    out: Scanned,
}

impl Scanner {
    fn token(&mut self) -> Result<bool, ExprError> {
        while self.peek(0).is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        let Some(next) = self.peek(0) else {
            return Ok(false);
        };
        self.tokens += 1;
        if self.tokens > MAX_TOKENS {
            return Err(self.error_here(format!("more than {MAX_TOKENS} parts")));
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

    fn finish(self) -> Result<Scanned, ExprError> {
        if let Some((column, _)) = self.open.last() {
            return Err(ExprError::new(*column, "parenthesis is never closed"));
        }
        if self.tokens == 0 {
            return Err(ExprError::new(None, "empty expression"));
        }
        if !self.after_operand {
            return Err(self.error_here("ends where a value is expected"));
        }
        Ok(self.out)
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn error_here(&self, message: impl Into<String>) -> ExprError {
        ExprError::new(self.at + 1, message)
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

    /// Emits an operand that began at `start`.
    fn operand(&mut self, operand: Operand, start: usize) -> Result<(), ExprError> {
        if self.after_operand {
            return Err(ExprError::new(
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

    fn number(&mut self) -> Result<(), ExprError> {
        let start = self.at;
        let mut text = self.take_while(|c| c.is_ascii_alphanumeric() || c == '.' || c == '_');
        if text.ends_with(['e', 'E']) && matches!(self.peek(0), Some('+' | '-')) {
            text.extend(self.peek(0));
            self.at += 1;
            text += &self.take_while(|c| c.is_ascii_digit());
        }
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => self.operand(Operand::Number(number), start),
            _ => Err(ExprError::new(start + 1, format!("not a number: {text}"))),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<(), ExprError> {
        let start = self.at;
        self.at += 1;
        let text = self.take_while(|c| c != quote);
        if self.peek(0).is_none() {
            return Err(ExprError::new(start + 1, "quote is never closed"));
        }
        self.at += 1;
        if !self.in_call() {
            return Err(ExprError::new(
                start + 1,
                "text outside of a function's arguments",
            ));
        }
        self.operand(Operand::Text(text), start)
    }

    fn in_call(&self) -> bool {
        self.open.last().is_some_and(|(_, function)| *function)
    }

    fn word(&mut self) -> Result<(), ExprError> {
        let start = self.at;
        let mut word = self.take_while(is_word_part);
        // `math::abs` is how evalexpr spells it; only the last part counts.
        while self.peek(0) == Some(':') && self.peek(1) == Some(':') {
            self.at += 2;
            word = self.take_while(is_word_part);
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
            (Some('{'), _) => Err(ExprError::new(self.at + blanks + 1, "unexpected '{'")
                .hint("select series with the rule's `labels`")),
            (_, "true" | "false") => self.operand(Operand::Bool(word == "true"), start),
            _ => self.operand(Operand::Name(word), start),
        }
    }

    fn open(&mut self, function: bool) -> Result<(), ExprError> {
        if self.after_operand {
            return Err(self.error_here("expected an operator before '('"));
        }
        if self.open.len() == MAX_NESTING {
            return Err(self.error_here(format!("nested deeper than {MAX_NESTING}")));
        }
        self.open.push((self.at + 1, function));
        self.at += 1;
        self.emit("(");
        Ok(())
    }

    fn close(&mut self) -> Result<(), ExprError> {
        if !self.after_operand {
            return Err(self.error_here("expected a value before ')'"));
        }
        if self.open.pop().is_none() {
            return Err(self.error_here("')' without '('"));
        }
        self.at += 1;
        self.emit(")");
        Ok(())
    }

    fn comma(&mut self) -> Result<(), ExprError> {
        if !self.after_operand {
            return Err(self.error_here("expected a value before ','"));
        }
        if !self.in_call() {
            return Err(self.error_here("',' outside of a function's arguments"));
        }
        self.at += 1;
        self.after_operand = false;
        self.emit(",");
        Ok(())
    }

    /// Scans a window: `rate(x[5m])` as in Prometheus is `rate(x, "5m")`.
    fn bracket(&mut self) -> Result<(), ExprError> {
        let start = self.at;
        if !self.after_operand || !self.in_call() {
            return Err(self
                .error_here("a window outside of a function")
                .hint("write rate(x[5m])"));
        }
        self.at += 1;
        let window = self.take_while(|c| c != ']');
        if self.peek(0).is_none() {
            return Err(ExprError::new(start + 1, "'[' is never closed"));
        }
        self.at += 1;
        self.emit(",");
        self.after_operand = false;
        self.operand(Operand::Text(window.trim().to_owned()), start)
    }

    fn operator(&mut self) -> Result<(), ExprError> {
        const OPERATORS: [&str; 15] = [
            "==", "!=", ">=", "<=", "&&", "||", ">", "<", "+", "-", "*", "/", "%", "^", "!",
        ];
        let start = self.at;
        let two: String = self.chars[start..].iter().take(2).collect();
        if two == "//" || two == "/*" {
            return Err(self.error_here("comments are not allowed"));
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
                .error_here("'=' is not a comparison")
                .hint("write == to compare")),
            None => {
                let shown = two.chars().next().unwrap_or_default();
                Err(self.error_here(format!("unexpected {shown:?}")))
            }
        }
    }

    fn push_operator(&mut self, operator: &str, start: usize) -> Result<(), ExprError> {
        let column = start + 1;
        let unary = operator == "!" || (operator == "-" && !self.after_operand);
        if operator == "!" && self.after_operand {
            return Err(ExprError::new(column, "expected an operator before '!'"));
        }
        if !unary && !self.after_operand {
            return Err(ExprError::new(
                column,
                format!("expected a value before '{operator}'"),
            ));
        }
        if self.peek(0) == Some('=') && matches!(operator, "+" | "-" | "*" | "/" | "%" | "^") {
            return Err(ExprError::new(column, "assignments are not allowed"));
        }
        self.after_operand = false;
        self.emit(operator);
        Ok(())
    }
}

fn is_word_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
