//! Templates: what users of Prometheus and Alertmanager know, for messages of rules and of channels.
//!
//! Owns the functions and their forms. A function is also a filter: as in a pipe of Go, what is
//! piped is its last argument, so `match(pattern, text)` is `text | match(pattern)`. Reads no
//! clock: who renders gives `now`.

mod bounds;
mod functions;
mod humanize;
mod label_map;
mod moment;
mod nesting;
mod printf;
mod samples;

use std::borrow::Cow;
use std::io::{self, Write};

use bellwether_core::MAX_NESTING;
pub use functions::text;
pub use humanize::{general, humanize};
pub use label_map::LabelMap;
use minijinja::{AutoEscape, Environment, Error, Template, UndefinedBehavior, Value};
pub use samples::{Answers, Samples, add_queries};

/// Most instructions of one rendering. A message of ten thousand alerts takes some hundred
/// thousand; a template that loops for long ends here.
const FUEL: u64 = 2_000_000;

/// Longest text that a template of a message makes, in bytes; what a channel cannot take is its to
/// shorten.
pub const LONGEST: usize = 16 << 20;

/// Most blocks, macros and turns of recursive loops inside of each other.
const MOST_FRAMES: usize = 2 * MAX_NESTING;

/// An environment with all functions: what is not there is empty at any depth, nothing is escaped,
/// and no rendering goes on for ever.
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

/// What `then` makes of the template `source`, which `environment` does not keep.
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

/// What `template` makes of `fields`.
///
/// # Errors
/// Why it makes nothing; also that it would make more than `most` bytes.
pub fn whole(
    template: &Template<'_, '_>,
    fields: impl Into<Value>,
    most: usize,
) -> Result<String, Error> {
    let page = page(template, fields.into(), most)?;
    match page.full {
        true => Err(functions::invalid(format!("more than {most} bytes"))),
        false => Ok(String::from_utf8_lossy(&page.bytes).into_owned()),
    }
}

/// What `template` makes of `fields`, up to `most` bytes: what is longer is cut there, with `...`.
///
/// # Errors
/// Why it makes nothing.
pub fn rendered(template: &Template<'_, '_>, fields: Value, most: usize) -> Result<String, Error> {
    let page = page(template, fields, most)?;
    let mut text = String::from_utf8(page.bytes).unwrap_or_else(|error| {
        // Cut within a character.
        String::from_utf8_lossy(error.as_bytes())
            .trim_end_matches('\u{fffd}')
            .to_owned()
    });
    if page.full {
        text.push_str("...");
    }
    Ok(text)
}

fn page(template: &Template<'_, '_>, fields: Value, most: usize) -> Result<Page, Error> {
    let mut page = Page {
        bytes: Vec::new(),
        most,
        full: false,
    };
    let done = template.render_captured_to(fields, &mut page).map(drop);
    if !page.full {
        done?;
    }
    Ok(page)
}

/// A text that ends at `most` bytes.
struct Page {
    bytes: Vec<u8>,
    most: usize,
    full: bool,
}

impl Write for Page {
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

/// The same piece by piece, where the whole failed: a piece that fails is shown by `failed`, and
/// the others are not lost with it.
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

    #[test]
    fn a_rendering_is_cut_where_it_grows_long() {
        let environment = environment();
        let render = |source: &str, most| {
            let template = environment.template_from_str(source).unwrap();
            rendered(&template, Value::from(()), most)
        };
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
}
