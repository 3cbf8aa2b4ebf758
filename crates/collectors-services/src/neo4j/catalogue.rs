//! Built-in metrics of Neo4j, which need no Cypher in the configuration.
//!
//! Owns the list and its statements, and runs none of them. Every statement was tested on a
//! Community 5.26 server. That has no `org.neo4j` JMX beans: store size and transaction totals come
//! from APOC's `apoc.monitor` procedures or not at all.

use bellwether_core::Kind;

/// A built-in metric.
#[derive(Debug)]
pub struct BuiltIn {
    /// Name in the configuration.
    pub name: &'static str,
    /// Default type.
    pub kind: Kind,
    /// Default text of `# HELP`.
    pub help: &'static str,
    /// Label names.
    pub labels: &'static [&'static str],
    /// Source of its value.
    pub source: Source,
}

/// Source of the value of a built-in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Source {
    /// 1 if the server answered the probe of this collection, else 0.
    Up,
    /// A quantile over the durations of Bellwether's own statements.
    Duration(f64),
    /// Connections of the pool.
    PoolTotal,
    /// Idle connections of the pool.
    PoolIdle,
    /// Rows of a statement that several built-ins share.
    Rows(Call, Selection),
}

impl Source {
    /// Returns whether each database has a value of its own. Other values are those of the pool or the
    /// server.
    #[must_use]
    pub fn is_per_database(self) -> bool {
        matches!(self, Source::Up | Source::Rows(..))
    }
}

/// Rows and columns of a shared statement that belong to one built-in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Selection {
    /// Value of the column `what` in its rows; `None`: all rows.
    pub what: Option<&'static str>,
    /// Columns of the labels, in the order of the labels.
    pub labels: &'static [&'static str],
    /// Column of the value.
    pub value: &'static str,
}

/// A statement that answers one or more built-ins at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// Counts of the query planner; no scan, whatever the size of the graph.
    GraphCounts,
    /// Running transactions.
    Transactions,
    /// APOC's transaction totals since the server's start.
    ApocTransactions,
    /// APOC's store sizes.
    ApocStore,
}

/// Mark of Bellwether's transactions, which are not counted.
pub const APP: &str = "bellwether";

impl Call {
    /// Returns the statement. `$database` and `$app` are parameters of every statement.
    #[must_use]
    pub fn cypher(self) -> &'static str {
        match self {
            // Relationship rows come once per type and again per start and end label.
            Call::GraphCounts => {
                "CALL db.stats.retrieve('GRAPH COUNTS') YIELD data \
                 UNWIND [n IN data.nodes | \
                 [CASE WHEN n.label IS NULL THEN 'nodes' ELSE 'label' END, n.label, n.count]] + \
                 [r IN data.relationships WHERE r.startLabel IS NULL AND r.endLabel IS NULL | \
                 [CASE WHEN r.relationshipType IS NULL THEN 'relationships' ELSE 'type' END, \
                 r.relationshipType, r.count]] AS row \
                 RETURN row[0] AS what, row[1] AS name, row[2] AS value"
            }
            Call::Transactions => {
                "SHOW TRANSACTIONS YIELD database, metaData, elapsedTime \
                 WHERE database = $database AND coalesce(metaData.app, '') <> $app \
                 RETURN count(*) AS value, coalesce(max(elapsedTime.milliseconds), 0) AS longest, \
                 percentileDisc(elapsedTime.milliseconds, 0.95) AS p95"
            }
            Call::ApocTransactions => {
                "CALL apoc.monitor.tx() YIELD totalTx, rolledBackTx \
                 RETURN totalTx AS committed, rolledBackTx AS rolled_back"
            }
            Call::ApocStore => {
                "CALL apoc.monitor.store() YIELD totalStoreSize RETURN totalStoreSize AS value"
            }
        }
    }
}

const VALUE: Selection = Selection {
    what: None,
    labels: &[],
    value: "value",
};

const fn counts(what: &'static str, labels: &'static [&'static str]) -> Source {
    Source::Rows(
        Call::GraphCounts,
        Selection {
            what: Some(what),
            labels,
            value: "value",
        },
    )
}

const fn built_in(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    source: Source,
    help: &'static str,
) -> BuiltIn {
    BuiltIn {
        name,
        kind,
        help,
        labels,
        source,
    }
}

/// Name of the metric that always exists.
pub const UP: &str = "neo4j_up";

/// All built-ins.
pub const CATALOGUE: [BuiltIn; 16] = [
    built_in(
        UP,
        Kind::Gauge,
        &[],
        Source::Up,
        "Whether Neo4j answered at the last collection (1) or not (0); absent before its first answer.",
    ),
    built_in(
        "neo4j_query_duration_p50",
        Kind::Gauge,
        &[],
        Source::Duration(0.50),
        "Median duration of Bellwether's own statements over the last 5 minutes, in milliseconds; for those of other clients: neo4j_transactions_longest.",
    ),
    built_in(
        "neo4j_query_duration_p95",
        Kind::Gauge,
        &[],
        Source::Duration(0.95),
        "95th percentile of the duration of Bellwether's own statements over the last 5 minutes, in milliseconds; for those of other clients: neo4j_transactions_longest.",
    ),
    built_in(
        "neo4j_query_duration_p99",
        Kind::Gauge,
        &[],
        Source::Duration(0.99),
        "99th percentile of the duration of Bellwether's own statements over the last 5 minutes, in milliseconds; for those of other clients: neo4j_transactions_longest.",
    ),
    built_in(
        "neo4j_database_size_bytes",
        Kind::Gauge,
        &[],
        Source::Rows(Call::ApocStore, VALUE),
        "Size of the database's store files, from apoc.monitor.store.",
    ),
    built_in(
        "neo4j_transactions_active",
        Kind::Gauge,
        &[],
        Source::Rows(Call::Transactions, VALUE),
        "Running transactions, without those of Bellwether.",
    ),
    built_in(
        "neo4j_transactions_longest",
        Kind::Gauge,
        &[],
        Source::Rows(
            Call::Transactions,
            Selection {
                value: "longest",
                ..VALUE
            },
        ),
        "Duration of the longest running transaction, in milliseconds, without those of Bellwether; 0 if none runs.",
    ),
    built_in(
        "neo4j_transactions_elapsed_p95",
        Kind::Gauge,
        &[],
        Source::Rows(
            Call::Transactions,
            Selection {
                value: "p95",
                ..VALUE
            },
        ),
        "95th percentile of the durations of running transactions, in milliseconds, without those of Bellwether; no series if none runs.",
    ),
    built_in(
        "neo4j_transactions_committed",
        Kind::Counter,
        &[],
        Source::Rows(
            Call::ApocTransactions,
            Selection {
                value: "committed",
                ..VALUE
            },
        ),
        "Transactions committed since the server's start, from apoc.monitor.tx.",
    ),
    built_in(
        "neo4j_transactions_rolled_back",
        Kind::Counter,
        &[],
        Source::Rows(
            Call::ApocTransactions,
            Selection {
                value: "rolled_back",
                ..VALUE
            },
        ),
        "Transactions rolled back since the server's start, from apoc.monitor.tx.",
    ),
    built_in(
        "neo4j_connection_pool_total",
        Kind::Gauge,
        &[],
        Source::PoolTotal,
        "Connections of Bellwether to Neo4j.",
    ),
    built_in(
        "neo4j_connection_pool_idle",
        Kind::Gauge,
        &[],
        Source::PoolIdle,
        "Idle connections of Bellwether to Neo4j.",
    ),
    built_in(
        "neo4j_node_count",
        Kind::Gauge,
        &[],
        counts("nodes", &[]),
        "Nodes.",
    ),
    built_in(
        "neo4j_relationship_count",
        Kind::Gauge,
        &[],
        counts("relationships", &[]),
        "Relationships.",
    ),
    built_in(
        "neo4j_label_count",
        Kind::Gauge,
        &["label"],
        counts("label", &["name"]),
        "Nodes by label.",
    ),
    built_in(
        "neo4j_relationship_type_count",
        Kind::Gauge,
        &["type"],
        counts("type", &["name"]),
        "Relationships by type.",
    ),
];

/// Returns the built-in of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static BuiltIn> {
    CATALOGUE.iter().find(|built_in| built_in.name == name)
}

#[cfg(test)]
mod tests {
    use bellwether_core::{is_label_name, is_metric_name};

    use super::*;

    #[test]
    fn the_catalogue_is_consistent() {
        for (index, built_in) in CATALOGUE.iter().enumerate() {
            assert!(is_metric_name(built_in.name), "{}", built_in.name);
            assert!(
                built_in.labels.iter().all(|label| is_label_name(label)),
                "{}",
                built_in.name
            );
            assert!(
                CATALOGUE[..index]
                    .iter()
                    .all(|other| other.name != built_in.name)
            );
            if let Source::Rows(call, selection) = built_in.source {
                assert_eq!(
                    selection.labels.len(),
                    built_in.labels.len(),
                    "{}",
                    built_in.name
                );
                for column in selection.labels.iter().chain([&selection.value]) {
                    assert!(call.cypher().contains(&format!("AS {column}")), "{column}");
                }
                if let Some(what) = selection.what {
                    assert!(call.cypher().contains(&format!("'{what}'")), "{what}");
                }
            }
        }
    }
}
