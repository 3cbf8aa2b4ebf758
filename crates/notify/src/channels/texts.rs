//! Title and text of a message as their user wants them: templates over Alertmanager's document.
//!
//! In `text` what the template says is markup, what it fills in is not: values are escaped unless
//! they are marked `safe`. A title is plain. A template that fails, or that gives nothing for these
//! alerts, costs its text, not the alert. Other keys may be templates too, such as whom to call;
//! nobody can guess what one of these should have been, so its failure is that of the attempt.

use std::collections::BTreeMap;

use bellwether_schema::{Diagnostics, Literal, SourceLocation, Spanned};
use bellwether_template::described;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Error};

use super::brief::{one_line, shorten, width};
use super::{Batch, Context, DeliveryError};
use crate::wire::Webhook;

/// Most alerts that a template sees.
const MOST: usize = 1000;

/// What a message says, as far as templates have to do with it.
pub(super) struct Told {
    /// The title that is declared; plain, on one line.
    pub(super) title: Option<String>,
    /// The text that is declared, as markup.
    pub(super) text: Option<String>,
    /// What is wrong with the templates; plain.
    pub(super) trouble: Vec<String>,
}

/// Compiled templates of a channel.
pub(super) struct Texts {
    environment: Environment<'static>,
}

impl Texts {
    /// Compiles what is declared; `escape` makes text harmless in the markup of `text`.
    pub(super) fn new(
        title: Option<&Spanned<Literal>>,
        text: Option<&Spanned<Literal>>,
        escape: fn(&str) -> String,
    ) -> Result<Self, String> {
        let mut environment = bellwether_template::environment();
        environment.set_auto_escape_callback(|name| match name {
            "text" => AutoEscape::Custom("markup".into()),
            _ => AutoEscape::None,
        });
        environment.set_formatter(move |out, state, value| {
            let as_is = value.is_safe() || *state.auto_escape() == AutoEscape::None;
            let text = if value.is_undefined() || value.is_none() {
                String::new()
            } else if as_is {
                value.to_string()
            } else {
                escape(&value.to_string())
            };
            out.write_str(&text).map_err(Error::from)
        });
        for (name, template) in [("title", title), ("text", text)] {
            if let Some(template) = template.filter(|template| !is_blank(template)) {
                bellwether_template::compile(&mut environment, name, template.value.to_string())
                    .map_err(|error| format!("invalid template: {}", described(&error)))?;
            }
        }
        Ok(Self { environment })
    }

    /// Judges what is declared.
    pub(super) fn check(
        title: Option<&Spanned<Literal>>,
        text: Option<&Spanned<Literal>>,
        problems: &mut Diagnostics,
    ) {
        for (title, text) in [(title, None), (None, text)] {
            if let (Err(error), Some(template)) =
                (Self::new(title, text, str::to_owned), title.or(text))
            {
                problems.error(&template.at, error);
            }
        }
    }

    /// Title and text for `batch`.
    pub(super) fn told(&self, batch: &Batch, context: &Context) -> Told {
        let mut trouble = Vec::new();
        let mut rendered = |name| match render(&self.environment, name, batch, context)? {
            Ok(text) => Some(text),
            Err(error) => {
                trouble.push(shorten(&format!("The template `{name}` {error}"), 150));
                None
            }
        };
        let title = rendered("title").map(|title| one_line(&title, usize::MAX));
        let text = rendered("text");
        Told {
            title,
            text,
            trouble,
        }
    }
}

/// What the template `name` makes of `batch`, where there is one; an error where that is nothing.
pub(super) fn render(
    environment: &Environment<'_>,
    name: &str,
    batch: &Batch,
    context: &Context,
) -> Option<Result<String, String>> {
    let template = environment.get_template(name).ok()?;
    let document = Webhook::new(batch, &context.name, &context.sender, MOST);
    Some(judged(bellwether_template::whole(
        &template,
        Serde(&document),
        bellwether_template::LONGEST,
    )))
}

/// What became of a rendering: a text that says something, or what is wrong.
pub(super) fn judged(rendered: Result<String, Error>) -> Result<String, String> {
    match rendered {
        Ok(text) if is_blank(&text) => Err("gives nothing for these alerts".into()),
        Ok(text) => Ok(text),
        Err(error) => Err(format!("fails: {}", described(&error))),
    }
}

/// Whether nobody would see anything of `text`.
pub(super) fn is_blank(text: &str) -> bool {
    // Soft hyphen, zero-width space and joiners, word joiner, byte order mark.
    let unseen = [
        '\u{ad}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}',
    ];
    text.chars()
        .all(|c| c.is_whitespace() || c.is_control() || unseen.contains(&c))
}

/// Whether `text` holds a template.
pub(super) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

/// The text of a key that may be a template, such as the name of a team. What it fills in is plain.
pub(super) struct Key {
    name: String,
    text: String,
    /// Compiled, where it is one.
    template: Option<Environment<'static>>,
}

impl Key {
    /// Compiles `text`, the value of the key `name`.
    pub(super) fn new(name: &str, text: &str) -> Result<Self, String> {
        let mut template = None;
        if is_template(text) {
            let mut environment = bellwether_template::environment();
            bellwether_template::compile(&mut environment, name.to_owned(), text)
                .map_err(|error| format!("invalid template: {}", described(&error)))?;
            template = Some(environment);
        }
        Ok(Self {
            name: name.to_owned(),
            text: text.to_owned(),
            template,
        })
    }

    /// The same of a key that may be absent, or empty, which is the same.
    pub(super) fn declared(
        name: &str,
        text: Option<&Spanned<String>>,
    ) -> Result<Option<Self>, String> {
        let text = text.filter(|text| !is_blank(text));
        let key = text.map(|text| Self::new(name, text)).transpose();
        key.map_err(|error| format!("{name}: {error}"))
    }

    /// Judges what is declared.
    pub(super) fn check(text: &str, at: &SourceLocation, problems: &mut Diagnostics) {
        if let Err(error) = Self::new("key", text) {
            problems.error(at, error);
        }
    }

    /// The key's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it depends on the alerts.
    pub(super) fn is_template(&self) -> bool {
        self.template.is_some()
    }

    /// What it is for `batch`, on one line.
    ///
    /// # Errors
    /// The template fails, or gives nothing: nobody knows then where to send this.
    pub(super) fn of(&self, batch: &Batch, context: &Context) -> Result<String, DeliveryError> {
        let Some(environment) = &self.template else {
            return Ok(self.text.clone());
        };
        match render(environment, &self.name, batch, context) {
            Some(Ok(text)) => Ok(one_line(&text, usize::MAX)),
            Some(Err(error)) => {
                let message = format!("the template of `{}` {error}", self.name);
                Err(DeliveryError::permanent(message))
            }
            None => Ok(self.text.clone()),
        }
    }
}

/// Further details, name by name, of which each is a template.
pub(super) struct Details(Vec<Key>);

impl Details {
    /// Compiles what is declared.
    pub(super) fn new(declared: &BTreeMap<String, Spanned<Literal>>) -> Result<Self, String> {
        let key = |(name, text): (&String, &Spanned<Literal>)| {
            Key::new(name, text).map_err(|error| format!("details.{name}: {error}"))
        };
        declared.iter().map(key).collect::<Result<_, _>>().map(Self)
    }

    /// Judges what is declared.
    pub(super) fn check(declared: &BTreeMap<String, Spanned<Literal>>, problems: &mut Diagnostics) {
        for text in declared.values() {
            Key::check(text, &text.at, problems);
        }
    }

    /// Names and values for `batch`; instead of a value what is wrong with its template.
    pub(super) fn of(&self, batch: &Batch, context: &Context) -> Vec<(String, String)> {
        const VALUE: usize = 1000;
        let each = self.0.iter().map(|key| {
            let value = key.of(batch, context).unwrap_or_else(|error| error.message);
            (key.name.clone(), shorten(&value, VALUE))
        });
        each.collect()
    }
}

/// The beginning of marked-up text, at most `longest` wide. Never ends within an entity or a tag
/// of `&` or `<`; what was left out is said. `close` ends what is open at the end.
pub(super) fn cut(markup: &str, longest: usize, close: fn(&str) -> String) -> String {
    const SAID: &str = "\n… (cut: the text is too long)";
    if width(markup) <= longest {
        return markup.to_owned();
    }
    let mut kept = String::new();
    let mut rest = markup;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(piece_len(rest));
        let next = format!("{kept}{piece}");
        if width(&next) + width(&close(&next)) + width(SAID) > longest {
            break;
        }
        kept = next;
        rest = after;
    }
    let closing = close(&kept);
    kept + &closing + SAID
}

/// How long what must stay together at the beginning of `text` is.
fn piece_len(text: &str) -> usize {
    const LONGEST: usize = 2100;
    let until = |end: char| text.find(end).map(|at| at + end.len_utf8());
    let first = text.chars().next().map_or(0, char::len_utf8);
    match text.as_bytes().first() {
        Some(b'&') => until(';').filter(|len| *len <= 10).unwrap_or(first),
        Some(b'<') => until('>').filter(|len| *len <= LONGEST).unwrap_or(first),
        _ => first,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_keeps_entities_and_tags_whole() {
        let text = "a&amp;b<https://example.org|x>c".repeat(20);
        for longest in 40..200 {
            let cut = cut(&text, longest, |_| String::new());
            assert!(width(&cut) <= longest, "{longest}: {cut}");
            let kept = cut.strip_suffix("\n… (cut: the text is too long)").unwrap();
            assert!(text.starts_with(kept));
            assert_eq!(
                kept.matches('<').count(),
                kept.matches('>').count(),
                "{cut}"
            );
            assert_eq!(
                kept.matches('&').count(),
                kept.matches(';').count(),
                "{cut}"
            );
        }
        assert_eq!(cut("short", 40, |_| String::new()), "short");
    }
}
