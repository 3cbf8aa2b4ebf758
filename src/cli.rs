//! The command line: one file per command, and the only place that prints.

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

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::app::Overrides;
use crate::config::{self as declaration, Plan, Root, Source, process_environment};
use crate::logging::Format;

/// Measures a host, its applications and its databases; serves Prometheus; alerts by rules.
#[derive(Parser)]
#[command(name = "bellwether", version, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Args, Clone)]
struct Global {
    /// Configuration file; without it, `BELLWETHER_CONFIG`, else /etc/bellwether/bellwether.yaml, else the
    /// embedded one.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// File with further environment variables, as systemd's EnvironmentFile=; without it,
    /// /etc/bellwether/environment where that and the configuration beside it are used.
    #[arg(long = "env-file", global = true, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Log everything down to debug, whatever the declaration says.
    #[arg(long, global = true)]
    debug: bool,
    /// Listen on ADDRESS:PORT (or :PORT) instead of what the declaration says.
    #[arg(
        long = "web.listen-address",
        global = true,
        value_name = "ADDRESS:PORT"
    )]
    listen_address: Option<String>,
    /// TLS and users of the page, in exporter-toolkit's form.
    #[arg(long = "web.config.file", global = true, value_name = "FILE")]
    web_config: Option<PathBuf>,
    /// Form of the log's lines, whatever the declaration says.
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
    /// Collect, serve, judge and tell, until told to stop.
    #[command(visible_alias = "start")]
    Run,
    /// Say everything that is wrong with a declaration; touches no network.
    Check(check::Options),
    /// Print the declaration in effect, secrets hidden.
    Config(config::Options),
    /// Print a Grafana dashboard made from the declaration.
    Dashboard,
    /// Write what was collected as OpenMetrics, JSON or CSV.
    Export(export::Options),
    /// Take samples from a file into history, also that of a running Bellwether.
    Import(import::Options),
    /// Ask history in PromQL: a running Bellwether or Prometheus, or a folder.
    Query(query::Options),
    /// Tell what alerts there are, or what became of them and who was told.
    Alerts(alerts::Options),
    /// Tell whether a running Bellwether itself works.
    Status(status::Options),
    /// Tell where a metric goes.
    Trends(trends::Options),
    /// Tell what was unusual.
    Anomalies(anomalies::Options),
    /// Tell what comes next: when a value is reached, and the next hours.
    Forecast(forecast::Options),
    /// Tell what moved with a metric, or with an alert.
    Correlate(correlate::Options),
    /// Tell how well host and applications fare, what holds things back, and what to do.
    Bottlenecks(bottlenecks::Options),
    /// Advise a threshold from history, as a rule to paste.
    Advise(advise::Options),
    /// Tell why an alert fires or does not, and who was told or was not.
    Explain(explain::Options),
    /// Tell where an alert with these labels would go, and when; sends nothing.
    Route(route::Options),
    /// Silence alerts for a time, show and end silences.
    Silence(silence::Options),
    /// Say that somebody takes care of an alert: it is neither repeated nor escalated.
    #[command(visible_alias = "ack")]
    Acknowledge(acknowledge::Options),
    /// Show what channels gave up, send it again or discard it.
    DeadLetters(Box<dead_letters::Options>),
    /// Exit with 0 if a running Bellwether is healthy and ready.
    Health(client::Target),
    /// Try rules on what was recorded: what would have fired, when, and who would have heard.
    Backtest(backtest::Options),
    /// Run unit tests of rules, in promtool's format and beyond it.
    Test(test::Options),
    /// Try a channel by sending it a marked sample; queues are left alone.
    NotifyTest(notify_test::Options),
    /// Print rules, as a declaration has them or as a rule file of Prometheus.
    Rules(rules::Options),
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

    /// The settings of the configuration, with the flags over them, as far as they could be read: what else is
    /// wrong there is no error here.
    fn settings(&self) -> anyhow::Result<Root> {
        let mut loaded = declaration::load(&self.source(), &process_environment)?;
        self.overrides().apply(&mut loaded)?;
        match loaded.root {
            Some(root) => Ok(root),
            None => Ok(declaration::plan(loaded)?.root),
        }
    }

    /// The plan of the declaration, with what the command line says over it.
    fn plan(&self) -> anyhow::Result<Plan> {
        let source = self.source();
        let mut loaded = declaration::load(&source, &process_environment)?;
        self.overrides().apply(&mut loaded)?;
        Ok(declaration::plan(loaded)?)
    }
}

/// Runs the command that the arguments name. Exit status: 0 good, 1 failed, 2 wrong arguments.
#[must_use]
pub fn main() -> ExitCode {
    let Cli { global, command } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => error.exit(),
        Err(help) if output::is_terminal() => return said(&help.render().ansi()),
        Err(help) => return said(&help.render()),
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
fn said(text: &dyn std::fmt::Display) -> ExitCode {
    sigpipe::reset();
    print!("{text}");
    output::flush();
    ExitCode::SUCCESS
}
