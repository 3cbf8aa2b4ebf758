//! Pieces of text: how wide they are, cut to a width, on one line; numbers, times, links.

use reqwest::Url;

use crate::model::{Labels, Wall};

/// A URL of the web, written so that no chat finds an end of its markup in it.
pub(in crate::notify::channels) fn web_link(text: &str) -> Option<String> {
    const LONGEST: usize = 1000;
    let url = Url::parse(text.trim()).ok()?;
    if !matches!(url.scheme(), "http" | "https") || url.as_str().len() > LONGEST {
        return None;
    }
    let unsafe_in_markup =
        [("|", "%7C"), ("(", "%28"), (")", "%29"), ("'", "%27"), ("*", "%2A"), ("`", "%60")];
    let written = String::from(url);
    Some(unsafe_in_markup.iter().fold(written, |url, (mark, code)| url.replace(mark, code)))
}

/// `instance=host-1, mount=/data`, as many as there is room for, each cut short where it is long.
pub(in crate::notify::channels) fn labels_line(labels: &Labels, longest: usize) -> String {
    let mut line = String::new();
    for (told, (name, value)) in labels.iter().enumerate() {
        let comma = if told == 0 { "" } else { ", " };
        let next = format!("{comma}{}={}", one_line(name, 60), one_line(value, 120));
        if width(&line) + width(&next) > longest {
            let rest = labels.len() - told;
            return if told == 0 {
                shorten(&next, longest)
            } else {
                format!("{line}, +{rest} labels")
            };
        }
        line += &next;
    }
    line
}

/// How long a text is to those who count in UTF-16; never shorter than in characters.
pub(in crate::notify::channels) fn width(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// The beginning of a text, at most `longest` wide, with an ellipsis where it was longer.
pub(in crate::notify::channels) fn shorten(text: &str, longest: usize) -> String {
    if width(text) <= longest {
        return text.to_owned();
    }
    let mut room = longest.saturating_sub(1);
    let kept = text.chars().take_while(|c| {
        let fits = c.len_utf16() <= room;
        room = room.saturating_sub(c.len_utf16());
        fits
    });
    let kept: String = kept.collect();
    if longest == 0 { kept } else { kept + "…" }
}

/// On one line, at most `longest` wide.
pub(in crate::notify::channels) fn one_line(text: &str, longest: usize) -> String {
    let line: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    shorten(&line, longest)
}

/// Without control characters and empty lines.
pub(super) fn tidy(text: &str) -> String {
    let lines = text.lines().map(|line| one_line(line, usize::MAX)).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

/// `runbook_url` as a name for people: `Runbook url`.
pub(super) fn capital(name: &str) -> String {
    let text = one_line(&name.replace('_', " "), 40);
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Whole as it is, else six digits that count.
pub(in crate::notify::channels) fn number(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return value.to_string();
    }
    let short: f64 = format!("{value:.5e}").parse().unwrap_or(value);
    let plain = short == 0.0 || !short.is_finite() || (1e-4..1e15).contains(&short.abs());
    if plain { short.to_string() } else { format!("{short:e}") }
}

/// `2026-11-21 04:05:00 UTC`.
pub(in crate::notify::channels) fn utc(at: Wall) -> String {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    at.strftime("%F %T UTC").to_string()
}
