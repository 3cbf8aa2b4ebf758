//! Metrics of OTLP as series of Prometheus.

use std::collections::BTreeMap;

use bellwether_core::{
    Kind, LabelSet, METRIC_NAME, Now, Rejection, SeriesBatch, UnixMillis, bound, staleness_marker,
};
use bellwether_exposition::NativeBuckets;
use serde_json::{Map, Value as Json};

use super::message::{
    AnyValue, Buckets, CUMULATIVE, DELTA, ExponentialPoint, ExportRequest, HistogramPoint,
    KeyValue, Metric, NO_RECORDED_VALUE, NumberPoint, Resource, Scope, SummaryPoint,
};
use super::names::{Ending, label_name, metric_name};
use super::totals::{Distribution, Totals, Value};
use crate::pushed::Intake;

/// Labels by name.
type Labels = BTreeMap<String, String>;

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

/// A point of any type.
struct Point<'a> {
    attributes: &'a [KeyValue],
    time: u64,
    flags: u32,
}

impl Translator<'_> {
    pub(super) fn translate(&mut self, request: &ExportRequest) {
        self.totals.sweep(self.intake.ttl(), self.now.mono);
        for resource in &request.resource_metrics {
            let nothing = Resource::default();
            let attributes = &resource.resource.as_ref().unwrap_or(&nothing).attributes;
            let labels = self.labeling.of_resource(attributes);
            self.push_target_info(attributes, &labels);
            for scope in &resource.scope_metrics {
                let mut labels = labels.clone();
                if let Some(scope) = scope.scope.as_ref().filter(|_| self.labeling.scope) {
                    labels.extend(of_scope(scope));
                }
                for metric in &scope.metrics {
                    self.metric(metric, &labels);
                }
            }
        }
    }

    /// Adds the attributes of a resource that are no labels of its series. This is no metric of the client, so it is left
    /// out silently if it is not accepted.
    fn push_target_info(&mut self, attributes: &[KeyValue], labels: &Labels) {
        let identifies = [SERVICE_NAME, SERVICE_NAMESPACE, SERVICE_INSTANCE];
        let others = attributes
            .iter()
            .filter(|attribute| !identifies.contains(&attribute.key.as_str()));
        let mut info = of_attributes(others);
        if info.is_empty() || labels.is_empty() || !self.intake.accepts(TARGET_INFO) {
            return;
        }
        info.extend(labels.clone());
        self.batch
            .begin(TARGET_INFO, Some(Kind::Gauge), "Attributes of a resource.");
        self.batch.push(&pairs(&info), 1.0);
    }

    fn metric(&mut self, metric: &Metric, labels: &Labels) {
        if let Some(gauge) = &metric.gauge {
            let name = metric_name(&metric.name, &metric.unit, Ending::Gauge);
            if self.begin(&name, Kind::Gauge, metric, gauge.data_points.len(), labels) {
                for point in &gauge.data_points {
                    self.number(&name, point, CUMULATIVE, labels);
                }
            }
        }
        if let Some(sum) = &metric.sum {
            let (kind, ending) = match sum.is_monotonic {
                true => (Kind::Counter, Ending::Total),
                false => (Kind::Gauge, Ending::None),
            };
            let name = metric_name(&metric.name, &metric.unit, ending);
            if self.begin(&name, kind, metric, sum.data_points.len(), labels) {
                for point in &sum.data_points {
                    self.number(&name, point, sum.aggregation_temporality, labels);
                }
            }
        }
        let name = metric_name(&metric.name, &metric.unit, Ending::None);
        if let Some(histogram) = &metric.histogram
            && self.begin(
                &name,
                Kind::Histogram,
                metric,
                histogram.data_points.len(),
                labels,
            )
        {
            for point in &histogram.data_points {
                let distribution = point.distribution();
                let of = point.point();
                let temporality = histogram.aggregation_temporality;
                self.distribution(&name, &of, distribution, temporality, labels);
            }
        }
        if let Some(histogram) = &metric.exponential_histogram
            && self.begin(
                &name,
                Kind::Histogram,
                metric,
                histogram.data_points.len(),
                labels,
            )
        {
            for point in &histogram.data_points {
                let distribution = Some(point.distribution());
                let of = point.point();
                let temporality = histogram.aggregation_temporality;
                self.distribution(&name, &of, distribution, temporality, labels);
            }
        }
        if let Some(summary) = &metric.summary
            && self.begin(
                &name,
                Kind::Summary,
                metric,
                summary.data_points.len(),
                labels,
            )
        {
            for point in &summary.data_points {
                self.summary(&name, point, labels);
            }
        }
    }

    /// Begins a family. Points of one that is not accepted are rejected here: none is added up for nothing.
    fn begin(
        &mut self,
        name: &str,
        kind: Kind,
        metric: &Metric,
        points: usize,
        labels: &Labels,
    ) -> bool {
        self.points += points as u64;
        let shared: usize = labels.values().map(String::len).sum();
        if name.len() + shared > LONGEST_SHARED {
            self.reject(Rejection::Limit, points as u64, name);
            return false;
        }
        if !self.intake.accepts_family(name, Some(kind)) {
            self.reject(Rejection::NotAccepted, points as u64, name);
            return false;
        }
        self.batch.begin(name, Some(kind), &metric.description);
        true
    }

    fn number(&mut self, name: &str, point: &NumberPoint, temporality: i32, labels: &Labels) {
        let of = Point {
            attributes: &point.attributes,
            time: point.time_unix_nano,
            flags: point.flags,
        };
        if let Some(reason) = self.rejection(&of, temporality) {
            return self.reject(reason, 1, name);
        }
        if of.has_ended() {
            let labels = of.labels(labels);
            self.batch.push(&pairs(&labels), staleness_marker());
            return;
        }
        let Some(value) = point.as_double.or(point.as_int.map(|int| int as f64)) else {
            return self.reject(Rejection::Invalid, 1, name);
        };
        let labels = of.labels(labels);
        match self.added(name, &of, Value::Number(value), temporality, &labels) {
            Ok(Value::Number(value)) => self.batch.push(&pairs(&labels), value),
            Ok(Value::Distribution(_)) => {}
            Err(reason) => self.reject(reason, 1, name),
        }
    }

    fn distribution(
        &mut self,
        name: &str,
        point: &Point<'_>,
        distribution: Option<Distribution>,
        temporality: i32,
        labels: &Labels,
    ) {
        if let Some(reason) = self.rejection(point, temporality) {
            return self.reject(reason, 1, name);
        }
        if point.has_ended() {
            let labels = point.labels(labels);
            let ended = staleness_marker();
            self.batch.push_suffixed("_count", &pairs(&labels), ended);
            return;
        }
        let Some(distribution) = distribution else {
            return self.reject(Rejection::Invalid, 1, name);
        };
        let labels = point.labels(labels);
        let value = Value::Distribution(distribution);
        match self.added(name, point, value, temporality, &labels) {
            Ok(Value::Distribution(all)) => {
                let buckets = all.buckets.iter().copied();
                let sum = Some(all.sum).filter(|sum| !sum.is_nan());
                self.batch
                    .push_histogram(&pairs(&labels), buckets, all.count, sum);
            }
            Ok(Value::Number(_)) => {}
            Err(reason) => self.reject(reason, 1, name),
        }
    }

    fn summary(&mut self, name: &str, point: &SummaryPoint, labels: &Labels) {
        let of = Point {
            attributes: &point.attributes,
            time: point.time_unix_nano,
            flags: point.flags,
        };
        if let Some(reason) = self.rejection(&of, CUMULATIVE) {
            return self.reject(reason, 1, name);
        }
        let labels = of.labels(labels);
        let labels = pairs(&labels);
        if of.has_ended() {
            self.batch
                .push_suffixed("_count", &labels, staleness_marker());
            return;
        }
        for quantile in &point.quantile_values {
            let text = bound(quantile.quantile, false);
            let with_quantile = labels.iter().copied().chain([("quantile", text.as_str())]);
            self.batch
                .push(&with_quantile.collect::<Vec<_>>(), quantile.value);
        }
        self.batch.push_suffixed("_sum", &labels, point.sum);
        self.batch
            .push_suffixed("_count", &labels, point.count as f64);
    }

    /// Returns the value since the start: that of the point, or its sum with those before.
    fn added(
        &mut self,
        name: &str,
        point: &Point<'_>,
        value: Value,
        temporality: i32,
        labels: &Labels,
    ) -> Result<Value, Rejection> {
        if temporality != DELTA {
            return Ok(value);
        }
        let named = pairs(labels).into_iter().chain([(METRIC_NAME, name)]);
        let key = LabelSet::new(named);
        let limits = self.intake.limits();
        self.totals
            .add(key, value, point.time, self.now.mono, limits)
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

    /// Returns why a point is rejected whatever its labels are, if it is: labels of a resource may be long, and a request
    /// may have millions of points.
    fn rejection(&self, point: &Point<'_>, temporality: i32) -> Option<Rejection> {
        let is_known = [CUMULATIVE, DELTA].contains(&temporality);
        match () {
            () if self.batch.is_full() => Some(Rejection::Limit),
            () if point.has_ended() => None,
            () if self.is_old(point) => Some(Rejection::TooOld),
            () if !is_known => Some(Rejection::Invalid),
            () => None,
        }
    }
}

impl Point<'_> {
    fn has_ended(&self) -> bool {
        self.flags & NO_RECORDED_VALUE != 0
    }

    /// Returns the labels of the point, of which those of its resource and its scope take precedence.
    fn labels(&self, outer: &Labels) -> Labels {
        let mut labels = of_attributes(self.attributes.iter());
        labels.extend(outer.clone());
        labels
    }
}

impl HistogramPoint {
    fn point(&self) -> Point<'_> {
        Point {
            attributes: &self.attributes,
            time: self.time_unix_nano,
            flags: self.flags,
        }
    }

    /// Returns the buckets, `None` if their number is not that of the bounds.
    fn distribution(&self) -> Option<Distribution> {
        let bounds = &self.explicit_bounds;
        if !self.bucket_counts.is_empty() && self.bucket_counts.len() != bounds.len() + 1 {
            return None;
        }
        let mut sum = 0.0;
        let buckets = bounds
            .iter()
            .zip(&self.bucket_counts)
            .map(|(bound, count)| {
                sum += *count as f64;
                (*bound, sum)
            });
        Some(Distribution {
            buckets: buckets.filter(|(bound, _)| bound.is_finite()).collect(),
            count: self.count as f64,
            sum: self.sum.unwrap_or(f64::NAN),
        })
    }
}

impl ExponentialPoint {
    fn point(&self) -> Point<'_> {
        Point {
            attributes: &self.attributes,
            time: self.time_unix_nano,
            flags: self.flags,
        }
    }

    fn distribution(&self) -> Distribution {
        let buckets = NativeBuckets {
            schema: self.scale,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count as f64,
            negative: indexed(self.negative.as_ref()),
            positive: indexed(self.positive.as_ref()),
        };
        Distribution {
            buckets: buckets.classic(),
            count: self.count as f64,
            sum: self.sum.unwrap_or(f64::NAN),
        }
    }
}

/// Returns the buckets by the index of their upper bound.
fn indexed(buckets: Option<&Buckets>) -> Vec<(i64, f64)> {
    let Some(buckets) = buckets else {
        return Vec::new();
    };
    let first = i64::from(buckets.offset) + 1;
    let counts = buckets.bucket_counts.iter();
    (first..)
        .zip(counts)
        .map(|(index, count)| (index, *count as f64))
        .collect()
}

impl Labeling {
    /// Returns the labels of all series of a resource.
    fn of_resource(&self, attributes: &[KeyValue]) -> Labels {
        let promoted = attributes
            .iter()
            .filter(|attribute| self.promoted.contains(&attribute.key));
        let mut labels = of_attributes(promoted);
        let get = |key: &str| {
            let found = attributes.iter().find(|attribute| attribute.key == key);
            let text = found
                .and_then(|attribute| attribute.value.as_deref())
                .map(text);
            text.unwrap_or_default()
        };
        let (namespace, name) = (get(SERVICE_NAMESPACE), get(SERVICE_NAME));
        let job = match namespace.is_empty() || name.is_empty() {
            true => name,
            false => format!("{namespace}/{name}"),
        };
        let identity = [("job", job), ("instance", get(SERVICE_INSTANCE))];
        let identity = identity.into_iter().filter(|(_, value)| !value.is_empty());
        labels.extend(identity.map(|(name, value)| (name.to_owned(), value)));
        labels
    }
}

fn of_scope(scope: &Scope) -> impl Iterator<Item = (String, String)> {
    let labels = [
        ("otel_scope_name", &scope.name),
        ("otel_scope_version", &scope.version),
    ];
    labels
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.clone()))
}

/// Returns attributes as labels. Values of attributes whose labels have one name are joined.
fn of_attributes<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> Labels {
    let mut sorted: Vec<&KeyValue> = attributes.collect();
    sorted.sort_by(|a, b| a.key.cmp(&b.key));
    let mut labels = Labels::new();
    for attribute in sorted {
        let value = attribute.value.as_deref().map(text).unwrap_or_default();
        labels
            .entry(label_name(&attribute.key))
            .and_modify(|before| {
                before.push(';');
                before.push_str(&value);
            })
            .or_insert_with(|| value.clone());
    }
    labels
}

fn pairs(labels: &Labels) -> Vec<(&str, &str)> {
    let pairs = labels.iter();
    pairs
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

/// Returns the value of an attribute as a text: a list or a map in JSON.
fn text(value: &AnyValue) -> String {
    match json(value) {
        Json::String(text) => text,
        Json::Null => String::new(),
        other => other.to_string(),
    }
}

fn json(value: &AnyValue) -> Json {
    if let Some(text) = &value.string_value {
        return text.as_str().into();
    }
    if let Some(list) = &value.array_value {
        return list.values.iter().map(json).collect();
    }
    if let Some(map) = &value.kvlist_value {
        let pairs = map.values.iter().map(|pair| {
            let value = pair.value.as_deref().map_or(Json::Null, json);
            (pair.key.clone(), value)
        });
        return Json::Object(pairs.collect::<Map<_, _>>());
    }
    let boolean = value.bool_value.map(Json::from);
    let int = || value.int_value.map(Json::from);
    let double = || value.double_value.map(Json::from);
    boolean.or_else(int).or_else(double).unwrap_or_default()
}

#[cfg(test)]
mod tests;
