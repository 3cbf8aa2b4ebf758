//! Selection of the series of a request.

use std::collections::BTreeSet;
use std::time::Duration;

use bellwether_core::{Kind, LabelSet, METRIC_NAME, MetricDef, UnixMillis};
use bellwether_matcher::{LabelMatcher, ValueTest};
use bellwether_promql::{Guard, Queryable, SampledSeries, StorageError, selector_within};
use bellwether_schema::similar_names;

use super::AnalysisContext;
use super::params::unprocessable;
use crate::api::query::{Parameters, bad_data, query_error};
use crate::api::response::ApiError;

/// Maximum number of series of a response.
pub(super) const MAX_SERIES: usize = 1000;
/// Maximum number of names in a hint.
const MAX_NAMES: usize = 5;

/// Series that `metric` selects.
pub(super) struct Selection<'a> {
    /// Text of the parameter `metric`.
    pub(super) selector: String,
    /// Matchers, with the exported name.
    pub(super) matchers: Vec<LabelMatcher>,
    /// Definition of the metric, if it is configured.
    pub(super) def: Option<&'a MetricDef>,
    /// True for a counter, which is analysed by its rate.
    pub(super) is_counter: bool,
    /// End of the window.
    pub(super) at: UnixMillis,
}

impl<'a> Selection<'a> {
    /// Parses `metric`, a configured name, an exported name or a selector with labels, and `time`.
    ///
    /// # Errors
    /// A parameter is invalid, or the metric is a histogram.
    pub(super) fn read(
        params: &Parameters,
        context: &AnalysisContext<'a>,
    ) -> Result<Self, ApiError> {
        let selector = params.non_empty("metric").ok_or_else(|| {
            bad_data(
                "parameter \"metric\" is missing: the name of a metric, or a selector such as cpu_percent{instance=\"a\"}",
            )
        })?;
        let all = selector_within(selector, context.guard);
        let mut all = all.map_err(query_error)?;
        let (Some(mut matchers), true) = (all.pop(), all.is_empty()) else {
            return Err(bad_data(format!(
                "expected one selector without \"or\": {selector}"
            )));
        };
        let def = configured_metric(&mut matchers, context.metrics);
        // A summary has series of its own name, its quantiles; a histogram has none.
        if let Some(def) = def.filter(|def| def.kind == Kind::Histogram) {
            let name = &def.exported;
            return Err(unprocessable(format!(
                "{} is a histogram; ask for {name}_count (how many) or {name}_sum (how much)",
                def.name
            )));
        }
        let name = name_of(&matchers);
        let is_counter = Self::is_counter_name(name, context.metrics);
        let at = params.time("time")?.unwrap_or(context.now);
        Ok(Self {
            selector: selector.to_owned(),
            matchers,
            def,
            is_counter,
            at,
        })
    }

    /// Returns true if the series of this exported name are counters: a configured counter, a part
    /// of a configured histogram or summary; for others the name decides.
    pub(super) fn is_counter_name(name: &str, metrics: &[MetricDef]) -> bool {
        let configured = |name: &str| metrics.iter().find(|def| *def.exported == *name);
        if let Some(def) = configured(name) {
            return def.kind == Kind::Counter;
        }
        let part = ["_bucket", "_count", "_sum"]
            .iter()
            .find_map(|end| name.strip_suffix(end));
        part.is_some_and(|family| configured(family).is_some()) || name.ends_with("_total")
    }

    /// Exported name; empty if the selector names none.
    pub(super) fn name(&self) -> &str {
        name_of(&self.matchers)
    }

    /// Measure that is analysed.
    pub(super) fn measure(&self) -> &'static str {
        if self.is_counter {
            "change per second"
        } else {
            "value"
        }
    }

    /// Source of its samples; for a counter, of their rates.
    pub(super) fn source<'s>(&self, context: &AnalysisContext<'s>) -> Source<'s> {
        Source {
            inner: context.source,
            rates: self.is_counter,
        }
    }

    /// Reads its series over `window` before the end, sorted: at least one, and at most
    /// [`MAX_SERIES`].
    pub(super) fn series(
        &self,
        context: &AnalysisContext<'_>,
        window: Duration,
    ) -> Result<Vec<SampledSeries>, ApiError> {
        let source = self.source(context);
        let series = source.select(
            &self.matchers,
            self.at.before(window),
            self.at,
            context.guard,
        );
        let mut series = series.map_err(storage_error)?;
        self.check(series.len(), context)?;
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(series)
    }

    /// Checks that `count` is not zero and at most [`MAX_SERIES`].
    pub(super) fn check(
        &self,
        count: usize,
        context: &AnalysisContext<'_>,
    ) -> Result<(), ApiError> {
        if count > MAX_SERIES {
            return Err(unprocessable(format!(
                "{count} series, more than {MAX_SERIES}: {}",
                self.selector
            ))
            .hint("select fewer by labels, such as cpu_percent{instance=\"a\"}"));
        }
        if count > 0 {
            return Ok(());
        }
        let error = unprocessable(format!("no samples in the window: {}", self.selector));
        let name = self.name();
        if name.is_empty() {
            return Err(error.hint("use a longer window, an earlier time, or other labels"));
        }
        Err(match self.def.is_some() || is_known(name, context) {
            true => error
                .hint("the metric exists; use a longer window, an earlier time, or other labels"),
            false => error.hint(unknown_metric(name, context)),
        })
    }
}

/// Maps an error of reading samples.
pub(super) fn storage_error(error: StorageError) -> ApiError {
    match error {
        StorageError::Stopped(stopped) => {
            unprocessable(stopped.to_string()).hint("ask for a shorter window or fewer series")
        }
        StorageError::Unreadable(message) => {
            ApiError::new(hyper::StatusCode::INTERNAL_SERVER_ERROR, message)
        }
    }
}

fn name_of(matchers: &[LabelMatcher]) -> &str {
    let name = matchers
        .iter()
        .find(|matcher| *matcher.name == *METRIC_NAME);
    name.and_then(|name| name.test.exact()).unwrap_or_default()
}

/// Finds the metric by its configured or its exported name, and sets the matcher to the exported
/// one.
fn configured_metric<'a>(
    matchers: &mut [LabelMatcher],
    metrics: &'a [MetricDef],
) -> Option<&'a MetricDef> {
    let matcher = matchers
        .iter_mut()
        .find(|matcher| *matcher.name == *METRIC_NAME)?;
    let name = matcher.test.exact()?;
    let by_exported_name = metrics.iter().find(|def| *def.exported == *name);
    let def = by_exported_name.or_else(|| metrics.iter().find(|def| *def.name == *name))?;
    matcher.test = ValueTest::equal(&def.exported, false);
    Some(def)
}

/// Returns the hint for a metric that does not exist, in words for requests and for commands.
fn unknown_metric(name: &str, context: &AnalysisContext<'_>) -> String {
    let all = (UnixMillis(i64::MIN), UnixMillis(i64::MAX));
    let series = context.source.series(&[], all.0, all.1, context.guard);
    let series = series.unwrap_or_default();
    let configured = context.metrics.iter();
    let names = configured.flat_map(|def| [&*def.name, &*def.exported]);
    let names: BTreeSet<&str> = names.chain(series.iter().map(LabelSet::name)).collect();
    match &similar_names(name, names, MAX_NAMES)[..] {
        [] => "no such metric; the query count by (__name__) ({__name__!=\"\"}) lists all names"
            .to_owned(),
        similar => format!("no such metric; names near it: {}", similar.join(", ")),
    }
}

fn is_known(name: &str, context: &AnalysisContext<'_>) -> bool {
    let matchers = [LabelMatcher {
        name: METRIC_NAME.into(),
        test: ValueTest::equal(name, false),
    }];
    let series = context.source.series(
        &matchers,
        UnixMillis(i64::MIN),
        UnixMillis(i64::MAX),
        context.guard,
    );
    series.is_ok_and(|series| !series.is_empty())
}

/// Source of samples as they are or, for counters, as change per second. A counter that falls was
/// reset.
pub(super) struct Source<'a> {
    inner: &'a dyn Queryable,
    rates: bool,
}

impl Queryable for Source<'_> {
    fn select(
        &self,
        matchers: &[LabelMatcher],
        from: UnixMillis,
        to: UnixMillis,
        guard: &Guard,
    ) -> Result<Vec<SampledSeries>, StorageError> {
        let series = self.inner.select(matchers, from, to, guard)?;
        Ok(if self.rates {
            series.into_iter().map(rates).collect()
        } else {
            series
        })
    }

    fn series(
        &self,
        matchers: &[LabelMatcher],
        from: UnixMillis,
        to: UnixMillis,
        guard: &Guard,
    ) -> Result<Vec<LabelSet>, StorageError> {
        self.inner.series(matchers, from, to, guard)
    }
}

/// Converts a counter to change per second.
pub(super) fn rates(series: SampledSeries) -> SampledSeries {
    let SampledSeries {
        labels,
        times,
        values,
    } = series;
    let steps = times.windows(2).zip(values.windows(2));
    let (times, values) = steps
        .map(|(times, values)| {
            let seconds = times[1].saturating_sub(times[0]) as f64 / 1000.0;
            let added = if values[1] < values[0] {
                values[1]
            } else {
                values[1] - values[0]
            };
            (times[1], added / seconds)
        })
        .unzip();
    SampledSeries {
        labels,
        times,
        values,
    }
}
