//! Tags within a name: `name,tag=value` of InfluxDB, `name#tag=value` of Librato, `name[tag=value]` of SignalFx.

use std::borrow::Cow;

use memchr::memchr3;

/// Splits the tags from a name: pairs with `=` between commas.
pub(super) fn split(name: &str) -> (Cow<'_, str>, &str) {
    if memchr3(b'[', b'#', b',', name.as_bytes()).is_none() {
        return (name.into(), "");
    }
    if let (Some(start), Some(end)) = (name.find('['), name.find(']'))
        && start < end
    {
        let around = format!("{}{}", &name[..start], &name[end + 1..]);
        return (around.into(), &name[start + 1..end]);
    }
    match name.find(['#', ',']) {
        Some(at) => (name[..at].into(), &name[at + 1..]),
        None => (name.into(), ""),
    }
}

/// Iterates over the tags; a tag may have no value.
pub(super) fn pairs(tags: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let tags = tags.split(',').filter(|tag| !tag.is_empty());
    tags.map(|tag| match tag.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (tag, None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_style_has_its_sign() {
        for (name, plain, expected) in [
            (
                "a.b,x=1,y=2",
                "a.b",
                &[("x", Some("1")), ("y", Some("2"))][..],
            ),
            ("a.b#x=1", "a.b", &[("x", Some("1"))]),
            ("a[x=1,flag].b", "a.b", &[("x", Some("1")), ("flag", None)]),
            ("a]x=1[", "a]x=1[", &[]),
            ("a[x=1", "a[x=1", &[]),
            ("a", "a", &[]),
        ] {
            let (found, tags) = split(name);
            assert_eq!(found, plain);
            assert_eq!(pairs(tags).collect::<Vec<_>>(), expected, "{name}");
        }
    }
}
