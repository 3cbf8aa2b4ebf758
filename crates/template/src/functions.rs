//! The functions by their names in Prometheus and Alertmanager.
//!
//! Sources: "Template reference" of Prometheus, "Notification template reference" of Alertmanager.

use std::collections::HashMap;
use std::sync::Arc;

use minijinja::value::{Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};
use parking_lot::Mutex;
use regex::{Regex, RegexBuilder};

use super::label_map::LabelMap;
use super::time::{self, GoDuration, Time};
use super::{bounds, humanize, printf};

type UnaryFunction = fn(&Value) -> Result<Value, Error>;

/// Functions of one value.
const UNARY: [(&str, UnaryFunction); 23] = [
    ("humanize", |value| apply_unary(value, humanize::humanize)),
    ("humanize1024", |value| {
        apply_unary(value, humanize::humanize1024)
    }),
    ("humanizeDuration", |value| {
        apply_unary(value, humanize::duration)
    }),
    ("humanizePercentage", |value| {
        apply_unary(value, humanize::percentage)
    }),
    ("humanizeTimestamp", |value| {
        apply_unary(value, humanize::timestamp)
    }),
    ("toUpper", |value| Ok(text(value).to_uppercase().into())),
    ("toLower", |value| Ok(text(value).to_lowercase().into())),
    ("title", |value| Ok(title(&text(value)).into())),
    ("trimSpace", |value| Ok(text(value).trim().into())),
    ("stripPort", |value| Ok(strip_port(&text(value)).into())),
    ("stripDomain", |value| Ok(strip_domain(&text(value)).into())),
    ("safeHtml", |value| Ok(Value::from_safe_string(text(value)))),
    ("safeUrl", |value| Ok(Value::from_safe_string(text(value)))),
    ("urlUnescape", |value| url_unescape(&text(value))),
    ("urlQueryEscape", |value| {
        Ok(url_query_escape(&text(value)).into())
    }),
    ("toJson", |value| {
        let json = serde_json::to_string(value);
        json.map(Value::from)
            .map_err(|error| invalid(error.to_string()))
    }),
    ("len", |value| {
        let length = value
            .len()
            .or_else(|| value.as_str().map(|text| text.chars().count()));
        Ok(length.unwrap_or_default().into())
    }),
    ("toTime", |value| Ok(Value::from_object(Time::of(value)?))),
    ("toDuration", |value| {
        number(value).map(|seconds| Value::from_object(GoDuration(seconds)))
    }),
    ("graphLink", |value| Ok(link(&text(value), 0).into())),
    ("tableLink", |value| Ok(link(&text(value), 1).into())),
    ("urlPath", |value| Ok(url_path(&text(value)).into())),
    ("parseDuration", |value| {
        time::seconds(&text(value)).map(Value::from)
    }),
];

/// Adds all of them, as functions and as filters.
pub(super) fn add_to(environment: &mut Environment<'static>) {
    for (name, apply_unary) in UNARY {
        environment.add_function(name, move |value: Value| apply_unary(&value));
        environment.add_filter(name, move |value: Value| apply_unary(&value));
    }
    environment.add_function("join", |sep: Value, list: Value| join(&sep, &list));
    environment.add_filter("join", |list: Value, sep: Option<Value>| {
        join(&sep.unwrap_or_default(), &list)
    });
    environment.add_function("slice", slice);
    environment.add_function("without", |map: Value, names: Value| without(&map, &names));
    environment.add_function("stringSlice", |texts: Rest<Value>| Value::from(texts.0));
    environment.add_function("list", |items: Rest<Value>| Value::from(items.0));
    environment.add_function("print", |values: Rest<Value>| printf::print(&values));
    environment.add_filter("print", |value: Value| printf::print(&[value]));
    environment.add_function("printf", |format: &str, values: Rest<Value>| {
        printf::printf(format, &values)
    });
    environment.add_filter(
        "printf",
        |value: Value, format: &str, before: Rest<Value>| {
            let values: Vec<Value> = before.0.into_iter().chain([value]).collect();
            printf::printf(format, &values)
        },
    );
    environment.add_function("date", |layout: &str, value: Value| {
        Time::of(&value)?.format(layout)
    });
    environment.add_filter("date", |value: Value, layout: &str| {
        Time::of(&value)?.format(layout)
    });
    environment.add_function("tz", |zone: &str, value: Value| in_zone(zone, &value));
    environment.add_filter("tz", |value: Value, zone: &str| in_zone(zone, &value));
    environment.add_function("since", |state: &State<'_, '_>, value: Value| {
        since(state, &value)
    });
    environment.add_filter("since", |state: &State<'_, '_>, value: Value| {
        since(state, &value)
    });
    add_patterns(environment);
}

fn add_patterns(environment: &mut Environment<'static>) {
    let patterns = Arc::new(Patterns::default());
    let cache = Arc::clone(&patterns);
    environment.add_function("match", move |pattern: &str, value: Value| {
        cache
            .get(pattern)
            .map(|pattern| pattern.is_match(&text(&value)))
    });
    let cache = Arc::clone(&patterns);
    environment.add_filter("match", move |value: Value, pattern: &str| {
        cache
            .get(pattern)
            .map(|pattern| pattern.is_match(&text(&value)))
    });
    let cache = Arc::clone(&patterns);
    environment.add_function(
        "reReplaceAll",
        move |pattern: &str, by: &str, value: Value| {
            replaced(&cache.get(pattern)?, by, &text(&value))
        },
    );
    environment.add_filter(
        "reReplaceAll",
        move |value: Value, pattern: &str, by: &str| {
            replaced(&patterns.get(pattern)?, by, &text(&value))
        },
    );
}

/// `text` with each match of `pattern` replaced; ended where it grows too long.
fn replaced(pattern: &Regex, by: &str, text: &str) -> Result<String, Error> {
    let (mut out, mut from) = (String::new(), 0);
    for captures in pattern.captures_iter(text) {
        let Some(whole) = captures.get(0) else {
            continue;
        };
        out.push_str(&text[from..whole.start()]);
        captures.expand(by, &mut out);
        from = whole.end();
        if out.len() > bounds::LONGEST_TEXT {
            break;
        }
    }
    out.push_str(&text[from..]);
    bounds::short(out)
}

/// Cache of compiled regular expressions, as a message is rendered for each alert.
#[derive(Default)]
struct Patterns(Mutex<HashMap<String, Regex>>);

impl Patterns {
    /// More than any rule file has; a template may also build them.
    const MOST: usize = 256;

    fn get(&self, pattern: &str) -> Result<Regex, Error> {
        let mut cache = self.0.lock();
        if let Some(cache) = cache.get(pattern) {
            return Ok(cache.clone());
        }
        let pattern_of_crate =
            bellwether_matcher::translate(pattern).map_err(|error| invalid(error.to_string()))?;
        let compiled = RegexBuilder::new(&pattern_of_crate)
            .size_limit(1 << 20)
            .build()
            .map_err(|error| invalid(error.to_string()))?;
        if cache.len() >= Self::MOST {
            cache.clear();
        }
        cache.insert(pattern.to_owned(), compiled.clone());
        Ok(compiled)
    }
}

pub(super) fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

/// Converts a value to text; undefined and none are empty.
#[must_use]
pub fn text(value: &Value) -> String {
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => String::new(),
        ValueKind::Bool => value.is_true().to_string(),
        _ => value.to_string(),
    }
}

/// Converts a number, or a text with a number.
pub(super) fn number(value: &Value) -> Result<f64, Error> {
    let number = f64::try_from(value.clone()).ok();
    number
        .or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()))
        .or_else(|| value.downcast_object_ref::<Time>().map(Time::seconds))
        .or_else(|| {
            value
                .downcast_object_ref::<GoDuration>()
                .map(|lasting| lasting.0)
        })
        .ok_or_else(|| invalid(format!("not a number: {value}")))
}

/// Returns the path of a query in Prometheus, as a graph or as a table.
fn link(query: &str, tab: u8) -> String {
    format!("/graph?g0.expr={}&g0.tab={tab}", url_query_escape(query))
}

/// Returns the path of a URL.
fn url_path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/')
        .map_or("", |at| rest[at..].trim_end_matches('/'))
}

/// Implements Go's `slice`: a part of a text or a list. Bounds beyond the end give less, where Go
/// would fail.
fn slice(value: Value, bounds: Rest<usize>) -> Result<Value, Error> {
    let (from, to) = match bounds.as_slice() {
        [] => (0, None),
        [from] => (*from, None),
        [from, to] => (*from, Some(*to)),
        _ => return Err(invalid("slice: two bounds at most".into())),
    };
    let within = |length: usize| {
        let to = to.map_or(length, |to| to.min(length));
        from.min(to)..to
    };
    if let Some(text) = value.as_str() {
        let bytes = &text.as_bytes()[within(text.len())];
        return Ok(Value::from(String::from_utf8_lossy(bytes).into_owned()));
    }
    let items: Vec<Value> = value.try_iter()?.collect();
    Ok(Value::from(items[within(items.len())].to_vec()))
}

/// Returns the labels of `map` without `names`.
fn without(map: &Value, names: &Value) -> Result<Value, Error> {
    let names: Vec<String> = names.try_iter()?.map(|name| text(&name)).collect();
    let mut left = bellwether_core::Labels::new();
    for name in map.try_iter()? {
        let value = map.get_item(&name)?;
        let name = text(&name);
        if !names.contains(&name) {
            left.insert(name, text(&value));
        }
    }
    Ok(LabelMap::value(left, ""))
}

fn apply_unary(value: &Value, apply_unary: fn(f64) -> String) -> Result<Value, Error> {
    number(value).map(apply_unary).map(Value::from)
}

fn join(separator: &Value, list: &Value) -> Result<String, Error> {
    let separator = text(separator);
    let mut out = String::new();
    for (index, item) in list.try_iter()?.enumerate() {
        if index > 0 {
            out.push_str(&separator);
        }
        out.push_str(&text(&item));
        if out.len() > bounds::LONGEST_TEXT {
            break;
        }
    }
    bounds::short(out)
}

/// Capitalizes the first letter of each word.
fn title(text: &str) -> String {
    let mut inside = false;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let letter = c.is_alphanumeric() || c == '_' || c == '\'';
        match letter && !inside {
            true => out.extend(c.to_uppercase()),
            false => out.push(c),
        }
        inside = letter;
    }
    out
}

/// Returns host and port of `host:port` or `[::1]:port`.
fn host_and_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    match host.strip_prefix('[') {
        Some(inside) => Some((inside.strip_suffix(']')?, port)),
        None if host.contains([':', '[', ']']) => None,
        None => Some((host, port)),
    }
}

fn strip_port(text: &str) -> &str {
    host_and_port(text).map_or(text, |(host, _)| host)
}

/// Removes the domain of a host name; an IP address is unchanged.
fn strip_domain(text: &str) -> String {
    let (host, port) = host_and_port(text).unwrap_or((text, ""));
    if host.parse::<std::net::IpAddr>().is_ok() {
        return text.to_owned();
    }
    let name = host.split('.').next().unwrap_or_default();
    if port.is_empty() {
        name.to_owned()
    } else {
        format!("{name}:{port}")
    }
}

fn url_query_escape(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// `+` is a space, `%41` an `A`.
fn url_unescape(text: &str) -> Result<Value, Error> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next(), rest.next()].map(|digit| {
                    digit
                        .and_then(|digit| char::from(digit).to_digit(16))
                        .map(|digit| digit as u8)
                });
                let [Some(high), Some(low)] = digits else {
                    return Err(invalid(format!("no escaped URL: {text}")));
                };
                high * 16 + low
            }
            other => other,
        });
    }
    Ok(String::from_utf8_lossy(&bytes).into())
}

fn in_zone(zone: &str, value: &Value) -> Result<Value, Error> {
    Time::of(value)?.in_zone(zone).map(Value::from_object)
}

/// Returns the seconds between a time and `now`.
fn since(state: &State<'_, '_>, value: &Value) -> Result<f64, Error> {
    let now = state.lookup("now").filter(|now| !now.is_undefined());
    let now = now.ok_or_else(|| invalid("`since` has no `now` here".into()))?;
    Ok(Time::of(&now)?.seconds() - Time::of(value)?.seconds())
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use crate::{described, environment};

    fn render(source: &str) -> String {
        let context = context! {
            now => 1_795_237_323.5,
            starts => "2026-11-21T04:00:00.000Z",
            list => ["a", "b"],
            value => 1_234_567,
        };
        environment()
            .render_str(source, context)
            .unwrap_or_else(|error| described(&error))
    }

    #[test]
    fn functions_are_filters_too() {
        for (source, expected) in [
            ("{{ 'aBc' | toUpper }} {{ toLower('aBc') }}", "ABC abc"),
            ("{{ 'the QUICK fox_y' | title }}", "The QUICK Fox_y"),
            ("[{{ '  x ' | trimSpace }}]", "[x]"),
            ("{{ join(', ', list) }} {{ list | join('-') }}", "a, b a-b"),
            (
                "{{ match('^a.c$', 'abc') }} {{ 'xabc' | match('^abc') }}",
                "True False",
            ),
            ("{{ reReplaceAll('(a)b', '${1}x', 'ab ab') }}", "ax ax"),
            ("{{ 'ab' | reReplaceAll('b', '') }}", "a"),
            ("{{ stringSlice('x', 'y') | join('+') }}", "x+y"),
            (
                "{{ humanize(1234567) }} {{ value | humanize }}",
                "1.235M 1.235M",
            ),
            (
                "{{ 1536 | humanize1024 }} {{ 0.5 | humanizePercentage }}",
                "1.5ki 50%",
            ),
            ("{{ 3723 | humanizeDuration }}", "1h 2m 3s"),
            ("{{ since(starts) | humanizeDuration }}", "1h 2m 3s"),
            (
                "{{ starts | date('15:04 Mon, 02 Jan 2006') }}",
                "04:00 Sat, 21 Nov 2026",
            ),
            (
                "{{ starts | tz('Europe/Paris') | date('15:04 MST') }}",
                "05:00 CET",
            ),
            (
                "{{ 'host.example.org:9100' | stripPort }}",
                "host.example.org",
            ),
            ("{{ 'host.example.org:9100' | stripDomain }}", "host:9100"),
            (
                "{{ '10.0.0.1:9100' | stripDomain }} {{ '[::1]:9' | stripPort }}",
                "10.0.0.1:9100 ::1",
            ),
            (
                "{{ 'a%20b+c' | urlUnescape }} {{ 'a b&c' | urlQueryEscape }}",
                "a b c a+b%26c",
            ),
            (
                "{{ '<b>' | safeHtml }} {{ list | toJson }} {{ list | len }}",
                "<b> [\"a\",\"b\"] 2",
            ),
            (
                "{{ printf('%.2f %s', 1.5, 'x') }} {{ 3 | printf('%03d') }}",
                "1.50 x 003",
            ),
            ("{{ '1h30m' | parseDuration }}", "5400.0"),
            (
                "{{ 3661.5 | toDuration }} {{ 0.25 | toDuration }}",
                "1h1m1.5s 250ms",
            ),
            ("{{ 61 | toDuration | humanizeDuration }}", "1m 1s"),
            (
                "{{ slice('abcdef', 1, 3) }} {{ slice(list, 1) | join }}",
                "bc b",
            ),
            (
                "{{ slice('ab', 1, 9) }}{{ slice('ab', 5) }}{{ slice('ab', 1, 0) }}",
                "b",
            ),
            (
                "{{ 'up > 0' | graphLink }}",
                "/graph?g0.expr=up+%3E+0&g0.tab=0",
            ),
            (
                "{{ 'https://h:1/a/b/' | urlPath }}{{ 'http://h' | urlPath }}",
                "/a/b",
            ),
            ("{{ without({'a': 1, 'b': 2}, ['a']) }}", "map[b:2]"),
            (
                "{{ print({'b': [1, 'x'], 'a': none}) }}",
                "map[a:<nil> b:[1 x]]",
            ),
            ("[{{ nothing.at.all }}{{ nothing | toUpper }}]", "[]"),
        ] {
            assert_eq!(render(source), expected, "{source}");
        }
    }

    #[test]
    fn html_is_escaped_where_that_is_asked_for_and_not_twice() {
        let mut environment = environment();
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::Html);
        let shown = environment
            .render_str("{{ '<b>' }} {{ '<b>' | safeHtml }}", ())
            .unwrap();
        assert_eq!(shown, "&lt;b&gt; <b>");
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        for (source, expected) in [
            ("{{ 'x' | humanize }}", "not a number: x"),
            ("{{ 'x' | match('(') }}", "unclosed group"),
            ("{{ 'x' | date('2006') }}", "not a time: x"),
            (
                "{{ starts | tz('Europe/Atlantis') }}",
                "unknown time zone: Europe/Atlantis",
            ),
            ("{{ '%zz' | urlUnescape }}", "no escaped URL"),
            (
                "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
                "fuel",
            ),
        ] {
            assert!(
                render(source).contains(expected),
                "{source}: {}",
                render(source)
            );
        }
    }
}
