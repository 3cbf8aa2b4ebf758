//! Translation of Prometheus's variables.

use std::borrow::Cow;

/// Translates variables of Prometheus: inside of braces `$labels.x` and `$value` are `labels.x` and
/// `value`; `$labels` as a whole are those of the series, as in Prometheus.
pub(super) fn from_prometheus(source: &str) -> Cow<'_, str> {
    if !source.contains('$') {
        return Cow::Borrowed(source);
    }
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(open) = rest.find("{{").or_else(|| rest.find("{%")) {
        let close = rest[open..].find("}}").or_else(|| rest[open..].find("%}"));
        let end = close.map_or(rest.len(), |close| open + close + 2);
        out.push_str(&rest[..open]);
        translate_tag(&rest[open..end], &mut out);
        rest = &rest[end..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Appends the content of braces.
fn translate_tag(mut tag: &str, out: &mut String) {
    while let Some(dollar) = tag.find('$') {
        out.push_str(&tag[..dollar]);
        tag = &tag[dollar..];
        let own = PROMETHEUS.iter().find_map(|(theirs, ours)| {
            let after = tag.strip_prefix(theirs)?;
            let ends = !after.starts_with(|c: char| c.is_alphanumeric() || c == '_');
            ends.then_some((after, *ours))
        });
        let (after, ours) = own.unwrap_or((&tag[1..], "$"));
        let one = after.trim_start().starts_with(['.', '[']);
        out.push_str(match ours {
            "series_labels" if one => "labels",
            ours => ours,
        });
        tag = after;
    }
    out.push_str(tag);
}

/// Variables as Prometheus spells them.
const PROMETHEUS: [(&str, &str); 4] = [
    ("$labels", "series_labels"),
    ("$value", "value"),
    ("$externalLabels", "external_labels"),
    ("$externalURL", "external_url"),
];
