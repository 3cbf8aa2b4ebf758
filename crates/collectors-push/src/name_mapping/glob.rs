//! Globs of dotted names: `*` stands for one part between dots.

/// Maximum number of `*` in one glob.
const MAX_STARS: usize = 32;

/// Parts between dots; `None` is a `*`.
#[derive(Debug)]
pub(super) struct Glob(Vec<Option<Box<str>>>);

impl Glob {
    /// Parses a glob.
    ///
    /// # Errors
    /// Returns a message if the glob is invalid.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let parts = text.split('.').map(|part| match part {
            "" => Err("a part between dots is empty"),
            "*" => Ok(None),
            part if part.contains('*') => Err("`*` stands for one whole part between dots"),
            part => Ok(Some(part.into())),
        });
        let glob = Self(parts.collect::<Result<_, _>>()?);
        match glob.stars() {
            stars if stars > MAX_STARS => Err("more than 32 `*`"),
            _ => Ok(glob),
        }
    }

    /// Returns the number of `*`.
    pub(super) fn stars(&self) -> usize {
        self.0.iter().filter(|part| part.is_none()).count()
    }

    /// Returns which parts are a `*`. The more specific of two globs that match one name comes first in this order.
    pub(super) fn rank(&self) -> Vec<bool> {
        self.0.iter().map(Option::is_none).collect()
    }

    /// Returns the name, and the texts that its `*` match, if it matches.
    pub(super) fn captures<'n>(&self, name: &'n str) -> Option<Vec<&'n str>> {
        let mut captures = vec![name];
        let mut parts = name.split('.');
        for own in &self.0 {
            match (own, parts.next()?) {
                (None, part) => captures.push(part),
                (Some(own), part) if **own == *part => {}
                _ => return None,
            }
        }
        parts.next().is_none().then_some(captures)
    }
}
