//! The three ways in of application metrics, at the running product.

use serde_json::Value;
use tempfile::TempDir;

use crate::queue_rule;
use crate::support::agent::Agent;

#[test]
fn records_are_taken_one_by_one_and_rejections_named() {
    let folder = TempDir::new().unwrap();
    let agent = Agent::start(folder.path(), &queue_rule("{type: log}"));
    let body = r#"[
        {"metric":"jobs","labels":{"queue_name":"mail"},"inc":2},
        {"metric":"unknown","labels":{},"inc":1},
        {"metric":"jobs","labels":{"queue":"mail"},"inc":1},
        {"metric":"jobs","labels":{"queue_name":"mail"},"set":1},
        {"metric":"jobs","labels":{"queue_name":"mail"},"inc":-1},
        {"metric":"queue_length","labels":{"queue_name":"mail"},"set":42}
    ]"#;
    let (status, answer) = agent.post("/api/v1/record", body);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(
        (status, &answer["data"]["accepted"]),
        (200, &Value::from(2)),
        "{answer}"
    );
    let rejected = answer["data"]["rejected"].as_array().unwrap();
    let indices: Vec<u64> = rejected
        .iter()
        .map(|one| one["index"].as_u64().unwrap())
        .collect();
    assert_eq!(indices, [1, 2, 3, 4], "{answer}");
    assert!(
        rejected.iter().all(|one| one["reason"].is_string()),
        "{answer}"
    );
    assert_eq!(agent.value("test_jobs{queue_name=\"mail\""), Some(2.0));
    assert_eq!(
        agent.value("test_queue_length{queue_name=\"mail\""),
        Some(42.0)
    );
    assert_eq!(
        agent.value("bellwether_application_records_rejected_total{reason=\"unknown_metric\""),
        Some(1.0)
    );

    let (status, answer) = agent.post("/api/v1/record", "[{\"metric\":");
    assert_eq!(status, 400, "{answer}");
}
