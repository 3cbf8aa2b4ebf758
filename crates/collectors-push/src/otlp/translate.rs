//! Metrics of OTLP as series of Prometheus.

use std::borrow::Cow;

use bellwether_core::{
    Kind, LabelSet, METRIC_NAME, Now, Rejection, SeriesBatch, UnixMillis, bound, staleness_marker,
};
use bellwether_exposition::NativeBuckets;

use super::attributes::{Labels, get};
use super::message::{CUMULATIVE, DELTA, NO_RECORDED_VALUE, field};
use super::names::{Ending, metric_name};
use super::totals::{Distribution, Totals, Value};
use crate::pushed::Intake;
use crate::wire::{Message, zigzag};

/// Attributes that identify a service, as `job` and `instance`.
const SERVICE_NAME: &str = "service.name";
const SERVICE_NAMESPACE: &str = "service.namespace";
const SERVICE_INSTANCE: &str = "service.instance.id";

/// Longest name and labels that the points of a metric share: they are copied for each.
const LONGEST_SHARED: usize = 8 << 10;

/// Name of the metric that has the attributes of a resource.
const TARGET_INFO: &str = "target_info";

/// Labels beside the attributes of a point.
#[derive(Clone, Debug, Default)]
pub(super) struct Labeling {
    /// Attributes of the resource that all its series get.
    pub(super) promoted: Vec<String>,
    /// Set if series get name and version of their scope.
    pub(super) scope: bool,
}

/// Translates a request.
pub(super) struct Translator<'a> {
    pub(super) labeling: &'a Labeling,
    pub(super) intake: &'a Intake,
    pub(super) totals: &'a mut Totals,
    pub(super) now: Now,
    /// Series of the request.
    pub(super) batch: SeriesBatch,
    /// Number of its points.
    pub(super) points: u64,
}

/// Points of one type of a metric.
#[derive(Clone, Copy)]
struct Data<'a> {
    metric: Message<'a>,
    /// Number of the field, which is the type.
    field: u32,
    message: Message<'a>,
}

/// A point of any type.
struct Point<'a> {
    message: Message<'a>,
    /// Number of the field of its attributes.
    attributes: u32,
    time: u64,
    flags: u64,
}

/// Name, temporality and further labels of points.
struct Family<'a> {
    name: &'a str,
    temporality: u64,
    labels: &'a Labels<'a>,
}

impl Translator<'_> {
    /// Translates a request.
    pub(super) fn translate(&mut self, request: Message<'_>) {
        self.totals.sweep(self.intake.ttl(), self.now.mono);
        for of_resource in request.all(field::RESOURCE_METRICS) {
            let resource = of_resource.all(field::RESOURCE);
            let attributes = resource.flat_map(|message| message.all(field::RESOURCE_ATTRIBUTES));
            let labels = self.labeling.of_resource(attributes.clone());
            if let Ok(labels) = &labels {
                self.push_target_info(attributes, labels);
            }
            for of_scope in of_resource.all(field::SCOPE_METRICS) {
                let labels = labels.as_ref().map(|labels| {
                    let scope = of_scope.all(field::SCOPE).last();
                    self.labeling.of_scope(labels, scope)
                });
                for data in of_scope.all(field::METRICS).flat_map(Data::of) {
                    match &labels {
                        Ok(labels) => self.data(data, labels),
                        Err(reason) => {
                            self.reject_all(**reason, data, data.metric.text(field::NAME))
                        }
                    }
                }
            }
        }
    }

    /// Adds the attributes of a resource that are no labels of its series. This is no metric of the client, so it is left
    /// out silently if it is not accepted.
    fn push_target_info<'m>(
        &mut self,
        attributes: impl Iterator<Item = Message<'m>>,
        labels: &Labels<'_>,
    ) {
        let identifies = [SERVICE_NAME, SERVICE_NAMESPACE, SERVICE_INSTANCE];
        let others =
            attributes.filter(|attribute| !identifies.contains(&attribute.text(field::KEY)));
        let info = Labels::of_attributes(others).unwrap_or_default();
        if info.is_empty() || labels.is_empty() || !self.intake.accepts(TARGET_INFO) {
            return;
        }
        self.batch
            .begin(TARGET_INFO, Some(Kind::Gauge), "Attributes of a resource.");
        self.batch.push(&info.within(labels), 1.0);
    }

    fn data(&mut self, data: Data<'_>, labels: &Labels<'_>) {
        let (kind, ending) = data.kind();
        let unit = data.metric.text(field::UNIT);
        let name = metric_name(data.metric.text(field::NAME), unit, ending);
        // Points of a family that is not accepted are rejected here: none is added up for nothing.
        if name.len() + labels.size() > LONGEST_SHARED {
            return self.reject_all(Rejection::Limit, data, &name);
        }
        if !self.intake.accepts_family(&name, Some(kind)) {
            return self.reject_all(Rejection::NotAccepted, data, &name);
        }
        let help = data.metric.text(field::DESCRIPTION);
        self.batch.begin(&name, Some(kind), help);
        let family = Family {
            name: &name,
            temporality: data.temporality(),
            labels,
        };
        for point in data.points() {
            self.points += 1;
            if let Err(reason) = self.point(&family, data.field, &point) {
                self.reject(reason, 1, &name);
            }
        }
    }

    fn point(
        &mut self,
        family: &Family<'_>,
        field: u32,
        point: &Point<'_>,
    ) -> Result<(), Rejection> {
        self.check(point, family.temporality)?;
        let own = Labels::of_attributes(point.message.all(point.attributes))?;
        let labels = own.within(family.labels);
        if point.has_ended() {
            let suffix = match field {
                field::GAUGE | field::SUM => "",
                _ => "_count",
            };
            self.batch
                .push_suffixed(suffix, &labels, staleness_marker());
            return Ok(());
        }
        match field {
            field::SUMMARY => self.push_summary(point.message, &labels),
            _ => {
                let value = self.value(field, point.message)?;
                let value = self.added(family, point.time, value, &labels)?;
                self.push(value, &labels);
            }
        }
        Ok(())
    }

    /// Returns the value of a point of any type but a summary.
    fn value(&self, field: u32, point: Message<'_>) -> Result<Value, Rejection> {
        let most = self.intake.limits().series;
        match field {
            field::HISTOGRAM => explicit(point, most).map(Value::Distribution),
            field::EXPONENTIAL_HISTOGRAM => exponential(point, most).map(Value::Distribution),
            _ => {
                let [double, int] = point.get_all([field::AS_DOUBLE, field::AS_INT]);
                let int = int.map(|int| int as i64 as f64);
                let value = double.map(f64::from_bits).or(int);
                value.map(Value::Number).ok_or(Rejection::Invalid)
            }
        }
    }

    fn push(&mut self, value: Value, labels: &[(&str, &str)]) {
        match value {
            Value::Number(value) => self.batch.push(labels, value),
            Value::Distribution(all) => {
                let sum = Some(all.sum).filter(|sum| !sum.is_nan());
                self.batch
                    .push_histogram(labels, all.buckets, all.count, sum);
            }
        }
    }

    fn push_summary(&mut self, point: Message<'_>, labels: &[(&str, &str)]) {
        for quantile in point.all(field::QUANTILES) {
            let text = bound(quantile.float(field::QUANTILE).unwrap_or_default(), false);
            let with_quantile = labels.iter().copied().chain([("quantile", text.as_str())]);
            let value = quantile.float(field::QUANTILE_VALUE).unwrap_or_default();
            self.batch.push(&with_quantile.collect::<Vec<_>>(), value);
        }
        let sum = point.float(field::POINT_SUM).unwrap_or_default();
        self.batch.push_suffixed("_sum", labels, sum);
        let count = point.number(field::COUNT) as f64;
        self.batch.push_suffixed("_count", labels, count);
    }

    /// Returns the value since the start: that of the point, or its sum with those before.
    fn added(
        &mut self,
        family: &Family<'_>,
        time: u64,
        value: Value,
        labels: &[(&str, &str)],
    ) -> Result<Value, Rejection> {
        if family.temporality != DELTA {
            return Ok(value);
        }
        let named = labels.iter().copied().chain([(METRIC_NAME, family.name)]);
        let key = LabelSet::new(named);
        let limits = self.intake.limits();
        self.totals.add(key, value, time, self.now.mono, limits)
    }

    /// Returns whether a point is older than series are kept. One without a time is of now.
    fn is_old(&self, point: &Point<'_>) -> bool {
        let at = UnixMillis((point.time / 1_000_000) as i64);
        point.time != 0 && self.now.wall.since(at) > self.intake.ttl()
    }

    fn reject(&mut self, reason: Rejection, points: u64, name: &str) {
        self.batch
            .reject_samples(reason, points, || name.to_owned());
    }

    fn reject_all(&mut self, reason: Rejection, data: Data<'_>, name: &str) {
        let points = data.points().count() as u64;
        self.points += points;
        if points > 0 {
            self.reject(reason, points, name);
        }
    }

    /// Checks what does not depend on labels: those of a resource may be long, and a request may have millions of points.
    fn check(&self, point: &Point<'_>, temporality: u64) -> Result<(), Rejection> {
        let is_known = [CUMULATIVE, DELTA].contains(&temporality);
        match () {
            () if self.batch.is_full() => Err(Rejection::Limit),
            () if point.has_ended() => Ok(()),
            () if self.is_old(point) => Err(Rejection::TooOld),
            () if !is_known => Err(Rejection::Invalid),
            () => Ok(()),
        }
    }
}

impl<'a> Data<'a> {
    /// Iterates over the points of a metric by their type; there is one.
    fn of(metric: Message<'a>) -> impl Iterator<Item = Self> {
        let types = [
            field::GAUGE,
            field::SUM,
            field::HISTOGRAM,
            field::EXPONENTIAL_HISTOGRAM,
            field::SUMMARY,
        ];
        let data = metric.messages().map(move |(field, message)| Self {
            metric,
            field,
            message,
        });
        data.filter(move |data| types.contains(&data.field))
    }

    fn kind(self) -> (Kind, Ending) {
        match self.field {
            field::GAUGE => (Kind::Gauge, Ending::Gauge),
            field::SUM if self.message.number(field::IS_MONOTONIC) != 0 => {
                (Kind::Counter, Ending::Total)
            }
            field::SUM => (Kind::Gauge, Ending::None),
            field::SUMMARY => (Kind::Summary, Ending::None),
            _ => (Kind::Histogram, Ending::None),
        }
    }

    fn temporality(self) -> u64 {
        match self.field {
            field::GAUGE | field::SUMMARY => CUMULATIVE,
            _ => self.message.number(field::TEMPORALITY),
        }
    }

    fn points(self) -> impl Iterator<Item = Point<'a>> {
        let (attributes, flags) = match self.field {
            field::HISTOGRAM => (9, 10),
            field::EXPONENTIAL_HISTOGRAM => (1, 10),
            _ => (7, 8),
        };
        let points = self.message.all(field::DATA_POINTS);
        points.map(move |message| {
            let [time, flags] = message.get_all([field::TIME, flags]);
            Point {
                message,
                attributes,
                time: time.unwrap_or_default(),
                flags: flags.unwrap_or_default(),
            }
        })
    }
}

impl Point<'_> {
    fn has_ended(&self) -> bool {
        self.flags & NO_RECORDED_VALUE != 0
    }
}

/// Reads a histogram with bounds. Their number has to be one less than that of the counts, and is limited before there are
/// series of them.
fn explicit(point: Message<'_>, most: usize) -> Result<Distribution, Rejection> {
    let bounds = point.fixed(field::EXPLICIT_BOUNDS).map(f64::from_bits);
    let bounds: Vec<f64> = at_most(most, bounds)?;
    let counts = at_most(most, point.fixed(field::BUCKET_COUNTS))?;
    if !counts.is_empty() && counts.len() != bounds.len() + 1 {
        return Err(Rejection::Invalid);
    }
    let mut sum = 0.0;
    let buckets = bounds.into_iter().zip(counts).map(|(bound, count)| {
        sum += count as f64;
        (bound, sum)
    });
    Ok(Distribution {
        buckets: buckets.filter(|(bound, _)| bound.is_finite()).collect(),
        count: point.number(field::COUNT) as f64,
        sum: point.float(field::POINT_SUM).unwrap_or(f64::NAN),
    })
}

fn exponential(point: Message<'_>, most: usize) -> Result<Distribution, Rejection> {
    let scale = zigzag(point.number(field::SCALE));
    let buckets = NativeBuckets {
        schema: i32::try_from(scale).map_err(|_| Rejection::Invalid)?,
        zero_threshold: point.float(field::ZERO_THRESHOLD).unwrap_or_default(),
        zero_count: point.number(field::ZERO_COUNT) as f64,
        negative: indexed(point.all(field::NEGATIVE).last(), most)?,
        positive: indexed(point.all(field::POSITIVE).last(), most)?,
    };
    Ok(Distribution {
        buckets: buckets.classic(),
        count: point.number(field::COUNT) as f64,
        sum: point.float(field::POINT_SUM).unwrap_or(f64::NAN),
    })
}

/// Returns the buckets by the index of their upper bound.
fn indexed(buckets: Option<Message<'_>>, most: usize) -> Result<Vec<(i64, f64)>, Rejection> {
    let Some(buckets) = buckets else {
        return Ok(Vec::new());
    };
    let first = zigzag(buckets.number(field::OFFSET)).saturating_add(1);
    let counts = at_most(most, buckets.varints(field::OFFSET_COUNTS))?;
    Ok((first..)
        .zip(counts)
        .map(|(index, count)| (index, count as f64))
        .collect())
}

/// Collects items, of which there may be one more than `most`.
fn at_most<T>(most: usize, items: impl Iterator<Item = T>) -> Result<Vec<T>, Rejection> {
    let items: Vec<T> = items.take(most.saturating_add(2)).collect();
    match items.len() > most.saturating_add(1) {
        true => Err(Rejection::Limit),
        false => Ok(items),
    }
}

impl Labeling {
    /// Returns the labels of all series of a resource.
    ///
    /// # Errors
    /// It has too many attributes.
    fn of_resource<'m>(
        &self,
        attributes: impl Iterator<Item = Message<'m>> + Clone,
    ) -> Result<Labels<'m>, Rejection> {
        let promoted = attributes.clone().filter(|attribute| {
            let key = attribute.text(field::KEY);
            self.promoted.iter().any(|promoted| promoted == key)
        });
        let mut labels = Labels::of_attributes(promoted)?;
        let get = |key| get(attributes.clone(), key);
        let (namespace, name) = (get(SERVICE_NAMESPACE)?, get(SERVICE_NAME)?);
        let job = match namespace.is_empty() || name.is_empty() {
            true => name,
            false => Cow::Owned(format!("{namespace}/{name}")),
        };
        labels.extend_filled([("job", job), ("instance", get(SERVICE_INSTANCE)?)]);
        Ok(labels)
    }

    /// Returns the labels of all series of a scope.
    fn of_scope<'m>(&self, of_resource: &Labels<'m>, scope: Option<Message<'m>>) -> Labels<'m> {
        let mut labels = of_resource.clone();
        if let Some(scope) = scope.filter(|_| self.scope) {
            labels.extend_filled([
                ("otel_scope_name", scope.text(field::SCOPE_NAME).into()),
                (
                    "otel_scope_version",
                    scope.text(field::SCOPE_VERSION).into(),
                ),
            ]);
        }
        labels
    }
}

#[cfg(test)]
mod tests;
