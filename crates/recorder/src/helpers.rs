//! Typed helpers for the metrics of the shipped declaration, where one event is recorded as both
//! a duration and a count.
//!
//! Each part is recorded even if the other is refused (a declaration may leave one out); the
//! first refusal is returned, and all are counted.

use std::time::Duration;

use super::recorder::Recorder;
use super::refused::Refused;

type Outcome = Result<(), Refused>;

impl Recorder {
    /// A run of an agent: `agent_execution_time` in seconds and `agent_execution_count`.
    ///
    /// # Errors
    /// As [`Recorder::observe`]; so for all helpers.
    pub fn agent_execution(&self, agent_name: &str, took: Duration, status: &str) -> Outcome {
        let labels = [("agent_name", agent_name), ("status", status)];
        self.timed(
            "agent_execution_time",
            "agent_execution_count",
            &labels,
            took,
        )
    }

    /// An error of an agent: `agent_error_count`.
    pub fn agent_error(&self, agent_name: &str, error_type: &str) -> Outcome {
        let labels = [("agent_name", agent_name), ("error_type", error_type)];
        self.inc("agent_error_count", &labels, 1.0)
    }

    /// A served request: `api_request_duration` in seconds and `api_request_count`; `status` is
    /// the HTTP status.
    pub fn api_request(
        &self,
        endpoint: &str,
        method: &str,
        took: Duration,
        status: u16,
    ) -> Outcome {
        let mut digits = itoa::Buffer::new();
        let status = digits.format(status);
        let labels = [
            ("endpoint", endpoint),
            ("method", method),
            ("status", status),
        ];
        self.timed("api_request_duration", "api_request_count", &labels, took)
    }

    /// A failed request: `api_error_count`.
    pub fn api_error(&self, endpoint: &str, method: &str, error_type: &str) -> Outcome {
        let labels = [
            ("endpoint", endpoint),
            ("method", method),
            ("error_type", error_type),
        ];
        self.inc("api_error_count", &labels, 1.0)
    }

    /// How many items wait in a queue: `queue_length`.
    pub fn queue_length(&self, queue_name: &str, length: usize) -> Outcome {
        self.set("queue_length", &[("queue_name", queue_name)], length as f64)
    }

    /// An item taken from a queue and done: `queue_processing_time` in seconds and
    /// `queue_items_processed`.
    pub fn queue_processing(&self, queue_name: &str, took: Duration) -> Outcome {
        let labels = [("queue_name", queue_name)];
        self.timed(
            "queue_processing_time",
            "queue_items_processed",
            &labels,
            took,
        )
    }

    /// An entity worked on: `entities_processing_time` in seconds and
    /// `entities_processed_total`.
    pub fn entity_processing(&self, entity_type: &str, operation: &str, took: Duration) -> Outcome {
        let labels = [("entity_type", entity_type), ("operation", operation)];
        self.timed(
            "entities_processing_time",
            "entities_processed_total",
            &labels,
            took,
        )
    }

    /// Found in a cache: `cache_hits`.
    pub fn cache_hit(&self, cache_name: &str) -> Outcome {
        self.inc("cache_hits", &[("cache_name", cache_name)], 1.0)
    }

    /// Not found in a cache: `cache_misses`.
    pub fn cache_miss(&self, cache_name: &str) -> Outcome {
        self.inc("cache_misses", &[("cache_name", cache_name)], 1.0)
    }

    /// How much a cache holds: `cache_size`.
    pub fn cache_size(&self, cache_name: &str, size: usize) -> Outcome {
        self.set("cache_size", &[("cache_name", cache_name)], size as f64)
    }

    fn timed(&self, time: &str, count: &str, labels: &[(&str, &str)], took: Duration) -> Outcome {
        let observed = self.observe(time, labels, took.as_secs_f64());
        let counted = self.inc(count, labels, 1.0);
        observed.and(counted)
    }
}
