//! Compilation of rules over history: PromQL, anomalies and forecasts.

use std::sync::Arc;
use std::time::Duration;

use bellwether_analysis::AnomalyDetection;
use bellwether_analysis::forecast::{self, Horizon, Target};
use bellwether_core::MetricDef;
use bellwether_promql::Query;
use bellwether_schema::{Diagnostics, HumanDuration, Literal, SourceLocation, Spanned};

use super::Compiler;
use super::source::{CompiledSource, quote_expression};
use crate::alert::alert_labels::AlertLabels;
use crate::eval::schedule::Schedule;
use crate::query::history_query::{Detection, Forecasting, HistoryQuery, QueryKind};
use crate::query::promql::Series;
use crate::rule::Source;
use crate::settings::matcher::Matcher;
use crate::settings::{Forecast, NoDataPolicy, Side};

pub(super) const NO_HISTORY: &str = "the rule queries history, which is disabled";
pub(super) const TURN_ON: &str = "trend_analysis: {enabled: true}";

/// Minimum time between two forecasts: a trend over hours changes slowly.
const FORECAST_EVERY: Duration = Duration::from_secs(60);
/// Maximum number of points of a forecast.
const FORECAST_POINTS: u32 = 360;
/// Shortest and longest window of a forecast.
const FORECAST_WINDOWS: [Duration; 2] =
    [Duration::from_secs(600), Duration::from_secs(90 * 86_400)];

impl Compiler<'_> {
    /// Compiles a PromQL query.
    pub(super) fn promql_source(
        &mut self,
        text: &Literal,
        at: &SourceLocation,
    ) -> Option<CompiledSource> {
        let rule = self.rule;
        self.misplaced("promql", "write it in the query: avg_over_time(x[5m])");
        for matcher in rule.labels.values() {
            self.problems
                .error(&matcher.at, "`labels` beside `promql`")
                .hint("write them in the query: up{job=\"x\"}");
        }
        self.needs_history(at);
        let spanned = Spanned {
            value: text.clone(),
            at: at.clone(),
        };
        let query = numeric(&spanned, self.problems)?;
        self.warnings.extend(self.known_series.warnings(&query, at));
        let interval = self.interval();
        let mut schedule = self.known_series.schedule(&query, interval);
        let kind = match (rule.detects(), rule.is_compared()) {
            (true, _) => self.detection(schedule.interval)?,
            (false, true) => QueryKind::Compared,
            (false, false) => QueryKind::Present,
        };
        match kind {
            QueryKind::Present => self.check_missing_keys(at),
            QueryKind::Forecast(_) => {
                schedule.min_interval = schedule.min_interval.max(FORECAST_EVERY);
                schedule.interval = schedule.interval.max(FORECAST_EVERY);
            }
            QueryKind::Compared | QueryKind::Anomaly(_) => {}
        }
        let lookback = bellwether_promql::Options::default().lookback;
        let configured = Some(text.0.as_str().into());
        let history_query = HistoryQuery {
            query,
            configured,
            lookback,
            matchers: Vec::new(),
            kind,
        };
        Some(CompiledSource {
            source: Source::History(history_query),
            subject: quote_expression(text),
            labels: AlertLabels::FromSeries,
            schedule,
        })
    }

    /// Reports keys about missing series beside a query whose series are the alerts.
    fn check_missing_keys(&mut self, at: &SourceLocation) {
        let rule = self.rule;
        if rule.on_no_data != NoDataPolicy::Keep {
            self.problems
                .error(at, "`on_no_data` beside a query without `condition`")
                .hint("its alerts resolve when their series are missing; query absent(...), or add `condition`");
        }
        if let Some(after) = &rule.resolve_missing_after {
            self.problems
                .error(
                    &after.at,
                    "`resolve_missing_after` beside a query without `condition`",
                )
                .hint("its alerts resolve as soon as their series are missing; leave it out, or add `condition`");
        }
    }

    /// Compiles an anomaly or a forecast of a metric.
    pub(super) fn samples_source(&mut self) -> Option<CompiledSource> {
        let rule = self.rule;
        let Some(metric) = &rule.metric else {
            self.misplaced_beside_expr();
            return None;
        };
        self.needs_history(&metric.at);
        let (id, reading, subject) = self.reading(&metric.value, &metric.at)?;
        let def = &self.metrics[id.0 as usize];
        let matchers = self.matchers_of(def);
        let interval = self.interval();
        let kind = self.detection(def.interval)?;
        let min_interval = match kind {
            QueryKind::Forecast(_) => interval.unwrap_or(FORECAST_EVERY).max(FORECAST_EVERY),
            _ => interval.unwrap_or_default(),
        };
        // A value older than one and a half intervals is stale.
        let lookback = def.interval.mul_f64(1.5);
        let series = Series {
            def,
            matchers: String::new(),
            scraped: false,
        };
        let query = bellwether_promql::parse(&series.read(&reading)).ok()?;
        let schedule = Schedule {
            origins: vec![def.origin],
            interval: def.interval.max(min_interval),
            min_interval,
        };
        Some(CompiledSource {
            source: Source::History(HistoryQuery {
                query,
                configured: None,
                lookback,
                matchers,
                kind,
            }),
            subject,
            labels: AlertLabels::Fixed(def.labels.clone()),
            schedule,
        })
    }

    /// Returns the anomaly detection or the forecast of the rule, over samples at `interval`.
    fn detection(&mut self, interval: Duration) -> Option<QueryKind> {
        let rule = self.rule;
        if let (true, Some(forecast)) = (rule.has_anomaly(), &rule.forecast) {
            self.problems
                .error(&forecast.at, "both `anomaly` and `forecast`")
                .hint("make two rules");
            return None;
        }
        if let Some(forecast) = &rule.forecast {
            let horizon = self.horizon(forecast)?;
            let step = (horizon.lookback() / FORECAST_POINTS).max(interval);
            return Some(QueryKind::Forecast(Forecasting { horizon, step }));
        }
        let anomaly = rule.anomaly.as_ref()?;
        // Checked over the defaults, which are valid; the values of the file as a whole are checked
        // once, elsewhere.
        anomaly
            .with_defaults(&AnomalyDetection::default())
            .check_values(self.problems);
        let mut settings = anomaly.with_defaults(self.input.anomaly).detector();
        let samples = rule.consecutive.value.saturating_sub(1);
        settings.hold = (*rule.duration.value).max(interval * samples);
        Some(QueryKind::Anomaly(Detection { settings, interval }))
    }

    fn horizon(&mut self, settings: &Forecast) -> Option<Horizon> {
        let [shortest, longest] = FORECAST_WINDOWS;
        if !(shortest..=longest).contains(&settings.window.value.0) {
            let message = "the window of a forecast must be 10m to 90d";
            self.problems
                .error(&settings.window.at, message)
                .hint("6h is usual");
            return None;
        }
        if settings.within.value.is_zero() {
            self.problems
                .error(&settings.within.at, "`within` must not be 0")
                .hint("`within: 4h`");
            return None;
        }
        Some(Horizon {
            target: Target {
                value: settings.reaches.value,
                direction: match settings.direction {
                    Side::Rising => forecast::Direction::Rising,
                    Side::Falling => forecast::Direction::Falling,
                },
            },
            within: *settings.within.value,
            window: *settings.window.value,
        })
    }

    /// Returns the matchers of the rule with the label names of `def`.
    fn matchers_of(&mut self, def: &MetricDef) -> Vec<(Arc<str>, Matcher)> {
        let mut matchers = Vec::new();
        for (label, matcher) in &self.rule.labels {
            match def.labels.iter().find(|name| ***name == **label) {
                Some(name) => matchers.push((Arc::clone(name), matcher.value.clone())),
                None => self.no_label(label, &matcher.at, def.labels.iter()),
            }
        }
        matchers
    }

    fn needs_history(&mut self, at: &SourceLocation) {
        if self.rule.enabled && !self.input.history {
            self.problems.error(at, NO_HISTORY).hint(TURN_ON);
        }
    }

    fn interval(&mut self) -> Option<Duration> {
        check_interval(self.rule.interval.as_ref(), self.problems);
        self.rule.interval.as_ref().map(|interval| *interval.value)
    }
}

/// Reports a zero interval.
pub(super) fn check_interval(
    interval: Option<&Spanned<HumanDuration>>,
    problems: &mut Diagnostics,
) {
    if let Some(interval) = interval.filter(|interval| interval.value.is_zero()) {
        problems
            .error(&interval.at, "the interval must not be 0")
            .hint("leave it out, or write 1m");
    }
}

/// Parses a query that results in one value per series.
pub(super) fn numeric(text: &Spanned<Literal>, problems: &mut Diagnostics) -> Option<Query> {
    match bellwether_promql::parse(&text.value) {
        Err(error) => {
            problems.error(&text.at, error.to_string());
            None
        }
        Ok(query) if matches!(query.result_type(), "vector" | "scalar") => Some(query),
        Ok(query) => {
            problems
                .error(
                    &text.at,
                    format!(
                        "the result is a {}, not one value per series",
                        query.result_type()
                    ),
                )
                .hint("aggregate it over time: avg_over_time(x[5m])");
            None
        }
    }
}
