//! Colours and characters. Sixteen colours of the terminal itself and no background, so that light and dark
//! terminals work; severity always has a word, too.

use ratatui::style::{Color, Modifier, Style};

/// Meaning of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Heading,
    Emergency,
    Bad,
    Warning,
    Good,
    Info,
    Faint,
}

/// Characters and colours of the screen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    colours: bool,
    is_ascii: bool,
}

impl Theme {
    /// Creates a theme; `ascii` asks for ASCII where the locale would have more.
    pub(super) fn new(ascii: bool, colours: bool) -> Self {
        Self {
            colours,
            is_ascii: ascii || !is_utf8(|name| std::env::var(name).ok()),
        }
    }

    #[cfg(test)]
    pub(super) fn plain(is_ascii: bool) -> Self {
        Self {
            colours: false,
            is_ascii,
        }
    }

    /// Returns the style of a text.
    pub(super) fn style(self, tone: Tone) -> Style {
        let modified = Style::new().add_modifier(match tone {
            Tone::Heading | Tone::Bad => Modifier::BOLD,
            Tone::Emergency => Modifier::BOLD | Modifier::REVERSED,
            Tone::Faint => Modifier::DIM,
            _ => Modifier::empty(),
        });
        let colour = match tone {
            Tone::Emergency | Tone::Bad => Color::Red,
            Tone::Warning => Color::Yellow,
            Tone::Good => Color::Green,
            Tone::Info => Color::Cyan,
            Tone::Plain | Tone::Heading | Tone::Faint => return modified,
        };
        if self.colours {
            modified.fg(colour)
        } else {
            modified
        }
    }

    /// Formats a bar of `width` characters; `share` is from 0 to 1.
    pub(super) fn bar(self, share: Option<f64>, width: usize) -> String {
        let (full, empty) = if self.is_ascii {
            ('#', '.')
        } else {
            ('█', '░')
        };
        let filled = share.map_or(0.0, |share| (share.clamp(0.0, 1.0) * width as f64).round());
        let blank = if share.is_some() { empty } else { ' ' };
        let bar = (0..width).map(|at| if (at as f64) < filled { full } else { blank });
        bar.collect()
    }

    /// Formats values as a line of `width` characters between `low` and `high`; a gap is blank. Of several values
    /// in one place the largest is shown.
    pub(super) fn sparkline(
        self,
        values: &[Option<f64>],
        low: f64,
        high: f64,
        width: usize,
    ) -> String {
        let steps: &[char] = match self.is_ascii {
            true => &['_', '.', ':', '-', '=', '+', '*', '#'],
            false => &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
        };
        let span = (high - low).max(f64::MIN_POSITIVE);
        let columns = (0..width).map(|column| {
            let place = |column: usize| column * values.len() / width.max(1);
            let (from, to) = (place(column), place(column + 1).max(place(column) + 1));
            let values = values.get(from..to.min(values.len()))?.iter().flatten();
            values.copied().reduce(f64::max)
        });
        columns
            .map(|value| match value {
                Some(value) => {
                    let step = ((value - low) / span * 7.0).round().clamp(0.0, 7.0);
                    steps[step as usize]
                }
                None => ' ',
            })
            .collect()
    }

    /// Formats values as `height` lines of `width` characters, from the top.
    pub(super) fn chart(
        self,
        values: &[Option<f64>],
        (low, high): (f64, f64),
        width: usize,
        height: usize,
    ) -> Vec<String> {
        let step = (high - low) / height.max(1) as f64;
        let lines = (0..height).rev().map(|line| {
            let floor = low + step * line as f64;
            let above: Vec<Option<f64>> = values
                .iter()
                // The lowest line shows that there is a value.
                .map(|value| value.filter(|value| line == 0 || *value > floor))
                .collect();
            self.sparkline(&above, floor, floor + step, width)
        });
        lines.collect()
    }

    /// Mark before a severity.
    pub(super) fn mark(self, tone: Tone) -> &'static str {
        match (tone, self.is_ascii) {
            (Tone::Emergency, _) => "!!",
            (Tone::Bad, true) => "! ",
            (Tone::Bad, false) => "▲ ",
            (Tone::Warning, true) => "~ ",
            (Tone::Warning, false) => "◆ ",
            (Tone::Good, true) => "+ ",
            (Tone::Good, false) => "● ",
            (_, true) => "o ",
            (_, false) => "○ ",
        }
    }

    /// Ellipsis of a text that is cut.
    pub(super) fn ellipsis(self) -> &'static str {
        if self.is_ascii { "~" } else { "…" }
    }

    /// Text between two parts of a line.
    pub(super) fn separator(self, is_narrow: bool) -> &'static str {
        match (self.is_ascii, is_narrow) {
            (true, true) => " | ",
            (true, false) => "  |  ",
            (false, true) => " · ",
            (false, false) => "  ·  ",
        }
    }

    /// Horizontal line.
    pub(super) fn rule(self) -> &'static str {
        if self.is_ascii { "-" } else { "─" }
    }
}

/// Returns whether the locale has UTF-8, by the precedence of setlocale(3).
fn is_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| variable(name).filter(|value| !value.is_empty()));
    set.is_none_or(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_shows_gaps_peaks_and_bounds() {
        let theme = Theme::plain(false);
        let values = [Some(0.0), None, Some(5.0), Some(10.0)];
        assert_eq!(theme.sparkline(&values, 0.0, 10.0, 4), "▁ ▅█");
        assert_eq!(theme.sparkline(&values, 0.0, 10.0, 2), "▁█");
        assert_eq!(theme.sparkline(&[], 0.0, 1.0, 3), "   ");
        assert_eq!(theme.sparkline(&[Some(3.0)], 3.0, 3.0, 1), "▁");
        assert_eq!(Theme::plain(true).sparkline(&values, 0.0, 10.0, 4), "_ =#");
    }

    #[test]
    fn a_chart_stands_on_its_lowest_line() {
        let values = [Some(0.0), Some(5.0), None, Some(7.5), Some(10.0)];
        let chart = Theme::plain(true).chart(&values, (0.0, 10.0), 5, 2);
        assert_eq!(chart, ["   =#", "_# ##"]);
    }

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        let theme = Theme::plain(true);
        assert_eq!(theme.bar(Some(0.5), 4), "##..");
        assert_eq!(theme.bar(Some(7.0), 4), "####");
        assert_eq!(theme.bar(None, 4), "    ");
    }

    #[test]
    fn a_locale_says_which_characters_there_are() {
        let with = |pairs: &'static [(&str, &str)]| {
            is_utf8(move |name| {
                let pair = pairs.iter().find(|(key, _)| *key == name);
                pair.map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(with(&[]) && with(&[("LANG", "en_GB.UTF-8")]));
        assert!(!with(&[("LANG", "en_GB.UTF-8"), ("LC_ALL", "C")]));
    }
}
