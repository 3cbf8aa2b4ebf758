//! README and docs: every YAML block is valid, every metric that they name exists, the book has every page, and every link a target.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use bellwether_config::{self as config, EMBEDDED, Source};

/// A fenced block of a page.
struct Block {
    page: String,
    line: usize,
    text: String,
}

fn pages() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<PathBuf> = fs::read_dir(root.join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "md"))
        .collect();
    paths.push(root.join("README.md"));
    paths.sort();
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(root).unwrap().display().to_string();
        (name, fs::read_to_string(path).unwrap())
    };
    paths.iter().map(read).collect()
}

fn yaml_blocks(page: &str, text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (at, line) in text.lines().enumerate() {
        match (&mut open, line) {
            (None, "```yaml") => {
                open = Some(Block {
                    page: page.to_owned(),
                    line: at + 2,
                    text: String::new(),
                });
            }
            (Some(_), "```") => blocks.extend(open.take()),
            (Some(block), line) => {
                block.text += line;
                block.text.push('\n');
            }
            (None, _) => {}
        }
    }
    blocks
}

/// Files of other programs and formats, by their first key.
const OTHER_FORMATS: [&str; 11] = [
    "process_names:",
    "defaults:",
    "scrape_configs:",
    "http:",
    "rule_files:",
    "tls_server_config:",
    "basic_auth_users:",
    "sessions:",
    "trusted_proxies:",
    "- {matchers:",
    "apiVersion:",
];

/// The whole configuration that a block is a part of: its indentation says where it belongs.
fn whole(block: &str) -> Option<String> {
    let is_content = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let first = block.lines().find(is_content)?;
    let key = first.trim_start();
    if OTHER_FORMATS.iter().any(|other| key.starts_with(other)) && !first.starts_with(' ') {
        return None;
    }
    let parents: &[&str] = match (first.len() - key.len(), key) {
        (0, _)
            if block
                .lines()
                .any(|line| line.starts_with("performance_monitor:")) =>
        {
            &[]
        }
        (0, _) => &["performance_monitor: {}"],
        (2, _) => &["performance_monitor:"],
        (4, _) => &["performance_monitor:", "  alerting:"],
        (8, channel) if channel.starts_with("- type:") || channel.starts_with("- {type:") => &[
            "performance_monitor:",
            "  alerting:",
            "    notifications:",
            "      channels:",
        ],
        (8, _) => &[
            "performance_monitor:",
            "  alerting:",
            "    routes:",
            "      routes:",
        ],
        (indent, _) => panic!("a block is indented by {indent}: {first}"),
    };
    Some(format!("{}\n{block}", parents.join("\n")))
}

/// Errors that a part of a configuration has, and the whole has not: what it refers to is in another block.
const OF_A_PART: [&str; 6] = [
    "no receiver",
    "no channel",
    "no such metric",
    "unknown metric",
    "is not configured",
    "needs a protected configuration",
];

#[test]
fn every_yaml_block_is_valid() {
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for (page, text) in pages() {
        for block in yaml_blocks(&page, &text) {
            let Some(text) = whole(&block.text) else {
                continue;
            };
            checked += 1;
            let loaded = config::decode(&Source::File("block".into()), &text, &|_| None);
            let Err(report) = config::plan(loaded) else {
                continue;
            };
            let report = report.to_string();
            let errors: Vec<&str> = report
                .lines()
                .filter(|line| line.starts_with("block"))
                .filter(|line| !OF_A_PART.iter().any(|part| line.contains(part)))
                .collect();
            if !errors.is_empty() {
                wrong.push(format!(
                    "{}:{}: {}",
                    block.page,
                    block.line,
                    errors.join("\n  ")
                ));
            }
        }
    }
    assert!(checked > 40, "only {checked} blocks");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Variables of the Ansible play.
const OF_ANSIBLE: [&str; 3] = [
    "bellwether_packages",
    "bellwether_configuration",
    "bellwether_environment",
];

/// Names that look like metrics of Bellwether: those with the prefix of the shipped configuration, and self-metrics.
fn metric_names(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| {
            // `bellwether_0` is the beginning of a package's name.
            (word.starts_with("bellwether_") || word.starts_with("multi_agent_system_"))
                && !word.starts_with("bellwether_0")
                && !OF_ANSIBLE.contains(word)
        })
        .collect()
}

#[test]
fn every_metric_exists() {
    let reference = fs::read_to_string("docs/metrics.md").unwrap();
    let known = |name: &str| {
        let bare = name.strip_prefix("multi_agent_system_").unwrap_or(name);
        let row = |name: &str| reference.contains(&format!("| `{name}` |"));
        let parts = ["_total", "_bucket", "_sum", "_count"];
        bare.is_empty()
            || row(bare)
            || parts.iter().any(|part| bare.strip_suffix(part).is_some_and(row))
            // `bellwether_remote_write_*`
            || (bare.ends_with('_') && reference.contains(&format!("| `{bare}")))
    };
    let (mut unknown, mut found) = (Vec::new(), 0);
    for (page, text) in pages() {
        for name in metric_names(&text) {
            found += 1;
            if !known(name) {
                unknown.push(format!("{page}: {name}"));
            }
        }
    }
    assert!(found > 30, "only {found} names");
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
    assert!(EMBEDDED.contains("metric_prefix: multi_agent_system"));
}

#[test]
fn the_counterparts_of_node_exporter_exist() {
    let reference = fs::read_to_string("docs/metrics.md").unwrap();
    let page = fs::read_to_string("docs/migration.md").unwrap();
    let rows = page.lines().filter(|line| line.contains("`node_"));
    let cells = rows.filter_map(|row| row.rsplit('|').nth(1));
    let names: Vec<&str> = cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .filter(|name| !name.contains(' '))
        .collect();
    let unknown = names
        .iter()
        .filter(|name| !reference.contains(&format!("| `{name}` |")));
    assert!(names.len() > 20, "only {names:?}");
    assert_eq!(unknown.collect::<Vec<_>>(), Vec::<&&str>::new());
}

/// Messages of the system, which are in no source of ours.
const OF_THE_SYSTEM: [&str; 1] = ["Permission denied"];

/// All sources as one text, with literals over several lines joined.
fn sources(folder: &Path, all: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|it| it == "rs") {
            for line in fs::read_to_string(&path).unwrap().lines() {
                match line.strip_suffix('\\') {
                    Some(part) => *all += part.trim_start(),
                    None => *all += &format!("{}\n", line.trim_start()),
                }
            }
        }
    }
}

#[test]
fn messages_of_troubleshooting_are_those_of_the_program() {
    let mut code = String::new();
    sources(Path::new("src"), &mut code);
    sources(Path::new("crates"), &mut code);
    let page = fs::read_to_string("docs/troubleshooting.md").unwrap();
    let cells = page
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let spans = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let messages: Vec<&str> = spans
        .filter(|span| span.contains(' ') && !span.starts_with("bellwether "))
        .collect();
    let parts = messages.iter().flat_map(|message| message.split("..."));
    let unknown: Vec<&str> = parts
        .map(|part| {
            part.trim()
                .trim_start_matches("hint: ")
                .trim_end_matches('?')
        })
        .filter(|part| !OF_THE_SYSTEM.contains(part) && !code.contains(part))
        .collect();
    assert!(messages.len() > 12, "only {messages:?}");
    assert!(unknown.is_empty(), "no such message: {unknown:?}");
}

#[test]
fn the_book_has_every_page() {
    let summary = fs::read_to_string("docs/SUMMARY.md").unwrap();
    let missing: Vec<String> = pages()
        .into_iter()
        .filter_map(|(page, _)| page.strip_prefix("docs/").map(str::to_owned))
        .filter(|page| page != "SUMMARY.md" && !summary.contains(&format!("({page})")))
        .collect();
    assert!(missing.is_empty(), "not in docs/SUMMARY.md: {missing:?}");
}

/// Anchor of a heading, as GitHub and mdBook make it.
fn anchor(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn every_link_has_a_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut broken, mut checked) = (Vec::new(), 0);
    let others = [
        "CONTRIBUTING.md",
        "ARCHITECTURE.md",
        "STYLE.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "benches/README.md",
    ];
    let read = |name: &str| {
        (
            name.to_owned(),
            fs::read_to_string(root.join(name)).unwrap(),
        )
    };
    for (page, text) in pages().into_iter().chain(others.map(read)) {
        for rest in text.split("](").skip(1) {
            let target = rest.split(')').next().unwrap_or_default();
            if target.contains("://") || target.contains(' ') {
                continue;
            }
            checked += 1;
            let (file, fragment) = target.split_once('#').unwrap_or((target, ""));
            let here = root.join(&page);
            let path = if file.is_empty() {
                here
            } else {
                here.parent().unwrap().join(file)
            };
            // Pictures are no text.
            let found = fs::read(&path).is_ok_and(|content| {
                fragment.is_empty()
                    || String::from_utf8_lossy(&content).lines().any(|line| {
                        line.starts_with('#')
                            && anchor(line.trim_start_matches('#').trim()) == fragment
                    })
            });
            if !found && !path.is_dir() {
                broken.push(format!("{page}: {target}"));
            }
        }
    }
    assert!(checked > 100, "only {checked} links");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
