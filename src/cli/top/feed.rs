//! Asks the agent at each interval, on a thread of its own, and sends what the user orders.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use bellwether_core::UnixMillis;
use bellwether_runtime::Clock;
use reqwest::Method;
use serde_json::Value;

use super::data::{Curve, Data, Unit};
use super::state::State;
use crate::cli::Global;
use crate::cli::asking::{self, at_steps, labels, list};
use crate::cli::client::Target;

/// Values of a curve.
const POINTS: f64 = 60.0;
/// Most series of one metric.
const MAX_SERIES: usize = 12;
/// Longest time without an answer to one request.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Order of the user.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Order {
    /// Look at once, and ask for this from now on.
    Look(Request),
    /// Wait so long between two looks.
    Interval(Duration),
    /// Send a request that changes state, and say `done` if it succeeds.
    Change {
        path: String,
        body: Value,
        done: String,
    },
    /// Take back what the path names.
    Delete { path: String, done: String },
}

/// Scope of a look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Request {
    /// Length of the curves.
    pub(super) window: Duration,
    /// True to ask for the series of all metrics.
    pub(super) with_series: bool,
}

/// Result of a look or an order.
pub(super) enum News {
    Data(Box<Data>),
    /// The agent does not answer.
    Failed(UnixMillis, String),
    /// An order was carried out, or not.
    Ordered(Result<String, String>),
}

impl News {
    /// Puts the news into what is shown. Old data stay while the agent does not answer.
    pub(super) fn apply(self, data: &mut Data, state: &mut State) {
        match self {
            Self::Data(_) if state.is_frozen() => data.failing = None,
            Self::Data(new) => *data = *new,
            Self::Failed(at, error) => {
                let since = data.failing.take().map_or(at, |(since, _)| since);
                data.failing = Some((since, error));
            }
            Self::Ordered(result) => state.note(result),
        }
    }
}

/// One of the most important series.
struct Vital {
    title: &'static str,
    /// Metric of the configuration; without it the series is left out.
    metric: &'static str,
    /// PromQL over `{}`, the exported name.
    query: &'static str,
    unit: Unit,
}

const VITALS: &[Vital] = &[
    vital("CPU", "cpu_percent", "max({})", Unit::Percent),
    vital("Memory", "memory_percent", "max({})", Unit::Percent),
    vital(
        "Fullest disk",
        "disk_usage_percent",
        "max({})",
        Unit::Percent,
    ),
    vital("Swap", "swap_percent", "max({})", Unit::Percent),
    vital("Load", "load_average_1m", "max({})", Unit::Number),
    vital(
        "Received",
        "network_bytes_recv",
        "sum(rate({}[5m]))",
        Unit::BytesPerSecond,
    ),
    vital(
        "Sent",
        "network_bytes_sent",
        "sum(rate({}[5m]))",
        Unit::BytesPerSecond,
    ),
    vital(
        "Requests",
        "api_request_count",
        "sum(rate({}[5m]))",
        Unit::PerSecond,
    ),
    vital(
        "Response p95",
        "api_request_duration",
        "histogram_quantile(0.95, sum by (le) (rate({}_bucket[5m])))",
        Unit::Seconds,
    ),
    vital(
        "Database p95",
        "neo4j_query_duration_p95",
        "max({})",
        Unit::Milliseconds,
    ),
];

const fn vital(
    title: &'static str,
    metric: &'static str,
    query: &'static str,
    unit: Unit,
) -> Vital {
    Vital {
        title,
        metric,
        query,
        unit,
    }
}

/// Connection to the agent.
pub(super) struct Feed {
    global: Global,
    target: Target,
    clock: Clock,
}

impl Feed {
    pub(super) fn new(global: Global, target: Target) -> Self {
        Self {
            global,
            target,
            clock: Clock::start(),
        }
    }

    /// Looks at each interval, and carries out `orders`, until the other side is gone.
    pub(super) fn run(
        mut self,
        mut interval: Duration,
        mut request: Request,
        orders: &Receiver<Order>,
        news: &Sender<News>,
    ) {
        let mut next = self.clock.now().mono;
        loop {
            let wait = next.since(self.clock.now().mono);
            let ordered = match orders.recv_timeout(wait) {
                Ok(Order::Look(new)) => {
                    request = new;
                    None
                }
                Ok(Order::Interval(new)) => {
                    interval = new;
                    None
                }
                Ok(order) => Some(News::Ordered(self.execute(&order))),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let ordered_is_heard = ordered.is_none_or(|ordered| news.send(ordered).is_ok());
            if !ordered_is_heard || news.send(self.news(request)).is_err() {
                return;
            }
            next = self.clock.now().mono.after(interval);
        }
    }

    fn news(&mut self, request: Request) -> News {
        match self.look(request) {
            Ok(data) => News::Data(Box::new(data)),
            Err(error) => {
                // An agent that was started again may be at another address.
                self.target = self.target.afresh();
                News::Failed(self.clock.now().wall, format!("{error:#}"))
            }
        }
    }

    /// Asks the agent.
    ///
    /// # Errors
    /// It does not answer.
    pub(super) fn look(&self, request: Request) -> anyhow::Result<Data> {
        let summary = self.get("/api/v1/summary")?;
        let metrics = self.get("/api/v1/metrics?limit=0")?;
        let metrics = list(&metrics["metrics"]);
        let at = self.clock.now().wall;
        let curves = Curves {
            feed: self,
            at,
            window: request.window,
        };
        Ok(Data {
            at,
            summary,
            // Those need history, which may be disabled.
            bottlenecks: self.get("/api/v1/bottlenecks").unwrap_or_default(),
            score: self.get("/api/v1/score").unwrap_or_default(),
            vitals: VITALS
                .iter()
                .flat_map(|vital| curves.vital(vital, metrics))
                .collect(),
            series: match request.with_series {
                true => metrics
                    .iter()
                    .flat_map(|metric| curves.of(metric))
                    .collect(),
                false => Vec::new(),
            },
            failing: None,
        })
    }

    fn get(&self, path: &str) -> anyhow::Result<Value> {
        asking::data(path, &self.target.get_within(&self.global, path, TIMEOUT)?)
    }

    fn execute(&self, order: &Order) -> Result<String, String> {
        let (method, path, body, done) = match order {
            Order::Change { path, body, done } => (Method::POST, path, Some(body), done),
            Order::Delete { path, done } => (Method::DELETE, path, None, done),
            Order::Look(_) | Order::Interval(_) => return Ok(String::new()),
        };
        let answer = self.target.change(&self.global, method, path, body);
        let data = answer.and_then(|answer| asking::data(path, &answer));
        data.map(|_| done.clone())
            .map_err(|error| format!("{error:#}"))
    }
}

/// Curves up to a time.
struct Curves<'a> {
    feed: &'a Feed,
    at: UnixMillis,
    window: Duration,
}

impl Curves<'_> {
    fn vital(&self, vital: &Vital, metrics: &[Value]) -> Vec<Curve> {
        let metric = metrics.iter().find(|metric| metric["name"] == vital.metric);
        let Some(exported) = metric.and_then(|metric| metric["exportedName"].as_str()) else {
            return Vec::new();
        };
        let query = vital.query.replace("{}", exported);
        let curves = self.query(&query).into_iter().map(|(_, values)| Curve {
            name: vital.title.to_owned(),
            unit: vital.unit,
            values,
        });
        curves.take(1).collect()
    }

    /// Returns the series of a metric: values of a gauge, rates of a counter, 95th percentiles of a histogram.
    fn of(&self, metric: &Value) -> Vec<Curve> {
        let text = |key: &str| metric[key].as_str().unwrap_or_default();
        let exported = text("exportedName");
        let (query, what, is_rate) = match text("type") {
            "counter" => (format!("rate({exported}[5m])"), "", true),
            "histogram" => (
                format!("histogram_quantile(0.95, rate({exported}_bucket[5m]))"),
                " p95",
                false,
            ),
            _ => (exported.to_owned(), "", false),
        };
        let unit = Unit::of(text("name"), is_rate);
        let series = self.query(&query).into_iter().take(MAX_SERIES);
        let curves = series.map(|(labels, values)| Curve {
            name: format!("{}{labels}{what}", text("name")),
            unit,
            values,
        });
        curves.collect()
    }

    /// Returns the labels and values of each series of a query; nothing after an error.
    fn query(&self, query: &str) -> Vec<(String, Vec<Option<f64>>)> {
        let end = self.at.0 as f64 / 1000.0;
        let step = self.window.as_secs_f64() / POINTS;
        let start = end - step * (POINTS - 1.0);
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("query", query)
            .append_pair("start", &start.to_string())
            .append_pair("end", &end.to_string())
            .append_pair("step", &step.to_string())
            .append_pair("limit", &MAX_SERIES.to_string())
            .finish();
        let answer = self.feed.get(&format!("/api/v1/query_range?{query}"));
        let answer = answer.unwrap_or_default();
        let series = list(&answer["result"]).iter();
        series
            .map(|series| {
                (
                    own_labels(&series["metric"]),
                    at_steps(series, start, step, POINTS as usize),
                )
            })
            .collect()
    }
}

/// Formats the labels of a series without its name and those that all series of an agent have.
fn own_labels(metric: &Value) -> String {
    let mut metric = metric.clone();
    if let Some(all) = metric.as_object_mut() {
        all.retain(|name, _| !matches!(name.as_str(), "__name__" | "instance" | "environment"));
    }
    labels(&metric)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_series_is_named_by_what_is_its_own() {
        let metric = json!({"__name__": "x", "instance": "a", "disk": "sda"});
        assert_eq!(own_labels(&metric), "{disk=\"sda\"}");
    }
}
