//! Title and text of a message as their user wants them: templates over Alertmanager's document.
//!
//! In `text` what the template says is markup, what it fills in is not: values are escaped unless
//! they are marked `safe`. A title is plain. A template that fails costs its text, not the alert.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Error};

use super::brief::{self, one_line, shorten, width};
use super::{Batch, Context};
use crate::declare::{Problems, Raw, Spanned};
use crate::notify::wire::Webhook;
use crate::templates::{self, described};

/// Most alerts that a template sees.
const MOST: usize = 1000;

/// What a message says, as far as templates have to do with it.
pub(super) struct Told {
    /// The title that is declared, else the usual one; plain, on one line.
    pub(super) title: String,
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
        title: Option<&Spanned<Raw>>,
        text: Option<&Spanned<Raw>>,
        escape: fn(&str) -> String,
    ) -> Result<Self, String> {
        let mut environment = templates::environment();
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
            if let Some(template) = template {
                templates::compile(&mut environment, name, template.value.to_string())
                    .map_err(|error| format!("invalid template: {}", described(&error)))?;
            }
        }
        Ok(Self { environment })
    }

    /// Judges what is declared.
    pub(super) fn check(
        title: Option<&Spanned<Raw>>,
        text: Option<&Spanned<Raw>>,
        problems: &mut Problems,
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
        let mut rendered = |name| match self.render(name, batch, context)? {
            Ok(text) => Some(text),
            Err(error) => {
                trouble.push(shorten(&error, 150));
                None
            }
        };
        let title = rendered("title").map(|title| one_line(&title, usize::MAX));
        let text = rendered("text");
        let title = title.unwrap_or_else(|| brief::title(batch));
        Told { title, text, trouble }
    }

    /// The title that is declared, where there is one and it does not fail.
    pub(super) fn declared_title(&self, batch: &Batch, context: &Context) -> Option<String> {
        let rendered = self.render("title", batch, context)?.ok()?;
        Some(one_line(&rendered, usize::MAX))
    }

    fn render(
        &self,
        name: &str,
        batch: &Batch,
        context: &Context,
    ) -> Option<Result<String, String>> {
        let template = self.environment.get_template(name).ok()?;
        let document = Webhook::new(batch, &context.name, &context.sender, MOST);
        let rendered = template.render(Serde(&document));
        Some(
            rendered.map_err(|error| format!("The template `{name}` fails: {}", described(&error))),
        )
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
            assert_eq!(kept.matches('<').count(), kept.matches('>').count(), "{cut}");
            assert_eq!(kept.matches('&').count(), kept.matches(';').count(), "{cut}");
        }
        assert_eq!(cut("short", 40, |_| String::new()), "short");
    }
}
