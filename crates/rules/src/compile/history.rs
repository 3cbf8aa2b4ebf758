//! Rules that ask history: PromQL, anomalies, forecasts.

use std::sync::Arc;
use std::time::Duration;

use bellwether_analysis::AnomalyDetection;
use bellwether_analysis::forecast::{self, Horizon, Target};
use bellwether_core::MetricDef;
use bellwether_promql::Query;
use bellwether_schema::{Diagnostics, HumanDuration, Literal, SourceLocation, Spanned};

use super::super::matcher::Matcher;
use super::super::names::Names;
use super::super::pace::Schedule;
use super::super::query::Series;
use super::super::question::{Detection, Forecasting, Look, Question};
use super::super::rule::Source;
use super::super::settings::{NoDataPolicy, Side};
use super::{Compiler, Judged, shown};

pub(super) const NO_HISTORY: &str = "it asks history, and none is kept";
pub(super) const TURN_ON: &str = "trend_analysis: {enabled: true}";

/// How often a forecast is made at most: a trend over hours changes slowly.
const FORECAST_EVERY: Duration = Duration::from_secs(60);
/// Points that a forecast is made from at most.
const FORECAST_POINTS: u32 = 360;
/// Shortest and longest time that a forecast looks back.
const FORECAST_WINDOWS: [Duration; 2] =
    [Duration::from_secs(600), Duration::from_secs(90 * 86_400)];

impl Compiler<'_> {
    /// A PromQL query.
    pub(super) fn of_query(&mut self, text: &Literal, at: &SourceLocation) -> Option<Judged> {
        let rule = self.rule;
        self.misplaced("promql", "write it in the query: avg_over_time(x[5m])");
        for matcher in rule.labels.values() {
            self.problems
                .error(&matcher.at, "`labels` beside `promql`")
                .hint("write them in the query: up{job=\"x\"}");
        }
        let compared = rule.is_compared();
        if !compared && rule.on_no_data != NoDataPolicy::Keep {
            self.problems
                .error(at, "`on_no_data` beside a query without `condition`")
                .hint("no series is what it resolves by; ask for absent(...), or give a condition");
        }
        if let (false, Some(after)) = (compared, &rule.resolve_missing_after) {
            self.problems
                .error(
                    &after.at,
                    "`resolve_missing_after` beside a query without `condition`",
                )
                .hint("no series is what it resolves by; leave it out, or give a condition");
        }
        self.needs_history(at);
        let spanned = Spanned {
            value: text.clone(),
            at: at.clone(),
        };
        let query = numeric(&spanned, self.problems)?;
        self.warnings.extend(self.known.warnings(&query, at));
        let pace = self.known.pace(&query, self.interval());
        let look = if compared {
            Look::Compared
        } else {
            Look::Present
        };
        let lookback = bellwether_promql::Options::default().lookback;
        let declared = Some(text.0.as_str().into());
        let question = Question {
            query,
            declared,
            lookback,
            matchers: Vec::new(),
            look,
        };
        Some(Judged {
            source: Source::History(question),
            subject: shown(text),
            labels: Names::OfSeries,
            pace,
        })
    }

    /// A metric whose samples are looked at over time.
    pub(super) fn of_samples(&mut self) -> Option<Judged> {
        let rule = self.rule;
        if rule.metric.is_none() {
            self.misplaced("expr", "write it in the expression: rate(x, \"5m\")");
            return None;
        }
        if let (true, Some(forecast)) = (rule.wants_anomaly(), &rule.forecast) {
            self.problems
                .error(&forecast.at, "both `anomaly` and `forecast`")
                .hint("make two rules of it");
            return None;
        }
        let metric = rule.metric.as_ref()?;
        self.needs_history(&metric.at);
        let (id, reading, subject) = self.reading(&metric.value, &metric.at)?;
        let def = &self.metrics[id.0 as usize];
        let matchers = self.matchers_of(def);
        let interval = self.interval();
        let look = self.look(def)?;
        let least = match look {
            Look::Forecast(_) => interval.unwrap_or(FORECAST_EVERY).max(FORECAST_EVERY),
            _ => interval.unwrap_or_default(),
        };
        // A value older than one and a half intervals says nothing about now.
        let lookback = def.interval.mul_f64(1.5);
        let series = Series {
            def,
            matchers: String::new(),
            scraped: false,
        };
        let query = bellwether_promql::parse(&series.read(&reading)).ok()?;
        let pace = Schedule {
            origins: vec![def.origin],
            interval: def.interval.max(least),
            least,
        };
        Some(Judged {
            source: Source::History(Question {
                query,
                declared: None,
                lookback,
                matchers,
                look,
            }),
            subject,
            labels: Names::Fixed(def.labels.clone()),
            pace,
        })
    }

    fn look(&mut self, def: &MetricDef) -> Option<Look> {
        let rule = self.rule;
        if let Some(forecast) = &rule.forecast {
            let [least, most] = FORECAST_WINDOWS;
            if !(least..=most).contains(&forecast.window.value.0) {
                self.problems
                    .error(
                        &forecast.window.at,
                        "a forecast looks back 10 minutes to 90 days",
                    )
                    .hint("6h is usual");
                return None;
            }
            if forecast.within.value.is_zero() {
                self.problems
                    .error(&forecast.within.at, "within no time")
                    .hint("`within: 4h`");
                return None;
            }
            let direction = match forecast.direction {
                Side::Rising => forecast::Direction::Rising,
                Side::Falling => forecast::Direction::Falling,
            };
            let horizon = Horizon {
                target: Target {
                    value: forecast.reaches.value,
                    direction,
                },
                within: *forecast.within.value,
                window: *forecast.window.value,
            };
            let step = (horizon.lookback() / FORECAST_POINTS).max(def.interval);
            return Some(Look::Forecast(Forecasting { horizon, step }));
        }
        let anomaly = rule.anomaly.as_ref()?;
        // Over what is right for sure: what the file as a whole says is judged once, elsewhere.
        anomaly
            .over(&AnomalyDetection::default())
            .check_values(self.problems);
        let mut settings = anomaly.over(self.declared.anomaly).detector();
        let samples = rule.consecutive.value.saturating_sub(1);
        settings.hold = (*rule.duration.value).max(def.interval * samples);
        Some(Look::Anomaly(Detection {
            settings,
            interval: def.interval,
        }))
    }

    /// The matchers of the rule by the names of their labels.
    fn matchers_of(&mut self, def: &MetricDef) -> Vec<(Arc<str>, Matcher)> {
        let mut matchers = Vec::new();
        for (label, matcher) in &self.rule.labels {
            match def.labels.iter().find(|known| ***known == **label) {
                Some(name) => matchers.push((Arc::clone(name), matcher.value.clone())),
                None => self.no_label(label, &matcher.at, def.labels.iter()),
            }
        }
        matchers
    }

    fn needs_history(&mut self, at: &SourceLocation) {
        if self.rule.enabled && !self.declared.history {
            self.problems.error(at, NO_HISTORY).hint(TURN_ON);
        }
    }

    fn interval(&mut self) -> Option<Duration> {
        check_interval(self.rule.interval.as_ref(), self.problems);
        self.rule.interval.as_ref().map(|interval| *interval.value)
    }
}

/// Notes an interval of no length.
pub(super) fn check_interval(
    interval: Option<&Spanned<HumanDuration>>,
    problems: &mut Diagnostics,
) {
    if let Some(interval) = interval.filter(|interval| interval.value.is_zero()) {
        problems
            .error(&interval.at, "an interval of no length")
            .hint("leave it out, or 1m");
    }
}

/// The query of `text`, if it is one whose answer can be judged.
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
                        "the answer is a {}, no value per series",
                        query.result_type()
                    ),
                )
                .hint("take it over time: avg_over_time(x[5m])");
            None
        }
    }
}
