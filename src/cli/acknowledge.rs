//! `bellwether acknowledge`: acknowledges a firing alert, or removes an acknowledgement.

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::Global;
use super::asking::{data, text};
use super::client::Target;
use super::firing_alert::{fingerprints, none, on_firing};
use super::form::ListForm;
use super::hosts::Reach;
use super::silence::user;

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
    let answers = on_firing(global, &options.reach, &options.alert, |target, alert| {
        change(global, target, options, alert, &by)
    })?;
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
