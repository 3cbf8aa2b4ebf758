//! `initial_data`: everything that a client needs for its first picture.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Kind, MetricId, Origin, UnixMillis};
use bellwether_promql::{Guard, Options};
use hyper::body::Bytes;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::evaluation::{Series, current_values};
use super::message::{self, Update, event};
use super::message_type::MessageType;
use super::rounds::limits;
use crate::api::alerts::view_alerts;
use crate::api::process::health;
use crate::api::query::Parameters;
use crate::api::shared::Shared;
use crate::api::view::ViewRequest;
use crate::api::{VERSION, analysis};

/// Age up to which the message serves further clients, if nothing has happened.
const MAX_AGE: Duration = Duration::from_secs(1);

/// Message `initial_data`, which clients that come together share.
pub(super) struct Initial {
    text: Bytes,
    made: Instant,
    /// Number of events before it.
    sequence: u64,
}

/// Returns the message as of now. Whoever gets the events from before on misses none.
pub(super) async fn initial_data(shared: &Arc<Shared>) -> Bytes {
    let mut kept = shared.live.initial.lock().await;
    let sequence = shared.backend.live().sequence();
    if let Some(initial) = &*kept
        && initial.sequence == sequence
        && initial.made.elapsed() < MAX_AGE
    {
        return initial.text.clone();
    }
    let made = Instant::now();
    let text = make(shared).await;
    let initial = Initial {
        text: text.clone(),
        made,
        sequence,
    };
    *kept = Some(initial);
    text
}

async fn make(shared: &Arc<Shared>) -> Bytes {
    let inner = Arc::clone(shared);
    let job = move |guard: &Guard| Ok(event(MessageType::InitialData, &data(&inner, guard)));
    match shared.live.jobs.run(limits(shared), job).await {
        Ok(output) => output.value,
        Err(error) => message::error(None, &format!("no initial data: {}", error.text())),
    }
}

fn data(shared: &Shared, guard: &Guard) -> Value {
    let backend = &*shared.backend;
    let now = backend.now();
    let view = ViewRequest {
        parameters: &Parameters::default(),
        backend,
        stats: &shared.stats,
        now,
    };
    json!({
        "time": now.wall.0 as f64 / 1_000.0,
        "current": current(shared, now.wall),
        "alerts": view_alerts(&backend.alerts(), &backend.suppressions()),
        "bottlenecks": bottlenecks(shared, guard),
        "summary": health::view_summary(&view).unwrap_or_default(),
        "config": {
            "host": rustix::system::uname().nodename().to_string_lossy(),
            "version": VERSION,
        },
    })
}

fn bottlenecks(shared: &Shared, guard: &Guard) -> Value {
    let backend = &*shared.backend;
    let Some(history) = backend.history() else {
        return json!([]);
    };
    let options = Options {
        lookback: **shared.access.load().query.lookback,
        ..Options::default()
    };
    let found = analysis::with_context(backend, &*history, guard, options, |context| {
        analysis::bottlenecks::bottlenecks(&Parameters::default(), context)
    });
    found.map_or(json!([]), |mut found| found["bottlenecks"].take())
}

/// Returns the current values of all gauges and counters but the self-metrics, in the form of an
/// update, each metric as if a client had subscribed to its name.
fn current(shared: &Shared, at: UnixMillis) -> Option<Box<RawValue>> {
    let catalog = shared.live.catalog(&shared.backend.store());
    let mut room = *shared.access.load().live.max_series as usize;
    let mut update = Update::data();
    for (index, def) in catalog.store().metrics().iter().enumerate() {
        let is_single = matches!(def.kind, Kind::Counter | Kind::Gauge);
        if !is_single || def.origin == Origin::SELF_METRICS {
            continue;
        }
        let mut series = Series::new(room);
        current_values(&catalog, MetricId(index as u32), &mut series);
        if !series.is_empty() {
            room = series.room();
            update.push(&def.name, at, &series.finish());
        }
    }
    let text = String::from_utf8(update.finish()).ok()?;
    RawValue::from_string(text).ok()
}
