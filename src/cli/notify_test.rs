//! `bellwether notify-test CHANNEL`: whether a channel gets through, by a marked sample.

use std::sync::Arc;

use anyhow::bail;
use bellwether_core::{Severity, counted};
use bellwether_logging::audit;
use bellwether_logging::audit_layer;
use bellwether_notify::{ChannelSettings, DirectResult, WallClock, named, test_send};
use bellwether_runtime::Clock;
use bellwether_server::{Actor, AuditEntry};
use clap::{Args, ValueEnum};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, registry};

use super::running_agents::hint_at_its_configuration;
use super::{Global, silence};

#[derive(Args)]
pub(super) struct Options {
    /// Name of the channel; may be disabled.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    channel: Option<String>,
    /// Test all enabled channels.
    #[arg(long)]
    all: bool,
    /// Send a resolved notification as well.
    #[arg(long)]
    resolve: bool,
    /// Severity of the test alert.
    #[arg(long, value_enum, default_value = "info")]
    severity: Level,
}

#[derive(Clone, Copy, ValueEnum)]
enum Level {
    Info,
    Warning,
    Critical,
    Emergency,
}

impl From<Level> for Severity {
    fn from(level: Level) -> Self {
        match level {
            Level::Info => Self::Info,
            Level::Warning => Self::Warning,
            Level::Critical => Self::Critical,
            Level::Emergency => Self::Emergency,
        }
    }
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    hint_at_its_configuration(global);
    let plan = global.plan()?;
    let channels = named(
        &plan
            .root
            .performance_monitor
            .alerting
            .notifications
            .channels,
    );
    let chosen = choose(&channels, options)?;
    // What channels of type `log` write, and what others have to say beside an error.
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let log = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .log_internal_errors(false)
        .without_time()
        .with_filter(filter_fn(|event| {
            event.target() != audit::TARGET && *event.level() <= tracing::Level::INFO
        }));
    let settings = &plan.root.logging;
    let (audit_layer, _audit_guard) = match audit_layer(&settings.audit, settings.format) {
        Ok(layer) => layer.unzip(),
        Err(error) => {
            eprintln!("warning: this test is not in the audit file: {error:#}");
            (None, None)
        }
    };
    registry().with(audit_layer).with(log).init();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let clock = Clock::start();
    let clock: WallClock = Arc::new(move || clock.now().wall);
    let mut failed = 0;
    for (name, channel) in &chosen {
        let context = (plan.sender.clone(), clock.clone());
        let severity = options.severity.into();
        let tried = test_send(name, channel, context, severity, options.resolve);
        match runtime.block_on(tried) {
            Ok(tried) => {
                let error = tried.iter().find_map(|result| result.error.as_ref());
                failed += usize::from(error.is_some());
                record(name, error.map_or(Ok(()), Err));
                tried
                    .iter()
                    .for_each(|result| println!("{name}: {}", outcome(result)));
            }
            Err(error) => {
                failed += 1;
                record(name, Err(&error.error));
                println!("{name}: cannot be built: {}", error.error);
            }
        }
    }
    if failed > 0 {
        bail!(
            "{failed} of {} did not accept the test notification",
            counted(chosen.len(), "channel")
        );
    }
    Ok(())
}

/// Adds the test of a channel to the audit file.
fn record(channel: &str, result: Result<(), impl ToString>) {
    let uid = rustix::process::getuid().as_raw();
    let actor = Actor {
        user: Some(silence::user()),
        auth: Some("command"),
        from: format!("this host, uid {uid}"),
        via: None,
    };
    let what = format!("test notification to channel {channel}");
    audit::record(&AuditEntry::of("notify_test", what, actor, &result));
}

fn choose<'a>(
    channels: &'a [(String, &'a ChannelSettings)],
    options: &Options,
) -> anyhow::Result<Vec<&'a (String, &'a ChannelSettings)>> {
    let chosen: Vec<_> = match &options.channel {
        Some(wanted) => channels.iter().filter(|(name, _)| name == wanted).collect(),
        None => channels
            .iter()
            .filter(|(_, channel)| channel.common.enabled)
            .collect(),
    };
    if chosen.is_empty() {
        let names: Vec<_> = channels.iter().map(|(name, _)| name.as_str()).collect();
        let names = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        match &options.channel {
            Some(wanted) => bail!("no channel {wanted:?}; hint: the channels are {names}"),
            None => bail!("no channel is enabled; hint: the channels are {names}"),
        }
    }
    Ok(chosen)
}

pub(super) fn outcome(tried: &DirectResult) -> String {
    let sample = tried.sample;
    let took = tried.took.as_millis();
    match &tried.error {
        None => format!("{sample} delivered in {took} ms"),
        Some(error) if error.retryable => {
            format!("{sample} failed, retryable ({took} ms): {error}")
        }
        Some(error) => format!("{sample} rejected ({took} ms): {error}"),
    }
}
