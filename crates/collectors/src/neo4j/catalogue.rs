//! What this agent can tell about any Neo4j without Cypher in the declaration.
//!
//! Owns the list and the statements behind it; runs none of them. Every statement was tried on a
//! Community 5.26 server. It has no `org.neo4j` JMX beans: store size and transaction totals come
//! from APOC's `apoc.monitor` procedures or not at all.

use bellwether_core::Kind;

/// A metric known by its name.
#[derive(Debug)]
pub struct BuiltIn {
    /// Name in the declaration.
    pub name: &'static str,
    /// Type, where the declaration gives none.
    pub kind: Kind,
    /// Help, where the declaration gives none.
    pub help: &'static str,
    /// Label names.
    pub labels: &'static [&'static str],
    /// Where its value comes from.
    pub source: Source,
}

/// Where the value of a built-in comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Source {
    /// Whether the server answered this collection's probe.
    Up,
    /// A quantile over the durations of this agent's own statements.
    Duration(f64),
    /// Connections that this agent holds.
    PoolTotal,
    /// Those of them that are not in use.
    PoolIdle,
    /// Rows of a statement that several built-ins share.
    Rows(Call, Pick),
}

impl Source {
    /// Whether each database has a value of its own. The others are the agent's or the server's.
    #[must_use]
    pub fn per_database(self) -> bool {
        matches!(self, Source::Up | Source::Rows(..))
    }
}

/// Which rows and columns of a shared statement make one built-in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pick {
    /// Rows whose column `what` says this; all rows where there is none.
    pub what: Option<&'static str>,
    /// Columns of the labels, in the order of the labels.
    pub labels: &'static [&'static str],
    /// Column of the value.
    pub value: &'static str,
}

/// A statement that answers one or more built-ins at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// The counts that the query planner keeps: no scan, whatever the size of the graph.
    GraphCounts,
    /// Running transactions.
    Transactions,
    /// APOC's transaction totals since the server's start.
    ApocTransactions,
    /// APOC's store sizes.
    ApocStore,
}

/// Marks this agent's transactions, so that it does not count itself.
pub const APP: &str = "bellwether";

impl Call {
    /// The statement. `$database` and `$app` are given with every statement.
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

const VALUE: Pick = Pick {
    what: None,
    labels: &[],
    value: "value",
};

const fn counts(what: &'static str, labels: &'static [&'static str]) -> Source {
    Source::Rows(
        Call::GraphCounts,
        Pick {
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

/// Name of the metric that is always there.
pub const UP: &str = "neo4j_up";

/// All built-ins.
pub const CATALOGUE: [BuiltIn; 16] = [
    built_in(
        UP,
        Kind::Gauge,
        &[],
        Source::Up,
        "Whether Neo4j answered at the last collection (1) or not (0); there from its first answer on.",
    ),
    built_in(
        "neo4j_query_duration_p50",
        Kind::Gauge,
        &[],
        Source::Duration(0.50),
        "Median duration of this agent's own statements over the last 5 minutes, in milliseconds; for those of others: neo4j_transactions_longest.",
    ),
    built_in(
        "neo4j_query_duration_p95",
        Kind::Gauge,
        &[],
        Source::Duration(0.95),
        "95th percentile of the duration of this agent's own statements over the last 5 minutes, in milliseconds; for those of others: neo4j_transactions_longest.",
    ),
    built_in(
        "neo4j_query_duration_p99",
        Kind::Gauge,
        &[],
        Source::Duration(0.99),
        "99th percentile of the duration of this agent's own statements over the last 5 minutes, in milliseconds; for those of others: neo4j_transactions_longest.",
    ),
    built_in(
        "neo4j_database_size_bytes",
        Kind::Gauge,
        &[],
        Source::Rows(Call::ApocStore, VALUE),
        "Size of the database's store files, as apoc.monitor.store tells it.",
    ),
    built_in(
        "neo4j_transactions_active",
        Kind::Gauge,
        &[],
        Source::Rows(Call::Transactions, VALUE),
        "Running transactions, without those of this agent.",
    ),
    built_in(
        "neo4j_transactions_longest",
        Kind::Gauge,
        &[],
        Source::Rows(
            Call::Transactions,
            Pick {
                value: "longest",
                ..VALUE
            },
        ),
        "How long the longest running transaction has run, in milliseconds, without those of this agent; 0 where none runs.",
    ),
    built_in(
        "neo4j_transactions_elapsed_p95",
        Kind::Gauge,
        &[],
        Source::Rows(
            Call::Transactions,
            Pick {
                value: "p95",
                ..VALUE
            },
        ),
        "95th percentile of how long the running transactions have run, in milliseconds, without those of this agent; no series where none runs.",
    ),
    built_in(
        "neo4j_transactions_committed",
        Kind::Counter,
        &[],
        Source::Rows(
            Call::ApocTransactions,
            Pick {
                value: "committed",
                ..VALUE
            },
        ),
        "Transactions committed since the server's start, as apoc.monitor.tx tells it.",
    ),
    built_in(
        "neo4j_transactions_rolled_back",
        Kind::Counter,
        &[],
        Source::Rows(
            Call::ApocTransactions,
            Pick {
                value: "rolled_back",
                ..VALUE
            },
        ),
        "Transactions rolled back since the server's start, as apoc.monitor.tx tells it.",
    ),
    built_in(
        "neo4j_connection_pool_total",
        Kind::Gauge,
        &[],
        Source::PoolTotal,
        "Connections to Neo4j that this agent holds.",
    ),
    built_in(
        "neo4j_connection_pool_idle",
        Kind::Gauge,
        &[],
        Source::PoolIdle,
        "Connections to Neo4j that this agent holds and that run no statement.",
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

/// The built-in of that name.
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
            if let Source::Rows(call, pick) = built_in.source {
                assert_eq!(
                    pick.labels.len(),
                    built_in.labels.len(),
                    "{}",
                    built_in.name
                );
                for column in pick.labels.iter().chain([&pick.value]) {
                    assert!(call.cypher().contains(&format!("AS {column}")), "{column}");
                }
                if let Some(what) = pick.what {
                    assert!(call.cypher().contains(&format!("'{what}'")), "{what}");
                }
            }
        }
    }
}
