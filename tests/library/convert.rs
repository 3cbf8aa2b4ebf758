//! Configurations of other programs, and what `bellwether convert` makes of them.
//!
//! Beside each file in `tests/convert/sources` is its configuration in `tests/convert`. After a wanted change,
//! `UPDATE_EXPECTED=1 cargo test --test library convert` writes them anew; read the difference before you commit it.

use std::fs;
use std::path::{Path, PathBuf};

use bellwether::convert::{Converted, FORMATS, SourceFile, convert, format};
use bellwether_config::{self as config, Source};
use bellwether_schema::{Node, Pos, Value, parse};

/// Text that stands for each secret in the sources.
const SECRET: &str = "s3cret";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/convert")
}

fn sources() -> Vec<SourceFile> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder().join("sources"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let sources = paths.iter().map(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        source(&name, fs::read_to_string(path).unwrap())
    });
    sources.collect()
}

fn source(name: &str, text: impl Into<String>) -> SourceFile {
    SourceFile {
        name: name.into(),
        path: Path::new("/etc").join(name),
        text: text.into(),
    }
}

fn converted(source: &SourceFile) -> Converted {
    convert(std::slice::from_ref(source), None)
        .unwrap_or_else(|error| panic!("{}: {error}", source.name))
}

#[test]
fn each_source_gives_its_configuration() {
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let mut different = Vec::new();
    for source in sources() {
        let found = converted(&source);
        assert!(
            found.invalid.is_empty(),
            "{:?}\n{}",
            found.invalid,
            found.text
        );
        assert!(found.converted > 0, "{}", source.name);
        let path = folder().join(format!("{}.yaml", source.name.split('.').next().unwrap()));
        if update {
            fs::write(&path, &found.text).unwrap();
        } else if fs::read_to_string(&path).ok().as_ref() != Some(&found.text) {
            different.push(format!("{} gives:\n{}", source.name, found.text));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn collectors_that_are_to_be_completed_are_valid_too() {
    for source in sources() {
        let text = converted(&source)
            .text
            .replace("      enabled: false\n", "");
        let environment = |_: &str| Some("http://localhost/value".into());
        let plan = config::plan(config::decode(&Source::Embedded, &text, &environment));
        assert!(plan.is_ok(), "{}: {}", source.name, plan.err().unwrap());
    }
}

#[test]
fn no_secret_is_written() {
    let mut with_secrets = 0;
    for source in sources() {
        with_secrets += usize::from(source.text.contains(SECRET));
        let found = converted(&source);
        for text in [found.text]
            .iter()
            .chain(&found.lost)
            .chain(&found.to_complete)
        {
            assert!(!text.contains(SECRET), "{}: {text}", source.name);
        }
    }
    assert!(with_secrets > 4);
}

#[test]
fn the_content_says_the_format() {
    let mut found: Vec<&str> = Vec::new();
    for source in sources() {
        let guessed = converted(&source);
        let formats = FORMATS.iter().filter(|format| {
            convert(std::slice::from_ref(&source), Some(format))
                .is_ok_and(|named| named.text == guessed.text)
        });
        let names: Vec<&str> = formats.map(|format| format.name).collect();
        assert_eq!(names.len(), 1, "{}: {names:?}", source.name);
        found.extend(names);
    }
    for format in &FORMATS {
        assert!(found.contains(&format.name), "no source of {}", format.name);
    }
    assert!(format("nothing").is_none());
}

/// Whatever is left of a file gives an error with its line, or a configuration that is valid.
#[test]
fn truncated_and_damaged_files_give_an_error_or_a_valid_configuration() {
    for source in sources() {
        for index in (0..source.text.len()).step_by(97) {
            let end = source.text.floor_char_boundary(index);
            let cut = &source.text[..end];
            for text in [
                cut.to_owned(),
                format!(
                    "{cut}{}",
                    &source.text[source.text.floor_char_boundary(end + 40)..]
                ),
                source.text.replacen(
                    &source.text[end..source.text.floor_char_boundary(end + 3)],
                    "[",
                    1,
                ),
            ] {
                let damaged = SourceFile {
                    text,
                    ..source.clone()
                };
                for from in [None, format(name_of(&source))] {
                    match convert(std::slice::from_ref(&damaged), from) {
                        Ok(found) => assert!(
                            found.invalid.is_empty(),
                            "{:?}\n{}\n{}",
                            found.invalid,
                            damaged.text,
                            found.text
                        ),
                        Err(error) => assert!(error.location.file.is_some(), "{error}"),
                    }
                }
            }
        }
    }
}

/// Returns the format of a source, which its name begins with.
fn name_of(source: &SourceFile) -> &'static str {
    let mut formats = FORMATS.iter().map(|format| format.name);
    let found = formats.find(|name| source.name.starts_with(name) || source.name.ends_with(name));
    found.unwrap_or("sql_exporter")
}

#[test]
fn several_files_become_one_configuration() {
    let sources = sources();
    let found = convert(&sources, None).unwrap();
    assert!(found.invalid.is_empty(), "{:?}", found.invalid);
    let each: usize = sources
        .iter()
        .map(|source| converted(source).converted)
        .sum();
    assert_eq!(found.converted, each);
    assert!(
        found
            .lost
            .iter()
            .any(|text| text.starts_with("telegraf.conf:")),
        "{:?}",
        found.lost
    );
}

#[test]
fn other_files_are_errors_that_name_the_formats() {
    for (text, expected) in [
        ("", "x.yml: not a known format"),
        ("a: 1", "x.yml: not a known format"),
        ("a: [", "x.yml:2:1: not valid YAML"),
        ("\u{0}\u{1}\u{2}", "x.yml:1:1: not valid YAML"),
        ("a: 1\n---\nb: 2\n", "x.yml:2:1: a second YAML document"),
        ("[[inputs.cpu]]\n[[inputs", "x.yml:2:"),
        ("counter x\n/a {", "x.yml:2:1: not a program of mtail"),
    ] {
        let error = convert(&[source("x.yml", text)], None).unwrap_err();
        let error = error.render(&"");
        assert!(error.starts_with(expected), "{text:?}: {error}");
    }
}

/// Also with `--from`, a file in which nothing of the format is found is none of it.
#[test]
fn a_format_that_a_file_has_not_is_an_error() {
    for format in &FORMATS {
        for text in ["", "a: 1\n", "- a\n"] {
            let error = convert(&[source("x.yml", text)], Some(format));
            let error = error.unwrap_err().render(&"");
            assert!(error.starts_with("x.yml:"), "{}: {error}", format.name);
        }
    }
    let list = convert(&[source("x.yml", "- a\n")], format("process_exporter"));
    let error = list.unwrap_err().render(&"");
    let expected = "x.yml: not a configuration of process_exporter";
    assert!(error.starts_with(expected), "{error}");
    let only_lost = source("x.conf", "[[inputs.zfs]]\n");
    assert!(convert(&[only_lost], format("telegraf")).is_ok());
}

#[test]
fn hostile_files_are_bounded() {
    let laughs: String = (1..9)
        .map(|level| {
            format!(
                "a{level}: &a{level} [{}]\n",
                vec![format!("*a{}", level - 1); 10].join(", ")
            )
        })
        .collect();
    let doubling: String = (1..60)
        .map(|level| format!("const C{level} C{0} + C{0}\n", level - 1))
        .collect();
    let definitions: String = (1..60)
        .map(|level| {
            format!(
                "def d{level} {{\n@d{0} {{\nnext\n}}\n@d{0} {{\nnext\n}}\n}}\n",
                level - 1
            )
        })
        .collect();
    let texts = [
        (
            "process_exporter",
            format!("a0: &a0 [x]\n{laughs}process_names: *a8\n"),
        ),
        (
            "process_exporter",
            format!("process_names: {}", "[".repeat(200_000)),
        ),
        ("telegraf", format!("x = {}", "[".repeat(200_000))),
        ("telegraf", "[[inputs.cpu]]\n".repeat(50_000)),
        (
            "mtail",
            format!("counter x\nconst C0 /ab/\n{doubling}C59 {{\nx++\n}}\n"),
        ),
        (
            "mtail",
            format!("counter x\ndef d0 {{\nnext\n}}\n{definitions}@d59 {{\n/a/ {{\nx++\n}}\n}}\n"),
        ),
        (
            "mtail",
            format!("counter x\n{}x++\n", "/a/ {\n".repeat(100_000)),
        ),
        (
            "mtail",
            format!("counter x\n/(a)/ {{\nx += {}$1\n}}\n", "(".repeat(100_000)),
        ),
        (
            "mtail",
            format!(
                "counter x\n/(a)/ {{\nx += $1{}\n}}\n",
                " * 2".repeat(100_000)
            ),
        ),
    ];
    for (name, text) in texts {
        if let Ok(found) = convert(&[source("x", text)], format(name)) {
            assert!(found.invalid.is_empty(), "{name}: {:?}", found.invalid);
            assert!(found.text.len() < 10_000_000, "{name}");
        }
    }
}

/// A key of a source.
struct SourceKey {
    text: String,
    pos: Pos,
    /// Set if it is the first one of its mapping.
    is_first: bool,
    /// Lines of the entries around it.
    around: Vec<u32>,
}

/// Returns the keys of a source in YAML or TOML; none of a program of mtail.
fn keys(source: &SourceFile) -> Vec<SourceKey> {
    let mut keys = Vec::new();
    if source.name.ends_with(".conf") {
        toml_keys(&source.text, &mut keys);
    } else if !source.name.ends_with(".mtail") {
        yaml_keys(&parse(&source.text).unwrap(), &[], &mut keys);
    }
    keys
}

fn yaml_keys(node: &Node, around: &[u32], keys: &mut Vec<SourceKey>) {
    match &node.value {
        Value::Map(entries) => {
            for (index, (key, value)) in entries.iter().enumerate() {
                keys.push(SourceKey {
                    text: key.text.clone(),
                    pos: key.pos,
                    is_first: index == 0,
                    around: around.to_vec(),
                });
                yaml_keys(value, &[around, &[key.pos.line]].concat(), keys);
            }
        }
        Value::List(items) => {
            for item in items {
                yaml_keys(item, &[around, &[item.pos.line]].concat(), keys);
            }
        }
        Value::Null | Value::Scalar(_) => {}
    }
}

fn toml_keys(text: &str, keys: &mut Vec<SourceKey>) {
    let (mut around, mut is_first) = (Vec::new(), false);
    for (index, line) in text.lines().enumerate() {
        let number = index as u32 + 1;
        if line.trim_start().starts_with('[') {
            // A table within a plugin belongs to it.
            if line.starts_with('[') {
                around.clear();
            }
            around.push(number);
            is_first = true;
        } else if let Some((key, _)) = line.split_once(" = ") {
            keys.push(SourceKey {
                text: key.trim().to_owned(),
                pos: Pos {
                    file: 0,
                    line: number,
                    column: (key.len() - key.trim_start().len()) as u32 + 1,
                },
                is_first: std::mem::take(&mut is_first),
                around: around.clone(),
            });
        }
    }
}

/// Returns the source with `change` applied to the text from the key on.
fn changed(
    source: &SourceFile,
    key: &SourceKey,
    change: impl Fn(&str, &str) -> String,
) -> SourceFile {
    let mut lines: Vec<String> = source.text.lines().map(str::to_owned).collect();
    let line = &mut lines[key.pos.line as usize - 1];
    let at = line
        .char_indices()
        .nth(key.pos.column as usize - 1)
        .unwrap()
        .0;
    let (before, from) = line.split_at(at);
    *line = change(before, from);
    SourceFile {
        text: lines.join("\n") + "\n",
        ..source.clone()
    }
}

/// Returns whether a note is about one of these lines.
fn has_note(notes: &[&str], source: &SourceFile, lines: &[u32]) -> bool {
    let starts = lines.iter().map(|line| format!("{}:{line}: ", source.name));
    let starts: Vec<String> = starts.collect();
    notes
        .iter()
        .any(|note| starts.iter().any(|start| note.contains(start)))
}

/// Returns the sources without the mapping file of statsd_exporter, which is used as it is.
fn rewritten_sources() -> impl Iterator<Item = SourceFile> {
    let sources = sources().into_iter();
    sources.filter(|source| &*source.name != "statsd_exporter.yml")
}

/// Returns whether a note, which may be about several keys, names the key.
fn is_named_in(notes: &[&str], source: &SourceFile, key: &SourceKey) -> bool {
    let mut notes = notes.iter();
    notes.any(|note| note.contains(&source.name[..]) && note.contains(&key.text))
}

/// Returns the comments of a configuration, and the rest.
fn split(text: &str) -> (Vec<&str>, Vec<&str>) {
    text.lines()
        .partition(|line| line.trim_start().starts_with('#'))
}

#[test]
fn a_key_that_no_program_has_is_named_wherever_it_stands() {
    for source in rewritten_sources() {
        let before = converted(&source);
        let (notes, _) = split(&before.text);
        let keys = keys(&source);
        // `users` is the name of a query, and one that nothing asks may have any name.
        for key in keys
            .iter()
            .filter(|key| key.is_first && key.text != "users")
        {
            let strange = changed(&source, key, |before, from| {
                match before.trim_end().chars().next_back() {
                    Some('{') => format!("{before}strange: 1, {from}"),
                    _ if source.name.ends_with(".conf") => {
                        format!("{before}strange = 1\n{before}{from}")
                    }
                    _ => format!("{before}strange: 1\n{}{from}", " ".repeat(before.len())),
                }
            });
            let place = format!("{}:{}", source.name, key.pos.line);
            match convert(std::slice::from_ref(&strange), None) {
                Err(error) => assert!(error.render(&"").starts_with(&place), "{place}: {error}"),
                Ok(found) => {
                    let (comments, settings) = split(&found.text);
                    let named = comments
                        .iter()
                        .filter(|note| note.contains("strange") || !notes.contains(note))
                        .copied()
                        .collect::<Vec<_>>();
                    let is_named = has_note(&named, &source, &[key.pos.line]);
                    // A label or a header may have any name.
                    let is_converted = settings.iter().any(|line| line.contains("strange"));
                    let mut parents = keys.iter().filter(|parent| {
                        key.around.contains(&parent.pos.line) && parent.pos != key.pos
                    });
                    // With its first key, all of a section may be lost.
                    let lines = [&key.around[..], &[key.pos.line]].concat();
                    let is_lost = has_note(&notes, &source, &lines)
                        || parents.any(|parent| is_named_in(&notes, &source, parent));
                    assert!(
                        is_named || is_converted || is_lost,
                        "{place}\n{}",
                        found.text
                    );
                }
            }
        }
    }
}

/// Keys whose values in the sources are the defaults of their program.
const DEFAULTS: [&str; 10] = [
    "collector.yml:4 type",
    "script_exporter.yml:2 enabled",
    "sql_exporter.yml:5 min_interval",
    "telegraf.conf:29 name_sanitization",
    "telegraf.conf:30 export_timestamp",
    "telegraf.conf:39 percpu",
    "telegraf.conf:40 totalcpu",
    "telegraf.conf:182 servers",
    "telegraf.conf:185 service_address",
    "telegraf.conf:267 bin_path",
];

/// A key that makes no difference to what is written has to have a note.
#[test]
fn each_key_makes_a_difference_or_is_named() {
    let mut silent = Vec::new();
    for source in rewritten_sources() {
        let before = converted(&source);
        let (notes, settings) = split(&before.text);
        for key in keys(&source) {
            let renamed = changed(&source, &key, |before, from| {
                let quote = usize::from(from.starts_with(['"', '\'']));
                let (start, rest) = from.split_at(quote);
                format!("{before}{start}strange_{rest}")
            });
            let place = format!("{}:{} {}", source.name, key.pos.line, key.text);
            let lines = [&key.around[..], &[key.pos.line]].concat();
            let is_same = convert(std::slice::from_ref(&renamed), None)
                .is_ok_and(|found| split(&found.text).1 == settings);
            if is_same
                && !has_note(&notes, &source, &lines)
                && !is_named_in(&notes, &source, &key)
                && !DEFAULTS.contains(&place.as_str())
            {
                silent.push(place);
            }
        }
    }
    assert!(
        silent.is_empty(),
        "dropped in silence:\n{}",
        silent.join("\n")
    );
}
