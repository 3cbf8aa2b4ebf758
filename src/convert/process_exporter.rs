//! process-exporter: groups of processes.
//!
//! Source: process-exporter, README and `config/config.go`.

use bellwether_matcher::Pattern;
use bellwether_schema::YamlError;

use super::draft::Draft;
use super::fields::Fields;
use super::source::Source;
use super::yaml::{Map, Yaml};

/// Bytes of the name of a process that the kernel keeps.
const COMM_LENGTH: usize = 15;

/// Placeholders of the first argument of a process: its last part, and all of it. They are groups of these expressions.
const BASE: &str = "program";
const BASE_EXPRESSION: &str = "^(?:[^ ]*/)?(?P<program>[^ /]+)";
const FULL: &str = "program_path";
const FULL_EXPRESSION: &str = "^(?P<program_path>[^ ]+)";

/// Groups of a collector without a setting.
const MAX_GROUPS: usize = 500;

pub(super) fn is(source: &Source<'_>) -> bool {
    source.key("process_names").is_some()
}

pub(super) fn convert(sources: &[Source<'_>], draft: &mut Draft) -> Result<(), YamlError> {
    for source in sources {
        let mut fields = Fields::of(source.yaml()?);
        let (_, mut collector) = draft.collector("processes", "process");
        let mut groups = Vec::new();
        for item in fields.maps("process_names") {
            if let Some(group) = group(item, &mut collector) {
                groups.push(group);
            }
        }
        fields.finish(&mut collector);
        draft.converted += groups.len();
        match groups.is_empty() {
            true => draft.give_up(collector),
            false => {
                if groups.len() > MAX_GROUPS {
                    collector.put("max_groups", Yaml::word(groups.len()));
                }
                collector.put("groups", groups.into());
                draft.push(collector);
            }
        }
    }
    Ok(())
}

/// Returns a group, or notes in `collector` why there is none.
fn group(mut fields: Fields<'_>, collector: &mut Map) -> Option<Map> {
    let at = fields.at;
    let template = fields.text("name").unwrap_or("{{.ExeBase}}");
    let mut expressions = Vec::new();
    for (expression, at) in fields.texts("cmdline") {
        if let Err(reason) = Pattern::new(expression) {
            collector.lose(at, format!("group {template}: {reason}"));
            return None;
        }
        expressions.push(expression.to_owned());
    }
    let captures: Vec<String> = expressions
        .iter()
        .flat_map(|text| capture_names(text))
        .collect();
    let name = match name(template, &captures) {
        Ok(name) => name,
        Err(reason) => {
            collector.lose(at, format!("group {template}: {reason}"));
            return None;
        }
    };
    let mut group = Map::of([("name", &name)]);
    let comms = fields.texts("comm");
    for (comm, at) in comms.iter().filter(|(comm, _)| comm.len() > COMM_LENGTH) {
        group.remark(
            *at,
            format!("the kernel cuts names of processes to {COMM_LENGTH} bytes: {comm}"),
        );
    }
    let comms = comms
        .iter()
        .map(|(comm, _)| &comm[..comm.floor_char_boundary(COMM_LENGTH)]);
    put_globs(&mut group, "comm", comms);
    let programs = fields.texts("exe").into_iter().map(|(program, _)| program);
    expressions.extend(programs_expression(programs));
    for (placeholder, expression) in [(BASE, BASE_EXPRESSION), (FULL, FULL_EXPRESSION)] {
        if name.contains(&format!("{{{{ {placeholder} }}}}")) {
            expressions.push(expression.to_owned());
        }
    }
    group.put_filled(
        "cmdline",
        Yaml::raws(expressions.iter().map(String::as_str)),
    );
    fields.finish(&mut group);
    if group.fields.len() == 1 {
        collector.lose(at, format!("group {template}: it has no selector"));
        return None;
    }
    Some(group)
}

/// Returns an expression for command lines whose first argument is one of these programs: by its path, or by its name.
/// The program as the kernel has it may be another one, such as that of a script.
fn programs_expression<'t>(programs: impl Iterator<Item = &'t str>) -> Option<String> {
    let programs = programs.map(|program| match program.starts_with('/') {
        true => regex::escape(program),
        false => format!("(?:[^ ]*/)?{}", regex::escape(program)),
    });
    let programs: Vec<String> = programs.collect();
    (!programs.is_empty()).then(|| format!("^(?:{})(?: |$)", programs.join("|")))
}

/// Puts texts as globs that match them alone.
fn put_globs<'t>(group: &mut Map, key: &str, texts: impl Iterator<Item = &'t str>) {
    let globs: Vec<String> = texts.map(globset::escape).collect();
    match globs.as_slice() {
        [] => {}
        [glob] => group.put(key, Yaml::text(glob)),
        globs => group.put(key, Yaml::texts(globs.iter().map(String::as_str))),
    }
}

/// Returns the name of a group with placeholders in place of the fields of Go's template.
fn name(template: &str, captures: &[String]) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once("{{") {
        let (action, after) = behind
            .split_once("}}")
            .ok_or("a template without its end")?;
        let action = action.trim_matches(|c: char| c.is_whitespace() || c == '-');
        let placeholder = match action {
            ".Comm" => "comm",
            ".ExeBase" => BASE,
            ".ExeFull" => FULL,
            ".Username" => "user",
            _ => {
                let capture = action.strip_prefix(".Matches.").unwrap_or_default();
                let known = captures.iter().any(|known| known == capture);
                known
                    .then_some(capture)
                    .ok_or_else(|| format!("{{{{{action}}}}} in a name"))?
            }
        };
        out += &format!("{before}{{{{ {placeholder} }}}}");
        rest = after;
    }
    out += rest;
    match out.is_empty() {
        true => Err("an empty name".to_owned()),
        false => Ok(out),
    }
}

/// Returns the names of the groups in a regular expression.
fn capture_names(expression: &str) -> Vec<String> {
    let starts = expression
        .split("(?P<")
        .skip(1)
        .chain(expression.split("(?<").skip(1));
    let names = starts.filter_map(|behind| behind.split_once('>').map(|(name, _)| name.to_owned()));
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_templates_are_placeholders() {
        let captures = capture_names("--name=(?P<Name>.*) (?<Port>\\d+)");
        assert_eq!(captures, ["Name", "Port"]);
        for (template, expected) in [
            ("{{.Comm}}", "{{ comm }}"),
            (
                "{{.ExeBase}}:{{ .Matches.Name }}",
                "{{ program }}:{{ Name }}",
            ),
            (
                "{{- .ExeFull -}} {{.Username}}",
                "{{ program_path }} {{ user }}",
            ),
            ("plain", "plain"),
        ] {
            assert_eq!(
                name(template, &captures).as_deref(),
                Ok(expected),
                "{template}"
            );
        }
        for template in [
            "",
            "{{.PID}}",
            "{{.Matches.Other}}",
            "{{.Comm",
            "{{.Comm | lower}}",
        ] {
            assert!(name(template, &captures).is_err(), "{template}");
        }
    }
}
