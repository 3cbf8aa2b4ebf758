//! Live updates of a real agent: its collections, alerts, notifications and reloads reach a client.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_websockets::{ClientBuilder, Message, WebSocketStream};

use crate::support::agent::Agent;
use crate::support::sink::{Sink, status};
use crate::{queue_rule, set_queue};

const PATIENCE: Duration = Duration::from_secs(30);

/// Client of live updates.
struct Live(WebSocketStream<TcpStream>);

impl Live {
    async fn connect(agent: &Agent) -> Self {
        let stream = TcpStream::connect(agent.address()).await.unwrap();
        let builder = ClientBuilder::new().uri("ws://localhost/ws").unwrap();
        Self(builder.connect_on(stream).await.unwrap().0)
    }

    /// Next message that `is_wanted`.
    async fn wait_for(&mut self, what: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let wanted = async {
            loop {
                let message = self.0.next().await.unwrap().unwrap();
                let text = message.as_text().unwrap_or("null");
                let message: Value = serde_json::from_str(text).unwrap();
                if is_wanted(&message) {
                    return message;
                }
            }
        };
        let found = timeout(PATIENCE, wanted).await;
        found.unwrap_or_else(|_| panic!("waited for {what}"))
    }

    async fn wait_for_type(&mut self, kind: &str) -> Value {
        self.wait_for(kind, |message| message["type"] == kind).await
    }
}

/// Calls the agent on a thread: its helpers block.
fn blocking(work: impl FnOnce()) {
    tokio::task::block_in_place(work);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collections_alerts_notifications_and_reloads_reach_a_client() {
    let folder = TempDir::new().unwrap();
    let sink = Sink::start(|_| status(200));
    let channel = format!(
        "{{name: ops, type: webhook, url: \"http://{}/\"}}",
        sink.address()
    );
    let yaml = queue_rule(&channel);
    let agent = tokio::task::block_in_place(|| Agent::start(folder.path(), &yaml));
    let mut live = Live::connect(&agent).await;
    let initial = live.wait_for_type("initial_data").await;
    assert_eq!(initial["data"]["alerts"], json!([]));
    blocking(|| set_queue(&agent, "mail", 42.0));
    for message in [
        json!({"type": "subscribe", "id": "all", "query": "sum(test_queue_length)"}),
        json!({"type": "subscribe", "metric_name": "queue_length"}),
    ] {
        live.0
            .send(Message::text(message.to_string()))
            .await
            .unwrap();
        live.wait_for_type("subscribed").await;
    }
    live.wait_for("both values", |message| {
        let subscriptions = message["data"]["subscriptions"].as_array();
        let values = subscriptions.into_iter().flatten();
        message["type"] == "metrics_update"
            && values
                .filter(|one| one["series"][0]["value"] == 42.0)
                .count()
                == 2
    })
    .await;
    let triggered = live.wait_for_type("alert_triggered").await;
    let alert = &triggered["data"];
    assert_eq!(
        (&alert["rule"], &alert["state"]),
        (&json!("backlog"), &json!("firing"))
    );
    let delivered = live.wait_for_type("notification").await;
    let expected = json!({
        "channel": "ops", "status": "delivered", "alert": "backlog",
        "fingerprint": alert["fingerprint"],
    });
    assert_eq!(delivered["data"], expected);
    // A second client begins with the alert that the first one got.
    let mut second = Live::connect(&agent).await;
    let initial = second.wait_for_type("initial_data").await;
    assert_eq!(
        initial["data"]["alerts"][0]["fingerprint"],
        alert["fingerprint"]
    );

    blocking(|| assert_eq!(agent.post("/-/reload", "").0, 200));
    assert_eq!(
        live.wait_for_type("reload").await["data"],
        json!({"success": true})
    );
    blocking(|| {
        agent.write_config("performance_monitor: {collection_interval: never}");
        assert_eq!(agent.post("/-/reload", "").0, 500);
    });
    let failed = live.wait_for_type("reload").await;
    assert_eq!(failed["data"]["success"], false);
    assert!(
        failed["data"]["error"]
            .as_str()
            .unwrap()
            .contains("collection_interval"),
        "{failed}"
    );
    blocking(|| set_queue(&agent, "mail", 1.0));
    let resolved = live.wait_for_type("alert_resolved").await;
    assert_eq!(resolved["data"]["fingerprint"], alert["fingerprint"]);
    blocking(|| assert!(agent.stop().success()));
}
