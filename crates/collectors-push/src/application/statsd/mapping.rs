//! Maps dotted names to metrics with labels.
//!
//! Owns the globs and the `$1` templates. Pure.

use bellwether_schema::Literal;

use super::settings::{Statsd, StatsdDialect, StatsdMapping};

/// Maximum number of `*` in one glob.
pub(super) const MAX_STARS: usize = 16;

/// Mappings, ignored tags and dialect, compiled from the settings.
#[derive(Debug)]
pub(super) struct Translation {
    mappings: Vec<Mapping>,
    ignored_tags: Vec<String>,
    pub(super) dialect: StatsdDialect,
}

/// A glob, with the metric and labels of the names that it matches.
#[derive(Debug)]
pub(super) struct Mapping {
    /// Parts between dots; `None` is a `*`.
    parts: Vec<Option<Box<str>>>,
    pub(super) metric: Box<str>,
    pub(super) scale: f64,
    labels: Vec<(Box<str>, Template)>,
}

#[derive(Debug)]
pub(super) struct Template(Vec<Segment>);

#[derive(Debug, PartialEq)]
enum Segment {
    Text(String),
    /// Text matched by the `*` at this index, from 0.
    Capture(usize),
}

/// Texts matched by the `*` of a glob.
pub(super) type Captures<'a> = [&'a str; MAX_STARS];

impl Translation {
    /// Compiles checked settings; invalid mappings are left out.
    pub(super) fn new(settings: &Statsd) -> Self {
        Self {
            mappings: settings.mappings.iter().filter_map(Mapping::new).collect(),
            ignored_tags: settings.ignored_tags.clone(),
            dialect: settings.dialect,
        }
    }

    /// Returns the first mapping that matches `name`, and fills `captures`.
    pub(super) fn find<'a>(&self, name: &'a str, captures: &mut Captures<'a>) -> Option<&Mapping> {
        self.mappings
            .iter()
            .find(|mapping| mapping.matches(name, captures))
    }

    /// Returns whether tags of this name are ignored.
    pub(super) fn ignores(&self, tag: &str) -> bool {
        self.ignored_tags.iter().any(|ignored| ignored == tag)
    }
}

impl Mapping {
    fn new(settings: &StatsdMapping) -> Option<Self> {
        let parts = glob(&settings.r#match).ok()?;
        let stars = parts.iter().filter(|part| part.is_none()).count();
        let labels = settings.labels.iter().map(|(name, template)| {
            Some((name.as_str().into(), Template::parse(template, stars).ok()?))
        });
        Some(Self {
            labels: labels.collect::<Option<_>>()?,
            parts,
            metric: settings.metric.as_str().into(),
            scale: *settings.scale,
        })
    }

    fn matches<'a>(&self, name: &'a str, captures: &mut Captures<'a>) -> bool {
        let (mut parts, mut star) = (name.split('.'), 0);
        self.parts.iter().all(|part| match (part, parts.next()) {
            (Some(part), Some(text)) => **part == *text,
            (None, Some(text)) => {
                if let Some(capture) = captures.get_mut(star) {
                    *capture = text;
                }
                star += 1;
                true
            }
            (_, None) => false,
        }) && parts.next().is_none()
    }

    /// Appends the label values to `buffer`, and calls `ended` with the name of each label and the end
    /// of its value.
    pub(super) fn render<'m>(
        &'m self,
        captures: &Captures<'_>,
        buffer: &mut String,
        mut ended: impl FnMut(&'m str, usize),
    ) {
        for (name, template) in &self.labels {
            for segment in &template.0 {
                buffer.push_str(match segment {
                    Segment::Text(text) => text,
                    Segment::Capture(star) => captures.get(*star).copied().unwrap_or_default(),
                });
            }
            ended(name, buffer.len());
        }
    }
}

/// Splits a glob into its parts.
///
/// # Errors
/// Returns a message if the glob is invalid.
pub(super) fn glob(text: &Literal) -> Result<Vec<Option<Box<str>>>, &'static str> {
    let parts: Vec<_> = text.split('.').map(parse_part).collect::<Result<_, _>>()?;
    let stars = parts.iter().filter(|part| part.is_none()).count();
    if stars > MAX_STARS {
        Err("more than 16 `*`")
    } else {
        Ok(parts)
    }
}

impl Template {
    /// Parses `x-$1`, `${2}` and `$$`; `stars` is the number of `*` in the glob.
    pub(super) fn parse(text: &str, stars: usize) -> Result<Self, String> {
        let (mut segments, mut literal, mut rest) = (Vec::new(), String::new(), text);
        while let Some(dollar) = rest.find('$') {
            literal.push_str(&rest[..dollar]);
            rest = &rest[dollar + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                literal.push('$');
                rest = after;
                continue;
            }
            let (number, after) =
                reference(rest).ok_or_else(|| format!("`$` without a number: {text:?}"))?;
            if !(1..=stars).contains(&number) {
                return Err(format!(
                    "${number} refers to no `*` of the match: it has {stars}"
                ));
            }
            if !literal.is_empty() {
                segments.push(Segment::Text(std::mem::take(&mut literal)));
            }
            segments.push(Segment::Capture(number - 1));
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            segments.push(Segment::Text(literal));
        }
        Ok(Self(segments))
    }
}

/// Parses the number after a `$`, in braces or not, and returns it with the rest.
fn reference(text: &str) -> Option<(usize, &str)> {
    let (digits, rest) = match text.strip_prefix('{') {
        Some(braced) => braced.split_once('}')?,
        None => text.split_at(
            text.find(|c: char| !c.is_ascii_digit())
                .unwrap_or(text.len()),
        ),
    };
    Some((digits.parse().ok()?, rest))
}

/// Parses a part between dots; `None` is `*`.
fn parse_part(part: &str) -> Result<Option<Box<str>>, &'static str> {
    match part {
        "" => Err("a part between dots is empty"),
        "*" => Ok(None),
        part if part.contains('*') => Err("`*` stands for one whole part between dots"),
        part => Ok(Some(part.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(glob: &str, labels: &[(&str, &str)]) -> StatsdMapping {
        StatsdMapping {
            r#match: Literal(glob.into()).into(),
            metric: "m".to_owned().into(),
            labels: labels
                .iter()
                .map(|(name, template)| ((*name).to_owned(), Literal((*template).into()).into()))
                .collect(),
            scale: 1.0.into(),
        }
    }

    fn rendered(mapping: &StatsdMapping, name: &str) -> Option<Vec<String>> {
        let mapping = Mapping::new(mapping).unwrap();
        let (mut captures, mut buffer, mut start) = ([""; MAX_STARS], String::new(), 0);
        let mut ends = Vec::new();
        mapping.matches(name, &mut captures).then(|| {
            mapping.render(&captures, &mut buffer, |label, end| ends.push((label, end)));
            ends.iter()
                .map(|(label, end)| {
                    let value = &buffer[start..*end];
                    start = *end;
                    format!("{label}={value}")
                })
                .collect()
        })
    }

    #[test]
    fn stars_stand_for_whole_parts() {
        let mapping = mapping(
            "api.*.*.time",
            &[("endpoint", "/$1"), ("method", "${2}X$$")],
        );
        assert_eq!(
            rendered(&mapping, "api.users.get.time").unwrap(),
            ["endpoint=/users", "method=getX$"]
        );
        for other in [
            "api.users.get",
            "api.users.get.time.x",
            "api.users.time",
            "x.a.b.time",
            "",
        ] {
            assert_eq!(rendered(&mapping, other), None, "{other}");
        }
    }

    #[test]
    fn the_first_that_matches_is_taken() {
        let mut first = mapping("a.*", &[]);
        first.metric = "first".to_owned().into();
        let settings = Statsd {
            mappings: vec![first, mapping("*.*", &[])],
            ..Statsd::default()
        };
        let translation = Translation::new(&settings);
        let find = |name| {
            translation
                .find(name, &mut [""; MAX_STARS])
                .map(|m| m.metric.to_string())
        };
        assert_eq!(find("a.b").as_deref(), Some("first"));
        assert_eq!(find("b.b").as_deref(), Some("m"));
        assert_eq!(find("b"), None);
    }

    #[test]
    fn bad_globs_and_templates_are_reported() {
        for bad in ["", "a..b", "a.b*", "*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*"] {
            assert!(glob(&Literal(bad.into())).is_err(), "{bad}");
        }
        for bad in ["$0", "$2", "$x", "${1", "${}", "$", "$99999999999999999999"] {
            assert!(Template::parse(bad, 1).is_err(), "{bad}");
        }
    }
}
