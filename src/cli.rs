//! Command line of the binary: one file per command. Only this module prints.

#[macro_use]
mod output;

mod acknowledge;
mod advise;
mod alerts;
mod anomalies;
mod asking;
mod backtest;
mod bottlenecks;
mod cardinality;
mod check;
mod client;
mod completion;
mod config;
mod convert;
mod correlate;
mod dashboard;
mod dead_letters;
mod demo;
mod examples;
mod explain;
mod export;
mod firing_alert;
mod forecast;
mod form;
mod health;
mod history_directory;
mod hosts;
mod import;
mod init;
mod installation;
mod man_pages;
mod notify_test;
mod query;
mod range;
mod records;
mod report;
mod resolve;
mod route;
mod rules;
mod run;
mod running_agents;
mod schema;
mod selector;
mod silence;
mod similar_names;
mod status;
mod table;
mod test;
mod test_collector;
mod top;
mod trends;
mod when;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use output::ColorChoice;

use bellwether_agent::app::Overrides;
use bellwether_agent::version;
use bellwether_config::{self as configuration, Loaded, Plan, Root, Source, process_environment};
use bellwether_logging::Format;

/// Monitoring agent: collects metrics of hosts, applications and databases, serves them to Prometheus,
/// evaluates alerting rules and sends notifications.
#[derive(Parser)]
#[command(
    name = "bellwether",
    version = version::SHORT,
    long_version = version::LONG,
    arg_required_else_help = true
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Flags that every command accepts.
#[derive(Args, Clone)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Configuration file. Default: `BELLWETHER_CONFIG`, else /etc/bellwether/bellwether.yaml, else
    /// the embedded configuration.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// File with additional environment variables, in the format of systemd's EnvironmentFile=.
    /// Default: /etc/bellwether/environment, if the configuration is
    /// /etc/bellwether/bellwether.yaml.
    #[arg(long = "env-file", global = true, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Colours in the output: auto, on a terminal; always; or never. NO_COLOR and CLICOLOR_FORCE
    /// are respected.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true
    )]
    color: ColorChoice,
}

/// Flags of the agent; they override the configuration.
#[derive(Args, Clone)]
#[command(next_help_heading = "Agent options")]
struct AgentFlags {
    /// Set the log level to debug.
    #[arg(long)]
    debug: bool,
    /// Listen on ADDRESS:PORT or :PORT.
    #[arg(long = "web.listen-address", value_name = "ADDRESS:PORT")]
    listen_address: Option<String>,
    /// File with TLS settings and users of the HTTP server, in the format of exporter-toolkit.
    #[arg(long = "web.config.file", value_name = "FILE")]
    web_config: Option<PathBuf>,
    /// Format of log lines.
    #[arg(long = "log.format", value_name = "FORMAT")]
    log_format: Option<LogFormat>,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Run the agent: collect metrics, serve them, evaluate rules and send notifications.
    #[command(visible_alias = "start")]
    Run(AgentFlags),
    /// Show everything with two weeks of made data, in memory; nothing is sent.
    Demo(demo::Options),
    /// Write a first configuration for what is on this host.
    Init(init::Options),
    /// Convert a configuration of another program, such as Telegraf or blackbox_exporter.
    Convert(convert::Options),
    /// Check a configuration and print every error and warning in it; uses no network.
    Check(check::Options),
    /// Print the effective configuration without its secrets.
    Config(config::Options),
    /// Print the JSON Schema of the configuration file, for editors and validators.
    Schema,
    /// Print a Grafana dashboard for the configured metrics.
    Dashboard,
    /// Export history as OpenMetrics, JSON lines or CSV.
    Export(export::Options),
    /// Import samples from a file into history, also while Bellwether runs.
    Import(import::Options),
    /// Run a PromQL query against a running Bellwether, a Prometheus or a history directory.
    Query(query::Options),
    /// List the active alerts, or show the alert history.
    Alerts(alerts::Options),
    /// Show the health of a running Bellwether.
    Status(status::Options),
    /// Show a running Bellwether on the whole terminal, live.
    Top(Box<top::Options>),
    /// Write a report over a time range: alerts, trends, anomalies, forecasts, capacity.
    Report(Box<report::Options>),
    /// Show the trend of a metric over one or more windows.
    Trends(trends::Options),
    /// List the anomalies of a metric.
    Anomalies(anomalies::Options),
    /// Forecast when a metric reaches a value, and its values in the next hours.
    Forecast(forecast::Options),
    /// List the metrics that correlate with a metric or with an alert.
    Correlate(correlate::Options),
    /// Show the health score, the bottlenecks and suggested fixes.
    Bottlenecks(bottlenecks::Options),
    /// List the metrics with the most current series and their growth, and the labels and label values with the most in
    /// history.
    Cardinality(cardinality::Options),
    /// Recommend a threshold from history, as a rule to paste.
    Advise(advise::Options),
    /// Explain why an alert fires or does not, and which notifications were sent or suppressed.
    Explain(explain::Options),
    /// Show the routes, channels and times for an alert with the given labels; sends nothing.
    Route(route::Options),
    /// Add, list and expire silences.
    Silence(silence::Options),
    /// Acknowledge an alert: its notifications are neither repeated nor escalated.
    #[command(visible_alias = "ack")]
    Acknowledge(acknowledge::Options),
    /// Resolve a firing alert by hand; it fires anew only after its condition did not hold once.
    Resolve(resolve::Options),
    /// List dead letters, resend them or discard them.
    DeadLetters(Box<dead_letters::Options>),
    /// Exit with status 0 if a running Bellwether is healthy and ready.
    Health(health::Options),
    /// Run rules over recorded samples: the alerts that would have fired, and the notifications.
    Backtest(backtest::Options),
    /// Run unit tests of rules, in promtool's format with extensions.
    Test(test::Options),
    /// Send a test notification through a channel; leaves the queues alone.
    NotifyTest(notify_test::Options),
    /// Run collectors once, print what they bring, and how long they take; sends and stores nothing.
    TestCollector(test_collector::Options),
    /// Print rules, in the format of the configuration or as a Prometheus rule file.
    Rules(rules::Options),
    /// Print a script that completes commands and flags in a shell.
    Completion(completion::Options),
    /// Write a man page for each command to a directory; packages have them.
    #[command(hide = true)]
    ManPages(man_pages::Options),
    /// Print the version.
    Version,
}

impl Global {
    fn source(&self) -> Source {
        installation::source(self.config.as_deref())
    }

    /// Returns the settings of the configuration, as far as they are valid; problems of the configuration are no error.
    fn settings(&self) -> anyhow::Result<Root> {
        self.settings_with(&[])
    }

    /// Returns the settings as [`Global::settings`]. Problems in the settings that begin with one
    /// of `keys` are errors.
    fn settings_with(&self, keys: &[&str]) -> anyhow::Result<Root> {
        let source = self.source();
        let loaded = self.loaded()?;
        let Some(root) = loaded.root else {
            return Ok(configuration::plan(loaded)?.root);
        };
        let problems = loaded.problems.into_sorted();
        let needed: Vec<String> = problems
            .iter()
            .filter(|problem| {
                let path = &problem.location.path;
                keys.iter().any(|key| path.starts_with(key))
            })
            .map(|problem| problem.render(&source).to_string())
            .collect();
        match needed.is_empty() {
            true => Ok(root),
            false => anyhow::bail!("{}", needed.join("\n")),
        }
    }

    /// Returns the plan of the configuration.
    fn plan(&self) -> anyhow::Result<Plan> {
        Ok(configuration::plan(self.loaded()?)?)
    }

    /// Returns the configuration and its problems.
    fn loaded(&self) -> anyhow::Result<Loaded> {
        Ok(configuration::load(&self.source(), &process_environment)?)
    }
}

impl AgentFlags {
    fn overrides(&self) -> Overrides {
        Overrides {
            listen_address: self.listen_address.clone(),
            web_config: self.web_config.clone(),
            debug: self.debug,
            log_format: self.log_format.map(|format| match format {
                LogFormat::Text => Format::Text,
                LogFormat::Json => Format::Json,
            }),
        }
    }
}

/// Returns the command line, with the examples in the help of each command.
#[must_use]
pub fn command_line() -> clap::Command {
    examples::add(Cli::command().max_term_width(100))
}

/// Parses the arguments.
///
/// # Errors
/// They are wrong, or ask for help or the version.
fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let matches = command_line().try_get_matches_from(arguments)?;
    Cli::from_arg_matches(&matches)
}

/// Returns the use of colours that arguments ask for that were not parsed.
fn colour_of(arguments: &[OsString]) -> ColorChoice {
    let words = || arguments.iter().filter_map(|argument| argument.to_str());
    let separate = words()
        .zip(words().skip(1))
        .find(|(flag, _)| *flag == "--color");
    let joined = words().find_map(|word| word.strip_prefix("--color="));
    let value = joined.or(separate.map(|(_, value)| value));
    value
        .and_then(|value| ColorChoice::from_str(value, false).ok())
        .unwrap_or_default()
}

/// Runs the command that the arguments name. Exit status: 0 good, 1 failed, 2 wrong arguments.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let Cli { global, command } = match parse(arguments.iter().cloned()) {
        Ok(cli) => cli,
        Err(error) => {
            output::set_colour(colour_of(&arguments));
            return print_help_or_error(&error);
        }
    };
    output::set_colour(global.color);
    // Two providers are linked into some dependencies; the first TLS connection would panic.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    if !matches!(command, Command::Run(_) | Command::Demo(_)) {
        // Whoever has read enough (`| head`) ends a command in silence; the agent itself goes on.
        sigpipe::reset();
    }
    if let Err(error) = installation::read_environment(&global.source(), global.env_file.as_deref())
    {
        eprintln!("bellwether: {error:#}");
        return ExitCode::FAILURE;
    }
    let result = match command {
        Command::Run(flags) => run::run(&global, &flags),
        Command::Demo(options) => demo::run(&options),
        Command::Init(options) => init::run(&options),
        Command::Convert(options) => convert::run(&options),
        Command::Check(options) => check::run(&global, &options),
        Command::Config(options) => config::run(&global, &options),
        Command::Schema => {
            schema::run();
            Ok(())
        }
        Command::Dashboard => dashboard::run(&global),
        Command::Export(options) => export::run(&global, &options),
        Command::Import(options) => import::run(&global, &options),
        Command::Query(options) => query::run(&global, &options),
        Command::Alerts(options) => alerts::run(&global, &options),
        Command::Status(options) => status::run(&global, &options),
        Command::Top(options) => top::run(&global, *options),
        Command::Report(options) => report::run(&global, &options),
        Command::Trends(options) => trends::run(&global, &options),
        Command::Anomalies(options) => anomalies::run(&global, &options),
        Command::Forecast(options) => forecast::run(&global, &options),
        Command::Correlate(options) => correlate::run(&global, &options),
        Command::Bottlenecks(options) => bottlenecks::run(&global, &options),
        Command::Cardinality(options) => cardinality::run(&global, &options),
        Command::Advise(options) => advise::run(&global, &options),
        Command::Explain(options) => explain::run(&global, &options),
        Command::Route(options) => route::run(&global, &options),
        Command::Silence(options) => silence::run(&global, &options),
        Command::Acknowledge(options) => acknowledge::run(&global, &options),
        Command::Resolve(options) => resolve::run(&global, &options),
        Command::DeadLetters(options) => dead_letters::run(&global, &options),
        Command::Health(options) => health::run(&global, &options),
        Command::Backtest(options) => backtest::run(&global, &options),
        Command::Test(options) => {
            let status = test::run(&options);
            output::flush();
            return status;
        }
        Command::NotifyTest(options) => notify_test::run(&global, &options),
        Command::TestCollector(options) => test_collector::run(&global, &options),
        Command::Rules(options) => rules::run(&global, &options),
        Command::Completion(options) => completion::run(command_line(), &options),
        Command::ManPages(options) => man_pages::run(command_line(), &options),
        Command::Version => {
            println!("bellwether {}", version::LONG);
            Ok(())
        }
    };
    output::flush();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let message = asking::printable_lines(&format!("{error:#}"));
            eprintln!("bellwether: {message}");
            if let Some(hint) = installation::variable_hint(&message) {
                eprintln!("bellwether: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Prints the help or the version that was asked for, or the error of wrong arguments.
fn print_help_or_error(error: &clap::Error) -> ExitCode {
    let text = error.render();
    if error.use_stderr() {
        match output::error_colours() {
            true => output::print_error(format_args!("{}", text.ansi())),
            false => output::print_error(format_args!("{text}")),
        }
        return ExitCode::from(2);
    }
    sigpipe::reset();
    match output::screen().colours {
        true => print!("{}", text.ansi()),
        false => print!("{text}"),
    }
    output::flush();
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command_line().debug_assert();
    }

    #[test]
    fn colours_of_the_help_are_as_asked() {
        let choice = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            colour_of(&words)
        };
        assert_eq!(choice("bellwether --help"), ColorChoice::Auto);
        assert_eq!(
            choice("bellwether --color never --help"),
            ColorChoice::Never
        );
        assert_eq!(
            choice("bellwether run --color=always -h"),
            ColorChoice::Always
        );
        assert_eq!(choice("bellwether --color"), ColorChoice::Auto);
    }

    #[test]
    fn docs_list_every_command() {
        let page = include_str!("../docs/command-line.md");
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let listed = [format!("`{name}`"), format!("`{name} ")];
            assert!(
                listed.iter().any(|text| page.contains(text)),
                "docs/command-line.md lacks {name}"
            );
        }
    }
}
