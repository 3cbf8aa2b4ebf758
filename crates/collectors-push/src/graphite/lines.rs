//! From lines to samples: `name;tag=value value timestamp`.

use std::borrow::Cow;
use std::sync::atomic::Ordering;

use bellwether_collector::Memory;
use bellwether_core::{Kind, LabelSet, Now, Rejected, Rejection, SeriesBatch, UnixMillis};

use super::Plan;
use crate::name_mapping::{MappedType, Mapper, escaped_label};
use crate::pushed::Intake;
use crate::sockets;

/// Longest part of a rejected line that is shown, in characters.
const SHOWN: usize = 80;

/// Reads lines, and pushes their samples.
pub(super) struct Lines {
    mapper: Mapper,
    intake: Intake,
    memory: Memory,
    batch: SeriesBatch,
    pub(super) totals: Totals,
}

/// Numbers of what was taken and what was not.
#[derive(Debug, Default)]
pub(super) struct Totals {
    lines: u64,
    /// Lines that a mapping drops.
    dropped: u64,
    /// Tags without a value, or with a name that no label has.
    ignored_tags: u64,
    last: UnixMillis,
}

impl Lines {
    pub(super) fn new(plan: &Plan, memory: Memory) -> Self {
        Self {
            mapper: Mapper::new(plan.mappings.clone(), plan.accept.clone()),
            intake: plan.intake.clone(),
            memory,
            batch: SeriesBatch::default(),
            totals: Totals::default(),
        }
    }

    /// Takes the lines of a packet.
    pub(super) fn packet(&mut self, packet: &[u8], now: Now) {
        self.batch.clear();
        let mut rejected = Rejected::default();
        for bytes in packet.split(|byte| *byte == b'\n') {
            let line = bytes.trim_ascii();
            if line.is_empty() {
                continue;
            }
            self.totals.lines += 1;
            let taken = str::from_utf8(line)
                .map_err(|_| Rejection::Malformed)
                .and_then(|text| self.line(text, now));
            if let Err(reason) = taken {
                rejected.add(reason, 1, || {
                    String::from_utf8_lossy(line).chars().take(SHOWN).collect()
                });
            }
        }
        self.batch.reject(&rejected);
        self.intake.push(&self.memory, &self.batch, now);
    }

    fn line(&mut self, line: &str, now: Now) -> Result<(), Rejection> {
        let mut parts = line.split_ascii_whitespace();
        let (Some(path), Some(value), Some(time), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Rejection::Malformed);
        };
        let value: f64 = value.parse().map_err(|_| Rejection::Malformed)?;
        let time = timestamp(time).ok_or(Rejection::Malformed)?;
        if value.is_nan() {
            return Err(Rejection::Malformed);
        }
        if time.is_some_and(|time| now.wall.since(time) > self.intake.ttl()) {
            return Err(Rejection::TooOld);
        }
        let (name, tags) = path.split_once(';').unwrap_or((path, ""));
        let Some(target) = self.mapper.find(name, MappedType::Gauge) else {
            self.totals.dropped += 1;
            return Ok(());
        };
        if !target.is_accepted {
            return Err(Rejection::NotAccepted);
        }
        let help = target.options.help.as_deref().unwrap_or_default();
        self.batch.begin(&target.name, Some(Kind::Gauge), help);
        let value = value * target.options.scale;
        if tags.is_empty() {
            self.batch.push_packed(target.set.packed(), value);
        } else {
            let tags = self.totals.labels(tags).into_iter();
            let own = target.set.iter().map(|(name, value)| (name.into(), value));
            // Of several labels with one name the last one counts.
            let set = LabelSet::new(tags.chain(own));
            self.batch.push_packed(set.packed(), value);
        }
        self.totals.last = now.wall;
        Ok(())
    }
}

impl Totals {
    /// Returns the labels of `;`-separated tags.
    fn labels<'t>(&mut self, tags: &'t str) -> Vec<(Cow<'t, str>, &'t str)> {
        let mut labels = Vec::new();
        for tag in tags.split(';').filter(|tag| !tag.is_empty()) {
            let (name, value) = tag.split_once('=').unwrap_or((tag, ""));
            let name = escaped_label(name);
            match name.is_empty() || name.starts_with("__") || value.is_empty() {
                true => self.ignored_tags += 1,
                false => labels.push((name, value)),
            }
        }
        labels
    }

    /// Adds the series of the collector `name`.
    pub(super) fn fill(&self, name: &str, sockets: &sockets::Totals, out: &mut SeriesBatch) {
        let label = [("collector", name)];
        for (name, help, value) in [
            ("graphite_lines_total", "Lines received.", self.lines),
            (
                "graphite_dropped_samples_total",
                "Samples that a mapping drops.",
                self.dropped,
            ),
            (
                "graphite_ignored_tags_total",
                "Tags that were ignored.",
                self.ignored_tags,
            ),
            (
                "graphite_tcp_connections_total",
                "Connections accepted.",
                sockets.connections.load(Ordering::Relaxed),
            ),
            (
                "graphite_tcp_connections_rejected_total",
                "Connections above the limit.",
                sockets.rejected_connections.load(Ordering::Relaxed),
            ),
        ] {
            out.counter(name, help, &label, value as f64);
        }
        let help = "Time of the last sample, as a Unix timestamp.";
        let last = self.last.0 as f64 / 1000.0;
        out.gauge(
            "graphite_last_processed_timestamp_seconds",
            help,
            &label,
            last,
        );
    }
}

/// Reads seconds since 1970; `-1` is now.
fn timestamp(text: &str) -> Option<Option<UnixMillis>> {
    let seconds: f64 = text.parse().ok()?;
    match seconds {
        -1.0 => Some(None),
        _ if (0.0..1e12).contains(&seconds) => Some(Some(UnixMillis((seconds * 1000.0) as i64))),
        _ => None,
    }
}
