//! `bellwether query`: PromQL at the shell.

mod chart;
mod read;
mod table;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use bellwether_core::UnixMillis;
use bellwether_promql::{Answer, Guard, Value};
use bellwether_runtime::Clock;
use bellwether_schema::format_duration;
use bellwether_server::answer_json;
use bellwether_tsdb::history::History;
use clap::{Args, ValueEnum};
use serde_json::Value as Json;

use super::asking::{data, list, printable, printable_lines, text};
use super::client::Target;
use super::form::{FormatFlags, Layout, OutputFormat, format_data, format_table};
use super::hosts::{Answers, HostAnswer, Reach, envelope};
use super::output::Screen;
use super::range::{Range, duration};
use super::table::Table;
use super::when::When;
use super::{Global, output, similar_names};

/// Timeout of a query.
const PATIENCE: Duration = Duration::from_secs(60);
/// Number of steps of a range query without `--step`.
const STEPS: u32 = 250;

#[derive(Args)]
pub(super) struct Options {
    /// PromQL query, such as 'avg by (mount_point) (disk_usage_percent)'.
    expr: String,
    /// Time of an instant query: now, -1h, 2026-11-21T10:00:00Z or Unix seconds. Default: now.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with_all = ["from", "to", "window", "step"])]
    at: Option<When>,
    #[command(flatten)]
    range: Range,
    /// Step of a range query, such as 30s. Default: the range divided by 250.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    step: Option<Duration>,
    #[command(flatten)]
    format: FormatFlags<Form>,
    /// Read a history directory, also one in use, instead of sending the query to a server.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["url", "ca_file", "insecure", "user", "hosts", "group"])]
    history: Option<PathBuf>,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Form {
    /// One line per series, as wide as the terminal; for a range query with count, first, last, mean,
    /// minimum and maximum.
    Table,
    /// The same, and nothing is cut.
    Wide,
    /// JSON of Prometheus's API.
    Json,
    /// The same as YAML.
    Yaml,
    /// One line per value.
    Csv,
    /// Chart of a range query, by default of the last hour.
    Chart,
}

impl OutputFormat for Form {
    const JSON: Self = Self::Json;
}

/// Time or time range of a query.
#[derive(Clone, Copy)]
enum Times {
    At(UnixMillis),
    Range {
        from: UnixMillis,
        to: UnixMillis,
        step: Duration,
    },
}

/// Response of a server.
struct Response {
    /// JSON as the server wrote it, also in what this version does not know.
    text: String,
    answer: Answer,
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    let times = options.times(Clock::start().now().wall)?;
    if let Some(folder) = &options.history {
        return print_one(&local(folder, &options.expr, times)?, global, options);
    }
    let answers = options
        .reach
        .ask(|target| remote(global, target, options, times))?;
    match &answers {
        Answers::One(response) if options.form() == Form::Json => println!("{}", response.text),
        Answers::One(response) => print_one(&response.answer, global, options)?,
        Answers::Many(all) => print_many(all, options)?,
    }
    answers.summarize()
}

/// Prints the answer of one server or directory.
fn print_one(answer: &Answer, global: &Global, options: &Options) -> anyhow::Result<()> {
    print_notes("", answer);
    let is_empty = match &answer.value {
        Value::Vector(samples) => samples.is_empty(),
        Value::Matrix(series) => series.is_empty(),
        _ => false,
    };
    if is_empty && let Some(hint) = nothing_found(global, options) {
        eprintln!("hint: {hint}");
    }
    let screen = options.screen();
    let text = match options.form() {
        Form::Table | Form::Wide => table::text(&answer.value, screen),
        Form::Csv => table::csv(&answer.value, None),
        Form::Json => String::from_utf8(answer_json(answer.clone()))? + "\n",
        Form::Yaml => {
            let json: Json = serde_json::from_slice(&answer_json(answer.clone()))?;
            format_data(Layout::Yaml, &json)
        }
        Form::Chart => {
            let Value::Matrix(series) = &answer.value else {
                bail!("only a range can be drawn")
            };
            chart::chart(series, screen)
        }
    };
    print!("{text}");
    Ok(())
}

/// Prints the answers of many hosts.
fn print_many(all: &[HostAnswer<Response>], options: &Options) -> anyhow::Result<()> {
    let layout = match options.form() {
        Form::Table | Form::Wide => Layout::Text(options.screen()),
        Form::Csv => Layout::Csv,
        Form::Json => Layout::Json,
        Form::Yaml => Layout::Yaml,
        Form::Chart => bail!("the series of many hosts cannot be drawn; hint: --url"),
    };
    if !layout.is_table() {
        let json =
            |response: &Response| serde_json::from_str::<Json>(&response.text).unwrap_or_default();
        print!("{}", format_data(layout, &envelope(all, json)));
        return Ok(());
    }
    let mut merged: Option<Table> = None;
    let mut csv = String::new();
    for HostAnswer { host, answer } in all {
        let Ok(Response { answer, .. }) = answer else {
            continue;
        };
        print_notes(&format!("{host}: "), answer);
        let table = table::table(&answer.value).with_first_column("HOST", host);
        let lines = table::csv(&answer.value, Some(host));
        // The heading is that of the first.
        csv += match csv.is_empty() {
            true => &lines,
            false => lines.split_once('\n').map_or("", |(_, lines)| lines),
        };
        match &mut merged {
            Some(merged) => merged.append(table),
            None => merged = Some(table),
        }
    }
    match (layout, merged) {
        (Layout::Csv, _) => print!("{csv}"),
        (_, Some(table)) => print!("{}", format_table(layout, &table, table::NONE)),
        (_, None) => {}
    }
    Ok(())
}

fn print_notes(of: &str, answer: &Answer) {
    for (word, notes) in [("warning", &answer.warnings), ("info", &answer.infos)] {
        for note in notes {
            eprintln!("{word}: {of}{}", printable(note));
        }
    }
}

impl Options {
    fn form(&self) -> Form {
        self.format.selected()
    }

    fn screen(&self) -> Screen {
        let screen = output::screen();
        Screen {
            width: screen.width.filter(|_| self.form() != Form::Wide),
            ..screen
        }
    }

    fn times(&self, now: UnixMillis) -> anyhow::Result<Times> {
        let asked = self.range.is_given() || self.step.is_some();
        let drawn = self.form() == Form::Chart;
        if self.at.is_some() && drawn {
            bail!("one time cannot be drawn; hint: --from and --to in place of --at");
        }
        if !asked && !drawn {
            return Ok(Times::At(self.at.map_or(now, |at| at.at(now))));
        }
        let hour = Duration::from_secs(3600);
        let (from, to) = self.range.times(now, |to| to.before(hour))?;
        let Some(step) = self.step else {
            // So that the last step is the end of the range, where the newest samples are.
            let step = Duration::from_secs((to.since(from) / STEPS).as_secs().max(1));
            let steps = to.since(from).as_millis() / step.as_millis();
            let from = to.before(step * u32::try_from(steps).unwrap_or(u32::MAX));
            return Ok(Times::Range { from, to, step });
        };
        Ok(Times::Range { from, to, step })
    }
}

/// Sends the query to a server.
fn remote(
    global: &Global,
    target: &Target,
    options: &Options,
    times: Times,
) -> anyhow::Result<Response> {
    let mut parameters = form_urlencoded::Serializer::new(String::new());
    parameters.append_pair("query", &options.expr);
    let name = match times {
        Times::At(at) => {
            parameters.append_pair("time", &seconds(at));
            "query"
        }
        Times::Range { from, to, step } => {
            parameters
                .append_pair("start", &seconds(from))
                .append_pair("end", &seconds(to));
            parameters.append_pair("step", &step.as_secs_f64().to_string());
            "query_range"
        }
    };
    let path = format!("/api/v1/{name}?{}", parameters.finish());
    let answer = target.get_within(global, &path, PATIENCE)?;
    if answer.is_foreign() {
        return Err(answer.foreign(&format!("/api/v1/{name}")));
    }
    if answer.status != 200 {
        bail!(
            "{}",
            printable_lines(&read::error(answer.status, &answer.body))
        );
    }
    Ok(Response {
        answer: read::answer(&answer.body)?,
        text: answer.body,
    })
}

/// Returns a hint for a query without results, if the names of series can be read.
fn nothing_found(global: &Global, options: &Options) -> Option<String> {
    let selectors = bellwether_promql::parse(&options.expr).ok()?.selectors();
    let names = match &options.history {
        Some(folder) => {
            let (history, _) = History::open_read_only(folder);
            similar_names::names(&history)?
        }
        None => {
            let path = "/api/v1/label/__name__/values";
            let target = options.reach.single()?;
            let names = data(path, &target.get(global, path).ok()?).ok()?;
            list(&names).iter().map(text).collect()
        }
    };
    similar_names::hint(selectors.iter().map(|selector| &*selector.matchers), &names)
}

/// Formats a time in Unix seconds.
fn seconds(at: UnixMillis) -> String {
    format!("{:.3}", at.0 as f64 / 1000.0)
}

/// Runs the query on a history directory.
fn local(folder: &std::path::Path, expr: &str, times: Times) -> anyhow::Result<Answer> {
    if !folder.is_dir() {
        bail!("no history in {}: no such directory", folder.display());
    }
    let query = bellwether_promql::parse(expr)?;
    let (history, recovery) = History::open_read_only(folder);
    if let Some(error) = recovery.error {
        bail!("cannot read the history in {}: {error}", folder.display());
    }
    let (options, guard) = (bellwether_promql::Options::default(), Guard::default());
    Ok(match times {
        Times::At(at) => query.instant(&history, at, &options, &guard)?,
        Times::Range { from, to, step } => {
            let answer = query.range(&history, from, to, step, &options, &guard);
            answer.with_context(|| format!("with a step of {}", format_duration(step)))?
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn times(arguments: &str) -> Result<Times, String> {
        let line = std::iter::once("query").chain(arguments.split_whitespace());
        let line = Line::try_parse_from(line).map_err(|error| error.to_string())?;
        line.options
            .times(UnixMillis(1_700_000_000_000))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_asked_is_one_time_or_a_range() {
        assert!(matches!(
            times("up"),
            Ok(Times::At(UnixMillis(1_700_000_000_000)))
        ));
        assert!(matches!(
            times("up --at -1h"),
            Ok(Times::At(UnixMillis(1_699_996_400_000)))
        ));
        let hour = (1_699_996_400_000, 1_700_000_000_000);
        // 257 steps of 14 s.
        let steps = (1_699_996_402_000, 1_700_000_000_000);
        for (arguments, span, seconds) in [
            ("up --from -1h", steps, 14),
            ("up --format chart", steps, 14),
            ("up --step 1m", hour, 60),
            ("up --to 1700000000", steps, 14),
            ("up --window 1h", steps, 14),
            ("up --from -2s", (1_699_999_998_000, 1_700_000_000_000), 1),
        ] {
            let Ok(Times::Range { from, to, step }) = times(arguments) else {
                panic!("{arguments}: no range")
            };
            assert_eq!(
                (from.0, to.0, step.as_secs()),
                (span.0, span.1, seconds),
                "{arguments}"
            );
        }
        for (arguments, message) in [
            ("up --from now --to -1h", "--from is after --to"),
            ("up --at now --format chart", "one time cannot be drawn"),
            ("up --at now --from -1h", "cannot be used with"),
            ("up --step 0", "no duration"),
            ("up --history x --url y", "cannot be used with"),
        ] {
            let error = times(arguments).err().unwrap();
            assert!(error.contains(message), "{arguments}: {error}");
        }
    }
}
