//! Requests to the agent.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::cli::Global;
use crate::cli::asking;
use crate::cli::client::{Client, LiveError, LiveSocket, Target};
use crate::cli::top::plot::Grid;
use crate::cli::top::query::Query;

/// Longest time without an answer to one request.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The agent that is shown.
pub(super) struct Agent {
    global: Global,
    target: Target,
}

impl Agent {
    pub(super) fn new(global: Global, target: Target) -> Self {
        Self { global, target }
    }

    /// Looks for the agent anew before the next request.
    pub(super) fn renew(&mut self) {
        self.target = self.target.afresh();
    }

    /// Returns the client of all requests.
    ///
    /// # Errors
    /// There is no address, or a file with certificates is invalid.
    pub(super) fn client(&self) -> anyhow::Result<&Client> {
        self.target.client(&self.global)
    }

    /// Opens the WebSocket of live updates.
    pub(super) fn live(&self) -> Result<LiveSocket, LiveError> {
        self.client().map_err(LiveError::Unanswered)?.live(TIMEOUT)
    }

    /// Returns the data of a GET.
    ///
    /// # Errors
    /// There is no answer, or one with an error.
    pub(super) fn get(&self, path: &str) -> anyhow::Result<Value> {
        asking::data(path, &self.target.get_within(&self.global, path, TIMEOUT)?)
    }

    /// Returns the series of a query over `grid`.
    ///
    /// # Errors
    /// There is no answer, or one with an error.
    pub(super) fn range(&self, query: &Query, grid: Grid) -> anyhow::Result<Value> {
        let seconds = |at: bellwether_core::UnixMillis| (at.0 as f64 / 1000.0).to_string();
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("query", &query.promql)
            .append_pair("start", &seconds(grid.start()))
            .append_pair("end", &seconds(grid.end))
            .append_pair("step", &grid.step().as_secs_f64().to_string())
            .append_pair("limit", &query.most.to_string())
            .finish();
        self.get(&format!("/api/v1/query_range?{query}"))
    }

    /// Sends a change, with a body, or takes one back; returns `done` or the error.
    pub(super) fn change(
        &self,
        path: &str,
        body: Option<&Value>,
        done: String,
    ) -> Result<String, String> {
        let method = match body {
            Some(_) => Method::POST,
            None => Method::DELETE,
        };
        let answer = self.target.change(&self.global, method, path, body);
        let data = answer.and_then(|answer| asking::data(path, &answer));
        data.map(|_| done).map_err(|error| format!("{error:#}"))
    }
}
