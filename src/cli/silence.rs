//! `bellwether silence`: adds, lists and expires silences.

use anyhow::bail;
use bellwether_runtime::Clock;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::Global;
use super::acknowledge::author;
use super::asking::{data, list, printable, text, time};
use super::form::{Layout, ListForm, format_table};
use super::hosts::Reach;
use super::output::{Screen, Style};
use super::table::{Cell, Table};
use super::when::When;

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
        form: ListForm,
        #[command(flatten)]
        reach: Reach,
    },
    /// Expire a silence now.
    Expire {
        /// Id of the silence, or its beginning, as `list` shows it.
        id: String,
        #[command(flatten)]
        form: ListForm,
        #[command(flatten)]
        reach: Reach,
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
    /// End of the silence, instead of --for: 2026-12-24, 2026-12-24T18:00Z or Unix seconds.
    #[arg(
        long,
        visible_alias = "to",
        value_name = "TIME",
        conflicts_with = "duration"
    )]
    until: Option<When>,
    /// Start of the silence, written like --until. Default: now.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<When>,
    #[command(flatten)]
    recurs: Recurs,
    /// Author of the silence. Default: the current user.
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
        let now = Clock::start().now().wall;
        let instant = |when: When| {
            let at = jiff::Timestamp::from_millisecond(when.at(now).0);
            at.unwrap_or_default().to_string()
        };
        for (key, value) in [
            ("duration", self.duration.clone()),
            ("ends_at", self.until.map(instant)),
            ("starts_at", self.from.map(instant)),
            ("location", location.clone()),
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
            let body = add.body();
            let answers = add.reach.ask(|target| {
                data(
                    PATH,
                    &target.change(global, Method::POST, PATH, Some(&body))?,
                )
            })?;
            let id = |added: &Value| format!("{}\n", text(&added["id"]));
            answers.show(add.form.layout(), ids, id, "")
        }
        Command::List { all, form, reach } => {
            let answers = reach.ask(|target| data(PATH, &target.get(global, PATH)?))?;
            let layout = form.layout();
            let is_short = matches!(layout, Layout::Text(Screen { width: Some(_), .. }));
            let table = |data: &Value| silences(data, *all, is_short);
            let text = |data: &Value| format_table(layout, &table(data), NONE);
            answers.show(layout, table, text, NONE)
        }
        Command::Expire { id, form, reach } => expire(global, id, form, reach),
    }
}

fn expire(global: &Global, id: &str, form: &ListForm, reach: &Reach) -> anyhow::Result<()> {
    let is_single = reach.single().is_some();
    let answers = reach.ask(|target| {
        let all = data(PATH, &target.get(global, PATH)?)?;
        let Some(id) = whole_id(&all, id)? else {
            // Of many hosts, one has it.
            return match is_single {
                true => bail!("{}", unknown(id)),
                false => Ok(Value::Null),
            };
        };
        let path = format!("{PATH}/{id}");
        let request = format!("{path}?{}", author(&user()));
        data(
            &path,
            &target.change(global, Method::DELETE, &request, None)?,
        )
    })?;
    if answers.is_on_no_host() {
        bail!("{}", unknown(id));
    }
    let ended = |ended: &Value| format!("{} ends now\n", text(&ended["id"]));
    answers.show(form.layout(), ids, ended, "")
}

fn unknown(id: &str) -> String {
    format!("no silence {id}; hint: `bellwether silence list` shows the ids")
}

/// Returns the id of the silence that has this id, or the only one that is not expired and whose id
/// begins so.
fn whole_id(data: &Value, wanted: &str) -> anyhow::Result<Option<String>> {
    let ids = |is_wanted: &dyn Fn(&Value) -> bool| -> Vec<String> {
        let silences = list(&data["silences"]).iter();
        let wanted = silences.filter(|silence| is_wanted(silence));
        wanted
            .filter_map(|silence| Some(silence["id"].as_str()?.to_owned()))
            .collect()
    };
    if let Some(id) = ids(&|silence| silence["id"] == wanted).pop() {
        return Ok(Some(id));
    }
    let mut begin = ids(&|silence| {
        let id = silence["id"].as_str().unwrap_or_default();
        silence["state"] != "expired" && !wanted.is_empty() && id.starts_with(wanted)
    });
    match begin.len() {
        0 | 1 => Ok(begin.pop()),
        _ => bail!(
            "several silences begin with {wanted}:\n  {}",
            begin.join("\n  ")
        ),
    }
}

/// Returns the beginning of an id that is a UUID, which `expire` accepts too.
fn short_id(id: String) -> String {
    let is_uuid = id.len() == 36
        && id
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    match is_uuid {
        true => id[..8].to_owned(),
        false => id,
    }
}

/// Text of a list without silences.
const NONE: &str = "no silences";

/// Returns a table with the id of a silence that was changed.
fn ids(data: &Value) -> Table {
    let mut table = Table::new(["ID"]);
    if data["id"].is_string() {
        table.push([text(&data["id"]).into()]);
    }
    table
}

/// Returns a table of silences, without those that are expired unless `all` are wanted; with the
/// beginnings of their ids if `is_short`.
fn silences(data: &Value, all: bool, is_short: bool) -> Table {
    let heads = [
        "ID",
        "STATE",
        "STARTS (UTC)",
        "ENDS (UTC)",
        "BY",
        "MATCHERS",
        "COMMENT",
        "ONLY",
        "FROM FILE",
    ];
    let mut table = Table::new(heads)
        .dispensable(&["STARTS (UTC)", "FROM FILE"])
        .optional(&["COMMENT", "ONLY", "FROM FILE"])
        .elastic(&["MATCHERS", "COMMENT", "ONLY", "FROM FILE"]);
    let wanted = |silence: &&Value| all || silence["state"] != "expired";
    for silence in list(&data["silences"]).iter().filter(wanted) {
        let is_idle = silence["state"] == "active" && silence["inForce"] == false;
        let state = match is_idle {
            true => "waiting".to_owned(),
            false => text(&silence["state"]),
        };
        let style = match &*state {
            "active" => Some(Style::Good),
            "expired" => Some(Style::Faint),
            _ => None,
        };
        let ends = match silence["endsAt"].is_string() {
            true => time(&silence["endsAt"]),
            false => "never".to_owned(),
        };
        let id = text(&silence["id"]);
        table.push([
            if is_short { short_id(id) } else { id }.into(),
            Cell::styled(state, style),
            time(&silence["startsAt"]).into(),
            ends.into(),
            text(&silence["createdBy"]).into(),
            text(&silence["matchers"]).into(),
            text(&silence["comment"]).into(),
            recurs(silence).join(", or ").into(),
            silence["source"]
                .as_str()
                .map(printable)
                .unwrap_or_default()
                .into(),
        ]);
    }
    table
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
        let expired = json!({"id": "5a4ef85b-21b4-4738-ae2f-f87389daa040", "state": "expired", "matchers": "{}", "startsAt": "2026-11-27T00:00:00Z",
            "endsAt": "2026-11-28T00:00:00Z", "createdBy": "bob", "comment": ""});
        let data = json!({"silences": [silence, expired]});
        assert_eq!(
            silences(&data, false, false).csv(),
            "id,state,starts (utc),ends (utc),by,matchers,comment,only,from file\r\n\
             file-7,waiting,2026-11-27 00:00:00,never,ada,\"{a=\"\"b\"\"}\",nightly,\
             \"during lunch, or monday:friday, 01:00 to 05:00, Europe/Berlin\",/etc/silences.yml:3\r\n"
        );
        let shown = silences(&data, true, true).render(Screen {
            width: Some(80),
            colours: false,
        });
        assert!(
            shown.lines().all(|line| line.chars().count() <= 80),
            "{shown}"
        );
        assert!(
            shown.contains("5a4ef85b  expired  2026-11-28 00:00:00  bob"),
            "{shown}"
        );
        assert!(!shown.contains("STARTS"), "{shown}");
        assert_eq!(whole_id(&data, "file").unwrap().as_deref(), Some("file-7"));
        assert_eq!(whole_id(&data, "5a4e").unwrap(), None, "it is over");
        let whole = "5a4ef85b-21b4-4738-ae2f-f87389daa040";
        assert_eq!(whole_id(&data, whole).unwrap().as_deref(), Some(whole));
        let two = json!({"silences": [{"id": "ab1"}, {"id": "ab2"}]});
        assert!(
            whole_id(&two, "ab")
                .unwrap_err()
                .to_string()
                .ends_with(":\n  ab1\n  ab2")
        );
        assert_eq!(whole_id(&two, "").unwrap(), None);
        assert!(silences(&json!({"silences": []}), true, true).is_empty());
    }
}
