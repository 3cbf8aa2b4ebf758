//! Templates: what users of Prometheus and Alertmanager know, for messages of rules and of channels.
//!
//! Owns the functions and their forms. A function is also a filter: as in a pipe of Go, what is
//! piped is its last argument, so `match(pattern, text)` is `text | match(pattern)`. Reads no
//! clock: who renders gives `now`.

mod bounds;
mod functions;
mod humanize;
mod label_map;
mod nesting;
mod printf;
mod query;
mod time;

use std::borrow::Cow;
use std::io::{self, Write};

use bellwether_core::MAX_NESTING;
pub use functions::text;
pub use humanize::{general, humanize};
pub use label_map::LabelMap;
use minijinja::{AutoEscape, Environment, Error, Template, UndefinedBehavior, Value};
pub use query::{Answers, Samples, add_queries};

/// Maximum number of instructions of one rendering, in which 64 bytes of text, or 4 of JSON, count as one. A message
/// of ten thousand alerts needs some hundred thousand; a template that loops for long ends here.
const FUEL: u64 = 2_000_000;

/// Longest output of a message template, in bytes; a channel with a lower limit shortens it.
pub const LONGEST: usize = 16 << 20;

/// Maximum number of blocks, macros and turns of recursive loops inside of each other.
const MOST_FRAMES: usize = 2 * MAX_NESTING;

/// Creates an environment with all functions: undefined values are empty at any depth, nothing is
/// escaped, and every rendering ends.
#[must_use]
pub fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(MOST_FRAMES);
    // What an error holds on to for that is what a template made.
    environment.set_debug(false);
    functions::add_to(&mut environment);
    bounds::add_to(&mut environment);
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
    let prepared = nesting::prepared(&source)?.into_owned();
    environment.add_template_owned(name, prepared)
}

/// Compiles the template `source` without keeping it in `environment`, and applies `then`.
///
/// # Errors
/// It is no template, or one that is nested too deep.
pub fn parsed<T>(
    environment: &Environment<'static>,
    source: &str,
    then: impl FnOnce(&Template<'_, '_>) -> T,
) -> Result<T, Error> {
    let prepared = nesting::prepared(source)?;
    environment
        .template_from_str(&prepared)
        .map(|template| then(&template))
}

/// Renders `template` with `fields`.
///
/// # Errors
/// The rendering fails, or its output has more than `most` bytes.
pub fn whole(
    template: &Template<'_, '_>,
    fields: impl Into<Value>,
    most: usize,
) -> Result<String, Error> {
    let text = render_bounded(template, fields.into(), most)?;
    match text.full {
        true => Err(functions::invalid(format!("more than {most} bytes"))),
        false => Ok(String::from_utf8_lossy(&text.bytes).into_owned()),
    }
}

/// Renders `template` with `fields`; output beyond `most` bytes is replaced by `...`.
///
/// # Errors
/// The rendering fails.
pub fn rendered(template: &Template<'_, '_>, fields: Value, most: usize) -> Result<String, Error> {
    let bounded = render_bounded(template, fields, most)?;
    let mut text = String::from_utf8(bounded.bytes).unwrap_or_else(|error| {
        // Cut within a character.
        String::from_utf8_lossy(error.as_bytes())
            .trim_end_matches('\u{fffd}')
            .to_owned()
    });
    if bounded.full {
        text.push_str("...");
    }
    Ok(text)
}

fn render_bounded(
    template: &Template<'_, '_>,
    fields: Value,
    most: usize,
) -> Result<BoundedText, Error> {
    let mut text = BoundedText {
        bytes: Vec::new(),
        most,
        full: false,
    };
    let done = template.render_captured_to(fields, &mut text).map(drop);
    if !text.full {
        done?;
    }
    Ok(text)
}

/// A text of at most `most` bytes.
struct BoundedText {
    bytes: Vec<u8>,
    most: usize,
    full: bool,
}

impl Write for BoundedText {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        let room = self.most - self.bytes.len();
        self.bytes.extend_from_slice(&more[..more.len().min(room)]);
        if more.len() > room {
            self.full = true;
            return Err(io::Error::other("the text is too long"));
        }
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Renders a template piece by piece after it failed as a whole: a piece that fails is replaced by
/// the output of `failed`, the others are rendered.
pub fn in_pieces(
    environment: &Environment<'static>,
    source: &str,
    context: &Value,
    most: usize,
    failed: impl Fn(&str) -> String,
) -> String {
    let (mut out, mut set) = (String::new(), String::new());
    for piece in nesting::pieces(source) {
        let whole = format!("{set}{}", piece.source);
        let shown = parsed(environment, &whole, |t| rendered(t, context.clone(), most));
        match shown.and_then(|shown| shown) {
            Ok(_) if piece.sets => set.push_str(piece.source),
            Ok(shown) => out.push_str(&shown),
            Err(_) if piece.sets => {}
            Err(_) => out.push_str(&failed(piece.source)),
        }
        if out.len() > most {
            break;
        }
    }
    out
}

/// Converts a number, without `.0` for integers; `None` is none.
#[must_use]
pub fn number(value: Option<f64>) -> Value {
    match value {
        Some(value) if value.fract() == 0.0 && value.abs() < 1e15 => Value::from(value as i64),
        Some(value) => Value::from(value),
        None => Value::from(()),
    }
}

/// Describes an error of a template in one line, with its line number if that is not the first.
#[must_use]
pub fn described(error: &Error) -> String {
    let what = error
        .detail()
        .map_or_else(|| error.kind().to_string(), str::to_owned);
    match error.line() {
        Some(line) if line > 1 => format!("line {line}: {what}"),
        _ => what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str, most: usize) -> Result<String, Error> {
        let environment = environment();
        let template = environment.template_from_str(source).unwrap();
        rendered(&template, Value::from(()), most)
    }

    #[test]
    fn a_rendering_is_cut_where_it_grows_long() {
        let environment = environment();
        assert_eq!(render("a{{ 1 }}", 10).unwrap(), "a1");
        assert_eq!(
            render("{% for x in range(9) %}é{% endfor %}", 7).unwrap(),
            "ééé..."
        );
        assert!(render("{{ 1 // 0 }}", 7).is_err());
        let template = environment.template_from_str("{{ 'x' * 8 }}").unwrap();
        assert_eq!(whole(&template, (), 8).unwrap(), "xxxxxxxx");
        assert_eq!(
            described(&whole(&template, (), 7).unwrap_err()),
            "more than 7 bytes"
        );
    }

    #[test]
    fn slices_of_empty_texts_and_beyond_the_ends_are_empty() {
        for source in [
            "{{ ''[::-1] }}",
            "{{ [][::-1] | join }}",
            "{{ 'abcdef'[2:-1:-2] }}",
            "{{ 'abc'[9223372036854775807:] }}",
        ] {
            assert_eq!(render(source, 10).unwrap(), "", "{source}");
        }
    }
}
