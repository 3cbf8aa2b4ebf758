//! Which number of a series a rule reads, and how.
//!
//! Owns the match between aggregations and metric types, and the reading of one series. Judges
//! nothing.

use std::time::Duration;

use bellwether_core::{Kind, MetricDef, MonoMillis};
use bellwether_schema::format_duration;
use bellwether_tsdb::store::Series;

use super::aggregate::{self, Aggregate};
use super::histogram;

/// The window of an aggregation that names none.
pub const DEFAULT_WINDOW: Duration = Duration::from_secs(300);

/// How one number is got from one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading {
    /// The number in `column`, as it is now.
    Current {
        /// Index into the series' numbers.
        column: usize,
    },
    /// The samples of `column`, aggregated.
    Window {
        /// How.
        aggregate: Aggregate,
        /// Index into the series' numbers.
        column: usize,
        /// Over which time.
        window: Duration,
    },
    /// A quantile of what a histogram observed.
    Quantile {
        /// Which, 0 to 1.
        q: f64,
        /// Over which time.
        window: Duration,
    },
    /// The mean of what a histogram or summary observed: growth of the sum by that of the count.
    Observed {
        /// Over which time.
        window: Duration,
    },
}

/// Why something cannot be done, and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Refusal {
    /// With a hint.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }
}

/// Finds how `aggregate` over `window` is read from `def`.
///
/// # Errors
/// Where the aggregation means nothing for this type of metric.
pub fn resolve(
    def: &MetricDef,
    aggregate: Option<Aggregate>,
    window: Option<Duration>,
) -> Result<Reading, Refusal> {
    let over = window.unwrap_or(DEFAULT_WINDOW);
    let reading = match def.kind {
        Kind::Gauge => gauge(aggregate.unwrap_or(Aggregate::Last), over),
        Kind::Counter => counter(aggregate.unwrap_or(Aggregate::Last), over),
        Kind::Histogram => histogram(def, aggregate, over),
        Kind::Summary => summary(def, aggregate, over),
    };
    let reading = reading.map_err(|mut refusal| {
        refusal.message = format!(
            "{} {:?}: {}",
            def.kind.as_str(),
            &*def.name,
            refusal.message
        );
        refusal
    })?;
    match reading.window() {
        Some(window) if window < def.interval => Err(Refusal::new(
            format!(
                "the window {} is shorter than the interval {} of {:?}",
                format_duration(window),
                format_duration(def.interval),
                &*def.name
            ),
            format!("take at least {}", format_duration(def.interval * 2)),
        )),
        None if window.is_some() => Err(Refusal::new(
            "a window without an aggregation over it",
            "add `aggregation: mean`, or leave the window out",
        )),
        _ => Ok(reading),
    }
}

fn gauge(aggregate: Aggregate, window: Duration) -> Result<Reading, Refusal> {
    match aggregate {
        Aggregate::Last => Ok(Reading::Current { column: 0 }),
        Aggregate::Rate | Aggregate::Increase => Err(Refusal::new(
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

fn counter(aggregate: Aggregate, window: Duration) -> Result<Reading, Refusal> {
    match aggregate {
        Aggregate::Last => Ok(Reading::Current { column: 0 }),
        Aggregate::Rate | Aggregate::Increase | Aggregate::Count => Ok(Reading::Window {
            aggregate,
            column: 0,
            window,
        }),
        _ => Err(Refusal::new(
            format!("{} says nothing about a running total", aggregate.name()),
            "use `rate` or `increase`",
        )),
    }
}

fn histogram(
    def: &MetricDef,
    aggregate: Option<Aggregate>,
    window: Duration,
) -> Result<Reading, Refusal> {
    const USE: &str = "use pNN such as `p95`, `mean`, `rate`, `increase` or `sum`";
    let count = def.buckets.len();
    match aggregate {
        Some(Aggregate::Quantile(q)) => Ok(Reading::Quantile { q, window }),
        Some(other) => observed(other, count, window).ok_or_else(|| {
            Refusal::new(format!("{} cannot be told from buckets", other.name()), USE)
        }),
        None => Err(Refusal::new("needs an aggregation", USE)),
    }
}

fn summary(
    def: &MetricDef,
    aggregate: Option<Aggregate>,
    window: Duration,
) -> Result<Reading, Refusal> {
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
            .position(|known| (known - q).abs() < 1e-9)
            .map(|column| Reading::Current { column })
            .ok_or_else(|| {
                Refusal::new(
                    format!("does not keep {}", Aggregate::Quantile(q).name()),
                    hint,
                )
            }),
        Some(other) => observed(other, def.quantiles.len(), window)
            .ok_or_else(|| Refusal::new(format!("{} cannot be told", other.name()), hint)),
        None => Err(Refusal::new("needs an aggregation", hint)),
    }
}

/// What histograms and summaries have in common: a count in `column` and the sum after it.
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
    /// How far back it looks.
    #[must_use]
    pub fn window(&self) -> Option<Duration> {
        match self {
            Self::Current { .. } => None,
            Self::Window { window, .. }
            | Self::Quantile { window, .. }
            | Self::Observed { window } => Some(*window),
        }
    }

    /// The number at `now`; NaN where the series has none, or none recent enough: a value older
    /// than one and a half intervals says nothing about now.
    #[must_use]
    pub fn read(&self, series: &Series<'_>, def: &MetricDef, now: MonoMillis) -> f64 {
        if now.since(series.updated()) > def.interval.mul_f64(1.5) {
            return f64::NAN;
        }
        // One interval more than the window: the sample that the window's growth starts from.
        let start = |window: Duration| now.before(window);
        let base = |window: Duration| start(window.saturating_add(def.interval));
        match *self {
            Self::Current { column } => series.numbers()[column],
            Self::Window {
                aggregate: Aggregate::Mean,
                column: 0,
                window,
            } if def.width() == 1 => {
                let values = series.window(MonoMillis(start(window).0 + 1)).numbers();
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
