//! Rounds: after a collection, each topic that it concerns is evaluated once for all its clients.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Origin, UnixMillis};
use bellwether_promql::Guard;
use hyper::body::Bytes;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::evaluation::{Context, Evaluated};
use super::feed::Collected;
use super::topic::{Newest, Topic};
use crate::api::query::JobLimits;
use crate::api::response::ApiError;
use crate::api::shared::Shared;

/// Timeout of one evaluation: a query that takes longer is none to follow live.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Time in which other collectors that are due at the same moment may end, so that a client gets one
/// message for all of them.
const TOGETHER: Duration = Duration::from_millis(5);
/// Time for which a round waits for one evaluation.
const PATIENCE: Duration = Duration::from_millis(50);
/// Time that a round takes, beside its last evaluation. What it does not reach waits in line with the slow
/// topics, so that many subscriptions of one client do not delay those of others.
const ROUND_TIME: Duration = Duration::from_millis(100);
/// Time after which results are published although the round goes on.
const PUBLISH_AFTER: Duration = Duration::from_millis(20);

/// Collections that are evaluated together.
#[derive(Debug)]
pub(super) struct Round {
    /// Collectors; none for all, where some collections were forgotten.
    origins: Option<BTreeSet<Origin>>,
    /// Time of the newest samples.
    at: UnixMillis,
}

impl Round {
    /// Waits for the next collection, and adds those that have ended meanwhile.
    async fn next(collections: &mut Receiver<Collected>, now: impl Fn() -> UnixMillis) -> Self {
        let mut round = Self {
            origins: Some(BTreeSet::new()),
            at: UnixMillis(i64::MIN),
        };
        match collections.recv().await {
            Ok(collected) => round.add(collected),
            // The feed outlives the server.
            Err(RecvError::Closed) => std::future::pending().await,
            Err(RecvError::Lagged(_)) => round.add_all(now()),
        }
        sleep(TOGETHER).await;
        loop {
            match collections.try_recv() {
                Ok(collected) => round.add(collected),
                Err(TryRecvError::Lagged(_)) => round.add_all(now()),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return round,
            }
        }
    }

    fn add(&mut self, Collected { origin, at }: Collected) {
        self.at = self.at.max(at);
        if let Some(origins) = &mut self.origins {
            origins.insert(origin);
        }
    }

    fn add_all(&mut self, now: UnixMillis) {
        self.at = self.at.max(now);
        self.origins = None;
    }

    /// Returns true if one of `origins` was collected.
    pub(super) fn has_any(&self, origins: &BTreeSet<Origin>) -> bool {
        self.origins
            .as_ref()
            .is_none_or(|collected| !collected.is_disjoint(origins))
    }
}

/// Evaluates the topics of `shared` after each collection, until `stop`. Does nothing while there is
/// no client.
pub(crate) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let rounds = async {
        loop {
            shared.live.occupied().await;
            follow(&shared).await;
            shared.live.forget().await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = rounds => {}
    }
}

/// Evaluates until the last client has gone.
async fn follow(shared: &Arc<Shared>) {
    let mut collections = shared.backend.live().collections();
    loop {
        let now = || shared.backend.now().wall;
        tokio::select! {
            () = shared.live.emptied() => return,
            round = Round::next(&mut collections, now) => evaluate_all(shared, &round).await,
        }
    }
}

/// Evaluates the topics that `round` concerns, the quickest first, and publishes their results. Waits for
/// none that is slow or has to rest, nor for longer than [`PATIENCE`] for another.
async fn evaluate_all(shared: &Arc<Shared>, round: &Round) {
    let began = Instant::now();
    let mut topics = shared.live.topics();
    topics.sort_by_cached_key(|topic| topic.took());
    let (mut published, mut is_changed) = (began, false);
    for topic in &topics {
        let Some(rest) = topic.claim(round, began) else {
            continue;
        };
        let in_line = topic.took() >= PATIENCE || began.elapsed() >= ROUND_TIME;
        let (shared, topic) = (Arc::clone(shared), Arc::clone(topic));
        if in_line || !rest.is_zero() {
            tokio::spawn(evaluate_later(shared, topic, rest, in_line));
            continue;
        }
        let evaluation = tokio::spawn(evaluate_now(Arc::clone(&shared), topic, round.at));
        timeout(PATIENCE, evaluation).await.ok();
        is_changed = true;
        if published.elapsed() >= PUBLISH_AFTER {
            shared.live.publish();
            (published, is_changed) = (Instant::now(), false);
        }
    }
    if is_changed {
        shared.live.publish();
    }
    let stats = &shared.live.stats;
    stats.evaluated(topics.len(), began.elapsed());
}

/// Evaluates a topic in a round; publishes the result if the round may not have waited for it.
async fn evaluate_now(shared: Arc<Shared>, topic: Arc<Topic>, at: UnixMillis) {
    let began = Instant::now();
    evaluate(&shared, &topic, at).await.ok();
    if began.elapsed() >= PATIENCE {
        shared.live.publish();
    }
}

/// Evaluates a topic after its `rest`, those `in_line` one at a time, and publishes the result.
async fn evaluate_later(shared: Arc<Shared>, topic: Arc<Topic>, rest: Duration, in_line: bool) {
    sleep(rest).await;
    let _turn = match in_line {
        true => shared.live.line.acquire().await.ok(),
        false => None,
    };
    let now = shared.backend.now().wall;
    evaluate(&shared, &topic, now).await.ok();
    shared.live.publish();
}

/// Makes the first result of a topic, unless it has one. Clients that ask together wait for one
/// evaluation.
///
/// # Errors
/// The subscription is invalid, or its evaluation fails.
pub(super) async fn evaluate_first(shared: &Arc<Shared>, topic: &Topic) -> Result<(), ApiError> {
    let first = topic.first.get_or_try_init(|| async {
        let _permit = shared.live.firsts.acquire().await;
        evaluate(shared, topic, shared.backend.now().wall).await
    });
    first.await.map(|_| ())
}

/// Evaluates a topic at `at` and sets its result, which may be an error.
async fn evaluate(shared: &Arc<Shared>, topic: &Topic, at: UnixMillis) -> Result<(), ApiError> {
    let began = Instant::now();
    let evaluated = run_job(shared, topic, at).await;
    let kept = evaluated.and_then(|Evaluated { series, sources }| {
        let charged = shared.live.charge(series.len())?;
        Ok((Bytes::from(series), sources, charged))
    });
    match kept {
        Ok((series, sources, charged)) => {
            let result = Ok(series);
            topic.set(Newest { at, result }, Some(sources), Some(charged), began);
            Ok(())
        }
        Err(error) => {
            let result = Err(error.text().into());
            topic.set(Newest { at, result }, None, None, began);
            Err(error)
        }
    }
}

async fn run_job(
    shared: &Arc<Shared>,
    topic: &Topic,
    at: UnixMillis,
) -> Result<Evaluated, ApiError> {
    let access = shared.access.load_full();
    let backend = Arc::clone(&shared.backend);
    let catalog = shared.live.catalog(&backend.store());
    let subject = topic.subject.clone();
    let work = move |guard: &Guard| {
        let history = backend.history();
        let context = Context {
            catalog: &catalog,
            source: history.as_deref(),
            at,
            lookback: **access.query.lookback,
            max_series: *access.live.max_series as usize,
            guard,
        };
        context.evaluate(&subject)
    };
    let output = shared.live.jobs.run(limits(shared), work).await?;
    Ok(output.value)
}

/// Limits of an evaluation: those of a query, and a shorter timeout.
pub(super) fn limits(shared: &Shared) -> JobLimits {
    let access = shared.access.load();
    let timeout = access.query.time(**access.limits.request_timeout);
    access.query.limits(timeout.min(TIMEOUT))
}
