//! The shipped configuration with a real Neo4j behind it: values, outage, return, and the rule.

use tempfile::TempDir;

use crate::support::agent::Agent;
use crate::support::servers::{PASSWORD, Server};

#[test]
fn an_outage_of_neo4j_is_seen_reported_and_over_by_itself() {
    let neo4j = Server::neo4j();
    let folder = TempDir::new().unwrap();
    let shipped = bellwether_config::EMBEDDED
        .replace("collection_interval: 30", "collection_interval: 1s")
        .replace(
            "duration: 1m\n        severity: critical",
            "duration: 2s\n        severity: critical",
        )
        .replace(
            "${NEO4J_URI:-bolt://localhost:7687}",
            &format!("bolt://{}", neo4j.address()),
        )
        .replace("${NEO4J_PASSWORD:-password}", PASSWORD);
    let agent = Agent::start(folder.path(), &shipped);
    agent.wait_for_value("multi_agent_system_neo4j_up", |up| up == 1.0);
    agent.wait_for_value("multi_agent_system_neo4j_node_count", |count| count == 0.0);
    agent.wait_for_value("multi_agent_system_neo4j_query_duration_p95", |took| {
        took > 0.0
    });

    neo4j.kill();
    agent.wait_for_value("multi_agent_system_neo4j_up", |up| up == 0.0);
    agent.wait_for_log(&["pending => firing", "neo4j_down"]);
    // The other collectors go on as if nothing were wrong.
    assert_eq!(
        agent.value("bellwether_collector_success{collector=\"system\""),
        Some(1.0)
    );

    neo4j.start();
    agent.wait_for_value("multi_agent_system_neo4j_up", |up| up == 1.0);
    agent.wait_for_value("multi_agent_system_neo4j_node_count", |count| count == 0.0);
    agent.wait_for_log(&["firing => inactive", "neo4j_down"]);
}
