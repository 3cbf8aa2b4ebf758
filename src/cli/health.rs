//! `bellwether health`: for container and service checks.

use anyhow::bail;
use clap::Args;
use serde_json::{Value, json};

use super::Global;
use super::asking::text;
use super::client::Target;
use super::form::ListForm;
use super::hosts::{Answers, HostAnswer, Reach, brief};
use super::output::Style;
use super::table::{Cell, Table};

const SUMMARY: &str = "/api/v1/summary";

#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    form: ListForm,
    #[command(flatten)]
    reach: Reach,
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    let answers = options.reach.ask(|target| ask(global, target))?;
    let layout = options.form.layout();
    match &answers {
        Answers::Many(all) if layout.is_table() => {
            print!("{}", super::form::format_table(layout, &many(all), ""));
            answers.summarize()
        }
        _ => answers.show(layout, table, |data| format!("{}\n", sentence(data)), ""),
    }
}

/// Asks whether a Bellwether is healthy and ready; the state of what it monitors is no error.
fn ask(global: &Global, target: &Target) -> anyhow::Result<Value> {
    for path in ["/-/healthy", "/-/ready"] {
        let answer = target.get(global, path)?;
        match answer.status {
            200 => {}
            503 => bail!("{path}: {}: {}", answer.status, answer.body.trim()),
            _ => return Err(answer.foreign(path)),
        }
    }
    // A password may be missing, which the paths above do not need.
    let summary = target.get(global, SUMMARY).ok();
    // Other services have these paths too.
    if let Some(answer) = summary.as_ref().filter(|answer| answer.is_foreign()) {
        return Err(answer.foreign(SUMMARY));
    }
    // The state of what it runs is no reason to restart it, so the exit status stays 0.
    let summary = summary.and_then(|answer| serde_json::from_str::<Value>(&answer.body).ok());
    let status = summary.map(|mut summary| summary["data"]["status"].take());
    Ok(json!({ "healthy": true, "ready": true, "status": status }))
}

fn sentence(data: &Value) -> String {
    match data["status"].as_str() {
        Some(status @ "degraded") => {
            format!("healthy and ready; {status}: `bellwether status` shows what fails")
        }
        _ => "healthy and ready".to_owned(),
    }
}

fn heads() -> Table {
    Table::new(["HEALTH", "STATUS", "ERROR"])
        .optional(&["ERROR"])
        .elastic(&["ERROR"])
}

fn table(data: &Value) -> Table {
    let mut table = heads();
    if !data.is_null() {
        let style = match data["status"].as_str() {
            Some("healthy") => Some(Style::Good),
            Some(_) => Some(Style::Warning),
            None => None,
        };
        table.push([
            Cell::styled("healthy and ready", Some(Style::Good)),
            Cell::styled(text(&data["status"]), style),
            "".into(),
        ]);
    }
    table
}

/// Returns a table with a row for each host, also for those that failed.
fn many(answers: &[HostAnswer<Value>]) -> Table {
    super::hosts::merged(answers, table, |error| {
        let mut table = heads();
        table.push([
            Cell::styled("failed", Some(Style::Bad)),
            "-".into(),
            brief(error).into(),
        ]);
        table
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_does_not_answer_has_a_row() {
        let answer = |host: &str, answer| HostAnswer {
            host: host.to_owned(),
            answer,
        };
        let answers = [
            answer("a", Ok(json!({"status": "degraded"}))),
            answer("b", Err(anyhow::anyhow!("not ready"))),
        ];
        assert_eq!(
            many(&answers).render(super::super::output::Screen::default()),
            "HOST  HEALTH             STATUS    ERROR\n\
             a     healthy and ready  degraded\n\
             b     failed             -         not ready\n"
        );
    }
}
