//! Tables for the terminal and as CSV. Pure.

use unicode_width::UnicodeWidthStr;

use super::output::{Screen, Style};

/// Blanks between two columns.
const GAP: &str = "  ";
/// Width below which no column is cut.
const NARROWEST: usize = 8;

/// Text of a cell, and its colour.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell {
    text: String,
    style: Option<Style>,
}

impl Cell {
    /// Creates a cell in a colour.
    pub(super) fn styled(text: impl Into<String>, style: Option<Style>) -> Self {
        Self {
            text: text.into(),
            style,
        }
    }

    /// Returns the cell with two blanks before it.
    pub(super) fn indented(mut self) -> Self {
        self.text.insert_str(0, GAP);
        self
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(text, None)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Column {
    head: &'static str,
    is_right_aligned: bool,
    is_elastic: bool,
    /// True to leave it out where the terminal is too narrow for all columns.
    is_dispensable: bool,
    /// True to leave it out if all of its cells are empty.
    is_optional: bool,
}

/// Table with a heading.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Creates a table without rows.
    pub(super) fn new<const N: usize>(heads: [&'static str; N]) -> Self {
        let columns = heads.map(|head| Column {
            head,
            ..Column::default()
        });
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Aligns the columns named `heads` to the right.
    pub(super) fn right(mut self, heads: &[&str]) -> Self {
        for column in &mut self.columns {
            column.is_right_aligned |= heads.contains(&column.head);
        }
        self
    }

    /// Lets the columns named `heads` be cut where the terminal is too narrow.
    pub(super) fn elastic(mut self, heads: &[&str]) -> Self {
        for column in &mut self.columns {
            column.is_elastic |= heads.contains(&column.head);
        }
        self
    }

    /// Leaves the columns named `heads` out where the terminal is too narrow for all of them.
    pub(super) fn dispensable(mut self, heads: &[&str]) -> Self {
        for column in &mut self.columns {
            column.is_dispensable |= heads.contains(&column.head);
        }
        self
    }

    /// Leaves the columns named `heads` out if all of their cells are empty.
    pub(super) fn optional(mut self, heads: &[&str]) -> Self {
        for column in &mut self.columns {
            column.is_optional |= heads.contains(&column.head);
        }
        self
    }

    /// Adds a row.
    pub(super) fn push<const N: usize>(&mut self, row: [Cell; N]) {
        self.rows.push(row.into());
    }

    /// Returns whether the table has no rows.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Puts a first column with `cell` in each row.
    pub(super) fn with_first_column(mut self, head: &'static str, cell: &str) -> Self {
        let column = Column {
            head,
            ..Column::default()
        };
        self.columns.insert(0, column);
        for row in &mut self.rows {
            row.insert(0, cell.into());
        }
        self
    }

    /// Adds the rows of a table with the same columns. Another host decides what it answers, so cells beyond the
    /// columns are dropped, and missing ones are empty.
    pub(super) fn append(&mut self, other: Self) {
        let width = self.columns.len();
        self.rows.extend(other.rows.into_iter().map(|mut row| {
            row.resize(width, "".into());
            row
        }));
    }

    /// Formats the table for a screen; cells are cut only where they do not fit.
    pub(super) fn render(&self, screen: Screen) -> String {
        let columns = self.visible(screen.width);
        let widths = self.fitting(&columns, screen.width);
        let heads: Vec<Cell> = self
            .columns
            .iter()
            .map(|column| Cell::styled(column.head, Some(Style::Heading)))
            .collect();
        let lines = std::iter::once(&heads).chain(&self.rows).map(|row| {
            let cells = columns
                .iter()
                .map(|index| (&row[*index], self.columns[*index]));
            line(cells.zip(&widths), screen) + "\n"
        });
        lines.collect()
    }

    /// Formats the rows without the heading.
    pub(super) fn render_rows(&self, screen: Screen) -> String {
        let mut table = self.clone();
        table.columns.iter_mut().for_each(|column| column.head = "");
        let text = table.render(screen);
        text.split_once('\n')
            .map_or("", |(_, rows)| rows)
            .to_owned()
    }

    /// Returns the indices of the columns to show on a screen of at most `most` columns.
    fn visible(&self, most: Option<usize>) -> Vec<usize> {
        let is_empty = |index: usize| self.rows.iter().all(|row| row[index].text.is_empty());
        let mut columns: Vec<usize> = (0..self.columns.len())
            .filter(|index| !self.columns[*index].is_optional || !is_empty(*index))
            .collect();
        let needed: usize = columns.iter().map(|index| self.width(*index)).sum();
        let gaps = GAP.len() * columns.len().saturating_sub(1);
        if most.is_some_and(|most| needed + gaps > most) {
            columns.retain(|index| !self.columns[*index].is_dispensable);
        }
        columns
    }

    /// Returns the width that a column needs.
    fn width(&self, index: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[index].text.width());
        cells
            .max()
            .unwrap_or(0)
            .max(self.columns[index].head.width())
    }

    /// Returns the widths of `columns`, so that lines have at most `most` columns if that is possible.
    fn fitting(&self, columns: &[usize], most: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<usize> = columns.iter().map(|index| self.width(*index)).collect();
        let Some(most) = most else { return widths };
        let (elastic, fixed): (Vec<usize>, Vec<usize>) =
            (0..columns.len()).partition(|at| self.columns[columns[*at]].is_elastic);
        let fixed: usize = fixed.into_iter().map(|at| widths[at]).sum();
        let gaps = GAP.len() * columns.len().saturating_sub(1);
        let mut room = most.saturating_sub(fixed + gaps);
        // The first ones get what they need, as long as the others keep a share.
        let share = (room / (elastic.len() + 1)).max(NARROWEST);
        for (number, at) in elastic.iter().enumerate() {
            let later = elastic[number + 1..].iter();
            let reserve: usize = later.map(|at| widths[*at].min(share)).sum();
            let width = room.saturating_sub(reserve).max(NARROWEST);
            widths[*at] = widths[*at].min(width);
            room = room.saturating_sub(widths[*at]);
        }
        widths
    }

    /// Formats the table as CSV by RFC 4180; heads are in lower case.
    pub(super) fn csv(&self) -> String {
        let heads = self.columns.iter().map(|column| column.head.to_lowercase());
        let mut out = csv_line(heads);
        for row in &self.rows {
            out += &csv_line(row.iter().map(|cell| cell.text.clone()));
        }
        out
    }
}

/// Formats one line of a table.
fn line<'a>(
    cells: impl Iterator<Item = ((&'a Cell, Column), &'a usize)>,
    screen: Screen,
) -> String {
    let mut line = String::new();
    // Blanks are written before the next text alone, so that no line ends with any.
    let mut blanks = 0;
    for ((cell, column), width) in cells {
        let text = shortened(&cell.text, *width);
        let free = width.saturating_sub(text.width());
        let (before, after) = match column.is_right_aligned {
            true => (free, 0),
            false => (0, free),
        };
        blanks += before;
        if !text.is_empty() {
            line += &" ".repeat(blanks);
            line += &match cell.style {
                Some(style) => screen.paint(style, &text),
                None => text,
            };
            blanks = 0;
        }
        blanks += after + GAP.len();
    }
    line
}

/// Formats one line of CSV by RFC 4180.
pub(super) fn csv_line(cells: impl IntoIterator<Item = String>) -> String {
    let cells: Vec<String> = cells.into_iter().map(|cell| csv_cell(&cell)).collect();
    cells.join(",") + "\r\n"
}

fn csv_cell(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// Cuts a text to at most `most` columns of a terminal.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if text.width() <= most {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        let longer = format!("{short}{c}");
        if longer.width() + 1 > most {
            break;
        }
        short = longer;
    }
    short + "…"
}

/// Wraps a line between words at `most` columns; further lines begin with `indent` blanks.
pub(super) fn wrapped(line: &str, most: Option<usize>, indent: usize) -> String {
    let Some(most) = most else {
        return line.to_owned();
    };
    let mut lines = String::new();
    let mut current = String::new();
    let mut is_first = true;
    for word in line.split_inclusive(' ') {
        let width = current.width() + word.trim_end().width();
        if width > most && !current.trim().is_empty() {
            lines += current.trim_end();
            lines.push('\n');
            current = " ".repeat(indent.min(most / 2));
            is_first = false;
        }
        // The blanks between columns are no beginning of a line.
        if is_first || !word.trim().is_empty() {
            current += word;
        }
    }
    lines + current.trim_end()
}

/// Formats a table without a heading of its own, with two blanks between columns. Cells that look
/// like numbers are right-aligned, except in the first column.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    // A sentence may begin with a digit, too.
    aligned(rows, |_, cell| {
        cell.starts_with(|c: char| c.is_ascii_digit() || "+-<".contains(c))
            && cell.matches(' ').count() < 3
    })
}

/// Formats a table without a heading of its own, with two blanks between columns. `right` returns
/// whether a cell of a column is right-aligned.
pub(super) fn aligned(rows: &[Vec<String>], right: impl Fn(usize, &str) -> bool) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.width()).max().unwrap_or(0)
        })
        .collect();
    let mut out = String::new();
    for row in rows {
        let cells = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, width))| {
                let blanks = " ".repeat(width.saturating_sub(cell.width()));
                match right(column, cell) {
                    true => blanks + cell,
                    false => cell.clone() + &blanks,
                }
            });
        let line = cells.collect::<Vec<_>>().join(GAP);
        out += line.trim_end();
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Screen = Screen {
        width: None,
        colours: false,
    };

    fn sample() -> Table {
        let mut table = Table::new(["STATE", "FOR", "ALERT", "MESSAGE"])
            .right(&["FOR"])
            .elastic(&["ALERT", "MESSAGE"]);
        table.push([
            Cell::styled("firing", Some(Style::Bad)),
            "3m".into(),
            "disk_full".into(),
            "the disk is nearly full, and fills".into(),
        ]);
        table.push(["pending".into(), "12m".into(), "a".into(), "".into()]);
        table
    }

    #[test]
    fn columns_stand_below_each_other() {
        let shown = table(
            &[["a", "mean", "to"], ["long", "1.5", "x"]].map(|row| row.map(str::to_owned).to_vec()),
        );
        assert_eq!(shown, "a     mean  to\nlong   1.5  x\n");
        assert_eq!(
            sample().render(WIDE),
            "STATE    FOR  ALERT      MESSAGE\n\
             firing    3m  disk_full  the disk is nearly full, and fills\n\
             pending  12m  a\n"
        );
    }

    #[test]
    fn a_narrow_screen_cuts_elastic_columns_alone() {
        for width in 36..70 {
            let screen = Screen {
                width: Some(width),
                ..WIDE
            };
            let shown = sample().render(screen);
            assert!(
                shown.lines().all(|line| line.width() <= width),
                "{width}:\n{shown}"
            );
            assert!(shown.contains("pending  12m  a\n"), "{shown}");
        }
        let screen = Screen {
            width: Some(48),
            ..WIDE
        };
        let shown = sample().render(screen);
        assert!(
            shown.contains("disk_full  the disk is nearly ful…\n"),
            "the narrow column keeps its text:\n{shown}"
        );
        let screen = Screen {
            width: Some(1),
            ..WIDE
        };
        assert!(sample().render(screen).contains("disk_fu…  the dis…"));
    }

    #[test]
    fn a_line_is_wrapped_between_words() {
        let line = "  /var/lib  12 MiB  DEGRADED no space left on device";
        assert_eq!(wrapped(line, None, 6), line);
        assert_eq!(wrapped(line, Some(52), 6), line);
        assert_eq!(
            wrapped(line, Some(30), 6),
            "  /var/lib  12 MiB  DEGRADED\n      no space left on device"
        );
        assert_eq!(wrapped("abcdef ghi", Some(4), 6), "abcdef\n  ghi");
        assert_eq!(wrapped("", Some(4), 6), "");
    }

    #[test]
    fn columns_without_room_or_content_are_left_out() {
        let table = sample().dispensable(&["FOR"]).optional(&["STATE", "ALERT"]);
        let narrow = Screen {
            width: Some(56),
            ..WIDE
        };
        assert!(table.render(WIDE).starts_with("STATE    FOR  ALERT"));
        assert!(
            table
                .render(narrow)
                .starts_with("STATE    ALERT      MESSAGE")
        );
        let mut empty = Table::new(["A", "B"]).optional(&["B"]);
        empty.push(["1".into(), "".into()]);
        assert_eq!(empty.render(WIDE), "A\n1\n");
        assert_eq!(
            empty.csv(),
            "a,b\r\n1,\r\n",
            "the columns of CSV do not vary"
        );
    }

    #[test]
    fn wide_characters_take_two_columns() {
        let mut table = Table::new(["NAME", "N"]).elastic(&["NAME"]);
        table.push(["日本語の名前".into(), "1".into()]);
        table.push(["e\u{301}".into(), "2".into()]);
        assert_eq!(
            table.render(WIDE),
            "NAME          N\n日本語の名前  1\ne\u{301}             2\n"
        );
        assert_eq!(shortened("日本語の名前", 8), "日本語…");
        assert_eq!(shortened("abc", 3), "abc");
    }

    #[test]
    fn colours_change_no_width() {
        let coloured = Screen {
            colours: true,
            ..WIDE
        };
        let shown = sample().render(coloured);
        assert!(
            shown.contains("\u{1b}[31mfiring\u{1b}[0m    3m"),
            "{shown:?}"
        );
        assert!(!sample().render(WIDE).contains('\u{1b}'));
    }

    #[test]
    fn rows_of_another_width_are_shown_as_far_as_they_fit() {
        let (mut narrow, mut wide) = (Table::new(["A"]), Table::new(["A", "B"]));
        narrow.push(["1".into()]);
        wide.push(["2".into(), "3".into()]);
        let mut all = wide.clone();
        all.append(narrow.clone());
        assert_eq!(all.render(WIDE), "A  B\n2  3\n1\n");
        narrow.append(wide);
        assert_eq!(narrow.csv(), "a\r\n1\r\n2\r\n");
    }

    #[test]
    fn csv_is_quoted_and_never_cut() {
        let table = sample().with_first_column("HOST", "db,1");
        assert_eq!(
            table.csv(),
            "host,state,for,alert,message\r\n\
             \"db,1\",firing,3m,disk_full,\"the disk is nearly full, and fills\"\r\n\
             \"db,1\",pending,12m,a,\r\n"
        );
    }
}
