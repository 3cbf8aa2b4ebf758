//! `bellwether acknowledge`: acknowledges a firing alert, or removes an acknowledgement.

use anyhow::bail;
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::Global;
use super::asking::{Asking, labels, list, text};
use super::silence::user;

#[derive(Args)]
pub(super) struct Options {
    /// Fingerprint of the alert, or name of a rule with exactly one firing alert.
    alert: String,
    /// Duration of the acknowledgement, such as 2h. Default: until the alert resolves.
    #[arg(long = "for", value_name = "DURATION")]
    duration: Option<String>,
    /// Author of the acknowledgement. Default: the current user.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Comment, such as what is being done.
    #[arg(long, default_value = "")]
    comment: String,
    /// Remove the acknowledgement.
    #[arg(long, conflicts_with_all = ["duration", "by", "comment"])]
    release: bool,
    #[command(flatten)]
    asking: Asking,
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    let alert = fingerprint(global, options)?;
    let path = format!("/api/v1/alerts/{alert}/acknowledge");
    if options.release {
        let done = options.asking.change(global, Method::DELETE, &path, None)?;
        options.asking.show(&done, |done| {
            format!("{} is not acknowledged any more\n", text(&done["id"]))
        });
        return Ok(());
    }
    let by = options.by.clone().unwrap_or_else(user);
    let mut body = json!({ "by": by, "comment": options.comment });
    if let Some(duration) = &options.duration {
        body["duration"] = json!(duration);
    }
    let done = options
        .asking
        .change(global, Method::POST, &path, Some(&body))?;
    options.asking.show(&done, |done| {
        format!("{} is acknowledged by {by}\n", text(&done["id"]))
    });
    Ok(())
}

/// Returns the fingerprint of the firing alert, given by fingerprint or as the only one of a rule.
fn fingerprint(global: &Global, options: &Options) -> anyhow::Result<String> {
    let data = options.asking.ask(global, "/api/v1/alerts", &[])?;
    let firing: Vec<&Value> = list(&data["alerts"])
        .iter()
        .filter(|alert| alert["state"] == "firing")
        .collect();
    if let Some(exact) = firing
        .iter()
        .find(|alert| alert["fingerprint"] == options.alert.as_str())
    {
        return Ok(text(&exact["fingerprint"]));
    }
    let of_rule: Vec<&&Value> = firing
        .iter()
        .filter(|alert| alert["rule"] == options.alert.as_str())
        .collect();
    match of_rule.as_slice() {
        [one] => Ok(text(&one["fingerprint"])),
        [] => bail!(
            "no alert {:?} fires; bellwether alerts lists those that do",
            options.alert
        ),
        several => {
            let each = several.iter().map(|alert| {
                format!(
                    "\n  {} {}",
                    text(&alert["fingerprint"]),
                    labels(&alert["labels"])
                )
            });
            bail!(
                "several alerts of {:?} fire; give a fingerprint:{}",
                options.alert,
                each.collect::<String>()
            )
        }
    }
}
