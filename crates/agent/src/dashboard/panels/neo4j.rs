//! Panels on Neo4j.

use bellwether_dashboards::Unit;

use super::{Panel, Query, View, line, lines, named, number};

pub(super) const PANELS: &[Panel] = &[
    Panel {
        view: View::UpDown,
        ..number(
            "Neo4j",
            Unit::None,
            &[line("neo4j_up", Query::Value, &[])],
            "Whether Neo4j answered at the last collection.",
        )
    },
    number(
        "Database size",
        Unit::Bytes,
        &[line("neo4j_database_size_bytes", Query::Value, &[])],
        "Size of the store files. Community servers report it only with APOC.",
    ),
    number(
        "Transactions running",
        Unit::None,
        &[line("neo4j_transactions_active", Query::Value, &[])],
        "Transactions that run now, without those of Bellwether.",
    ),
    lines(
        "Neo4j query duration",
        Unit::Milliseconds,
        &[
            named("p50", "neo4j_query_duration_p50", Query::Value, &[]),
            named("p95", "neo4j_query_duration_p95", Query::Value, &[]),
            named("p99", "neo4j_query_duration_p99", Query::Value, &[]),
        ],
        "Percentiles of the duration of Bellwether's own queries.",
    ),
    lines(
        "Neo4j transactions",
        Unit::PerSecond,
        &[
            named(
                "committed",
                "neo4j_transactions_committed",
                Query::Rate,
                &["database"],
            ),
            named(
                "rolled back",
                "neo4j_transactions_rolled_back",
                Query::Rate,
                &["database"],
            ),
        ],
        "Transactions per second. Community servers report them only with APOC.",
    ),
    lines(
        "Neo4j connection pool",
        Unit::None,
        &[
            named("total", "neo4j_connection_pool_total", Query::Value, &[]),
            named("idle", "neo4j_connection_pool_idle", Query::Value, &[]),
        ],
        "Connections of Bellwether to Neo4j, and idle ones.",
    ),
    lines(
        "Nodes",
        Unit::None,
        &[line("neo4j_node_count", Query::Value, &[])],
        "Nodes of the graph.",
    ),
    lines(
        "Relationships",
        Unit::None,
        &[line("neo4j_relationship_count", Query::Value, &[])],
        "Relationships of the graph.",
    ),
    lines(
        "Nodes by label",
        Unit::None,
        &[line("neo4j_label_count", Query::Value, &[])],
        "Nodes with each label.",
    ),
    lines(
        "Relationships by type",
        Unit::None,
        &[line("neo4j_relationship_type_count", Query::Value, &[])],
        "Relationships of each type.",
    ),
];
