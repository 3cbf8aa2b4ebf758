//! Globs of the configuration: one, or a list.

use bellwether_schema::{Decode, DecodeContext, Node, Shape, Value, json_schema};
use globset::{Glob, GlobSet, GlobSetBuilder};

/// One or more globs, compiled. `*` also matches `/`, so `/data*` matches `/data/1`.
#[derive(Clone, Debug)]
pub struct Globs {
    patterns: Vec<String>,
    set: GlobSet,
}

impl Globs {
    /// Compiles `patterns`.
    ///
    /// # Errors
    /// Returns the error of the first invalid pattern.
    pub fn new(patterns: Vec<String>) -> Result<Self, globset::Error> {
        let mut set = GlobSetBuilder::new();
        for pattern in &patterns {
            set.add(Glob::new(pattern)?);
        }
        Ok(Self {
            set: set.build()?,
            patterns,
        })
    }

    /// Returns the globs as they were written.
    #[must_use]
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// Returns whether one of the globs matches all of `text`.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.set.is_match(text)
    }
}

impl PartialEq for Globs {
    fn eq(&self, other: &Self) -> bool {
        self.patterns == other.patterns
    }
}

impl serde::Serialize for Globs {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.patterns.serialize(serializer)
    }
}

impl Decode for Globs {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let items = match &node.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        if items.is_empty() {
            cx.error(
                node.pos,
                "expected a glob or a list of globs, found an empty list",
            );
            return None;
        }
        let decoded: Vec<Option<String>> = items.iter().map(|item| glob(item, cx)).collect();
        let patterns = decoded.into_iter().collect::<Option<Vec<_>>>()?;
        match Self::new(patterns) {
            Ok(globs) => Some(globs),
            Err(error) => {
                cx.error(
                    node.pos,
                    format!("cannot compile these globs: {}", error.kind()),
                );
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::Word("glob or list of globs", || {
            json_schema::one_or_many(json_schema::text())
        })
    }
}

/// Decodes one pattern. It is checked here, so that the error has its location.
fn glob(node: &Node, cx: &mut DecodeContext<'_>) -> Option<String> {
    let text = cx.text(node)?;
    if let Err(error) = Glob::new(&text) {
        cx.error(node.pos, format!("not a glob: {text:?}: {}", error.kind()));
        return None;
    }
    Some(text)
}
