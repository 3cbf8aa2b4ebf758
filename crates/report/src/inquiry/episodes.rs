//! Records of the alert history to alerts with begin and end.

use std::collections::HashMap;
use std::time::Duration;

use bellwether_core::UnixMillis;
use serde_json::Value;

use super::answers::{float, labels, plain, time};
use crate::AlertEpisode;

/// Alerts by fingerprint, from records in the order of time.
pub(super) struct Episodes {
    from: UnixMillis,
    to: UnixMillis,
    all: Vec<AlertEpisode>,
    /// Place of the newest episode of each alert.
    newest: HashMap<String, usize>,
}

impl Episodes {
    pub(super) fn new(from: UnixMillis, to: UnixMillis) -> Self {
        Self {
            from,
            to,
            all: Vec::new(),
            newest: HashMap::new(),
        }
    }

    pub(super) fn record(&mut self, record: &Value) {
        let at = time(&record["at"]).unwrap_or(self.from);
        match record["event"].as_str().unwrap_or_default() {
            "firing" => {
                self.begin(record, at);
            }
            "level" => {
                if let Some(episode) = self.open(record) {
                    episode.severity = plain(&record["severity"]);
                }
            }
            "resolved" => self.end(record, at),
            "delivered" => {
                if let Some(episode) = self.newest(record) {
                    episode.delivered += 1;
                }
            }
            "failed" | "rejected" => {
                if let Some(episode) = self.newest(record) {
                    episode.failed += 1;
                }
            }
            _ => {}
        }
    }

    fn begin(&mut self, record: &Value, at: UnixMillis) -> usize {
        let mut labels = labels(&record["labels"]);
        labels.retain(|name, _| !matches!(name.as_str(), "alertname" | "severity"));
        let alertname = match record["alertname"].is_string() {
            true => plain(&record["alertname"]),
            false => plain(&record["rule"]),
        };
        self.all.push(AlertEpisode {
            alertname,
            labels,
            severity: plain(&record["severity"]),
            fired_at: at,
            peak: record["peak"].as_f64(),
            message: plain(&record["message"]),
            ..AlertEpisode::default()
        });
        let place = self.all.len() - 1;
        self.newest.insert(plain(&record["fingerprint"]), place);
        place
    }

    /// Ends an episode; one that fired before the range begins as long before as the record says.
    fn end(&mut self, record: &Value, at: UnixMillis) {
        if self.open(record).is_none() {
            let fired_for = Duration::from_secs_f64(float(&record["firedForSeconds"]).max(0.0));
            self.begin(record, at.before(fired_for));
        }
        if let Some(episode) = self.open(record) {
            episode.resolved_at = Some(at);
            episode.peak = record["peak"].as_f64().or(episode.peak);
        }
    }

    /// Adds an alert that fires now, unless its firing is in the range.
    pub(super) fn active(&mut self, alert: &Value) {
        let fired_at = time(&alert["firedAt"]);
        if let Some(at) = fired_at
            && alert["state"] == "firing"
            && self.open(alert).is_none()
        {
            self.begin(alert, at);
        }
        if let Some(episode) = self.open(alert) {
            episode.severity = plain(&alert["severity"]);
            episode.message = plain(&alert["message"]);
            episode.peak = alert["peak"].as_f64();
        }
    }

    fn newest(&mut self, record: &Value) -> Option<&mut AlertEpisode> {
        let place = self.newest.get(&plain(&record["fingerprint"]))?;
        self.all.get_mut(*place)
    }

    fn open(&mut self, record: &Value) -> Option<&mut AlertEpisode> {
        self.newest(record)
            .filter(|episode| episode.resolved_at.is_none())
    }

    /// Returns the episodes, the newest first.
    pub(super) fn finish(mut self) -> Vec<AlertEpisode> {
        for episode in &mut self.all {
            let end = episode.resolved_at.unwrap_or(self.to);
            episode.seconds = end.since(episode.fired_at).as_secs_f64();
        }
        self.all
            .sort_by_key(|episode| std::cmp::Reverse(episode.fired_at));
        self.all
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// 2026-01-01 00:00 UTC.
    const FROM: UnixMillis = UnixMillis(1_767_225_600_000);

    fn record(event: &str, minutes: i64) -> Value {
        let at = jiff::Timestamp::from_millisecond(FROM.0 + minutes * 60_000).unwrap();
        json!({"at": at.to_string(), "event": event, "alertname": "disk", "fingerprint": "f", "severity": "warning",
            "labels": {"alertname": "disk", "mount_point": "/"}, "firedForSeconds": 600.0})
    }

    fn episodes(records: &[Value]) -> Vec<(i64, Option<i64>, f64)> {
        let to = FROM.after(Duration::from_secs(86_400));
        let mut episodes = Episodes::new(FROM, to);
        records.iter().for_each(|record| episodes.record(record));
        let minutes = |at: UnixMillis| (at.0 - FROM.0) / 60_000;
        let all = episodes.finish().into_iter();
        all.map(|one| {
            (
                minutes(one.fired_at),
                one.resolved_at.map(minutes),
                one.seconds,
            )
        })
        .collect()
    }

    #[test]
    fn records_become_episodes() {
        let records = [
            // It fired ten minutes before, which is before the range.
            record("resolved", 4),
            record("firing", 30),
            record("level", 40),
            record("delivered", 41),
            record("resolved", 50),
            record("firing", 23 * 60),
        ];
        assert_eq!(
            episodes(&records),
            [
                (1380, None, 3600.0),
                (30, Some(50), 1200.0),
                (-6, Some(4), 600.0)
            ]
        );
    }
}
