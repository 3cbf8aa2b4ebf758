//! Templates of channels: title and text of a message, and other values, over the fields of
//! Alertmanager's webhook document.
//!
//! In `text` the template itself is markup and values are escaped unless they are marked `safe`. A
//! title is plain text. A template that fails, or renders nothing for these alerts, is replaced by
//! the default text, and the alert is still sent. Other settings may be templates too, such as a
//! Slack channel; these have no safe default, so their error fails the attempt.

use std::collections::BTreeMap;

use bellwether_schema::{Diagnostics, Literal, SourceLocation, Spanned};
use bellwether_template::described;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Error};

use super::message::{one_line, shorten, width};
use super::{Batch, Context, DeliveryError, SettingsError};
use crate::wire::Webhook;

/// A template with an error in its syntax.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid template: {0}")]
pub struct TemplateError(pub(super) String);

impl From<Error> for TemplateError {
    fn from(error: Error) -> Self {
        Self(described(&error))
    }
}

impl TemplateError {
    /// Adds the path of the key that has the template.
    pub(super) fn of(self, key: impl Into<String>) -> SettingsError {
        SettingsError::TemplateOf {
            key: key.into(),
            error: self,
        }
    }
}

/// A template without an output for some alerts.
#[derive(Debug, thiserror::Error)]
pub(super) enum RenderError {
    /// Nothing of the output is visible.
    #[error("renders nothing for these alerts")]
    Blank,
    /// The rendering failed.
    #[error("fails: {}", described(.0))]
    Failed(#[from] Error),
}

/// Maximum number of alerts that a template sees.
const MOST: usize = 1000;

/// Output of the templates of a message.
pub(super) struct RenderedTexts {
    /// Title of the template; plain, on one line.
    pub(super) title: Option<String>,
    /// Text of the template, as markup.
    pub(super) text: Option<String>,
    /// Errors of the templates; plain.
    pub(super) errors: Vec<String>,
}

/// Compiled templates of a channel.
pub(super) struct MessageTemplates {
    environment: Environment<'static>,
}

impl MessageTemplates {
    /// Compiles the templates; `escape` escapes values for the markup of `text`.
    pub(super) fn new(
        title: Option<&Spanned<Literal>>,
        text: Option<&Spanned<Literal>>,
        escape: fn(&str) -> String,
    ) -> Result<Self, TemplateError> {
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
                bellwether_template::compile(&mut environment, name, template.value.to_string())?;
            }
        }
        Ok(Self { environment })
    }

    /// Validates the templates.
    pub(super) fn check(
        title: Option<&Spanned<Literal>>,
        text: Option<&Spanned<Literal>>,
        problems: &mut Diagnostics,
    ) {
        for (title, text) in [(title, None), (None, text)] {
            if let (Err(error), Some(template)) =
                (Self::new(title, text, str::to_owned), title.or(text))
            {
                problems.error(&template.at, error.to_string());
            }
        }
    }

    /// Title and text for `batch`.
    pub(super) fn render(&self, batch: &Batch, context: &Context) -> RenderedTexts {
        let mut errors = Vec::new();
        let mut rendered = |name| match render(&self.environment, name, batch, context)? {
            Ok(text) => Some(text),
            Err(error) => {
                errors.push(shorten(&format!("The template `{name}` {error}"), 150));
                None
            }
        };
        let title = rendered("title").map(|title| one_line(&title, usize::MAX));
        let text = rendered("text");
        RenderedTexts {
            title,
            text,
            errors,
        }
    }
}

/// Renders the template `name` for `batch`, if there is one. An empty output is an error.
pub(super) fn render(
    environment: &Environment<'_>,
    name: &str,
    batch: &Batch,
    context: &Context,
) -> Option<Result<String, RenderError>> {
    let template = environment.get_template(name).ok()?;
    let document = Webhook::new(batch, &context.name, &context.sender, MOST);
    Some(checked_output(bellwether_template::whole(
        &template,
        Serde(&document),
        bellwether_template::LONGEST,
    )))
}

/// Checks that a rendering succeeded and has visible text.
pub(super) fn checked_output(rendered: Result<String, Error>) -> Result<String, RenderError> {
    let text = rendered?;
    match is_blank(&text) {
        true => Err(RenderError::Blank),
        false => Ok(text),
    }
}

/// Returns true if nothing of `text` is visible.
pub(super) fn is_blank(text: &str) -> bool {
    // Soft hyphen, zero-width space and joiners, word joiner, byte order mark.
    let unseen = [
        '\u{ad}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}',
    ];
    text.chars()
        .all(|c| c.is_whitespace() || c.is_control() || unseen.contains(&c))
}

/// Returns true if `text` has a template in it.
pub(super) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

/// Value of a setting that may be a template, such as the name of a team. Values in it are plain
/// text.
pub(super) struct TemplatedValue {
    name: String,
    text: String,
    /// Compiled template, if it is one.
    template: Option<Environment<'static>>,
}

impl TemplatedValue {
    /// Compiles `text`, the value of the setting `name`.
    pub(super) fn new(name: &str, text: &str) -> Result<Self, TemplateError> {
        let mut template = None;
        if is_template(text) {
            let mut environment = bellwether_template::environment();
            bellwether_template::compile(&mut environment, name.to_owned(), text)?;
            template = Some(environment);
        }
        Ok(Self {
            name: name.to_owned(),
            text: text.to_owned(),
            template,
        })
    }

    /// Compiles an optional setting; an empty one is `None`.
    pub(super) fn configured(
        name: &str,
        text: Option<&Spanned<String>>,
    ) -> Result<Option<Self>, SettingsError> {
        let text = text.filter(|text| !is_blank(text));
        let value = text.map(|text| Self::new(name, text)).transpose();
        value.map_err(|error| error.of(name))
    }

    /// Validates the template.
    pub(super) fn check(text: &str, at: &SourceLocation, problems: &mut Diagnostics) {
        if let Err(error) = Self::new("key", text) {
            problems.error(at, error.to_string());
        }
    }

    /// Name of the setting.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns true if the value depends on the alerts.
    pub(super) fn is_template(&self) -> bool {
        self.template.is_some()
    }

    /// Renders the value for `batch`, on one line.
    ///
    /// # Errors
    /// The template fails or renders nothing, so the target is unknown.
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

/// Further details by name, each a template.
pub(super) struct Details(Vec<TemplatedValue>);

impl Details {
    /// Compiles the templates.
    pub(super) fn new(
        configured: &BTreeMap<String, Spanned<Literal>>,
    ) -> Result<Self, SettingsError> {
        let values = configured.iter().map(|(name, text)| {
            TemplatedValue::new(name, text).map_err(|error| error.of(format!("details.{name}")))
        });
        values.collect::<Result<_, _>>().map(Self)
    }

    /// Validates the templates.
    pub(super) fn check(
        configured: &BTreeMap<String, Spanned<Literal>>,
        problems: &mut Diagnostics,
    ) {
        for text in configured.values() {
            TemplatedValue::check(text, &text.at, problems);
        }
    }

    /// Renders the details for `batch`; the value of an invalid template is its error.
    pub(super) fn of(&self, batch: &Batch, context: &Context) -> Vec<(String, String)> {
        const VALUE: usize = 1000;
        let each = self.0.iter().map(|key| {
            let value = key.of(batch, context).unwrap_or_else(|error| error.message);
            (key.name.clone(), shorten(&value, VALUE))
        });
        each.collect()
    }
}

/// Cuts markup to at most `longest`, with a note. Never cuts within an entity or a tag; `close`
/// returns the end tags of the rest.
pub(super) fn cut(markup: &str, longest: usize, close: fn(&str) -> String) -> String {
    const MARK: &str = "\n… (cut: the text is too long)";
    if width(markup) <= longest {
        return markup.to_owned();
    }
    let mut head = String::new();
    let mut rest = markup;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(piece_len(rest));
        let next = format!("{head}{piece}");
        if width(&next) + width(&close(&next)) + width(MARK) > longest {
            break;
        }
        head = next;
        rest = after;
    }
    let closing = close(&head);
    head + &closing + MARK
}

/// Returns the length of the first part of `text` that must not be split.
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
            let head = cut.strip_suffix("\n… (cut: the text is too long)").unwrap();
            assert!(text.starts_with(head));
            assert_eq!(
                head.matches('<').count(),
                head.matches('>').count(),
                "{cut}"
            );
            assert_eq!(
                head.matches('&').count(),
                head.matches(';').count(),
                "{cut}"
            );
        }
        assert_eq!(cut("short", 40, |_| String::new()), "short");
    }
}
