//! `bellwether rules`: rules of the configuration or of Prometheus rule files, in either format.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use bellwether_compat::RuleFile;
use bellwether_config::{self as config, Plan};
use bellwether_core::counted;
use bellwether_rules::{RecordingSettings, RuleSet, RuleSettings};
use bellwether_schema::{Diagnostic, Diagnostics};
use clap::{Args, ValueEnum};

use super::Global;
use super::running_agents::hint_at_its_configuration;

#[derive(Args)]
pub(super) struct Options {
    /// Prometheus rule files to read instead of the rules of the configuration.
    files: Vec<PathBuf>,
    /// Output format.
    #[arg(
        short,
        long,
        alias = "format",
        default_value = "yaml",
        value_name = "FORMAT"
    )]
    output: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// YAML of the configuration.
    #[value(alias = "bellwether")]
    Yaml,
    /// Prometheus rule file.
    Prometheus,
    /// JSON with all defaults.
    Json,
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    let plan = global.plan()?;
    let source = global.source();
    let imported = match options.files.as_slice() {
        [] => {
            hint_at_its_configuration(global);
            None
        }
        files => Some(import(files, &plan)?),
    };
    let set = imported.as_ref().unwrap_or(&plan.rules);
    if let Format::Prometheus = options.output {
        let exported = bellwether_compat::export(set, &plan.metrics, &source.to_string());
        exported
            .unsupported
            .iter()
            .for_each(|problem| eprintln!("{}", problem.render(&source)));
        print!("{}", exported.text);
        return Ok(());
    }
    let mut settings: Vec<RuleSettings> = set.settings.clone();
    let recordings: Vec<RecordingSettings> = set
        .recordings
        .iter()
        .map(|recording| recording.settings.clone())
        .collect();
    match options.output {
        Format::Json => {
            let all = serde_json::json!({"rules": settings, "recording_rules": recordings});
            println!("{all:#}");
        }
        _ => {
            for problem in settings.iter_mut().flat_map(reserved) {
                eprintln!("{}", problem.render(&source));
            }
            print!("{}", config::print_rules(&settings, &recordings)?);
        }
    }
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<RuleFile> {
    let text = config::read(path).with_context(|| path.display().to_string())?;
    Ok(RuleFile {
        path: path.to_owned(),
        text,
    })
}

/// Returns the rules of `files`, compiled for the configured metrics; prints warnings.
fn import(files: &[PathBuf], plan: &Plan) -> anyhow::Result<RuleSet> {
    let files: Vec<_> = files
        .iter()
        .map(|path| read(path))
        .collect::<anyhow::Result<_>>()?;
    let mut problems = Diagnostics::default();
    let imported = bellwether_compat::import(&files, std::iter::empty(), &mut problems);
    let declared = bellwether_rules::CompileInput {
        recordings: &imported.recordings,
        ..bellwether_rules::CompileInput::new(&imported.rules, &plan.metrics)
    };
    let mut set = bellwether_rules::compile(&declared, &mut problems);
    for warning in imported
        .warnings
        .iter()
        .chain(&std::mem::take(&mut set.warnings))
    {
        eprintln!("{}", warning.render(&""));
    }
    let problems = problems.into_sorted();
    problems
        .iter()
        .for_each(|problem| eprintln!("{}", problem.render(&"")));
    match problems.len() {
        0 => Ok(set),
        count => bail!(counted(count, "error")),
    }
}

/// Removes labels that a configuration must not set.
fn reserved(rule: &mut RuleSettings) -> Vec<Diagnostic> {
    let mut taken: Vec<_> = ["alertname", "severity"]
        .into_iter()
        .filter_map(|name| {
            rule.add_labels
                .remove(name)
                .map(|value| (name.to_owned(), value))
        })
        .collect();
    taken.retain(|(_, value)| !value.value.is_empty());
    taken
        .into_iter()
        .map(|(name, value)| Diagnostic {
            message: format!("the label {name}={:?} is dropped", value.value),
            help: Some(
                "rule names are unique in a configuration, and there are four severities".into(),
            ),
            location: value.at,
        })
        .collect()
}
