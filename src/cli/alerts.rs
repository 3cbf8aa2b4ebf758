//! `bellwether alerts`: the active alerts, or the alert history.

pub(super) mod screen;

use anyhow::Context;
use bellwether_alert_history::AlertHistory;
use bellwether_core::UnixMillis;
use bellwether_matcher::LabelMatcher;
use bellwether_promql::parse_selector;
use bellwether_runtime::Clock;
use bellwether_server::{alert_history_data, alert_history_query};
use clap::Args;
use serde_json::{Value, json};

use super::asking::{Form, data};
use super::client::Target;
use super::when::When;
use super::{Global, history_directory, output};

#[derive(Args)]
pub(super) struct Options {
    /// List the pending and firing alerts; the default without --history.
    #[arg(long, conflicts_with = "history")]
    active: bool,
    /// Show the alert history: each transition and each outcome of a notification. If no Bellwether
    /// answers, it is read from the directory of the configuration.
    #[arg(long)]
    history: bool,
    /// Show only alerts of this rule; repeatable.
    #[arg(long, value_name = "NAME")]
    rule: Vec<String>,
    /// Show only the alert with this fingerprint; repeatable.
    #[arg(long, value_name = "HEX")]
    fingerprint: Vec<String>,
    /// Show only alerts that this selector matches: {severity="critical", mount_point=~"/data.*"};
    /// repeatable.
    #[arg(long = "match", value_name = "SELECTOR")]
    matchers: Vec<String>,
    /// Show only alerts in this state: pending or firing; with --history also resolved and
    /// inactive; repeatable.
    #[arg(long)]
    state: Vec<String>,
    #[command(flatten)]
    past: HistoryOptions,
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    target: Target,
}

/// Flags that need `--history`.
#[derive(Args)]
struct HistoryOptions {
    /// Start of the time range: now, -1h, 2026-11-21T10:00:00Z or Unix seconds. Default: the oldest
    /// record.
    #[arg(
        long,
        alias = "start",
        allow_hyphen_values = true,
        requires = "history"
    )]
    from: Option<When>,
    /// End of the time range, written like --from. Default: now.
    #[arg(long, alias = "end", allow_hyphen_values = true, requires = "history")]
    to: Option<When>,
    /// Show only records of this kind: transition or notification.
    #[arg(long, requires = "history")]
    kind: Option<String>,
    /// Show only this event: pending, firing, level, resolved, cleared, queued, muted, delivered,
    /// failed, rejected or dropped; repeatable.
    #[arg(long, requires = "history")]
    event: Vec<String>,
    /// Show only notifications to this channel; repeatable.
    #[arg(long, requires = "history")]
    channel: Vec<String>,
    /// Show only notifications to this receiver; repeatable.
    #[arg(long, requires = "history")]
    receiver: Vec<String>,
    /// Sort by time with the oldest record first. Default: the newest first.
    #[arg(long, requires = "history")]
    oldest: bool,
    /// Maximum number of records.
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Cursor of the previous answer, to show the next records.
    #[arg(long, requires = "history")]
    cursor: Option<String>,
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    let data = if options.history {
        past(global, options)?
    } else {
        active(global, options)?
    };
    if options.form.is_json() {
        println!("{data:#}");
    } else if options.history {
        let oldest = options.past.oldest;
        print!("{}", screen::story(&data, oldest));
        print!("{}", screen::next_page(&data, oldest));
    } else {
        let columns = output::columns().map(usize::from);
        print!(
            "{}",
            screen::active(&data, Clock::start().now().wall, columns)
        );
    }
    Ok(())
}

/// Returns the pending and firing alerts that the flags select.
fn active(global: &Global, options: &Options) -> anyhow::Result<Value> {
    let path = "/api/v1/alerts";
    let data = data(path, &options.target.get(global, path)?)?;
    let mut matchers: Vec<Vec<LabelMatcher>> = Vec::new();
    for text in &options.matchers {
        matchers.extend(parse_selector(text).map_err(|error| anyhow::anyhow!("--match: {error}"))?);
    }
    let alerts: Vec<&Value> = data["alerts"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|alert| options.accept(alert))
        .filter(|alert| matchers.is_empty() || matchers.iter().any(|all| all_match(all, alert)))
        .collect();
    Ok(json!({ "alerts": alerts }))
}

/// Returns whether a flag allows a value; one that is not given allows all.
fn allows(wanted: &[String], value: &Value) -> bool {
    wanted.is_empty() || wanted.iter().any(|wanted| value == wanted.as_str())
}

fn all_match(matchers: &[LabelMatcher], alert: &Value) -> bool {
    matchers.iter().all(|matcher| {
        let name = match &*matcher.name {
            bellwether_core::METRIC_NAME => "alertname",
            name => name,
        };
        let value = alert["labels"][name].as_str();
        matcher.test.matches(value.unwrap_or_default())
    })
}

/// Returns the alert history of a running Bellwether, or of the directory if none answers.
fn past(global: &Global, options: &Options) -> anyhow::Result<Value> {
    let query = options.query();
    let path = format!("/api/v1/alerts/history?{query}");
    let unanswered = match options.target.get(global, &path) {
        Ok(answer) => return data("/api/v1/alerts/history", &answer),
        Err(error) if options.target.is_named() => return Err(error),
        Err(error) => error,
    };
    let folder = history_directory::of_alerts(global);
    let Some(folder) = folder.filter(|folder| folder.is_dir()) else {
        return Err(unanswered);
    };
    eprintln!(
        "no Bellwether answers; this is what {} holds",
        folder.display()
    );
    let query = alert_history_query(&query)?;
    let page = AlertHistory::read(&folder, &query)
        .with_context(|| format!("cannot read: {}", folder.display()))?;
    Ok(alert_history_data(&page))
}

impl Options {
    /// Returns whether the flags other than matchers select an active alert.
    fn accept(&self, alert: &Value) -> bool {
        let by_rule =
            allows(&self.rule, &alert["rule"]) || allows(&self.rule, &alert["labels"]["alertname"]);
        by_rule
            && allows(&self.fingerprint, &alert["fingerprint"])
            && allows(&self.state, &alert["state"])
    }

    /// Returns the query part of the URL.
    fn query(&self) -> String {
        let now = Clock::start().now().wall;
        let past = &self.past;
        let lists = [
            ("rule", &self.rule),
            ("fingerprint", &self.fingerprint),
            ("match[]", &self.matchers),
            ("state", &self.state),
            ("event", &past.event),
            ("channel", &past.channel),
            ("receiver", &past.receiver),
        ];
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, values) in lists {
            for value in values {
                query.append_pair(name, value);
            }
        }
        let single = [
            ("start", past.from.map(|from| seconds(from.at(now)))),
            ("end", past.to.map(|to| seconds(to.at(now)))),
            ("kind", past.kind.clone()),
            ("cursor", past.cursor.clone()),
            ("order", past.oldest.then(|| "oldest".to_owned())),
            ("limit", Some(past.limit.to_string())),
        ];
        for (name, value) in single {
            if let Some(value) = value {
                query.append_pair(name, &value);
            }
        }
        query.finish()
    }
}

/// Formats a time in Unix seconds.
fn seconds(at: UnixMillis) -> String {
    (at.0 as f64 / 1000.0).to_string()
}
