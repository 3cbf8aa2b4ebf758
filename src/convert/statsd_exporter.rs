//! statsd_exporter: a collector of type `statsd` reads its mapping file as it is.
//!
//! Source: statsd_exporter, README and `main.go`.

use std::path::Path;

use bellwether_config as config;
use bellwether_schema::{Diagnostic, Pos, Value, YamlError};

use super::draft::Draft;
use super::source::Source;
use super::yaml::Yaml;

/// Address of statsd_exporter for UDP and TCP, on this host.
const ADDRESS: &str = "127.0.0.1:9125";
/// Path of a mapping file that was read from a pipe.
const EXAMPLE: &str = "/etc/bellwether/statsd_mapping.yml";

/// Collector that reads [`MAPPING_FILE`].
const READER: &str = r#"performance_monitor: {collectors: [{name: x, type: statsd, mapping_file: /mapping, accept: [".*"]}]}"#;
const MAPPING_FILE: &str = "/mapping";

pub(super) fn is(source: &Source<'_>) -> bool {
    source.has_within("mappings", "match")
}

pub(super) fn convert(sources: &[Source<'_>], draft: &mut Draft) -> Result<(), YamlError> {
    for (index, source) in sources.iter().enumerate() {
        let warnings = read(source)?;
        let (_, mut collector) = draft.collector("statsd", "statsd");
        let at = source.pos(0);
        if index > 0 {
            collector.put("enabled", Yaml::word(false));
            collector.complete(
                at,
                "a second mapping file: write other addresses, and remove `enabled: false`",
            );
        } else {
            collector.remark(
                at,
                "statsd_exporter listens on all addresses: write 0.0.0.0 if other hosts send",
            );
        }
        collector.put("listen", Yaml::text(ADDRESS));
        collector.put("listen_tcp", Yaml::text(ADDRESS));
        let path = &source.file.path;
        if ["/dev", "/proc"]
            .iter()
            .any(|pipes| path.starts_with(pipes))
        {
            collector.complete(at, format!("write the mapping file to {EXAMPLE}"));
            collector.put("mapping_file", Yaml::text(EXAMPLE));
        } else {
            collector.put("mapping_file", Yaml::text(&path.to_string_lossy()));
        }
        collector.put("dialect", Yaml::text("statsd"));
        collector.put("accept", Yaml::raws([".*"]));
        for warning in warnings {
            collector.remark(pos(&warning, source), words(&warning));
        }
        if let Some(Value::List(mappings)) = source.key("mappings").map(|node| &node.value) {
            draft.converted += mappings.len();
        }
        draft.push(collector);
    }
    Ok(())
}

/// Returns the warnings of our own reader about a mapping file.
///
/// # Errors
/// Our reader does not take the file.
fn read(source: &Source<'_>) -> Result<Vec<Diagnostic>, YamlError> {
    source.yaml()?;
    let read_file = |path: &Path| -> Result<String, config::ReadError> {
        let text = match path == Path::new(MAPPING_FILE) {
            true => &source.file.text,
            false => READER,
        };
        Ok(text.to_owned())
    };
    let loaded = config::load_with(&config::Source::Embedded, &|_| None, &read_file);
    let is_of_file = |found: &Diagnostic| found.location.file.as_deref() == Some(MAPPING_FILE);
    match loaded.and_then(config::plan) {
        Ok(plan) => Ok(plan.warnings.into_iter().filter(is_of_file).collect()),
        Err(report) => match report.problems.iter().find(|found| is_of_file(found)) {
            Some(problem) => Err(YamlError {
                at: pos(problem, source),
                message: words(problem),
            }),
            None => Ok(Vec::new()),
        },
    }
}

fn pos(found: &Diagnostic, source: &Source<'_>) -> Pos {
    Pos {
        file: source.number,
        ..found.location.pos
    }
}

/// Returns a diagnostic without its location.
fn words(found: &Diagnostic) -> String {
    let Diagnostic {
        location,
        message,
        help,
    } = found;
    let path = match location.path.is_empty() {
        true => String::new(),
        false => format!("{}: ", location.path),
    };
    match help {
        Some(help) => format!("{path}{message} ({help})"),
        None => format!("{path}{message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::SourceFile;
    use super::super::write::write;
    use super::*;

    fn converted(texts: &[&str]) -> Result<String, YamlError> {
        let files: Vec<SourceFile> = texts
            .iter()
            .map(|text| SourceFile {
                name: "a.yml".into(),
                path: "/etc/a.yml".into(),
                text: (*text).to_owned(),
            })
            .collect();
        let sources = files.iter().map(|file| Source::new(file, 1));
        let mut draft = Draft::default();
        convert(&sources.collect::<Vec<_>>(), &mut draft)?;
        Ok(write(&draft.finish(), &["a.yml".into()]))
    }

    #[test]
    fn settings_without_an_effect_are_noted_with_their_lines() {
        let text = converted(&[
            "defaults:\n  histogram_options: {native_histogram_bucket_factor: 1.1}\nmappings: []\n",
        ])
        .unwrap();
        assert!(text.contains("# a.yml:2: "), "{text}");
        assert!(text.contains("mapping_file: /etc/a.yml"), "{text}");
    }

    #[test]
    fn a_file_that_our_reader_does_not_take_is_an_error() {
        for (text, line) in [
            ("mappings:\n- {match: 'a.*', nam: b}\n", 2),
            ("mappings:\n- {match: '(', match_type: regex, name: b}\n", 2),
        ] {
            assert_eq!(converted(&[text]).unwrap_err().at.line, line, "{text}");
        }
    }

    #[test]
    fn a_second_file_needs_addresses_of_its_own() {
        let mapping = "mappings: [{match: a, name: b}]";
        let text = converted(&[mapping, mapping]).unwrap();
        assert_eq!(text.matches("type: statsd").count(), 2, "{text}");
        assert_eq!(text.matches("enabled: false\n").count(), 1, "{text}");
    }
}
