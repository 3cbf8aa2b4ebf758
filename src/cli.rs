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
mod check;
mod client;
mod completion;
mod config;
mod correlate;
mod dashboard;
mod dead_letters;
mod explain;
mod export;
mod forecast;
mod health;
mod import;
mod installed;
mod man_pages;
mod nearby;
mod notify_test;
mod query;
mod recorded;
mod route;
mod rules;
mod run;
mod silence;
mod status;
mod test;
mod trends;
mod when;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::app::Overrides;
use crate::config::{self as configuration, Plan, Root, Source, process_environment};
use crate::logging::Format;

/// Monitoring agent: collects metrics of hosts, applications and databases, serves them to Prometheus,
/// evaluates alerting rules and sends notifications.
#[derive(Parser)]
#[command(name = "bellwether", version, arg_required_else_help = true)]
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
    /// Set the log level to debug; overrides the configuration.
    #[arg(long, global = true)]
    debug: bool,
    /// Listen on ADDRESS:PORT or :PORT; overrides the configuration.
    #[arg(
        long = "web.listen-address",
        global = true,
        value_name = "ADDRESS:PORT"
    )]
    listen_address: Option<String>,
    /// File with TLS settings and users of the HTTP server, in the format of exporter-toolkit.
    #[arg(long = "web.config.file", global = true, value_name = "FILE")]
    web_config: Option<PathBuf>,
    /// Format of log lines; overrides the configuration.
    #[arg(long = "log.format", global = true, value_name = "FORMAT")]
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
    Run,
    /// Check a configuration and print every error and warning in it; uses no network.
    Check(check::Options),
    /// Print the effective configuration without its secrets.
    Config(config::Options),
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
    /// List dead letters, resend them or discard them.
    DeadLetters(Box<dead_letters::Options>),
    /// Exit with status 0 if a running Bellwether is healthy and ready.
    Health(client::Target),
    /// Run rules over recorded samples: the alerts that would have fired, and the notifications.
    Backtest(backtest::Options),
    /// Run unit tests of rules, in promtool's format with extensions.
    Test(test::Options),
    /// Send a test notification through a channel; leaves the queues alone.
    NotifyTest(notify_test::Options),
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
        installed::source(self.config.as_deref())
    }

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

    /// Returns the settings of the configuration with the flags applied, as far as they are valid; other problems of
    /// the configuration are no error.
    fn settings(&self) -> anyhow::Result<Root> {
        let mut loaded = configuration::load(&self.source(), &process_environment)?;
        self.overrides().apply(&mut loaded)?;
        match loaded.root {
            Some(root) => Ok(root),
            None => Ok(configuration::plan(loaded)?.root),
        }
    }

    /// Returns the plan of the configuration with the flags applied.
    fn plan(&self) -> anyhow::Result<Plan> {
        let source = self.source();
        let mut loaded = configuration::load(&source, &process_environment)?;
        self.overrides().apply(&mut loaded)?;
        Ok(configuration::plan(loaded)?)
    }
}

/// Runs the command that the arguments name. Exit status: 0 good, 1 failed, 2 wrong arguments.
#[must_use]
pub fn main() -> ExitCode {
    let Cli { global, command } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => error.exit(),
        Err(help) if output::is_terminal() => return print_help(&help.render().ansi()),
        Err(help) => return print_help(&help.render()),
    };
    // Two providers are linked into some dependencies; the first TLS connection would panic.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    if !matches!(command, Command::Run) {
        // Whoever has read enough (`| head`) ends a command in silence; the agent itself goes on.
        sigpipe::reset();
    }
    if let Err(error) = installed::read_environment(&global.source(), global.env_file.as_deref()) {
        eprintln!("bellwether: {error:#}");
        return ExitCode::FAILURE;
    }
    let result = match command {
        Command::Run => run::run(&global),
        Command::Check(options) => check::run(&global, &options),
        Command::Config(options) => config::run(&global, &options),
        Command::Dashboard => dashboard::run(&global),
        Command::Export(options) => export::run(&global, &options),
        Command::Import(options) => import::run(&global, &options),
        Command::Query(options) => query::run(&global, &options),
        Command::Alerts(options) => alerts::run(&global, &options),
        Command::Status(options) => status::run(&global, &options),
        Command::Trends(options) => trends::run(&global, &options),
        Command::Anomalies(options) => anomalies::run(&global, &options),
        Command::Forecast(options) => forecast::run(&global, &options),
        Command::Correlate(options) => correlate::run(&global, &options),
        Command::Bottlenecks(options) => bottlenecks::run(&global, &options),
        Command::Advise(options) => advise::run(&global, &options),
        Command::Explain(options) => explain::run(&global, &options),
        Command::Route(options) => route::run(&global, &options),
        Command::Silence(options) => silence::run(&global, &options),
        Command::Acknowledge(options) => acknowledge::run(&global, &options),
        Command::DeadLetters(options) => dead_letters::run(&global, &options),
        Command::Health(target) => health::run(&global, &target),
        Command::Backtest(options) => backtest::run(&global, &options),
        Command::Test(options) => {
            let status = test::run(&options);
            output::flush();
            return status;
        }
        Command::NotifyTest(options) => notify_test::run(&global, &options),
        Command::Rules(options) => rules::run(&global, &options),
        Command::Completion(options) => completion::run(Cli::command(), &options),
        Command::ManPages(options) => man_pages::run(Cli::command(), &options),
        Command::Version => {
            println!("bellwether {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
    };
    output::flush();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!(
                "bellwether: {}",
                asking::printable_lines(&format!("{error:#}"))
            );
            ExitCode::FAILURE
        }
    }
}

/// Prints the help or the version that was asked for.
fn print_help(text: &dyn std::fmt::Display) -> ExitCode {
    sigpipe::reset();
    print!("{text}");
    output::flush();
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

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
