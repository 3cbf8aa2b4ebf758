//! Neo4j as a kind of collector.

use bellwether_collector::{
    CollectorKind, CollectorPlan, ConfiguredMetric, KindSelfMetrics, MetricReference, MetricRow,
    ResolveContext,
};
use bellwether_core::Origin;
use bellwether_schema::{Spanned, section};

use super::catalogue::{BuiltIn, CATALOGUE, UP};
#[cfg(feature = "neo4j")]
use super::connector;
use super::settings::{Neo4jMetrics, Neo4jQuery};
use super::stats::{QueryStats, SELF_METRICS};

/// Origin of the metrics of Neo4j.
const ORIGIN: Origin = Origin::from_static("neo4j");

section! {
    /// Neo4j.
    pub struct Neo4jSettings {
        /// Neo4j.
        pub neo4j_metrics: Option<Spanned<Neo4jMetrics>>,
    }
}

impl CollectorKind for Neo4jSettings {
    fn configured(&self) -> Vec<ConfiguredMetric<'_>> {
        let queries = self.neo4j_metrics.iter().flat_map(|all| &all.queries);
        queries.map(configured).collect()
    }

    fn metric_keys(&self) -> &'static [&'static str] {
        &["neo4j_metrics"]
    }

    fn self_metrics() -> Option<KindSelfMetrics> {
        Some(KindSelfMetrics {
            metrics: SELF_METRICS,
            source: |memory| memory.get::<QueryStats>(ORIGIN),
        })
    }

    fn implied(&self) -> &'static [&'static str] {
        &[UP]
    }

    fn resolve(&self, context: &mut ResolveContext<'_>) -> Option<CollectorPlan> {
        let Some(settings) = &self.neo4j_metrics else {
            context.not_set_up("neo4j_metrics");
            return None;
        };
        context.set_schedule(settings.interval.as_ref(), None);
        let before = context.problems.len();
        settings.check(context.problems);
        if context.problems.len() > before {
            return None;
        }
        plan(settings, context)
    }

    fn reference(&self) -> MetricReference {
        MetricReference {
            text: "Entries of `neo4j_metrics.queries` that need no query of their own.",
            metrics: CATALOGUE.iter().map(row).collect(),
        }
    }
}

#[cfg(feature = "neo4j")]
fn plan(
    settings: &Spanned<Neo4jMetrics>,
    context: &mut ResolveContext<'_>,
) -> Option<CollectorPlan> {
    Some(connector::plan(settings, context))
}

#[cfg(not(feature = "neo4j"))]
fn plan(
    settings: &Spanned<Neo4jMetrics>,
    context: &mut ResolveContext<'_>,
) -> Option<CollectorPlan> {
    if context.enabled {
        context
            .problems
            .error(&settings.at, "this binary was built without Neo4j")
            .hint("build with `--features neo4j`, or leave neo4j out of enabled_collectors");
    }
    None
}

fn configured(query: &Neo4jQuery) -> ConfiguredMetric<'_> {
    ConfiguredMetric {
        name: &query.name,
        catalogue_name: query.source.as_ref().unwrap_or(&query.name),
    }
}

fn row(built_in: &BuiltIn) -> MetricRow {
    MetricRow {
        name: built_in.name.to_owned(),
        types: built_in.kind.as_str(),
        labels: built_in.labels.iter().map(ToString::to_string).collect(),
        help: built_in.help.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use bellwether_collector::Schedule;
    use bellwether_collector::testing::resolve_kind;

    use super::*;

    /// Resolves the section; returns the schedule, the names of the metrics, and the errors.
    fn resolve(yaml: &str, enabled: bool) -> (Option<Schedule>, Vec<String>, Vec<String>) {
        let resolved = resolve_kind::<Neo4jSettings>(yaml, enabled);
        let metrics = resolved.metrics.iter();
        (
            resolved.plan.map(|plan| plan.schedule),
            metrics.map(|metric| metric.name.to_string()).collect(),
            resolved.problems,
        )
    }

    const QUERY: &str = "neo4j_metrics:\n  queries: [{name: a, query: RETURN 1, interval: 5s}]";

    #[test]
    #[cfg(feature = "neo4j")]
    fn the_shortest_interval_is_that_of_the_collector() {
        let (schedule, metrics, problems) = resolve(QUERY, true);
        assert_eq!(schedule.unwrap().interval.as_secs(), 5);
        assert_eq!(metrics, [UP, "a"]);
        assert_eq!(problems, [""; 0]);
    }

    #[test]
    #[cfg(not(feature = "neo4j"))]
    fn only_an_enabled_neo4j_needs_a_build_with_neo4j() {
        let (_, _, problems) = resolve(QUERY, true);
        assert_eq!(
            problems,
            [
                "2:3: neo4j_metrics: this binary was built without Neo4j\n  hint: build with \
                 `--features neo4j`, or leave neo4j out of enabled_collectors"
            ]
        );
        assert_eq!(resolve(QUERY, false).2, [""; 0]);
    }

    #[test]
    fn a_disabled_section_is_checked_and_an_absent_one_is_not_set_up() {
        let problems = resolve("neo4j_metrics: {row_limit: 0}", false).2;
        assert_eq!(
            problems,
            ["1:28: neo4j_metrics.row_limit: expected at least 1, found 0"]
        );
        let (schedule, metrics, problems) = resolve("{}", true);
        assert_eq!((schedule, metrics.len(), problems.len()), (None, 0, 0));
    }
}
