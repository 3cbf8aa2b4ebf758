//! Writes settings as YAML in the form in which people write them: short mappings on one line, notes as comments.

use std::fmt::Write;
use std::sync::Arc;

use super::yaml::{Map, Note, NoteKind, Yaml};

/// Longest line of a mapping in braces, and of a comment.
const WIDTH: usize = 120;

/// Writes a document; `files` are the names of the sources that positions number from 1.
pub(super) fn write(document: &Map, files: &[Arc<str>]) -> String {
    let mut writer = Writer {
        out: String::new(),
        files,
    };
    writer.notes(&document.notes, 0);
    writer.fields(document, 0);
    writer.out
}

/// Returns a note as people read it: with file and line, if it has a position.
pub(super) fn shown(note: &Note, files: &[Arc<str>]) -> String {
    let file = usize::from(note.at.file).checked_sub(1);
    let place = match file.and_then(|file| files.get(file)) {
        Some(file) => format!("{file}:{}: ", note.at.line),
        None => String::new(),
    };
    let text = format!("{place}{}", note.text);
    // Neither a comment nor a terminal gets characters of the source that are not for reading.
    text.replace(char::is_control, "?")
}

struct Writer<'a> {
    out: String,
    files: &'a [Arc<str>],
}

impl Writer<'_> {
    fn notes(&mut self, notes: &[Note], indent: usize) {
        for note in notes {
            let kind = match note.kind {
                NoteKind::Lost => "no counterpart: ",
                NoteKind::ToComplete => "to complete: ",
                NoteKind::Remark => "",
            };
            self.comment(&format!("{kind}{}", shown(note, self.files)), indent);
        }
    }

    /// Writes a comment in lines of up to [`WIDTH`] columns.
    fn comment(&mut self, text: &str, indent: usize) {
        let mut line = String::new();
        let mut lines = Vec::new();
        for word in text.split(' ') {
            if !line.is_empty() && indent + 3 + line.len() + word.len() > WIDTH {
                lines.push(std::mem::replace(&mut line, "  ".to_owned()));
            } else if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
        for line in lines {
            let _ = writeln!(self.out, "{:indent$}# {}", "", line.trim_end());
        }
    }

    fn fields(&mut self, map: &Map, indent: usize) {
        for (key, value) in &map.fields {
            if let Yaml::Map(inner) = value {
                self.notes(&inner.notes, indent);
            }
            let _ = write!(self.out, "{:indent$}{}:", "", scalar(key));
            self.value(value, indent, indent + key.len() + 2);
        }
    }

    /// Writes a value behind its key, which is `indent` columns from the left and ends at `column`.
    fn value(&mut self, value: &Yaml, indent: usize, column: usize) {
        if let Some(line) = flow(value, true).filter(|line| column + line.len() <= WIDTH) {
            let _ = writeln!(self.out, " {line}");
            return;
        }
        match value {
            Yaml::Word(word) => {
                let _ = writeln!(self.out, " {word}");
            }
            Yaml::Text(text) => self.text(text, indent + 2),
            Yaml::Map(map) => {
                self.out.push('\n');
                self.fields(map, indent + 2);
            }
            Yaml::List(items) => {
                self.out.push('\n');
                items.iter().for_each(|item| self.item(item, indent + 2));
            }
        }
    }

    fn item(&mut self, item: &Yaml, indent: usize) {
        if let Yaml::Map(map) = item {
            self.notes(&map.notes, indent);
        }
        let _ = write!(self.out, "{:indent$}-", "");
        let bare = match item {
            Yaml::Map(map) if !map.fields.is_empty() => map,
            other => return self.value(other, indent, indent + 2),
        };
        let without_notes = Map {
            notes: Vec::new(),
            fields: bare.fields.clone(),
        };
        match flow(&Yaml::Map(without_notes), true).filter(|line| indent + 2 + line.len() <= WIDTH)
        {
            Some(line) => {
                let _ = writeln!(self.out, " {line}");
            }
            None => {
                let start = self.out.len();
                self.fields(bare, indent + 2);
                // The first key stands behind the dash.
                self.out.replace_range(start..start + indent + 2, " ");
            }
        }
    }

    /// Writes a text: several lines as a block, if a block can hold them.
    fn text(&mut self, text: &str, indent: usize) {
        let Some((header, lines)) = block(text) else {
            let _ = writeln!(self.out, " {}", scalar(text));
            return;
        };
        let _ = writeln!(self.out, " {header}");
        for line in lines.lines() {
            match line.is_empty() {
                true => self.out.push('\n'),
                false => {
                    let _ = writeln!(self.out, "{:indent$}{line}", "");
                }
            }
        }
    }
}

/// Returns the header and the lines of a block scalar, if the text is the same as one.
fn block(text: &str) -> Option<(&'static str, &str)> {
    let (header, lines) = match text.strip_suffix('\n') {
        Some(lines) => ("|", lines),
        None => ("|-", text),
    };
    let fits = lines.contains('\n')
        && !lines.starts_with([' ', '\t', '\n'])
        && !lines.ends_with('\n')
        && lines
            .chars()
            .all(|c| c == '\n' || c == '\t' || is_printable(c));
    fits.then_some((header, lines))
}

/// Returns a value on one line; `None` if it has notes, several lines, or too much within it.
fn flow(value: &Yaml, may_nest: bool) -> Option<String> {
    match value {
        Yaml::Word(word) => Some(word.clone()),
        Yaml::Text(text) => block(text).is_none().then(|| scalar(text)),
        Yaml::List(items) => {
            let items = items.iter().map(|item| match item {
                Yaml::List(_) | Yaml::Map(_) => None,
                scalar => flow(scalar, false),
            });
            let items: Option<Vec<String>> = items.collect();
            Some(format!("[{}]", items?.join(", ")))
        }
        Yaml::Map(map) if map.notes.is_empty() => {
            let fields = map.fields.iter().map(|(key, value)| match value {
                Yaml::Map(_) if !may_nest => None,
                value => Some(format!("{}: {}", scalar(key), flow(value, false)?)),
            });
            let fields: Option<Vec<String>> = fields.collect();
            Some(format!("{{{}}}", fields?.join(", ")))
        }
        Yaml::Map(_) => None,
    }
}

/// Returns a text as a scalar on one line, quoted where it would be something else.
fn scalar(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let printable = text.chars().all(is_printable);
    if printable && !text.contains(['"', '\\']) {
        return format!("\"{text}\"");
    }
    if printable {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_printable(c) => out.push(c),
            c => {
                let _ = write!(out, "\\U{:08X}", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}

/// Returns whether a text needs no quotes, neither here nor for YAML 1.1.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '/');
    let inner = |c: char| c.is_ascii_alphanumeric() || "_./- ".contains(c);
    starts
        && text.chars().all(inner)
        && !text.ends_with(' ')
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

/// Returns whether YAML allows a character within a line.
fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

#[cfg(test)]
mod tests {
    use bellwether_schema::{Node, Pos, Value, parse};

    use super::*;

    fn written(value: Yaml) -> String {
        let mut document = Map::default();
        document.put("a", value);
        write(&document, &["b.conf".into()])
    }

    #[test]
    fn every_text_is_read_as_it_was() {
        let texts = [
            "",
            " ",
            "a b",
            "a: b",
            "- a",
            "# a",
            "a #b",
            "'",
            "\"",
            "\\",
            "'\"\\",
            "\n",
            "a\nb",
            "a\nb\n",
            "a\n\nb\n\n",
            " a\nb",
            "\ta\nb",
            "a\n  b\n\tc",
            "a\r\nb",
            "a \nb ",
            "true",
            "No",
            "~",
            "null",
            "1",
            "0x1f",
            "1e3",
            "2026-11-30",
            "{a}",
            "[a]",
            "*",
            "&a",
            "!a",
            "|",
            ">",
            "%",
            "@a",
            "`",
            "é",
            "\u{85}",
            "\u{7}",
            "\u{2028}",
            "\u{feff}a",
            "a,b",
            "a]b",
            "a: ",
            "${A} $${B}",
            "...",
            "---",
            "<<",
            "=",
            "a\u{0}b",
            "😀",
            "a ",
            "/a/b",
            "-1",
            ".5",
            "?",
            "? a",
            ":",
            "a:",
            "x\n#y\n- z",
        ];
        for text in texts {
            // A key of that name is none of ours: it merges.
            let key = if text == "<<" { "a" } else { text };
            for value in [
                Yaml::raw(text),
                Yaml::raws([text, "x"]),
                Yaml::Map(Map::from_iter([(key.to_owned(), Yaml::raw(text))])),
            ] {
                let out = written(value);
                let Ok(Node {
                    value: Value::Map(entries),
                    ..
                }) = parse(&out)
                else {
                    panic!("{text:?}: {out}");
                };
                let expected = Value::Scalar(text.to_owned());
                match &entries[0].1.value {
                    Value::List(items) => assert_eq!(items[0].value, expected, "{out}"),
                    Value::Map(entries) => {
                        assert_eq!(entries[0].0.text, key, "{out}");
                        assert_eq!(entries[0].1.value, expected, "{out}");
                    }
                    other => assert_eq!(*other, expected, "{out}"),
                }
            }
        }
    }

    #[test]
    fn references_are_escaped_except_where_they_are_meant() {
        assert_eq!(Yaml::text("a${B}$<C>$1"), Yaml::raw("a$${B}$$<C>$1"));
    }

    #[test]
    fn short_mappings_stand_on_one_line_and_notes_above_their_entry() {
        let mut short = Map::of([("name", "a"), ("type", "sql")]);
        short.put("labels", Yaml::Map(Map::of([("x", "1")])));
        let mut long = Map::of([("name", "b")]);
        long.put("query", Yaml::raw("SELECT 1\nFROM x"));
        long.lose(
            Pos {
                file: 1,
                line: 7,
                column: 1,
            },
            "timeout: \u{1b}[31m never",
        );
        assert_eq!(
            written(Yaml::maps(vec![short, long])),
            "a:\n  - {name: a, type: sql, labels: {x: \"1\"}}\n  \
             # no counterpart: b.conf:7: timeout: ?[31m never\n  \
             - name: b\n    query: |-\n      SELECT 1\n      FROM x\n",
        );
    }

    #[test]
    fn comments_are_wrapped() {
        let mut map = Map::of([("name", "a")]);
        map.remark(Pos::default(), "word ".repeat(60));
        let out = written(Yaml::maps(vec![map]));
        assert!(out.lines().all(|line| line.len() <= WIDTH), "{out}");
        assert_eq!(out.matches("word").count(), 60);
    }
}
