//! `bellwether dead-letters`: lists, resends and discards dead letters.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use super::Global;
use super::alerts::screen::name;
use super::asking::{Asking, data, labels, list, text, time};
use super::client::Target;
use super::form::{Layout, ListForm, format_data};
use super::table::Table;

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    /// List only dead letters of this channel; repeatable.
    #[arg(long, value_name = "NAME")]
    channel: Vec<String>,
    #[command(flatten)]
    form: ListForm,
    #[command(flatten)]
    target: Target,
}

#[derive(Subcommand)]
enum Command {
    /// Resend dead letters; skips those that a newer notification has superseded.
    Resend(Chosen),
    /// Discard dead letters; the alert history keeps their records.
    Discard(Chosen),
}

/// Selection of dead letters.
#[derive(Args)]
struct Chosen {
    /// Ids of dead letters, as the list shows them.
    #[arg(required_unless_present_any = ["all", "channel"], conflicts_with_all = ["all", "channel"])]
    id: Vec<String>,
    /// Select the dead letters of all channels.
    #[arg(long, conflicts_with = "channel")]
    all: bool,
    /// Select the dead letters of this channel; repeatable.
    #[arg(long, value_name = "NAME")]
    channel: Vec<String>,
    #[command(flatten)]
    asking: Asking,
}

const PATH: &str = "/api/v1/dead-letters";

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    let (method, chosen) = match &options.command {
        None => {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(options.channel.iter().map(|channel| ("channel", channel)));
            let path = format!("{PATH}?{}", query.finish());
            let data = data(&path, &options.target.get(global, &path)?)?;
            match options.form.layout() {
                Layout::Text(_) => print!("{}", screen(&data)),
                Layout::Csv => print!("{}", table(&data).csv()),
                layout => print!("{}", format_data(layout, &data)),
            }
            return Ok(());
        }
        Some(Command::Resend(chosen)) => (Method::POST, chosen),
        Some(Command::Discard(chosen)) => (Method::DELETE, chosen),
    };
    let path = format!("{PATH}?{}", chosen.query());
    let data = chosen.asking.change(global, method, &path, None)?;
    chosen.asking.show(&data, settled);
    Ok(())
}

impl Chosen {
    fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.id.iter().map(|id| ("id", id)));
        query.extend_pairs(self.channel.iter().map(|channel| ("channel", channel)));
        if self.all {
            query.append_pair("all", "true");
        }
        query.finish()
    }
}

/// Formats dead letters, two lines each.
fn screen(data: &Value) -> String {
    let letters = list(&data["deadLetters"]);
    if letters.is_empty() {
        return "no dead letters\n".into();
    }
    letters
        .iter()
        .map(|letter| {
            let over = match letter["endsAt"].as_str() {
                Some(_) => format!(", resolved at {}", time(&letter["endsAt"])),
                None => String::new(),
            };
            format!(
                "{}  {}  since {}{over}\n  {} on {}: {}\n",
                head(letter),
                text(&letter["severity"]),
                time(&letter["startsAt"]),
                text(&letter["reason"]),
                time(&letter["at"]),
                text(&letter["error"]),
            )
        })
        .collect()
}

/// Returns a table of dead letters.
fn table(data: &Value) -> Table {
    let heads = [
        "ID", "CHANNEL", "STATUS", "ALERT", "SEVERITY", "STARTS", "ENDS", "TIME", "REASON", "ERROR",
    ];
    let mut table = Table::new(heads);
    for letter in list(&data["deadLetters"]) {
        table.push([
            text(&letter["id"]).into(),
            text(&letter["channel"]).into(),
            text(&letter["notification"]["status"]).into(),
            name(&letter["labels"], &letter["alertname"]).into(),
            text(&letter["severity"]).into(),
            text(&letter["startsAt"]).into(),
            text(&letter["endsAt"]).into(),
            text(&letter["at"]).into(),
            text(&letter["reason"]).into(),
            text(&letter["error"]).into(),
        ]);
    }
    table
}

/// Formats the result for each dead letter.
fn settled(data: &Value) -> String {
    let letters = list(&data["deadLetters"]);
    if letters.is_empty() {
        return "no dead letters\n".into();
    }
    letters
        .iter()
        .map(|letter| {
            let what = match letter["sent"].as_bool() {
                Some(true) => "is sent again".to_owned(),
                Some(false) => format!("is not sent: {}", text(&letter["skippedReason"])),
                None => "is discarded".to_owned(),
            };
            format!("{}  {what}\n", head(letter))
        })
        .collect()
}

/// Formats id, channel and alert of a dead letter.
fn head(letter: &Value) -> String {
    format!(
        "{}  {}  {} {}{}",
        text(&letter["id"]),
        text(&letter["channel"]),
        text(&letter["notification"]["status"]),
        text(&letter["alertname"]),
        labels(&letter["labels"]),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn letters_say_what_was_not_reported_and_why() {
        let letter = json!({"id": "00ff", "channel": "pager", "at": "2026-11-27T19:41:26Z",
            "reason": "rejected", "error": "it answered 400", "severity": "critical",
            "notification": {"status": "firing"}, "alertname": "backlog",
            "labels": {"queue_name": "orders"}, "startsAt": "2026-11-27T19:39:25Z",
            "endsAt": "2026-11-27T20:00:00Z"});
        assert_eq!(
            screen(&json!({"deadLetters": [letter]})),
            "00ff  pager  firing backlog{queue_name=\"orders\"}  critical  since 2026-11-27 19:39:25, \
             resolved at 2026-11-27 20:00:00\n  rejected on 2026-11-27 19:41:26: it answered 400\n"
        );
        assert_eq!(screen(&json!({"deadLetters": []})), "no dead letters\n");
        let mut active = letter.clone();
        active["endsAt"] = Value::Null;
        assert_eq!(
            table(&json!({"deadLetters": [active]})).csv(),
            "id,channel,status,alert,severity,starts,ends,time,reason,error\r\n\
             00ff,pager,firing,\"backlog{queue_name=\"\"orders\"\"}\",critical,2026-11-27T19:39:25Z,,\
             2026-11-27T19:41:26Z,rejected,it answered 400\r\n"
        );
        let with = |sent: Value| {
            let mut letter = letter.clone();
            (letter["sent"], letter["skippedReason"]) = (sent, json!("it knows"));
            settled(&json!({"deadLetters": [letter]}))
        };
        let head = "00ff  pager  firing backlog{queue_name=\"orders\"}  ";
        assert_eq!(with(json!(true)), format!("{head}is sent again\n"));
        assert_eq!(with(json!(false)), format!("{head}is not sent: it knows\n"));
        assert_eq!(with(Value::Null), format!("{head}is discarded\n"));
    }
}
