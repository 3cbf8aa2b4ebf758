//! `bellwether report --send NAME`: a report of the configuration to its channels, at once.

use std::sync::Arc;

use anyhow::bail;
use bellwether_config::Plan;
use bellwether_core::counted;
use bellwether_notify::{Bulletin, WallClock, named, send_bulletin};
use bellwether_report::{self as report, ReportSettings};
use bellwether_runtime::Clock;
use bellwether_schema::did_you_mean;

use super::Options;
use crate::cli::Global;
use crate::cli::notify_test::outcome;
use crate::cli::running_agents::hint_at_its_configuration;

pub(super) fn run(global: &Global, options: &Options, name: &str) -> anyhow::Result<()> {
    hint_at_its_configuration(global);
    let plan = global.plan()?;
    let settings = find(&plan, name)?;
    let now = Clock::start().now().wall;
    let range = settings.range.0;
    let (from, to) = options.range.times(now, |end| end.before(range))?;
    let mut report = super::inquire(global, &options.target, (from, to), now)?;
    if !options.target.is_named()
        && let Some(instance) = plan.sender.labels.get("instance")
    {
        report.host.clone_from(instance);
    }
    send(&plan, settings, &report::bulletin(settings, &report, to)?)
}

fn find<'a>(plan: &'a Plan, name: &str) -> anyhow::Result<&'a ReportSettings> {
    let reports = &plan.root.reports;
    let names = || reports.iter().map(|report| report.name.value.as_str());
    let Some(settings) = reports.iter().find(|report| report.name.value == name) else {
        match did_you_mean(name, names()) {
            Some(hint) => bail!("no report {name:?}; hint: {hint}"),
            None if reports.is_empty() => {
                bail!("no report {name:?}; hint: declare it in `reports:`")
            }
            None => {
                let names: Vec<_> = names().collect();
                bail!(
                    "no report {name:?}; hint: the reports are {}",
                    names.join(", ")
                )
            }
        }
    };
    Ok(settings)
}

/// Sends `bulletin` to each channel once, and prints the results.
fn send(plan: &Plan, settings: &ReportSettings, bulletin: &Bulletin) -> anyhow::Result<()> {
    let notifications = &plan.root.performance_monitor.alerting.notifications;
    let channels = named(&notifications.channels);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let clock = Clock::start();
    let clock: WallClock = Arc::new(move || clock.now().wall);
    let mut failed = 0;
    for name in &settings.channels.value {
        let channel = channels.iter().find(|(other, _)| *other == name.value);
        let Some((name, channel)) = channel else {
            continue; // a configuration with an unknown channel is no plan
        };
        let context = (plan.sender.clone(), clock.clone());
        let sent = runtime.block_on(send_bulletin(name, channel, context, bulletin));
        let (line, is_failure) = match &sent {
            Ok(sent) => (outcome(sent), sent.error.is_some()),
            Err(error) => (format!("cannot be built: {}", error.error), true),
        };
        failed += usize::from(is_failure);
        println!("{name}: {line}");
    }
    if failed > 0 {
        let all = counted(settings.channels.len(), "channel");
        bail!("{failed} of {all} did not accept the report");
    }
    Ok(())
}
