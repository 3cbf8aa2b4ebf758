//! `bellwether silence`: adds, lists and expires silences.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::Global;
use super::asking::{Asking, list, text};

#[derive(Args)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Add a silence for the alerts that all matchers match.
    Add(Box<Add>),
    /// List the pending and active silences.
    List {
        /// List expired silences as well.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        asking: Asking,
    },
    /// Expire a silence now.
    Expire {
        /// Id of the silence, as `list` shows it.
        id: String,
        #[command(flatten)]
        asking: Asking,
    },
}

#[derive(Args)]
struct Add {
    /// Matchers, all of which an alert must match: '{alertname="disk_full",
    /// mount_point=~"/data.*"}', or one argument per matcher: alertname=disk_full.
    #[arg(required = true)]
    matchers: Vec<String>,
    /// Duration of the silence, such as 2h; optional for a recurring silence.
    #[arg(long = "for", value_name = "DURATION", required_unless_present_any = ["until", "during", "weekdays", "hours"])]
    duration: Option<String>,
    /// End of the silence, instead of --for: 2026-12-24, 2026-12-24T18:00 or RFC 3339.
    #[arg(long, value_name = "TIME", conflicts_with = "duration")]
    until: Option<String>,
    /// Start of the silence, written like --until. Default: now.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    #[command(flatten)]
    recurs: Recurs,
    /// Author of the silence. Default: the current user.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Comment, such as the reason.
    #[arg(long, default_value = "")]
    comment: String,
    #[command(flatten)]
    asking: Asking,
}

/// Recurrence of a silence: during time intervals, or on weekdays and hours.
#[derive(Args)]
struct Recurs {
    /// Silence only during this time interval of the configuration; repeatable.
    #[arg(long, value_name = "NAME")]
    during: Vec<String>,
    /// Silence only on these days: monday:friday, or saturday; repeatable.
    #[arg(long, value_name = "DAYS")]
    weekdays: Vec<String>,
    /// Silence only in these hours: 01:00-05:00; repeatable. A range over midnight is written as
    /// two.
    #[arg(long, value_name = "HOURS", value_parser = hours)]
    hours: Vec<(String, String)>,
    /// Time zone of --weekdays and --hours: Europe/Berlin, or Local for that of the agent's host.
    /// Default: UTC.
    #[arg(long, value_name = "ZONE")]
    location: Option<String>,
}

fn hours(text: &str) -> Result<(String, String), String> {
    let (from, to) = text
        .split_once('-')
        .ok_or("not a range of hours; hint: 01:00-05:00")?;
    Ok((from.to_owned(), to.to_owned()))
}

impl Add {
    /// Returns the body of the API request.
    fn body(&self) -> Value {
        let Recurs {
            during,
            weekdays,
            hours,
            location,
        } = &self.recurs;
        let hours: Vec<Value> = hours
            .iter()
            .map(|(from, to)| json!({ "start_time": from, "end_time": to }))
            .collect();
        let mut body = json!({
            "matchers": self.matchers,
            "created_by": self.by.clone().unwrap_or_else(user),
            "comment": self.comment,
            "intervals": during,
        });
        if !weekdays.is_empty() || !hours.is_empty() {
            body["times"] = json!([{ "weekdays": weekdays, "times": hours }]);
        }
        for (key, value) in [
            ("duration", &self.duration),
            ("ends_at", &self.until),
            ("starts_at", &self.from),
            ("location", location),
        ] {
            if let Some(value) = value {
                body[key] = json!(value);
            }
        }
        body
    }
}

const PATH: &str = "/api/v1/silences";

/// Returns the name of the current user; under sudo that of the user who called it.
pub(super) fn user() -> String {
    let variables = ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()));
    variables.unwrap_or_else(|| {
        let id = rustix::process::getuid().as_raw();
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        name_of(id, &users).unwrap_or_else(|| format!("uid {id}"))
    })
}

/// Finds the name of a user in the lines of passwd(5).
fn name_of(id: u32, users: &str) -> Option<String> {
    let id = id.to_string();
    let mut users = users
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    let user = users.find(|fields| fields.get(2) == Some(&&*id))?;
    Some(user.first()?.to_string())
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    match &options.command {
        Command::Add(add) => {
            let added = add
                .asking
                .change(global, Method::POST, PATH, Some(&add.body()))?;
            add.asking
                .show(&added, |added| format!("{}\n", text(&added["id"])));
        }
        Command::List { all, asking } => {
            let data = asking.ask(global, PATH, &[])?;
            asking.show(&data, |data| screen(data, *all));
        }
        Command::Expire { id, asking } => {
            let ended = asking.change(global, Method::DELETE, &format!("{PATH}/{id}"), None)?;
            asking.show(&ended, |ended| format!("{} ends now\n", text(&ended["id"])));
        }
    }
    Ok(())
}

fn screen(data: &Value, all: bool) -> String {
    let silences: Vec<&Value> = list(&data["silences"])
        .iter()
        .filter(|silence| all || silence["state"] != "expired")
        .collect();
    if silences.is_empty() {
        return "no silences\n".into();
    }
    let mut out = String::new();
    for silence in silences {
        let idle = silence["state"] == "active" && silence["inForce"] == false;
        let state = if idle {
            "waiting".into()
        } else {
            text(&silence["state"])
        };
        out += &format!(
            "{}  {state}  {}\n  {} to {}  by {}  {}\n",
            text(&silence["id"]),
            text(&silence["matchers"]),
            text(&silence["startsAt"]),
            silence["endsAt"].as_str().unwrap_or("open end"),
            text(&silence["createdBy"]),
            text(&silence["comment"]),
        );
        let recurs = recurs(silence);
        if !recurs.is_empty() {
            out += &format!("  only {}\n", recurs.join(", or "));
        }
        if let Some(source) = silence["source"].as_str() {
            out += &format!("  from {source}\n");
        }
    }
    out
}

/// Formats the recurrence of a silence; empty if it does not recur.
fn recurs(silence: &Value) -> Vec<String> {
    let named = list(&silence["intervals"])
        .iter()
        .map(|name| format!("during {}", text(name)));
    let own = list(&silence["times"]).iter().map(|time| {
        let days = ["weekdays", "days_of_month", "months", "years"]
            .map(|part| joined(list(&time[part]), text));
        let hours = joined(list(&time["times"]), |range| {
            format!(
                "{} to {}",
                text(&range["start_time"]),
                text(&range["end_time"])
            )
        });
        let location = [&time["location"], &silence["location"]]
            .into_iter()
            .find(|zone| zone.is_string())
            .map(text);
        days.into_iter()
            .chain([hours])
            .filter(|part| !part.is_empty())
            .chain(location)
            .collect::<Vec<_>>()
            .join(", ")
    });
    named.chain(own).collect()
}

fn joined(list: &[Value], format: fn(&Value) -> String) -> String {
    list.iter().map(format).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_without_variables_has_the_name_of_its_id() {
        let users = "root:x:0:0:root:/root:/bin/sh\neva:x:1000:1000::/home/eva:/bin/sh\n";
        assert_eq!(name_of(1000, users).as_deref(), Some("eva"));
        assert_eq!(name_of(7, users), None);
    }

    #[test]
    fn a_silence_is_shown_with_when_it_recurs_and_where_it_stands() {
        let silence = json!({"id": "file-7", "state": "active", "inForce": false, "matchers": "{a=\"b\"}",
            "startsAt": "2026-11-27T00:00:00Z", "endsAt": null, "createdBy": "ada", "comment": "nightly",
            "source": "/etc/silences.yml:3", "intervals": ["lunch"], "location": "Europe/Berlin",
            "times": [{"weekdays": ["monday:friday"], "location": null,
                       "times": [{"start_time": "01:00", "end_time": "05:00"}]}]});
        assert_eq!(
            screen(&json!({"silences": [silence]}), false),
            "file-7  waiting  {a=\"b\"}\n  2026-11-27T00:00:00Z to open end  by ada  nightly\n  \
             only during lunch, or monday:friday, 01:00 to 05:00, Europe/Berlin\n  \
             from /etc/silences.yml:3\n"
        );
    }
}
