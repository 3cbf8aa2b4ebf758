//! `bellwether acknowledge`: acknowledges a firing alert, or removes an acknowledgement.

use anyhow::bail;
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::Global;
use super::asking::{data, labels, list, text};
use super::client::Target;
use super::form::ListForm;
use super::hosts::Reach;
use super::silence::user;
use super::table::Table;

#[derive(Args)]
pub(super) struct Options {
    /// Fingerprint of the alert, or name of a rule with exactly one firing alert.
    alert: String,
    /// Duration of the acknowledgement, such as 2h. Default: until the alert resolves.
    #[arg(long = "for", value_name = "DURATION")]
    duration: Option<String>,
    /// Author of the acknowledgement or of its removal. Default: the current user.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Comment, such as what is being done.
    #[arg(long, default_value = "", hide_default_value = true)]
    comment: String,
    /// Remove the acknowledgement.
    #[arg(long, conflicts_with_all = ["duration", "comment"])]
    release: bool,
    #[command(flatten)]
    form: ListForm,
    #[command(flatten)]
    reach: Reach,
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    let by = options.by.clone().unwrap_or_else(user);
    let is_single = options.reach.single().is_some();
    let answers = options.reach.ask(|target| {
        match fingerprint(global, target, &options.alert)? {
            Some(alert) => change(global, target, options, &alert, &by),
            // Of many hosts, some have it.
            None if !is_single => Ok(Value::Null),
            None => bail!("{}", none(&options.alert)),
        }
    })?;
    if answers.is_on_no_host() {
        bail!("{}", none(&options.alert));
    }
    let sentence = |done: &Value| match options.release {
        true => format!("{} is not acknowledged any more\n", text(&done["id"])),
        false => format!("{} is acknowledged by {by}\n", text(&done["id"])),
    };
    answers.show(
        options.form.layout(),
        fingerprints,
        sentence,
        &none(&options.alert),
    )
}

pub(super) fn none(alert: &str) -> String {
    format!("no alert {alert:?} fires; hint: `bellwether alerts` lists those that do")
}

/// Returns a table with the fingerprint of an alert that was changed.
pub(super) fn fingerprints(data: &Value) -> Table {
    let mut table = Table::new(["FINGERPRINT"]);
    if data["id"].is_string() {
        table.push([text(&data["id"]).into()]);
    }
    table
}

/// Acknowledges an alert, or takes that back.
fn change(
    global: &Global,
    target: &Target,
    options: &Options,
    alert: &str,
    by: &str,
) -> anyhow::Result<Value> {
    let path = format!("/api/v1/alerts/{alert}/acknowledge");
    let answer = if options.release {
        let path = format!("{path}?{}", author(by));
        target.change(global, Method::DELETE, &path, None)?
    } else {
        let mut body = json!({ "by": by, "comment": options.comment });
        if let Some(duration) = &options.duration {
            body["duration"] = json!(duration);
        }
        target.change(global, Method::POST, &path, Some(&body))?
    };
    data(&path, &answer)
}

/// Returns the query that names the author of a request without a body.
pub(super) fn author(by: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("by", by).finish()
}

/// Returns the fingerprint of the firing alert, given by fingerprint or as the only one of a rule.
pub(super) fn fingerprint(
    global: &Global,
    target: &Target,
    wanted: &str,
) -> anyhow::Result<Option<String>> {
    let path = "/api/v1/alerts";
    let data = data(path, &target.get(global, path)?)?;
    let firing: Vec<&Value> = list(&data["alerts"])
        .iter()
        .filter(|alert| alert["state"] == "firing")
        .collect();
    let is_exact = |alert: &&&Value| alert["fingerprint"] == wanted;
    if let Some(exact) = firing.iter().find(is_exact) {
        return Ok(Some(text(&exact["fingerprint"])));
    }
    let of_rule: Vec<&Value> = firing
        .into_iter()
        .filter(|alert| alert["rule"] == wanted)
        .collect();
    match of_rule.as_slice() {
        [one] => Ok(Some(text(&one["fingerprint"]))),
        [] => Ok(None),
        several => {
            let each = several.iter().map(|alert| {
                format!(
                    "\n  {} {}",
                    text(&alert["fingerprint"]),
                    labels(&alert["labels"])
                )
            });
            bail!(
                "several alerts of {wanted:?} fire; give a fingerprint:{}",
                each.collect::<String>()
            )
        }
    }
}
