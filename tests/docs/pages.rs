//! Pages, their command lines, and the outputs and files that they show.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::lines::goes_on;

/// A page and its lines.
pub struct Page {
    /// Path from the root of the repository.
    pub name: String,
    /// Lines.
    pub lines: Vec<String>,
}

/// A part of a page that the test uses.
pub enum Part {
    /// A command line to run.
    Run(Example),
    /// A command that a text mentions, in backticks.
    Mention(usize, String),
    /// A file to write for the commands that follow: `... as `my.yaml`:` before a block.
    File(String, String),
}

/// A command line, with its output if the page shows it.
#[derive(Clone)]
pub struct Example {
    /// Number of the line, from 1.
    pub line: usize,
    /// The command as it is written.
    pub command: String,
    /// Lines of the page that have the output; `None` for a command without.
    pub output: Option<Range<usize>>,
}

/// README and every page of docs.
pub fn all() -> Vec<Page> {
    let mut paths: Vec<PathBuf> = fs::read_dir(root().join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "md"))
        .collect();
    paths.push(root().join("README.md"));
    paths.sort();
    let read = |path: PathBuf| Page {
        name: path.strip_prefix(root()).unwrap().display().to_string(),
        lines: fs::read_to_string(&path)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect(),
    };
    paths.into_iter().map(read).collect()
}

/// Root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Page {
    /// Parts of the page for the test, in its order.
    pub fn parts(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut at = 0;
        while at < self.lines.len() {
            let line = &self.lines[at];
            if let Some(language) = line.strip_prefix("```") {
                let end = (at + 1..self.lines.len())
                    .find(|end| self.lines[*end] == "```")
                    .unwrap_or(self.lines.len());
                self.fenced(language, at + 1..end, &mut parts);
                at = end + 1;
            } else if line.starts_with("    ") && at > 0 && self.lines[at - 1].is_empty() {
                at = self.indented(at, &mut parts);
            } else {
                mentions(at + 1, line, &mut parts);
                at += 1;
            }
        }
        parts
    }

    fn fenced(&self, language: &str, block: Range<usize>, parts: &mut Vec<Part>) {
        if language == "yaml" {
            if let Some(name) = self.file_name(block.start) {
                parts.push(Part::File(name, self.lines[block].join("\n") + "\n"));
            }
            return;
        }
        if !language.is_empty() && language != "console" {
            return;
        }
        let mut at = block.start;
        while at < block.end {
            let Some(first) = self.lines[at].strip_prefix("$ ") else {
                at += 1;
                continue;
            };
            let line = at + 1;
            let mut command = first.to_owned();
            at += 1;
            while goes_on(&command) && at < block.end {
                command = format!("{command}\n{}", self.lines[at]);
                at += 1;
            }
            let end = (at..block.end)
                .find(|end| self.lines[*end].starts_with("$ "))
                .unwrap_or(block.end);
            parts.push(Part::Run(Example {
                line,
                command,
                output: Some(at..end),
            }));
            at = end;
        }
    }

    /// Commands of a block that is indented; returns where it ends.
    fn indented(&self, start: usize, parts: &mut Vec<Part>) -> usize {
        let mut at = start;
        while at < self.lines.len() {
            let Some(text) = self.lines[at].strip_prefix("    ") else {
                let is_gap = self.lines[at].is_empty()
                    && self
                        .lines
                        .get(at + 1)
                        .is_some_and(|next| next.starts_with("    "));
                if !is_gap {
                    break;
                }
                at += 1;
                continue;
            };
            let line = at + 1;
            let mut command = text.to_owned();
            while goes_on(&command) && at + 1 < self.lines.len() {
                at += 1;
                let next = &self.lines[at];
                command = format!("{command}\n{}", next.strip_prefix("    ").unwrap_or(next));
            }
            at += 1;
            parts.push(Part::Run(Example {
                line,
                command,
                output: None,
            }));
        }
        at
    }

    /// The name in the line before a block: `Save this as `my.yaml`:`.
    fn file_name(&self, first: usize) -> Option<String> {
        let before = self.lines[..first - 1]
            .iter()
            .rev()
            .find(|line| !line.is_empty())?;
        let name = before.strip_suffix("`:")?.rsplit('`').next()?;
        name.ends_with(".yaml").then(|| name.to_owned())
    }

    /// Writes the page with other lines.
    pub fn save(&self) {
        let text = self.lines.join("\n") + "\n";
        fs::write(root().join(&self.name), text).unwrap();
    }
}

fn mentions(line: usize, text: &str, parts: &mut Vec<Part>) {
    for span in text.split('`').skip(1).step_by(2) {
        if span.starts_with("bellwether ") {
            parts.push(Part::Mention(line, span.replace("\\|", "|")));
        }
    }
}
