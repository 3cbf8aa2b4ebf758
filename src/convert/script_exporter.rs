//! script_exporter: programs that print metrics.
//!
//! Source: script_exporter (ricoberger), README; the versions 1 to 3.

use bellwether_schema::{Pos, YamlError};

use super::draft::Draft;
use super::durations;
use super::fields::Fields;
use super::secrets::{is_secret, variable};
use super::source::Source;
use super::yaml::{Map, Yaml};

const ENV: &str = "/usr/bin/env";

pub(super) fn is(source: &Source<'_>) -> bool {
    source.has_within("scripts", "script") || source.has_within("scripts", "command")
}

pub(super) fn convert(sources: &[Source<'_>], draft: &mut Draft) -> Result<(), YamlError> {
    for source in sources {
        let mut fields = Fields::of(source.yaml()?);
        for script in fields.maps("scripts") {
            convert_script(script, draft);
        }
        let server = ["tls", "basicAuth", "bearerAuth", "discovery"];
        let reason = "the server of script_exporter; see `prometheus.web_config_file`";
        fields.set_aside(&server, reason, &mut draft.general);
        fields.finish(&mut draft.general);
    }
    if draft.starts_programs {
        draft.general.remark(
            Pos::default(),
            "script_success, script_duration_seconds and script_exit_code are not there: up{collector=\"NAME\"} says whether \
             a program ran, and `format: nagios` has its exit status",
        );
    }
    Ok(())
}

fn convert_script(mut fields: Fields<'_>, draft: &mut Draft) {
    let at = fields.at;
    let title = fields.text("name").unwrap_or("script");
    let command = command(&mut fields);
    let Some(program) = command
        .first()
        .copied()
        .filter(|_| command.iter().all(|part| !part.contains('\0')))
    else {
        draft
            .general
            .lose(at, format!("script {title}: it has no command"));
        return;
    };
    let (name, mut collector) = draft.collector(title, "exec");
    let is_relative = program.contains('/') && !program.starts_with('/');
    if is_relative {
        collector.put("enabled", Yaml::word(false));
        collector.complete(
            at,
            format!("{program}: write the directory in which script_exporter ran as working_directory, and remove `enabled: false`"),
        );
    }
    let mut timeout = fields.within("timeout");
    let limit = durations::take(&mut timeout, "max_timeout");
    let reason = "a program is killed at its timeout";
    timeout.set_aside(&["enforced", "wait_delay"], reason, &mut collector);
    timeout.finish(&mut collector);
    draft.schedule(&mut collector, None, limit);
    let words = (!program.starts_with('/'))
        .then_some(ENV)
        .into_iter()
        .chain(command);
    collector.put("command", Yaml::texts(words));
    output(&mut fields, &mut collector);
    let mut environment = Map::default();
    for (key, value, at) in fields.pairs("env") {
        match key {
            "" => collector.lose(at, "env: a variable without a name"),
            key if key.contains('=') || key == "<<" || value.contains('\0') => {
                collector.lose(at, format!("env.{key}"))
            }
            key if is_secret(key, value) => {
                let value = variable(&mut collector, &name, key, at);
                environment.put(key, value);
            }
            key => environment.put(key, Yaml::text(value)),
        }
    }
    collector.put_filled("environment", environment);
    fields.skip_if("allowEnvOverwrite", &["false"]);
    fields.skip_if("allow_env_overwrite", &["false"]);
    fields.lose(
        "cacheDuration",
        "set an interval in place of it",
        &mut collector,
    );
    fields.lose("cache", "set an interval in place of it", &mut collector);
    fields.lose(
        "discovery",
        "parameters of a request do not exist: write them as arguments",
        &mut collector,
    );
    fields.finish(&mut collector);
    draft.starts_programs = true;
    draft.push(collector);
    draft.converted += 1;
}

/// Takes the program with its arguments: a list, or one text with blanks in earlier versions.
fn command<'n>(fields: &mut Fields<'n>) -> Vec<&'n str> {
    let mut words: Vec<&str> = match fields.text("script") {
        Some(script) => script.split_whitespace().collect(),
        None => fields
            .texts("command")
            .into_iter()
            .map(|(word, _)| word)
            .collect(),
    };
    words.extend(fields.texts("args").into_iter().map(|(word, _)| word));
    words
}

fn output(fields: &mut Fields<'_>, collector: &mut Map) {
    let mut output = fields.within("output");
    match output.text("format") {
        Some("nagios") => collector.put("format", Yaml::text("nagios")),
        _ if output.flag("ignore") == Some(true) => {
            // Nothing but the exit status counts, which is what a plugin of Nagios has.
            collector.put("format", Yaml::text("nagios"));
            collector.remark(
                fields.at,
                "only the exit status counts: it is nagios_plugin_state",
            );
        }
        _ => {}
    }
    output.set_aside(
        &[
            "ignore",
            "ignore_on_error",
            "ignore_on_fail",
            "ignoreOnFail",
        ],
        "a program that fails brings nothing, as its status is no output",
        collector,
    );
    output.finish(collector);
}
