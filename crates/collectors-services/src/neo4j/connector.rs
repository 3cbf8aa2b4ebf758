//! Connections to Neo4j: runs the statements of the configuration and converts their rows.

mod collector;
mod durations;
mod error;
mod jobs;
mod known_servers;
mod plan;
mod pool;
mod rows;
mod statement;

use bellwether_collector::{CollectorPlan, ResolveContext, Schedule};
use bellwether_schema::{Diagnostic, format_duration};
pub use collector::Neo4jCollector;
pub use known_servers::KnownServers;
pub use plan::Plan;

use super::settings::Neo4jMetrics;
use super::stats::QueryStats;

/// Adds the metrics of `settings`, which are checked, and returns how they are collected.
pub(super) fn plan(settings: &Neo4jMetrics, context: &mut ResolveContext<'_>) -> CollectorPlan {
    let plan = settings.plan(context.defaults);
    warn_of_cut(settings, &plan, context);
    let first = context.add_all(&plan.metrics);
    // It has timeouts of its own and ends within its interval, slow queries or not.
    let schedule = Schedule {
        interval: plan.interval,
        deadline: plan.interval,
        settle: None,
    };
    let (origin, settings) = (context.defaults.origin, settings.clone());
    context.pull(schedule, move |memory| {
        let known_servers = memory.get_or_load(origin, |directory| {
            KnownServers::load(directory.map(|directory| directory.join("neo4j.json")))
        });
        let stats = memory.get::<QueryStats>(origin);
        Neo4jCollector::new(&settings, plan.clone(), first, stats)
            .with_known_servers((*known_servers).clone())
    })
}

/// Warns of a `connect_timeout` that is cut. The default is cut as well, and nobody asked for it.
fn warn_of_cut(settings: &Neo4jMetrics, plan: &Plan, context: &mut ResolveContext<'_>) {
    let (connect, longest) = (&settings.connect_timeout, plan.longest_run());
    if connect.at.pos.line > 0 && connect.value.0 > longest {
        context.warnings.push(Diagnostic {
            location: connect.at.clone(),
            message: format!(
                "connect_timeout {} is cut to {}: a collection ends within four fifths of its interval",
                format_duration(connect.value.0),
                format_duration(longest)
            ),
            help: Some("take less, or a longer collection_interval".into()),
        });
    }
}
