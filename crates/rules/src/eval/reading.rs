//! Reading of one value from a series.
//!
//! Owns the aggregations that a metric type allows, and the reading of one series. Compares
//! nothing.

use std::time::Duration;

use bellwether_core::{Kind, MetricDef, MonoMillis};
use bellwether_schema::format_duration;
use bellwether_tsdb::store::Series;

use crate::eval::aggregate::{self, Aggregate};
use crate::eval::histogram;

/// Window of an aggregation without one.
pub const DEFAULT_WINDOW: Duration = Duration::from_secs(300);

/// Reading of one value from one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading {
    /// Current value in `column`.
    Current {
        /// Index into the series' values.
        column: usize,
    },
    /// Aggregated samples of `column`.
    Window {
        aggregate: Aggregate,
        /// Index into the series' values.
        column: usize,
        window: Duration,
    },
    /// Quantile of a histogram.
    Quantile {
        /// 0 to 1.
        q: f64,
        window: Duration,
    },
    /// Mean of a histogram or summary: growth of the sum divided by that of the count.
    Observed { window: Duration },
}

/// Error with a hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HintedError {
    pub message: String,
    pub hint: Option<String>,
}

impl HintedError {
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }
}

/// Returns the reading of `aggregate` over `window` from `def`.
///
/// # Errors
/// If the metric type does not allow the aggregation.
pub fn resolve(
    def: &MetricDef,
    aggregate: Option<Aggregate>,
    window: Option<Duration>,
) -> Result<Reading, HintedError> {
    let over = window.unwrap_or(DEFAULT_WINDOW);
    let reading = match def.kind {
        Kind::Gauge => gauge(aggregate.unwrap_or(Aggregate::Last), over),
        Kind::Counter => counter(aggregate.unwrap_or(Aggregate::Last), over),
        Kind::Histogram => histogram(def, aggregate, over),
        Kind::Summary => summary(def, aggregate, over),
    };
    let reading = reading.map_err(|mut error| {
        error.message = format!("{} {:?}: {}", def.kind.as_str(), &*def.name, error.message);
        error
    })?;
    match reading.window() {
        Some(window) if window < def.interval => Err(HintedError::new(
            format!(
                "the window {} is shorter than the interval {} of {:?}",
                format_duration(window),
                format_duration(def.interval),
                &*def.name
            ),
            format!("use at least {}", format_duration(def.interval * 2)),
        )),
        None if window.is_some() => Err(HintedError::new(
            "a window without an aggregation over it",
            "add `aggregation: mean`, or leave the window out",
        )),
        _ => Ok(reading),
    }
}

fn gauge(aggregate: Aggregate, window: Duration) -> Result<Reading, HintedError> {
    match aggregate {
        Aggregate::Last => Ok(Reading::Current { column: 0 }),
        Aggregate::Rate | Aggregate::Increase => Err(HintedError::new(
            format!("{} is for counters", aggregate.name()),
            "use `delta`, or declare the metric as a counter",
        )),
        _ => Ok(Reading::Window {
            aggregate,
            column: 0,
            window,
        }),
    }
}

fn counter(aggregate: Aggregate, window: Duration) -> Result<Reading, HintedError> {
    match aggregate {
        Aggregate::Last => Ok(Reading::Current { column: 0 }),
        Aggregate::Rate | Aggregate::Increase | Aggregate::Count => Ok(Reading::Window {
            aggregate,
            column: 0,
            window,
        }),
        _ => Err(HintedError::new(
            format!("{} is meaningless for a counter", aggregate.name()),
            "use `rate` or `increase`",
        )),
    }
}

fn histogram(
    def: &MetricDef,
    aggregate: Option<Aggregate>,
    window: Duration,
) -> Result<Reading, HintedError> {
    const USE: &str = "use pNN such as `p95`, `mean`, `rate`, `increase` or `sum`";
    let count = def.buckets.len();
    match aggregate {
        Some(Aggregate::Quantile(q)) => Ok(Reading::Quantile { q, window }),
        Some(other) => observed(other, count, window).ok_or_else(|| {
            HintedError::new(
                format!("{} cannot be computed from buckets", other.name()),
                USE,
            )
        }),
        None => Err(HintedError::new("needs an aggregation", USE)),
    }
}

fn summary(
    def: &MetricDef,
    aggregate: Option<Aggregate>,
    window: Duration,
) -> Result<Reading, HintedError> {
    let names: Vec<String> = def
        .quantiles
        .iter()
        .map(|q| Aggregate::Quantile(*q).name())
        .collect();
    let hint = format!(
        "use {}`mean`, `rate`, `increase` or `sum`",
        names.join(", ") + ", "
    );
    match aggregate {
        Some(Aggregate::Quantile(q)) => def
            .quantiles
            .iter()
            .position(|quantile| (quantile - q).abs() < 1e-9)
            .map(|column| Reading::Current { column })
            .ok_or_else(|| {
                HintedError::new(
                    format!("does not keep {}", Aggregate::Quantile(q).name()),
                    hint,
                )
            }),
        Some(other) => observed(other, def.quantiles.len(), window)
            .ok_or_else(|| HintedError::new(format!("{} cannot be computed", other.name()), hint)),
        None => Err(HintedError::new("needs an aggregation", hint)),
    }
}

/// Returns the reading of a histogram or summary, which have a count in `column` and the sum after
/// it.
fn observed(aggregate: Aggregate, column: usize, window: Duration) -> Option<Reading> {
    let increase = |column| Reading::Window {
        aggregate: Aggregate::Increase,
        column,
        window,
    };
    match aggregate {
        Aggregate::Mean => Some(Reading::Observed { window }),
        Aggregate::Rate => Some(Reading::Window {
            aggregate,
            column,
            window,
        }),
        Aggregate::Increase | Aggregate::Count => Some(increase(column)),
        Aggregate::Sum => Some(increase(column + 1)),
        _ => None,
    }
}

impl Reading {
    /// Returns the window, if there is one.
    #[must_use]
    pub fn window(&self) -> Option<Duration> {
        match self {
            Self::Current { .. } => None,
            Self::Window { window, .. }
            | Self::Quantile { window, .. }
            | Self::Observed { window } => Some(*window),
        }
    }

    /// Returns the value at `now`; NaN if the series has none, or none recent enough: a value older
    /// than one and a half intervals is stale.
    #[must_use]
    pub fn read(&self, series: &Series<'_>, def: &MetricDef, now: MonoMillis) -> f64 {
        if now.since(series.updated()) > def.interval.mul_f64(1.5) {
            return f64::NAN;
        }
        // One interval more than the window: the sample that the window's growth starts from.
        let start = |window: Duration| now.before(window);
        let base = |window: Duration| start(window.saturating_add(def.interval));
        match *self {
            Self::Current { column } => series.values()[column],
            Self::Window {
                aggregate: Aggregate::Mean,
                column: 0,
                window,
            } if def.width() == 1 => {
                let values = series.window(MonoMillis(start(window).0 + 1)).values();
                values.iter().sum::<f64>() / values.len() as f64
            }
            Self::Window {
                aggregate,
                column,
                window,
            } => {
                let samples = series
                    .window(base(window))
                    .map(|(at, row)| (at, row[column]));
                aggregate::over(aggregate, start(window), samples)
            }
            Self::Quantile { q, window } => {
                let samples = series.window(base(window));
                match histogram::growth(start(window), samples, def.width()) {
                    Some(grown) => histogram::quantile(q, &def.buckets, &grown[..grown.len() - 1]),
                    None => f64::NAN,
                }
            }
            Self::Observed { window } => {
                let samples = series.window(base(window));
                match histogram::growth(start(window), samples, def.width()).as_deref() {
                    Some([.., count, sum]) if *count > 0.0 => sum / count,
                    _ => f64::NAN,
                }
            }
        }
    }
}
