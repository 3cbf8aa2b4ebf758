//! Converts lines to records: mapped names, tags as labels, units, sample rates.

use bellwether_core::UnixMillis;
use bellwether_recorder::{MAX_LABELS, Reason, RecordError, Recorder};
use tracing::warn;

use super::line::{Line, LineKind, is_plain, push_plain, tags, tags_as_labels};
use super::mapping::{MAX_STARS, Translation};

/// Records the lines of packets. Used by one thread; its buffer is reused from line to line.
pub(super) struct Intake {
    recorder: Recorder,
    /// Name of the metric, or mapped label values, of the current line.
    buffer: String,
    /// Reasons that were logged.
    logged: [bool; Reason::ALL.len()],
    /// The wall clock.
    clock: Clock,
}

/// Reads the wall clock.
pub(super) type Clock = Box<dyn Fn() -> UnixMillis + Send>;

/// Labels of the current line.
struct Pairs<'a> {
    pairs: [(&'a str, &'a str); MAX_LABELS],
    len: usize,
}

impl<'a> Pairs<'a> {
    fn push(&mut self, name: &'a str, value: &'a str) -> Result<(), Reason> {
        // No metric has as many labels, so one of these is unknown for sure.
        *self.pairs.get_mut(self.len).ok_or(Reason::UnknownLabel)? = (name, value);
        self.len += 1;
        Ok(())
    }
}

impl Intake {
    pub(super) fn new(recorder: Recorder, clock: Clock) -> Self {
        Self {
            recorder,
            buffer: String::new(),
            logged: Default::default(),
            clock,
        }
    }

    /// Records the lines of one packet and returns their number.
    pub(super) fn packet(&mut self, translation: &Translation, packet: &[u8]) -> u64 {
        let mut lines = 0;
        let steps = translation.dialect.signs_are_steps(packet);
        for line in packet.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !line.is_empty() {
                lines += 1;
                self.line(translation, line, steps);
            }
        }
        lines
    }

    fn line(&mut self, translation: &Translation, bytes: &[u8], steps: bool) {
        let read = std::str::from_utf8(bytes)
            .map_err(|_| Reason::Malformed)
            .and_then(|text| self.read(translation, text, steps));
        match read {
            Ok(None) => {}
            Ok(Some(error)) => self.log_once(bytes, &error),
            Err(reason) => {
                self.recorder.count_rejected(reason);
                self.log_once(bytes, &reason.into());
            }
        }
    }

    /// Records the values of a line. Returns the last error of the recorder, which has counted it; an
    /// `Err` is a line that did not reach the recorder.
    fn read(
        &mut self,
        translation: &Translation,
        text: &str,
        steps: bool,
    ) -> Result<Option<RecordError>, Reason> {
        let line = Line::parse(text)?;
        if !line.is_timely((self.clock)()) {
            return Err(Reason::Timestamp);
        }
        let labels = tags_as_labels(line.tags);
        let (mut captures, mut ends) = ([""; MAX_STARS], [("", 0); MAX_LABELS]);
        let mut mapped = 0;
        self.buffer.clear();
        let mapping = translation.find(line.name, &mut captures);
        match mapping {
            Some(mapping) => mapping.render(&captures, &mut self.buffer, |name, end| {
                if let Some(slot) = ends.get_mut(mapped) {
                    *slot = (name, end);
                    mapped += 1;
                }
            }),
            None if is_plain(line.name) => {}
            None => push_plain(line.name, &mut self.buffer),
        }
        let (metric, scale) = match mapping {
            Some(mapping) => (&*mapping.metric, mapping.scale),
            None if self.buffer.is_empty() => (line.name, 1.0),
            None => (&*self.buffer, 1.0),
        };
        let mut pairs = Pairs {
            pairs: [("", ""); MAX_LABELS],
            len: 0,
        };
        let mut start = 0;
        for (name, end) in &ends[..mapped] {
            pairs.push(name, &self.buffer[start..*end])?;
            start = *end;
        }
        for (name, value) in tags(&labels).filter(|(name, _)| !translation.ignores(name)) {
            match value {
                Some(value) => pairs.push(name, value)?,
                None if self.recorder.has_label(metric, name) => pairs.push(name, "")?,
                None => {}
            }
        }
        let mut last = None;
        for value in line.values.split(':') {
            let pairs = &pairs.pairs[..pairs.len];
            last = record(&self.recorder, &line, value, metric, pairs, (scale, steps))
                .err()
                .or(last);
        }
        Ok(last)
    }

    /// Logs the first error of each reason, so that a sender's mistake can be found and a flood of
    /// them does not fill the log.
    fn log_once(&mut self, line: &[u8], error: &RecordError) {
        let logged = &mut self.logged[error.reason as usize];
        if !std::mem::replace(logged, true) {
            let text: String = String::from_utf8_lossy(line).chars().take(200).collect();
            let reason = error.reason.as_str();
            warn!(reason, line = text, %error, "StatsD line rejected; further lines are only counted");
        }
    }
}

/// Records one value of a line, times a scale. `steps`: a signed gauge is a step.
fn record(
    recorder: &Recorder,
    line: &Line<'_>,
    text: &str,
    metric: &str,
    labels: &[(&str, &str)],
    (scale, steps): (f64, bool),
) -> Result<(), RecordError> {
    let value = text.parse().unwrap_or(f64::NAN) * scale;
    match line.kind {
        LineKind::Counter => recorder.inc(metric, labels, value / line.rate),
        LineKind::Gauge if steps && text.starts_with(['+', '-']) => {
            recorder.add(metric, labels, value)
        }
        LineKind::Gauge => recorder.set(metric, labels, value),
        LineKind::Timer => {
            recorder.observe_weighted(metric, labels, value / 1000.0, 1.0 / line.rate)
        }
        LineKind::Observation => recorder.observe_weighted(metric, labels, value, 1.0 / line.rate),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bellwether_core::{Batch, MetricId, Origin};
    use bellwether_schema::{Decode, DecodeContext, Diagnostics};
    use proptest::prelude::*;

    use super::*;
    use crate::application::settings::{ApplicationMetric, resolve};
    use crate::application::statsd::Statsd;
    use bellwether_collector::MetricDefaults;

    const METRICS: &str = "[{name: c, type: counter, labels: [a]}, {name: g, type: gauge}, \
        {name: h, type: histogram, buckets: [1]}, {name: s, type: summary}]";
    const STATSD: &str = "{mappings: [{match: m.*, metric: c, labels: {a: $1}}]}";

    fn decoded<T: Decode>(yaml: &str) -> T {
        let mut problems = Diagnostics::default();
        T::decode(
            &bellwether_schema::parse(yaml).unwrap(),
            &mut DecodeContext::new(&mut problems, &|_| None),
        )
        .unwrap()
    }

    /// Each packet into a fresh recorder: how many lines, series and rejections that makes.
    fn take(packet: &[u8]) -> (u64, usize, u64) {
        let metrics: Vec<ApplicationMetric> = decoded(METRICS);
        let defaults = MetricDefaults {
            origin: Origin::APPLICATION,
            prefix: "",
            interval: Duration::from_secs(30),
        };
        let declared = resolve(&metrics, defaults, &mut Diagnostics::default());
        let recorder = Recorder::new((0..).map(MetricId).zip(declared));
        let translation = Translation::new(&decoded::<Statsd>(STATSD));
        let clock = Box::new(|| UnixMillis(1_700_000_000_000));
        let lines = Intake::new(recorder.clone(), clock).packet(&translation, packet);
        let mut batch = Batch::default();
        recorder.fill(&mut batch);
        (
            lines,
            batch.len(),
            recorder.rejected().iter().map(|(_, total)| total).sum(),
        )
    }

    /// The two series that show from the start, `h` and `s`.
    const FIRST: usize = 2;

    #[test]
    fn what_is_recorded_and_what_is_rejected() {
        let many: String = (0..40).map(|n| format!("t{n}:x,")).collect();
        for (packet, lines, series, rejected) in [
            ("c:1|c|#a:x\nm.y:1|c\ng:1|g\r\n\n", 3, 3, 0),
            ("c:1:2:nan:-1|c|#a:x", 1, 1, 2),
            ("m.x:1|c|#a:twice", 1, 0, 1),
            (&format!("c:1|c|#{many}"), 1, 0, 1),
            ("c:1|c|#a:x:y", 1, 1, 0),
            ("nope:1|c\nc:1|c\nc:1|c|#b:x", 3, 0, 3),
            ("c:1|c|#a,flag\nc:1|c|#a:x,production", 2, 2, 0),
            ("c:1|c|#flag\nc:1|c|#a,a:x", 2, 0, 2),
            ("g:1|g|T1700000060", 1, 1, 0),
            (
                "g:1|g|T1700000061\ng:1|g|T1699999939\ng:1|g|T-9223372036854775808",
                3,
                0,
                3,
            ),
        ] {
            assert_eq!(
                take(packet.as_bytes()),
                (lines, FIRST + series, rejected),
                "{packet}"
            );
        }
        assert_eq!(take(b"c:1|c|#a:\xFF"), (1, FIRST, 1));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(packet in prop::collection::vec(any::<u8>(), 0..300)) {
            let (lines, series, rejected) = take(&packet);
            prop_assert_eq!(series, FIRST);
            prop_assert!(rejected >= lines);
        }

        /// Near-lines: every line is recorded or rejected, and never a new metric.
        #[test]
        fn near_lines_never_panic(
            lines in prop::collection::vec("(c|g|h|s|m\\.[a-z]|x):[0-9.:+-]{0,4}\\|(c|g|ms|h|s)(\\|@0\\.[1-9])?(\\|#a:[a-z,:]{0,3})?", 0..8),
        ) {
            let (counted, series, _) = take(lines.join("\n").as_bytes());
            prop_assert_eq!(counted, lines.len() as u64);
            prop_assert!(series <= FIRST + lines.len());
        }
    }
}
