//! Alerts through a real Kafka: read back by a consumer, over an outage and over kill -9.

use std::time::Duration;

use tempfile::TempDir;

use crate::support::agent::Agent;
use crate::support::kafka::{Message, Topic};
use crate::support::poll;
use crate::support::servers::Server;
use crate::{queue_rule, set_queue};

/// Everything on the topic so far, from its beginning.
struct Reader {
    topic: Topic,
    read: Vec<Message>,
}

impl Reader {
    fn new(kafka: &Server) -> Self {
        Self {
            topic: Topic::open(&kafka.address(), "alerts"),
            read: Vec::new(),
        }
    }

    /// Waits until there are `count` messages and returns them all, as `status queue` lines.
    fn wait_for(&mut self, count: usize) -> Vec<String> {
        poll(
            &format!("{count} messages in Kafka"),
            Duration::from_secs(90),
            || {
                self.read.extend(std::iter::from_fn(|| self.topic.next()));
                (self.read.len() >= count).then_some(())
            },
        );
        let line = |message: &Message| {
            assert_eq!(
                message.key,
                message.text("fingerprint"),
                "the key is the fingerprint"
            );
            let queue = message.value["labels"]["queue_name"].as_str().unwrap();
            format!("{} {queue}", message.text("status"))
        };
        self.read.iter().map(line).collect()
    }
}

#[test]
fn alerts_reach_a_real_kafka_in_order_over_an_outage_and_kill_9() {
    let kafka = Server::kafka();
    let folder = TempDir::new().unwrap();
    let yaml = queue_rule(&format!(
        "{{type: log}}, {{type: kafka, brokers: \"{}\", topic: alerts, timeout: 3s, \
         retry: {{initial: 200ms, max: 1s}}}}",
        kafka.address()
    ));
    let agent = Agent::start(folder.path(), &yaml);
    let mut reader = Reader::new(&kafka);
    set_queue(&agent, "mail", 42.0);
    assert_eq!(reader.wait_for(1), ["firing mail"]);

    // Kafka goes away; the alert ends, another begins; nothing of it may be lost or overtake.
    kafka.stop();
    set_queue(&agent, "mail", 3.0);
    set_queue(&agent, "print", 42.0);
    agent.wait_for_value(
        "bellwether_notification_queue_length{channel=\"kafka\"",
        |n| n == 2.0,
    );
    assert_eq!(
        agent.get("/metrics").0,
        200,
        "/metrics must not wait for Kafka"
    );
    agent.kill();
    let agent = Agent::start(folder.path(), &yaml);
    kafka.start();
    let read = reader.wait_for(3);
    assert_eq!(read[1..], ["resolved mail", "firing print"]);

    set_queue(&agent, "print", 42.0);
    agent.wait_for_value("bellwether_alerts{state=\"firing\"", |firing| firing >= 1.0);
    set_queue(&agent, "print", 3.0);
    assert_eq!(reader.wait_for(4)[3], "resolved print");
}
