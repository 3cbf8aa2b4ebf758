//! Inputs that start programs, and those about processes and units.

use super::super::durations;
use super::super::secrets::{is_secret, variable};
use super::super::yaml::{Map, Yaml};
use super::text::{expanded, words};
use super::{Inputs, Instance};

/// Bytes of the name of a process that the kernel keeps.
const COMM_LENGTH: usize = 15;

pub(super) fn exec(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    let format = match instance.fields.text("data_format").unwrap_or("influx") {
        "prometheus" => "prometheus",
        "nagios" => "nagios",
        other => {
            let formats = "prometheus, json, csv, xml, key_value and nagios";
            return instance.lose(&unread(other, "exec", formats));
        }
    };
    let mut commands = instance.fields.texts("commands");
    commands.extend(instance.fields.text_at("command"));
    let timeout = durations::take(&mut instance.fields, "timeout");
    let environment = instance.fields.texts("environment");
    let suffix = instance.fields.text_at("name_suffix");
    if let Some((_, at)) = suffix {
        let text = "name_suffix: names are those that the program prints";
        instance.notes.remark(at, text);
    }
    let suffix = suffix.map_or("", |(suffix, _)| suffix);
    let mut is_any = false;
    for (command, at) in commands {
        let Some(command) =
            words(command).filter(|words| !words.is_empty() && !command.contains('\0'))
        else {
            instance
                .notes
                .lose(at, "a command that is not one of a shell");
            continue;
        };
        let file = command[0].rsplit('/').next().unwrap_or_default().to_owned();
        let (name, mut collector) =
            inputs.collector(instance, &format!("{file}{suffix}"), "exec", timeout);
        let program = (!command[0].starts_with('/')).then_some("/usr/bin/env");
        let command = program
            .into_iter()
            .chain(command.iter().map(String::as_str));
        collector.put("command", Yaml::List(command.map(expanded).collect()));
        if format != "prometheus" {
            collector.put("format", Yaml::text(format));
        }
        let mut variables = Map::default();
        for (assignment, at) in &environment {
            match assignment.split_once('=') {
                Some((key, value)) if is_secret(key, value) => {
                    let value = variable(&mut collector, &name, key, *at);
                    variables.put(key, value);
                }
                Some((key, value)) if !key.is_empty() && key != "<<" && !value.contains('\0') => {
                    variables.put(key, expanded(value));
                }
                _ => collector.lose(*at, "environment: a text that is not NAME=VALUE"),
            }
        }
        collector.put_filled("environment", variables);
        inputs.draft.push(collector);
        inputs.draft.starts_programs = true;
        is_any = true;
    }
    if !is_any {
        instance.lose("it has no commands");
    }
}

/// Returns what to do about a `data_format` that is not converted for collectors of a type, which has `formats`.
pub(super) fn unread(format: &str, collector: &str, formats: &str) -> String {
    let advice = match format {
        "json" | "json_v2" | "csv" | "xml" => format!(
            "write a collector of type {collector}, whose `metrics` say what is taken of a document"
        ),
        "influx" => format!(
            "a collector of type {collector} reads {formats}: keep Telegraf for it, with its output influxdb_v2 to a \
             collector of type influx, or have the lines pushed to that collector, at /api/v2/write"
        ),
        _ => format!(
            "a collector of type {collector} reads {formats}: have one of them written in its place, or keep \
             Telegraf for it, with its output influxdb_v2 to a collector of type influx"
        ),
    };
    format!("data_format {format}: {advice}")
}

pub(super) fn procstat(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    let fields = &mut instance.fields;
    let mut group = Map::default();
    let mut title = None;
    if let Some(exe) = fields.text("exe") {
        title = Some(exe);
        group.put(
            "comm",
            Yaml::text(&globset::escape(
                &exe[..exe.floor_char_boundary(COMM_LENGTH)],
            )),
        );
    }
    if let Some(pattern) = fields
        .text("pattern")
        .filter(|pattern| bellwether_matcher::Pattern::new(pattern).is_ok())
    {
        title = title.or(Some(pattern));
        group.put("cmdline", Yaml::raws([pattern]));
    }
    for (key, ours) in [
        ("user", "user"),
        ("systemd_unit", "unit"),
        ("cgroup", "cgroup"),
    ] {
        if let Some(value) = fields
            .text(key)
            .filter(|glob| globset::Glob::new(glob).is_ok())
        {
            title = title.or(Some(value));
            group.put(ours, Yaml::text(value));
        }
    }
    fields.set_aside(
        &[
            "pid_finder",
            "pid_tag",
            "cmdline_tag",
            "tag_with",
            "mode",
            "process_name",
            "properties",
        ],
        "a group sums up its processes, and the figures are the same ones always",
        &mut instance.notes,
    );
    let Some(title) = title else {
        return instance.lose("processes are found by exe, pattern, user, systemd_unit or cgroup");
    };
    let title = title.replace("{{", "");
    let mut named = Map::of([(
        "name",
        if title.is_empty() {
            "processes"
        } else {
            &title
        },
    )]);
    named.fields.append(&mut group.fields);
    inputs.groups.push(named);
}

/// Returns a glob of units that have a type only: `a*` is `a*.timer`.
fn of_type(glob: &str, kind: &str) -> String {
    let glob = glob.strip_suffix(".*").unwrap_or(glob);
    let suffix = format!(".{kind}");
    match glob.ends_with(&suffix) {
        true => glob.to_owned(),
        false => format!("{glob}{suffix}"),
    }
}

pub(super) fn systemd(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    let kind = instance.fields.text("unittype").unwrap_or("service");
    let pattern = instance.fields.text("pattern").unwrap_or_default();
    let keys = ["timeout", "details", "subcommand"];
    let reason = "all figures of loaded units are there";
    instance
        .fields
        .set_aside(&keys, reason, &mut instance.notes);
    instance
        .fields
        .skip_if("collect_disabled_units", &["false"]);
    let globs: Vec<String> = match pattern.split_whitespace().collect::<Vec<_>>().as_slice() {
        [] => vec![format!("*.{kind}")],
        patterns => patterns.iter().map(|glob| of_type(glob, kind)).collect(),
    };
    if globs.iter().any(|glob| globset::Glob::new(glob).is_err()) {
        return instance.lose("its pattern");
    }
    let (_, mut collector) = inputs.collector(instance, "units", "systemd", None);
    collector.put("include", Yaml::texts(globs.iter().map(String::as_str)));
    inputs.draft.push(collector);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_units_have_their_type() {
        for (glob, kind, expected) in [
            ("a*", "timer", "a*.timer"),
            ("a.timer", "timer", "a.timer"),
            ("nginx", "service", "nginx.service"),
            ("nginx.*", "service", "nginx.service"),
        ] {
            assert_eq!(of_type(glob, kind), expected, "{glob}");
        }
    }
}
