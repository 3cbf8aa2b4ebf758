//! `bellwether resolve`: resolves a firing alert by hand.

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::Global;
use super::asking::{data, text};
use super::firing_alert::{fingerprints, none, on_firing};
use super::form::ListForm;
use super::hosts::Reach;
use super::silence::user;

#[derive(Args)]
pub(super) struct Options {
    /// Fingerprint of the alert, or name of a rule with exactly one firing alert.
    alert: String,
    /// Author. Default: the current user.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Comment, such as the reason.
    #[arg(long, default_value = "", hide_default_value = true)]
    comment: String,
    #[command(flatten)]
    form: ListForm,
    #[command(flatten)]
    reach: Reach,
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    let by = options.by.clone().unwrap_or_else(user);
    let answers = on_firing(global, &options.reach, &options.alert, |target, alert| {
        let path = format!("/api/v1/alerts/{alert}/resolve");
        let body = json!({ "by": by, "comment": options.comment });
        let answer = target.change(global, Method::POST, &path, Some(&body))?;
        data(&path, &answer)
    })?;
    let sentence = |done: &Value| {
        let alert = text(&done["id"]);
        format!("{alert} is resolved by {by}; it fires anew once its condition did not hold\n")
    };
    let layout = options.form.layout();
    answers.show(layout, fingerprints, sentence, &none(&options.alert))
}
