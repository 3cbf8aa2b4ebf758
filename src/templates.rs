//! Templates: what users of Prometheus and Alertmanager know, for messages of rules and of channels.
//!
//! Owns the functions and their forms. A function is also a filter: as in a pipe of Go, what is
//! piped is its last argument, so `match(pattern, text)` is `text | match(pattern)`. Reads no
//! clock: who renders gives `now`.

mod functions;
mod humanize;
mod moment;
mod nesting;
mod printf;

pub use functions::text;
pub use humanize::{general, humanize};

use std::borrow::Cow;

use minijinja::{AutoEscape, Environment, Error, Template, UndefinedBehavior, Value};

/// Most instructions of one rendering. A message of ten thousand alerts takes some hundred
/// thousand; a template that loops for long ends here.
const FUEL: u64 = 2_000_000;

/// An environment with all functions: what is not there is empty at any depth, nothing is escaped,
/// and no rendering goes on for ever.
#[must_use]
pub fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    functions::add_to(&mut environment);
    environment
}

/// Adds the template `source` under `name`.
///
/// # Errors
/// It is no template, or one that is nested too deep.
pub fn compile(
    environment: &mut Environment<'static>,
    name: impl Into<Cow<'static, str>>,
    source: impl Into<String>,
) -> Result<(), Error> {
    let source = source.into();
    nesting::check(&source)?;
    environment.add_template_owned(name, source)
}

/// The template `source`, which `environment` does not keep.
///
/// # Errors
/// It is no template, or one that is nested too deep.
pub fn parse<'env, 'source>(
    environment: &'env Environment<'source>,
    source: &'source str,
) -> Result<Template<'env, 'source>, Error> {
    nesting::check(source)?;
    environment.template_from_str(source)
}

/// Whole numbers without `.0`; nothing where there is none.
#[must_use]
pub fn number(value: Option<f64>) -> Value {
    match value {
        Some(value) if value.fract() == 0.0 && value.abs() < 1e15 => Value::from(value as i64),
        Some(value) => Value::from(value),
        None => Value::from(()),
    }
}

/// What is wrong with a template, in one line, with its line where that says something.
#[must_use]
pub fn described(error: &Error) -> String {
    let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    match error.line() {
        Some(line) if line > 1 => format!("line {line}: {what}"),
        _ => what,
    }
}
