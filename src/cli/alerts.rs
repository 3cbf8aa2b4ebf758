//! `bellwether alerts`: the active alerts, or the alert history.

pub(super) mod screen;
mod watch;

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, bail};
use bellwether_alert_history::AlertHistory;
use bellwether_core::UnixMillis;
use bellwether_matcher::LabelMatcher;
use bellwether_runtime::Clock;
use bellwether_server::{alert_history_data, alert_history_query};
use clap::Args;
use serde_json::{Value, json};

use super::asking::{data, printable};
use super::client::{Failure, Target};
use super::form::{Layout, ListForm, format_table};
use super::hosts::{Answers, Reach, brief};
use super::output::Style;
use super::range::{Range, duration};
use super::{Global, history_directory, selector};

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
    /// Show only alerts in this state; resolved and inactive are those of --history; repeatable.
    #[arg(long, value_parser = ["pending", "firing", "resolved", "inactive"])]
    state: Vec<String>,
    /// Show the active alerts again at each interval, until Ctrl-C. Default interval: 2s.
    #[arg(
        long,
        value_name = "INTERVAL",
        num_args = 0..=1,
        default_missing_value = "2s",
        value_parser = duration,
        conflicts_with = "history"
    )]
    watch: Option<Duration>,
    #[command(flatten)]
    form: ListForm,
    #[command(flatten)]
    past: HistoryOptions,
    #[command(flatten)]
    reach: Reach,
}

/// Flags that need `--history`.
#[derive(Args)]
#[command(next_help_heading = "With --history")]
struct HistoryOptions {
    #[command(flatten)]
    range: Range,
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
    if options.past.range.is_given() && !options.history {
        bail!("--from, --to and --window need --history");
    }
    let layout = options.form.layout();
    if options.history {
        let answers = options.reach.ask(|target| past(global, target, options))?;
        return show_history(answers, layout, options.past.oldest);
    }
    let clock = Clock::start();
    let ask = || options.reach.ask(|target| active(global, target, options));
    if let Some(interval) = options.watch {
        let mut last = HashMap::new();
        let look = || look(ask(), &mut last, &options.form, &clock);
        return watch::run(interval, &clock, look);
    }
    let now = clock.now().wall;
    ask()?.show(
        layout,
        |data| screen::active(data, now),
        |data| format_table(layout, &screen::active(data, now), screen::NONE),
        screen::NONE,
    )
}

/// Returns what `--watch` shows of an answer.
fn look<'a>(
    answers: anyhow::Result<Answers<Value>>,
    last: &mut HashMap<String, Value>,
    form: &'a ListForm,
    clock: &Clock,
) -> watch::Look<'a> {
    let now = clock.now().wall;
    match answers {
        Err(error) => watch::Look {
            text: None,
            note: Some(brief_with_address(&error)),
            has_failed: true,
        },
        Ok(mut answers) => {
            let (note, has_failed) = (answers.summary(), answers.has_failed());
            if !answers.has_answered() {
                return watch::Look {
                    text: None,
                    note,
                    has_failed,
                };
            }
            answers.keep_last(last);
            let table = move |data: &Value| screen::active(data, now);
            let text = move || answers.format(form.layout(), table, screen::NONE);
            watch::Look {
                text: Some(Box::new(text)),
                note,
                has_failed,
            }
        }
    }
}

/// Formats an error in one line, with the address that did not answer.
fn brief_with_address(error: &anyhow::Error) -> String {
    match error.downcast_ref::<Failure>() {
        Some(failure) => printable(failure.problem()),
        None => brief(error),
    }
}

/// Prints the alert history, of many hosts one after the other.
fn show_history(answers: Answers<Value>, layout: Layout, oldest: bool) -> anyhow::Result<()> {
    let table = |data: &Value| screen::history(data, oldest);
    let Layout::Text(screen) = layout else {
        return answers.show(layout, table, |_| String::new(), "");
    };
    let text =
        |data: &Value| screen::story(data, oldest, screen) + &screen::next_page(data, oldest);
    match &answers {
        Answers::One(data) => print!("{}", text(data)),
        Answers::Many(all) => {
            for answer in all {
                if let Ok(data) = &answer.answer {
                    let host = screen.paint(Style::Heading, &answer.host);
                    println!("{host}\n{}", text(data));
                }
            }
        }
    }
    answers.summarize()
}

/// Returns the pending and firing alerts that the flags select.
fn active(global: &Global, target: &Target, options: &Options) -> anyhow::Result<Value> {
    let path = "/api/v1/alerts";
    let data = data(path, &target.get(global, path)?)?;
    let matchers = selector::parse_all("--match", &options.matchers)?;
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
fn past(global: &Global, target: &Target, options: &Options) -> anyhow::Result<Value> {
    let query = options.query()?;
    let path = format!("/api/v1/alerts/history?{query}");
    let unanswered = match target.get(global, &path) {
        Ok(answer) => return data("/api/v1/alerts/history", &answer),
        Err(error) if target.is_named() => return Err(error),
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
    fn query(&self) -> anyhow::Result<String> {
        let now = Clock::start().now().wall;
        let past = &self.past;
        let matchers: Vec<String> = self
            .matchers
            .iter()
            .map(|text| selector::to_promql("--match", text))
            .collect::<anyhow::Result<_>>()?;
        let lists = [
            ("rule", &self.rule),
            ("fingerprint", &self.fingerprint),
            ("match[]", &matchers),
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
            ("start", past.range.start(now).map(seconds)),
            ("end", past.range.end(now).map(seconds)),
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
        Ok(query.finish())
    }
}

/// Formats a time in Unix seconds.
fn seconds(at: UnixMillis) -> String {
    (at.0 as f64 / 1000.0).to_string()
}
