//! Holds the source tree to its layers: which room may import which.
//!
//! Reads the `crate::` paths of every file below `src`, and the `super::` chains that lead out of a
//! room. It does not compile anything.

#![allow(clippy::expect_used)] // clippy sees tests only inside of test functions

use std::fs;
use std::path::{Path, PathBuf};

/// A room and the rooms it may import, lowest first. A room is a module of the crate; the kinds of
/// collectors are rooms of their own, so that none leans on another.
const ROOMS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("clock", &["model"]),
    ("files", &[]),
    ("durable", &["files"]),
    ("declare", &["model"]),
    ("logging", &["files", "declare"]),
    ("exposition", &["model"]),
    ("promql", &["model"]),
    ("templates", &["model"]),
    ("history", &["model", "files", "declare", "promql"]),
    ("analysis", &["model", "declare", "promql"]),
    ("alert_history", &["model", "files", "declare"]),
    ("outbound", &["model", "files", "declare"]),
    ("remote", &["model", "files", "clock", "durable", "declare", "promql", "history", "outbound"]),
    ("transfer", &["model", "exposition", "promql", "history"]),
    ("store", &["model", "exposition", "promql", "history"]),
    ("collectors", &["model", "clock", "declare"]),
    ("collectors::system", &["model", "declare", "collectors"]),
    ("collectors::application", &["model", "declare", "collectors"]),
    ("collectors::neo4j", &["model", "files", "durable", "declare", "collectors"]),
    ("collectors::own", &["model", "declare", "collectors"]),
    (
        "rules",
        &["model", "durable", "declare", "promql", "templates", "history", "analysis", "store"],
    ),
    ("routing", &["model", "durable", "declare"]),
    ("notify", &["model", "files", "clock", "durable", "declare", "templates", "outbound"]),
    ("prometheus", &["model", "declare", "promql", "templates", "rules", "routing", "notify"]),
    (
        "replay",
        &[
            "model",
            "declare",
            "exposition",
            "promql",
            "history",
            "store",
            "rules",
            "routing",
            "notify",
        ],
    ),
    (
        "server",
        &[
            "model",
            "files",
            "clock",
            "declare",
            "exposition",
            "promql",
            "analysis",
            "alert_history",
            "store",
            "rules",
            "routing",
            "notify",
        ],
    ),
    (
        "config",
        &[
            "model",
            "files",
            "declare",
            "logging",
            "collectors",
            "collectors::system",
            "collectors::application",
            "collectors::neo4j",
            "collectors::own",
            "promql",
            "history",
            "analysis",
            "alert_history",
            "remote",
            "rules",
            "routing",
            "prometheus",
            "notify",
            "server",
        ],
    ),
    ("dashboard", &["model", "rules", "config"]),
    (
        "ruletest",
        &[
            "model",
            "declare",
            "promql",
            "history",
            "analysis",
            "store",
            "rules",
            "routing",
            "prometheus",
            "notify",
            "replay",
            "config",
        ],
    ),
    ("app", ANY),
    ("cli", ANY),
    ("main", ANY),
];

/// May import every room below it.
const ANY: &[&str] = &["*"];

/// `declare` exports its macros at the root of the crate, as every `macro_rules!` is.
const MACROS: &[&str] = &["choices", "section"];

#[test]
fn no_room_imports_one_it_must_not() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for file in rust_files(&src) {
        let inside = file.strip_prefix(&src).expect("below src").to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).expect("readable source");
        found.extend(violations(&inside, &text));
    }
    assert!(found.is_empty(), "imports that go the wrong way:\n{}", found.join("\n"));
}

#[test]
fn an_upward_import_is_found_in_each_of_its_spellings() {
    let cases = [
        ("store/window.rs", "use crate::rules::Engine;", "store may not import rules"),
        ("store.rs", "use crate::{model::Now, rules};", "store may not import rules"),
        (
            "store.rs",
            "use crate::{\n    model::Now,\n    notify::{Queue, Retry},\n};",
            "store may not import notify",
        ),
        ("rules/engine.rs", "fn f() { crate::app::stop(); }", "rules may not import app"),
        ("rules/engine.rs", "use super::super::notify::Queue;", "rules may not import notify"),
        (
            "collectors/system/cpu.rs",
            "use crate::collectors::{Collector, neo4j::Pool};",
            "collectors::system may not import collectors::neo4j",
        ),
        ("app.rs", "use crate::cli::Options;", "app may not import cli"),
        ("attic/mod.rs", "use crate::model::Now;", "attic is not a room"),
        ("app.rs", "use crate::attic::Box;", "attic is not a room"),
    ];
    for (file, text, expected) in cases {
        let found = violations(file, text);
        assert!(found.iter().any(|line| line.contains(expected)), "{file}: {text}: {found:?}");
    }
    assert_eq!(
        violations("store.rs", "\n\nuse crate::app::App;")[0].split(": ").next(),
        Some("src/store.rs:3")
    );
}

#[test]
fn what_is_allowed_is_left_alone() {
    let cases = [
        ("store.rs", "use crate::model::{Batch, Now};"),
        ("store/page.rs", "use crate::store::Store;"),
        ("store/page.rs", "use super::Store;"),
        ("store.rs", "// as crate::rules wants it"),
        ("rules.rs", "use crate::{model::Now, section, store::Store};"),
        ("collectors/system/cpu.rs", "use crate::collectors::{Collector, Collecting};"),
        ("app.rs", "use crate::{config, rules, server};"),
        ("lib.rs", "pub mod app;"),
    ];
    for (file, text) in cases {
        assert_eq!(violations(file, text), Vec::<String>::new(), "{file}: {text}");
    }
}

/// One line per import of `text` that the table does not allow; `file` is relative to `src`.
fn violations(file: &str, text: &str) -> Vec<String> {
    let modules = module_path(file);
    let Some(first) = modules.first() else { return Vec::new() };
    let room = room_of(&modules);
    if place(&room).is_none() {
        return vec![format!(
            "src/{file}:1: {first} is not a room: give it a line in tests/layers.rs"
        )];
    }
    imports(text, modules.len())
        .into_iter()
        .filter_map(|(line, path)| {
            let target = room_of(&path);
            refusal(&room, &target).map(|why| format!("src/{file}:{line}: {why}"))
        })
        .collect()
}

fn refusal(room: &str, target: &str) -> Option<String> {
    if room == target || MACROS.contains(&target) {
        return None;
    }
    let Some(target_place) = place(target) else {
        return Some(format!("{target} is not a room: give it a line in tests/layers.rs"));
    };
    let own_place = place(room)?;
    let allowed = ROOMS[own_place].1;
    if allowed.contains(&target) || (allowed == ANY && target_place < own_place) {
        return None;
    }
    Some(format!("{room} may not import {target}, only: {}", allowed.join(", ")))
}

fn place(room: &str) -> Option<usize> {
    ROOMS.iter().position(|(name, _)| *name == room)
}

/// The room that a module path starts in: two segments where those name a room, else the first.
fn room_of(path: &[String]) -> String {
    let two = path.iter().take(2).cloned().collect::<Vec<_>>().join("::");
    if place(&two).is_some() { two } else { path[0].clone() }
}

/// `collectors/system/cpu.rs` is collectors, system, cpu; `lib.rs` is nothing.
fn module_path(file: &str) -> Vec<String> {
    file.trim_end_matches(".rs")
        .split('/')
        .filter(|segment| !matches!(*segment, "lib" | "mod"))
        .map(str::to_owned)
        .collect()
}

/// Every path from the crate's root in `text`, its line and at most its first two segments.
/// `depth` is how many `super::` lead from the file's own module to the root; inside of a test
/// module as many lead only to the room, so those count where they name a room.
fn imports(text: &str, depth: usize) -> Vec<(usize, Vec<String>)> {
    let code = without_comments(text);
    let chain = "super::".repeat(depth);
    let mut found = paths_after(&code, "crate::");
    found.extend(
        paths_after(&code, &chain).into_iter().filter(|(_, path)| place(&path[0]).is_some()),
    );
    found
}

fn paths_after(code: &str, root: &str) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(root) {
        let rest = &code[at + root.len()..];
        if !rest.starts_with(|c: char| c == '{' || c.is_ascii_lowercase()) {
            continue;
        }
        let line = 1 + code[..at].matches('\n').count();
        let mut paths = Vec::new();
        read_tree(rest, &[], &mut paths);
        found.extend(paths.into_iter().map(|path| (line, path)));
    }
    found
}

/// Reads a path or a braced group of paths after a prefix; returns what follows it.
fn read_tree<'t>(text: &'t str, prefix: &[String], paths: &mut Vec<Vec<String>>) -> &'t str {
    let mut text = text.trim_start();
    let mut path = prefix.to_vec();
    loop {
        if let Some(group) = text.strip_prefix('{') {
            return read_group(group, &path, paths);
        }
        let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        if !name.is_empty() && name != "self" {
            path.push(name.to_owned());
        }
        match rest.strip_prefix("::") {
            Some(below) => text = below,
            None => {
                path.truncate(2);
                if !path.is_empty() {
                    paths.push(path);
                }
                return rest;
            }
        }
    }
}

fn read_group<'t>(mut text: &'t str, prefix: &[String], paths: &mut Vec<Vec<String>>) -> &'t str {
    loop {
        text = text.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        if text.is_empty() {
            return text;
        }
        if let Some(after) = text.strip_prefix('}') {
            return after;
        }
        let rest = read_tree(text, prefix, paths);
        // ` as other` and `*` say nothing about the room.
        text = &rest[rest.find([',', '}']).unwrap_or(rest.len())..];
    }
}

/// The text with comments cut off, line for line.
fn without_comments(text: &str) -> String {
    text.lines()
        .map(|line| line.find("//").map_or(line, |at| &line[..at]))
        .collect::<Vec<_>>()
        .join("\n")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("readable folder") {
        let path = entry.expect("readable entry").path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}
