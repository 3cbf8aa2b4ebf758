//! Changes of one firing alert, on one host or on those of many that have it.

use anyhow::bail;
use serde_json::Value;

use super::Global;
use super::asking::{data, labels, list, text};
use super::client::Target;
use super::hosts::{Answers, Reach};
use super::table::Table;

/// Calls `change` with the fingerprint of the firing alert, given by fingerprint or as the only one of a rule.
///
/// # Errors
/// It fires nowhere, several alerts of the rule fire, or the only host failed.
pub(super) fn on_firing(
    global: &Global,
    reach: &Reach,
    alert: &str,
    change: impl Fn(&Target, &str) -> anyhow::Result<Value> + Sync,
) -> anyhow::Result<Answers<Value>> {
    let is_single = reach.single().is_some();
    let answers = reach.ask(|target| match fingerprint(global, target, alert)? {
        Some(fingerprint) => change(target, &fingerprint),
        // Of many hosts, some have it.
        None if !is_single => Ok(Value::Null),
        None => bail!("{}", none(alert)),
    })?;
    if answers.is_on_no_host() {
        bail!("{}", none(alert));
    }
    Ok(answers)
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

/// Returns the fingerprint of the firing alert, given by fingerprint or as the only one of a rule.
fn fingerprint(global: &Global, target: &Target, wanted: &str) -> anyhow::Result<Option<String>> {
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
