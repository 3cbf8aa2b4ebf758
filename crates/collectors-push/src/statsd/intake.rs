//! From lines to values: mapped names, tags as labels, units, sample rates.

use std::borrow::Cow;

use bellwether_collector::CollectorLimits;
use bellwether_core::{LabelSet, METRIC_NAME, Now, Rejected, Rejection, SeriesBatch};

use super::families::{Change, Families};
use super::totals::Totals;
use super::{Plan, name_tags};
use crate::application::{Line, LineKind, StatsdDialect, tags};
use crate::name_mapping::{MappedType, Mapper, Observer, Target, escaped_label};

/// Longest value of a label, in bytes.
const MAX_VALUE: usize = 1024;
/// Longest part of a rejected line that is shown, in characters.
const SHOWN: usize = 80;

/// Mappings and values.
#[derive(Default)]
pub(super) struct Intake {
    /// `None` before the first configuration.
    settings: Option<Settings>,
    values: Values,
}

struct Settings {
    mapper: Mapper,
    dialect: StatsdDialect,
    limits: CollectorLimits,
    /// Buffer for the labels of a line.
    packed: Vec<u8>,
}

#[derive(Default)]
struct Values {
    families: Families,
    totals: Totals,
    /// Samples that were rejected since the last collection.
    rejected: Rejected,
}

/// Reading of the lines of a packet.
#[derive(Clone, Copy)]
struct Reading {
    /// A signed gauge is a step.
    steps: bool,
    now: Now,
}

impl Intake {
    /// Continues with other settings.
    pub(super) fn configure(&mut self, plan: &Plan) {
        self.settings = Some(Settings {
            mapper: Mapper::new(plan.mappings.clone(), plan.accept.clone()),
            dialect: plan.dialect,
            limits: plan.limits.clone(),
            packed: Vec::new(),
        });
    }

    /// Ends the series without a sample for too long, and adds the others to `out`, with what was rejected.
    pub(super) fn fill(&mut self, now: Now, out: &mut SeriesBatch) {
        let Values {
            families, rejected, ..
        } = &mut self.values;
        families.fill(now.mono, out);
        out.reject(&std::mem::take(rejected));
    }

    pub(super) fn totals(&self) -> &Totals {
        &self.values.totals
    }

    /// Takes the lines of a packet.
    pub(super) fn packet(&mut self, packet: &[u8], now: Now) {
        let Self {
            settings: Some(settings),
            values,
        } = self
        else {
            return;
        };
        let steps = settings.dialect.signs_are_steps(packet);
        let reading = Reading { steps, now };
        for line in packet.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            values.totals.lines += 1;
            let taken = str::from_utf8(line)
                .map_err(|_| Rejection::Malformed)
                .and_then(|text| settings.line(text, reading, values));
            if let Err(reason) = taken {
                values.rejected.add(reason, 1, || {
                    String::from_utf8_lossy(line).chars().take(SHOWN).collect()
                });
            }
        }
    }
}

impl Settings {
    fn line(&mut self, text: &str, reading: Reading, values: &mut Values) -> Result<(), Rejection> {
        if let Ok(line) = Line::parse(text) {
            return self.record(&line, reading, values);
        }
        // Several samples of one name: `name:1|c:2|c`.
        let (name, samples) = text.split_once(':').ok_or(Rejection::Malformed)?;
        if samples.contains("|#") || !samples.contains(':') {
            return Err(Rejection::Malformed);
        }
        for sample in samples.split(':') {
            let line = Line::of(name, sample).map_err(|_| Rejection::Malformed)?;
            self.record(&line, reading, values)?;
        }
        Ok(())
    }

    fn record(
        &mut self,
        line: &Line<'_>,
        reading: Reading,
        values: &mut Values,
    ) -> Result<(), Rejection> {
        if !line.is_timely(reading.now.wall) {
            return Err(Rejection::TooOld);
        }
        let (name, name_tags) = name_tags::split(line.name);
        if !name_tags.is_empty() && !line.tags.is_empty() {
            return Err(Rejection::Malformed);
        }
        let kind = mapped_type(line.kind);
        let Some(target) = self.mapper.find(&name, kind) else {
            values.totals.dropped += 1;
            return Ok(());
        };
        if !target.is_mapped {
            values.totals.unmapped += line.values.split(':').count() as u64;
        }
        if !target.is_accepted {
            return Err(Rejection::NotAccepted);
        }
        let tags = tags(line.tags).chain(name_tags::pairs(name_tags));
        self.packed.clear();
        pack_labels(&target, kind, tags, &mut values.totals, &mut self.packed)?;
        for value in line.values.split(':') {
            let change = change(line, value, target.options.scale, reading.steps);
            values.families.change(
                &target,
                &self.packed,
                change,
                &self.limits,
                reading.now.mono,
            )?;
            values.totals.samples[kind as usize] += 1;
        }
        Ok(())
    }
}

fn mapped_type(kind: LineKind) -> MappedType {
    match kind {
        LineKind::Counter => MappedType::Counter,
        LineKind::Gauge => MappedType::Gauge,
        LineKind::Timer | LineKind::Observation => MappedType::Observer,
    }
}

/// Appends the labels of a series, its name included. A tag without a value, or with a name that no label has, is ignored.
fn pack_labels<'t>(
    target: &'t Target,
    kind: MappedType,
    tags: impl Iterator<Item = (&'t str, Option<&'t str>)>,
    totals: &mut Totals,
    out: &mut Vec<u8>,
) -> Result<(), Rejection> {
    let own = match (kind, &target.options.observer) {
        (MappedType::Observer, Observer::Histogram(_)) => "le",
        (MappedType::Observer, Observer::Summary { .. }) => "quantile",
        _ => METRIC_NAME,
    };
    let mut labels: Vec<(Cow<'_, str>, &str)> = Vec::new();
    for (name, value) in tags {
        let name = escaped_label(name);
        let is_free = !name.is_empty() && !name.starts_with("__") && name != own;
        match value.filter(|value| is_free && !value.is_empty()) {
            Some(value) => labels.push((name, value)),
            None => totals.ignored_tags += 1,
        }
    }
    let has_tags = !labels.is_empty();
    let of_mapping = target.labels.iter().filter(|(name, _)| {
        let is_tag = || labels.iter().any(|(tag, _)| **tag == **name);
        !target.options.honor_labels || !is_tag()
    });
    let of_mapping = of_mapping.map(|(name, value)| (Cow::Borrowed(&**name), value.as_str()));
    let of_mapping: Vec<_> = of_mapping.collect();
    labels.extend(of_mapping);
    let is_long = |(_, value): &(_, &str)| value.len() > MAX_VALUE;
    if target.name.is_empty() || labels.iter().any(is_long) {
        return Err(Rejection::Invalid);
    }
    if has_tags {
        labels.push((METRIC_NAME.into(), &target.name));
        LabelSet::pack(&mut labels, out);
    } else {
        out.extend_from_slice(target.set.packed());
    }
    Ok(())
}

/// Returns the change of one value of a line. `steps`: a signed gauge is a step.
fn change(line: &Line<'_>, text: &str, scale: f64, steps: bool) -> Change {
    let number: f64 = text.parse().unwrap_or(f64::NAN);
    match line.kind {
        LineKind::Counter => Change::Increase(number * scale / line.rate),
        LineKind::Gauge if steps && text.starts_with(['+', '-']) => Change::Step(number * scale),
        LineKind::Gauge => Change::Set(number * scale),
        LineKind::Timer => Change::Observe(number / 1000.0 * scale, times(line.rate)),
        LineKind::Observation => Change::Observe(number * scale, times(line.rate)),
    }
}

/// Returns how often an observation counts that was sent with a sample rate.
fn times(rate: f64) -> u64 {
    (1.0 / rate).round() as u64
}
