//! Typed helpers for the metrics of the shipped configuration, where one event is recorded as both
//! a duration and a count.
//!
//! Each part is recorded even if the other is rejected (a configuration may leave one out). The
//! first error is returned; all are counted.

use std::time::Duration;

use super::error::RecordError;
use super::recorder::Recorder;

type Outcome = Result<(), RecordError>;

impl Recorder {
    /// Records a run of an agent: `agent_execution_time` in seconds and `agent_execution_count`.
    ///
    /// # Errors
    /// As [`Recorder::observe`]; so do all helpers.
    pub fn agent_execution(&self, agent_name: &str, duration: Duration, status: &str) -> Outcome {
        let labels = [("agent_name", agent_name), ("status", status)];
        self.timed(
            "agent_execution_time",
            "agent_execution_count",
            &labels,
            duration,
        )
    }

    /// Counts an error of an agent: `agent_error_count`.
    pub fn agent_error(&self, agent_name: &str, error_type: &str) -> Outcome {
        let labels = [("agent_name", agent_name), ("error_type", error_type)];
        self.inc("agent_error_count", &labels, 1.0)
    }

    /// Records a served request: `api_request_duration` in seconds and `api_request_count`; `status` is
    /// the HTTP status.
    pub fn api_request(
        &self,
        endpoint: &str,
        method: &str,
        duration: Duration,
        status: u16,
    ) -> Outcome {
        let status = Digits::new(status);
        let labels = [
            ("endpoint", endpoint),
            ("method", method),
            ("status", status.as_str()),
        ];
        self.timed(
            "api_request_duration",
            "api_request_count",
            &labels,
            duration,
        )
    }

    /// Counts a failed request: `api_error_count`.
    pub fn api_error(&self, endpoint: &str, method: &str, error_type: &str) -> Outcome {
        let labels = [
            ("endpoint", endpoint),
            ("method", method),
            ("error_type", error_type),
        ];
        self.inc("api_error_count", &labels, 1.0)
    }

    /// Sets the number of items that wait in a queue: `queue_length`.
    pub fn queue_length(&self, queue_name: &str, length: usize) -> Outcome {
        self.set("queue_length", &[("queue_name", queue_name)], length as f64)
    }

    /// Records an item of a queue that was processed: `queue_processing_time` in seconds and
    /// `queue_items_processed`.
    pub fn queue_processing(&self, queue_name: &str, duration: Duration) -> Outcome {
        let labels = [("queue_name", queue_name)];
        self.timed(
            "queue_processing_time",
            "queue_items_processed",
            &labels,
            duration,
        )
    }

    /// Records a processed entity: `entities_processing_time` in seconds and
    /// `entities_processed_total`.
    pub fn entity_processing(
        &self,
        entity_type: &str,
        operation: &str,
        duration: Duration,
    ) -> Outcome {
        let labels = [("entity_type", entity_type), ("operation", operation)];
        self.timed(
            "entities_processing_time",
            "entities_processed_total",
            &labels,
            duration,
        )
    }

    /// Counts a cache hit: `cache_hits`.
    pub fn cache_hit(&self, cache_name: &str) -> Outcome {
        self.inc("cache_hits", &[("cache_name", cache_name)], 1.0)
    }

    /// Counts a cache miss: `cache_misses`.
    pub fn cache_miss(&self, cache_name: &str) -> Outcome {
        self.inc("cache_misses", &[("cache_name", cache_name)], 1.0)
    }

    /// Sets the number of entries of a cache: `cache_size`.
    pub fn cache_size(&self, cache_name: &str, size: usize) -> Outcome {
        self.set("cache_size", &[("cache_name", cache_name)], size as f64)
    }

    fn timed(
        &self,
        time: &str,
        count: &str,
        labels: &[(&str, &str)],
        duration: Duration,
    ) -> Outcome {
        let observed = self.observe(time, labels, duration.as_secs_f64());
        let counted = self.inc(count, labels, 1.0);
        observed.and(counted)
    }
}

/// Decimal digits of a number on the stack, because recording does not allocate.
struct Digits {
    bytes: [u8; 5],
    start: usize,
}

impl Digits {
    fn new(mut number: u16) -> Self {
        let (mut bytes, mut start) = ([b'0'; 5], 5);
        loop {
            start -= 1;
            bytes[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return Self { bytes, start };
            }
        }
    }

    fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[self.start..]).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_display() {
        for number in [0, 7, 10, 200, 503, u16::MAX] {
            assert_eq!(Digits::new(number).as_str(), number.to_string());
        }
    }
}
