//! Chart of series for the terminal, in braille dots. Pure except for the width of the terminal.

use bellwether_promql::SampledSeries;
use jiff::Timestamp;

use crate::cli::asking::printable;
use crate::cli::output::Screen;

/// Width in columns, where there is no terminal.
const WIDTH: usize = 80;
/// Height in lines.
const LINES: usize = 15;
/// Maximum number of series drawn; more cannot be distinguished.
const MOST: usize = 8;
/// ANSI colors of the series, in turn.
const COLOURS: [u8; MOST] = [32, 33, 36, 35, 34, 31, 92, 93];
/// Width of the margin for the numbers.
const MARGIN: usize = 10;

/// Character with its 2 by 4 dots, and the series that set a dot last.
#[derive(Clone, Copy, Default)]
struct Cell {
    dots: u8,
    series: usize,
}

/// Draws the chart with axes and legend.
pub(super) fn chart(all: &[SampledSeries], screen: Screen) -> String {
    let series = &all[..all.len().min(MOST)];
    let times = series.iter().flat_map(|series| &series.times).copied();
    let values = series.iter().flat_map(|series| &series.values).copied();
    let finite = values.filter(|value| value.is_finite());
    let (Some(from), Some(to)) = (times.clone().min(), times.max()) else {
        return "no series\n".to_owned();
    };
    let (mut low, mut high) = (
        finite.clone().fold(f64::INFINITY, f64::min),
        finite.fold(f64::NEG_INFINITY, f64::max),
    );
    if low > high {
        return "no finite values\n".to_owned();
    }
    if low == high {
        // A flat line in the middle.
        let half = if low == 0.0 { 1.0 } else { low.abs() / 2.0 };
        (low, high) = (low - half, high + half);
    }
    let width = screen.width.unwrap_or(WIDTH).clamp(60, 300);
    let columns = width - (MARGIN + 2);
    let mut cells = vec![Cell::default(); columns * LINES];
    for (index, one) in series.iter().enumerate() {
        draw(one, index, &mut cells, columns, (from, to), (low, high));
    }
    let letters = !screen.colours && series.len() > 1;
    let mut out = String::new();
    for (line, row) in cells.chunks(columns).enumerate() {
        let at = high - (high - low) * line as f64 / (LINES - 1) as f64;
        let label = if line % 7 == 0 {
            number(at)
        } else {
            String::new()
        };
        out += &format!("{label:>MARGIN$} ┤");
        out += &row
            .iter()
            .map(|cell| shown(*cell, letters, screen.colours))
            .collect::<String>();
        out = out.trim_end().to_owned() + "\n";
    }
    out += &format!("{:MARGIN$} └{}\n", "", "─".repeat(columns));
    let (from, to) = (clock(from), clock(to));
    let gap = columns.saturating_sub(from.len() + to.len()).max(1);
    out += &format!("{:MARGIN$}  {from}{:gap$}{to}\n", "", "");
    for (index, one) in series.iter().enumerate() {
        let mark = if letters { letter(index) } else { '━' };
        let mark = coloured(mark, index, screen.colours);
        out += &format!(
            "{:MARGIN$}  {mark} {}\n",
            "",
            printable(&one.labels.to_string())
        );
    }
    if all.len() > MOST {
        out += &format!("{:MARGIN$}  and {} more, not drawn\n", "", all.len() - MOST);
    }
    out
}

/// Sets the dots of one series, connected by lines.
fn draw(
    series: &SampledSeries,
    index: usize,
    cells: &mut [Cell],
    columns: usize,
    (from, to): (i64, i64),
    (low, high): (f64, f64),
) {
    let (wide, tall) = (columns * 2 - 1, LINES * 4 - 1);
    let mut before: Option<(usize, usize)> = None;
    for (at, value) in series.times.iter().zip(&series.values) {
        if !value.is_finite() {
            before = None;
            continue;
        }
        let x = ((at - from) as f64 / (to - from).max(1) as f64 * wide as f64).round() as usize;
        let y = ((high - value) / (high - low) * tall as f64).round() as usize;
        let (x, y) = (x.min(wide), y.min(tall));
        let (x0, y0) = before.unwrap_or((x, y));
        let steps = x.abs_diff(x0).max(y.abs_diff(y0)).max(1);
        for step in 0..=steps {
            let (x, y) = (between(x0, x, step, steps), between(y0, y, step, steps));
            let cell = &mut cells[y / 4 * columns + x / 2];
            cell.dots |= dot(x % 2, y % 4);
            cell.series = index;
        }
        before = Some((x, y));
    }
}

/// Returns the position after `step` of `steps` from `a` to `b`.
fn between(a: usize, b: usize, step: usize, steps: usize) -> usize {
    (a as f64 + (b as f64 - a as f64) * step as f64 / steps as f64).round() as usize
}

/// Returns the bit of a dot in Unicode's braille block.
fn dot(x: usize, y: usize) -> u8 {
    const BITS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
    BITS[x][y]
}

fn shown(cell: Cell, letters: bool, colours: bool) -> String {
    match cell.dots {
        0 => " ".to_owned(),
        _ if letters => letter(cell.series).to_string(),
        dots => {
            let character = char::from_u32(0x2800 + u32::from(dots)).unwrap_or('*');
            coloured(character, cell.series, colours)
        }
    }
}

fn coloured(character: char, series: usize, colours: bool) -> String {
    if colours {
        format!("\u{1b}[{}m{character}\u{1b}[0m", COLOURS[series % MOST])
    } else {
        character.to_string()
    }
}

fn letter(series: usize) -> char {
    char::from(b'a' + series as u8)
}

/// Formats a number that fits into the margin.
fn number(value: f64) -> String {
    let size = value.abs();
    match size {
        0.0 => "0".to_owned(),
        _ if !(1e-3..1e7).contains(&size) => format!("{value:.2e}"),
        _ if size >= 1000.0 => format!("{value:.0}"),
        _ if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

fn clock(millis: i64) -> String {
    let at = Timestamp::from_millisecond(millis);
    at.map(|at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use bellwether_core::LabelSet;

    use super::*;

    const PLAIN: Screen = Screen {
        width: Some(60),
        colours: false,
    };

    fn series(host: &str, values: &[f64]) -> SampledSeries {
        SampledSeries {
            labels: LabelSet::new([("host", host)]),
            times: (0..values.len() as i64)
                .map(|index| index * 60_000)
                .collect(),
            values: values.to_vec(),
        }
    }

    #[test]
    fn a_rising_line_rises() {
        let drawing = chart(&[series("a", &[0.0, 5.0, 10.0])], PLAIN);
        let lines: Vec<&str> = drawing.lines().collect();
        assert_eq!(lines.len(), LINES + 3);
        assert!(
            lines[0].starts_with("      10.0 ┤") && lines[0].chars().count() == 60,
            "{drawing}"
        );
        assert!(lines[7].starts_with("     5.000 ┤"), "{drawing}");
        assert!(lines[14].starts_with("         0 ┤⡠"), "{drawing}");
        assert!(lines[16].contains("1970-01-01 00:00:00 UTC"), "{drawing}");
        assert!(lines[16].ends_with("1970-01-01 00:02:00 UTC"), "{drawing}");
        assert!(lines[17].ends_with("━ {host=\"a\"}"), "{drawing}");
    }

    #[test]
    fn several_series_are_distinguished() {
        let both = [series("a", &[1.0, 1.0]), series("b", &[2.0, f64::NAN, 2.0])];
        let drawing = chart(&both, PLAIN);
        assert!(drawing.lines().next().unwrap().contains('b'), "{drawing}");
        assert!(
            drawing.contains("aaaa") && drawing.contains("b {host=\"b\"}"),
            "{drawing}"
        );
        assert!(
            !drawing.contains("bbb"),
            "nothing is drawn over a gap: {drawing}"
        );
        let coloured = chart(
            &both,
            Screen {
                colours: true,
                ..PLAIN
            },
        );
        assert!(
            coloured.contains("\u{1b}[32m") && coloured.contains("\u{1b}[33m━"),
            "{coloured}"
        );
        let many: Vec<_> = (0..10)
            .map(|host| series(&host.to_string(), &[1.0, 2.0]))
            .collect();
        assert!(chart(&many, PLAIN).contains("and 2 more, not drawn"));
    }

    #[test]
    fn what_cannot_be_drawn_is_said_and_unusual_values_do_no_harm() {
        assert_eq!(chart(&[], PLAIN), "no series\n");
        assert_eq!(
            chart(&[series("a", &[f64::NAN])], PLAIN),
            "no finite values\n"
        );
        for values in [
            &[0.0][..],
            &[7.0, 7.0],
            &[1e300, -1e300],
            &[1e-300, 2e-300],
            &[f64::MAX, f64::MIN],
        ] {
            assert!(chart(&[series("a", values)], PLAIN).lines().count() >= LINES + 3);
        }
    }
}
