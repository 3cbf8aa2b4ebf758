//! `bellwether alerts`: what alerts there are now, or what became of them and who was told.

pub(super) mod screen;

use anyhow::Context;
use bellwether_alert_history::AlertHistory;
use bellwether_matcher::LabelMatcher;
use bellwether_promql::parse_selector;
use bellwether_runtime::Clock;
use bellwether_server::{alert_history_data, alert_history_query};
use clap::Args;
use serde_json::{Value, json};

use super::asking::{Form, data};
use super::client::Target;
use super::when::When;
use super::{Global, output, process_environment};
use crate::config;

#[derive(Args)]
pub(super) struct Options {
    /// Those that are pending or firing now; what is shown without --history.
    #[arg(long, conflicts_with = "history")]
    active: bool,
    /// What became of alerts, and of each notification about them. Where no Bellwether answers, it
    /// is read from the folder of the declaration.
    #[arg(long)]
    history: bool,
    /// Only alerts of this rule; may be given several times.
    #[arg(long, value_name = "NAME")]
    rule: Vec<String>,
    /// Only the alert with this fingerprint.
    #[arg(long, value_name = "HEX")]
    fingerprint: Vec<String>,
    /// Only alerts that a selector accepts: {severity="critical", mount_point=~"/data.*"}.
    #[arg(long = "match", value_name = "SELECTOR")]
    matchers: Vec<String>,
    /// Only this state: pending, firing; in the history also resolved and inactive.
    #[arg(long)]
    state: Vec<String>,
    #[command(flatten)]
    past: Past,
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    target: Target,
}

/// What only the history knows.
#[derive(Args)]
struct Past {
    /// From: now, -1h, 2026-11-21T10:00:00Z or Unix seconds.
    #[arg(
        long,
        alias = "start",
        allow_hyphen_values = true,
        requires = "history"
    )]
    from: Option<When>,
    /// To, as --from.
    #[arg(long, alias = "end", allow_hyphen_values = true, requires = "history")]
    to: Option<When>,
    /// Only transitions of alerts, or only notifications.
    #[arg(long, requires = "history")]
    kind: Option<String>,
    /// Only this event: pending, firing, level, resolved, cleared, queued, held, delivered, failed,
    /// refused, dropped.
    #[arg(long, requires = "history")]
    event: Vec<String>,
    /// Only notifications to this channel.
    #[arg(long, requires = "history")]
    channel: Vec<String>,
    /// Only notifications to this receiver.
    #[arg(long, requires = "history")]
    receiver: Vec<String>,
    /// Begin with the oldest, not with the newest.
    #[arg(long, requires = "history")]
    oldest: bool,
    /// Most records.
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Go on where the answer before ended.
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
        print!("{}", screen::story(&data, options.past.oldest));
    } else {
        let columns = output::columns().map(usize::from);
        print!(
            "{}",
            screen::active(&data, Clock::start().now().wall, columns)
        );
    }
    Ok(())
}

/// Those that are pending or firing, as far as they are wanted.
fn active(global: &Global, options: &Options) -> anyhow::Result<Value> {
    let path = "/api/v1/alerts";
    let data = data(path, &options.target.get(global, path)?)?;
    let mut matchers: Vec<Vec<LabelMatcher>> = Vec::new();
    for text in &options.matchers {
        matchers.extend(parse_selector(text).map_err(|error| anyhow::anyhow!("--match: {error}"))?);
    }
    let one = |wanted: &[String], found: &Value| {
        wanted.is_empty() || wanted.iter().any(|wanted| found == wanted.as_str())
    };
    let accepted = |alert: &Value| {
        let label = |name: &str| {
            let name = if name == bellwether_core::METRIC_NAME {
                "alertname"
            } else {
                name
            };
            alert["labels"][name].as_str().unwrap_or_default()
        };
        let all = |all: &Vec<LabelMatcher>| {
            all.iter()
                .all(|matcher| matcher.test.accepts(label(&matcher.name)))
        };
        (one(&options.rule, &alert["rule"]) || one(&options.rule, &alert["labels"]["alertname"]))
            && one(&options.fingerprint, &alert["fingerprint"])
            && one(&options.state, &alert["state"])
            && (matchers.is_empty() || matchers.iter().any(all))
    };
    let alerts = data["alerts"].as_array().into_iter().flatten();
    Ok(json!({ "alerts": alerts.filter(|alert| accepted(alert)).collect::<Vec<_>>() }))
}

/// What became of alerts: of a running Bellwether, or of the folder where none answers.
fn past(global: &Global, options: &Options) -> anyhow::Result<Value> {
    let query = options.query();
    let path = format!("/api/v1/alerts/history?{query}");
    let unanswered = match options.target.get(global, &path) {
        Ok(answer) => return data("/api/v1/alerts/history", &answer),
        Err(error) if options.target.is_named() => return Err(error),
        Err(error) => error,
    };
    let folder = config::alert_history_folder(&global.plan()?.root, &process_environment);
    let Some(folder) = folder.filter(|folder| folder.is_dir()) else {
        return Err(unanswered);
    };
    eprintln!(
        "no Bellwether answers; this is what {} holds",
        folder.display()
    );
    let query = alert_history_query(&query).map_err(anyhow::Error::msg)?;
    let page = AlertHistory::read(&folder, &query)
        .with_context(|| format!("cannot read: {}", folder.display()))?;
    Ok(alert_history_data(&page))
}

impl Options {
    /// The query part of the URL.
    fn query(&self) -> String {
        let now = Clock::start().now().wall;
        let seconds = |when: When| (when.at(now).0 as f64 / 1000.0).to_string();
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
            ("start", past.from.map(seconds)),
            ("end", past.to.map(seconds)),
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
