//! Helpers for text: width, shortening, single lines; numbers, times, links.

use bellwether_core::{Labels, UnixMillis};
use reqwest::Url;

/// Returns a URL of the web, encoded so that it cannot end the markup of a chat.
pub(in crate::channels) fn web_link(text: &str) -> Option<String> {
    const LONGEST: usize = 1000;
    let url = Url::parse(text.trim()).ok()?;
    if !matches!(url.scheme(), "http" | "https") || url.as_str().len() > LONGEST {
        return None;
    }
    let unsafe_in_markup = [
        ("|", "%7C"),
        ("(", "%28"),
        (")", "%29"),
        ("'", "%27"),
        ("*", "%2A"),
        ("`", "%60"),
    ];
    let written = String::from(url);
    Some(
        unsafe_in_markup
            .iter()
            .fold(written, |url, (mark, code)| url.replace(mark, code)),
    )
}

/// `instance=host-1, mount=/data`, as many as there is room for, each cut short where it is long.
pub(in crate::channels) fn labels_line(labels: &Labels, longest: usize) -> String {
    let mut line = String::new();
    for (index, (name, value)) in labels.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let next = format!("{comma}{}={}", one_line(name, 60), one_line(value, 120));
        if width(&line) + width(&next) > longest {
            let rest = labels.len() - index;
            return if index == 0 {
                shorten(&next, longest)
            } else {
                format!("{line}, +{rest} labels")
            };
        }
        line += &next;
    }
    line
}

/// Returns the length in UTF-16 code units, which is never less than in characters.
pub(in crate::channels) fn width(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Shortens a text to at most `longest`, with an ellipsis.
pub(in crate::channels) fn shorten(text: &str, longest: usize) -> String {
    if width(text) <= longest {
        return text.to_owned();
    }
    let mut room = longest.saturating_sub(1);
    let head = text.chars().take_while(|c| {
        let fits = c.len_utf16() <= room;
        room = room.saturating_sub(c.len_utf16());
        fits
    });
    let head: String = head.collect();
    if longest == 0 { head } else { head + "…" }
}

/// Converts to one line of at most `longest`.
pub(in crate::channels) fn one_line(text: &str, longest: usize) -> String {
    let line: String = text
        .trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    shorten(&line, longest)
}

/// Removes control characters and empty lines.
pub(super) fn tidy(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| one_line(line, usize::MAX))
        .filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

/// `runbook_url` as a name for people: `Runbook url`.
pub(super) fn capital(name: &str) -> String {
    let text = one_line(&name.replace('_', " "), 40);
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

/// Formats a number: integers in full, else six significant digits.
pub(in crate::channels) fn number(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return value.to_string();
    }
    let short: f64 = format!("{value:.5e}").parse().unwrap_or(value);
    let plain = short == 0.0 || !short.is_finite() || (1e-4..1e15).contains(&short.abs());
    if plain {
        short.to_string()
    } else {
        format!("{short:e}")
    }
}

/// `2026-11-21 04:05:00 UTC`.
pub(in crate::channels) fn utc(at: UnixMillis) -> String {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    at.strftime("%F %T UTC").to_string()
}

/// `plain` with `escape` on all that is no URL of the web. A URL stays as it is, but for the marks
/// of Markdown in it, which are written in percent.
pub(in crate::channels) fn outside_urls(plain: &str, escape: impl Fn(&str) -> String) -> String {
    let mut text = String::with_capacity(plain.len());
    let (mut rest, mut before) = (plain, None);
    while let Some((start, len)) = first_url(rest, before) {
        let (other, url) = (&rest[..start], &rest[start..start + len]);
        text += &escape(other);
        text += &unmarked(url);
        before = url.chars().next_back();
        rest = &rest[start + len..];
    }
    text + &escape(rest)
}

/// Returns start and length of the first URL in `text`, which follows the character `before`.
fn first_url(text: &str, before: Option<char>) -> Option<(usize, usize)> {
    text.match_indices("http").find_map(|(start, _)| {
        let previous = text[..start].chars().next_back().or(before);
        let rest = &text[start..];
        let host = rest.strip_prefix("http")?;
        let host = host.strip_prefix('s').unwrap_or(host).strip_prefix("://")?;
        let len = rest.len() - host.len() + url_len(host);
        let fits = previous.is_none_or(|c| !c.is_alphanumeric()) && url_len(host) > 0;
        fits.then_some((start, len))
    })
}

/// Returns the length of the URL's part in `text`, which follows `://`.
fn url_len(text: &str) -> usize {
    // An IPv6 address is the only one with brackets.
    let host = match text
        .strip_prefix('[')
        .and_then(|inside| inside.split_once(']'))
    {
        Some((address, _)) if !address.contains(char::is_whitespace) => address.len() + 2,
        _ => 0,
    };
    let (mut open, mut end) = (0_usize, host);
    for (at, c) in text.char_indices().skip_while(|(at, _)| *at < host) {
        match c {
            '(' => open += 1,
            ')' if open == 0 => break,
            ')' => open -= 1,
            '<' | '>' | '"' | '[' | ']' | '{' | '}' | '\\' => break,
            c if c.is_whitespace() || c.is_control() => break,
            _ => {}
        }
        // What ends a sentence, or what is emphasized, is none of it at its end.
        if !".,;:!?'*_~`|(".contains(c) {
            end = at + c.len_utf8();
        }
    }
    end
}

/// Percent-encodes the characters of a URL that Markdown would see as marks. An underscore between
/// letters is not a mark.
fn unmarked(url: &str) -> String {
    let mut text = String::with_capacity(url.len());
    let mut before = None;
    let mut chars = url.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' => text += "%2A",
            '`' => text += "%60",
            '|' => text += "%7C",
            '~' if chars.peek() == Some(&'~') || before == Some('~') => text += "%7E",
            '_' if !is_letter(before) || !is_letter(chars.peek().copied()) => text += "%5F",
            c => text.push(c),
        }
        before = Some(c);
    }
    text
}

/// `plain` with a backslash before each of `marks`, and before what makes a line an item of a list.
pub(in crate::channels) fn backslashed(plain: &str, marks: &str) -> String {
    let mut text = String::with_capacity(plain.len());
    for (number, line) in plain.split('\n').enumerate() {
        if number > 0 {
            text.push('\n');
        }
        let item = item_mark(line);
        for (at, c) in line.char_indices() {
            if marks.contains(c) || item == Some(at) {
                text.push('\\');
            }
            text.push(c);
        }
    }
    text
}

/// Returns the position of the mark that makes `line` a list item: that of `- x`, `+ x`, `1. x` or
/// `1) x`.
fn item_mark(line: &str) -> Option<usize> {
    let start = line.len() - line.trim_start().len();
    let rest = &line[start..];
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let mark = rest[digits..].chars().next()?;
    let marks = if digits > 0 { ".)" } else { "-+" };
    let after = rest[digits + mark.len_utf8()..].chars().next();
    let item = marks.contains(mark) && after.is_none_or(char::is_whitespace);
    item.then_some(start + digits)
}

fn is_letter(c: Option<char>) -> bool {
    c.is_some_and(char::is_alphanumeric)
}
