//! Live updates: subscriptions to what the view in front shows, and what a message of the agent is to the data.

use std::collections::BTreeSet;
use std::time::Duration;

use bellwether_core::UnixMillis;
use serde_json::{Value, json};

use super::schedule::Ask;
use super::{Connection, Feed, News};
use crate::cli::alerts::screen::name;
use crate::cli::asking::{list, text};
use crate::cli::client::LiveSocket;
use crate::cli::top::data::Link;

/// Subscription that has a new result after every collection, of whatever collector.
pub(super) const TICKS: &str = "time()";
/// Time after a collection, or after the first of several events, until what follows of it can be asked for.
const SETTLED: Duration = Duration::from_millis(150);

/// Open live updates.
pub(super) struct Live {
    pub(super) socket: LiveSocket,
    /// Expressions of the subscriptions.
    subscribed: BTreeSet<String>,
    /// Those that the agent refuses, such as ones beyond its limit: they are asked for instead.
    pub(super) refused: BTreeSet<String>,
}

impl Live {
    pub(super) fn new(socket: LiveSocket) -> Self {
        Self {
            socket,
            subscribed: BTreeSet::new(),
            refused: BTreeSet::new(),
        }
    }

    /// Subscribes to `wanted`, and to nothing else. A lost connection is noticed when a message is waited for.
    async fn subscribe(&mut self, wanted: BTreeSet<String>) {
        let message = |kind: &str, promql: &String| json!({"type": kind, "query": promql});
        let old = self.subscribed.difference(&wanted);
        let new = wanted.difference(&self.subscribed);
        let messages: Vec<Value> = old
            .map(|promql| message("unsubscribe", promql))
            .chain(new.map(|promql| message("subscribe", promql)))
            .collect();
        for message in messages {
            self.socket.send(&message).await.ok();
        }
        self.refused.retain(|promql| wanted.contains(promql));
        self.subscribed = wanted;
    }
}

impl Feed {
    /// Subscribes to what the view in front shows.
    pub(super) fn subscribe(&mut self) {
        let plots = self.front().iter().map(|plot| plot.query.promql.clone());
        let wanted = plots.chain([TICKS.to_owned()]).collect();
        if let (Connection::Live(live), Ok(client)) = (&mut self.connection, self.agent.client()) {
            client.wait(live.subscribe(wanted));
        }
    }

    /// Puts a message into the data.
    pub(super) fn receive(&mut self, message: &Value) -> Option<News> {
        let data = &message["data"];
        let id = message["id"].as_str();
        match message["type"].as_str() {
            Some("initial_data") => self.begin(data),
            Some("subscribed") => self.update(id, data, time(data)),
            Some("metrics_update") => {
                for subscription in list(&data["subscriptions"]) {
                    self.update(subscription["id"].as_str(), subscription, time(data));
                }
                self.collected();
            }
            Some("error") => self.refused(id),
            Some(kind @ ("alert_triggered" | "alert_resolved")) => {
                self.happened();
                let news = event(kind == "alert_triggered", data);
                return Some(News::Alert(self.clock.now().wall, news));
            }
            Some("notification") => self.happened(),
            Some("reload") => self.refresh(),
            _ => {}
        }
        None
    }

    /// Takes the first message, or one after events that were missed.
    fn begin(&mut self, data: &Value) {
        let now = self.clock.now();
        // An agent that closes the connection again at once is not asked at once again.
        self.attempts = 1;
        self.data.link = Link::Live;
        self.data.summary = data["summary"].clone();
        self.data.bottlenecks = json!({"bottlenecks": data["bottlenecks"]});
        self.summarized = now.mono;
        for ask in Ask::ALWAYS {
            if let Some(pace) = self.pace(ask) {
                self.schedule.bring(ask, now.mono.after(pace));
            }
        }
        self.changed(now.wall);
    }

    /// Takes the newest result of a subscription.
    fn update(&mut self, id: Option<&str>, result: &Value, at: UnixMillis) {
        let window = self.needs.window;
        let plots = self.front_mut().iter_mut();
        for plot in plots.filter(|plot| id == Some(plot.query.promql.as_str())) {
            plot.push(list(&result["series"]), at, window);
        }
        self.changed(self.clock.now().wall);
    }

    /// Asks for what follows of a collection: the summary has ages, pending alerts and values.
    fn collected(&mut self) {
        let due = self.now().after(SETTLED);
        let due = due.max(self.summarized.after(self.interval));
        self.schedule.bring(Ask::Summary, due);
    }

    /// Asks for what follows of an event.
    fn happened(&mut self) {
        let due = self.now().after(SETTLED);
        for ask in [Ask::Summary, Ask::Bottlenecks, Ask::Score] {
            self.schedule.bring(ask, due);
        }
    }

    /// Asks instead for what the agent does not send.
    fn refused(&mut self, id: Option<&str>) {
        let now = self.now();
        let Some(id) = id else {
            // There was no first message.
            self.schedule.bring(Ask::Summary, now);
            return self.schedule.bring(Ask::Bottlenecks, now);
        };
        if let Connection::Live(live) = &mut self.connection {
            live.refused.insert(id.to_owned());
        }
        let place = self.front().iter().position(|plot| plot.query.promql == id);
        let ask = place.map_or(Ask::Summary, Ask::Plot);
        if let Some(pace) = self.pace(ask) {
            self.schedule.bring(ask, now.after(pace));
        }
    }
}

/// Time of an update.
fn time(data: &Value) -> UnixMillis {
    let seconds = data["timestamp"].as_f64().unwrap_or_default();
    UnixMillis((seconds * 1000.0) as i64)
}

/// Formats what happened to an alert.
fn event(is_firing: bool, alert: &Value) -> Result<String, String> {
    let name = name(&alert["labels"], &alert["rule"]);
    match is_firing {
        true => Err(format!("{name} is firing: {}", text(&alert["message"]))),
        false => Ok(format!("{name} is resolved")),
    }
}
