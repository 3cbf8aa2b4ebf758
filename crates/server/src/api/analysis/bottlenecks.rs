//! Bottlenecks and the health score.

use bellwether_analysis::bottleneck::{Bottleneck, Finding, sort};
use bellwether_analysis::health::{Observed, Score, score as evaluate};
use bellwether_core::{AlertState, LabelSet, METRIC_NAME, Severity, UnixMillis};
use bellwether_promql::Value as QueryValue;
use serde_json::{Value, json};

use super::AnalysisContext;
use super::trends::labels;
use crate::api::endpoints::parameter::{Parameter, time as time_parameter};
use crate::api::json::{number, time};
use crate::api::query::Parameters;
use crate::api::response::ApiError;

/// Result of the evaluation of all bottlenecks.
struct Evaluation<'a> {
    /// Findings, the largest impact first; those without impact included.
    findings: Vec<Finding<'a>>,
    /// Bottlenecks without samples.
    no_data: Vec<&'a Bottleneck>,
    /// Bottlenecks that could not be evaluated, with the error.
    failed: Vec<(&'a Bottleneck, String)>,
}

pub(crate) const PARAMETERS: &[Parameter] = &[time_parameter(
    "time",
    "time of the evaluation; now by default",
)];

/// Evaluates all bottlenecks at `time`.
pub(crate) fn bottlenecks(
    params: &Parameters,
    context: &AnalysisContext<'_>,
) -> Result<Value, ApiError> {
    params.reject_unknown(PARAMETERS)?;
    let at = params.time("time")?.unwrap_or(context.now);
    let evaluation = evaluate_all(context, at);
    let (active, clear): (Vec<_>, Vec<_>) = evaluation
        .findings
        .iter()
        .partition(|finding| finding.impact > 0.0);
    Ok(json!({
        "time": time(at),
        "bottlenecks": active.into_iter().map(view).collect::<Vec<_>>(),
        "clear": clear.into_iter().map(view).collect::<Vec<_>>(),
        "withoutData": evaluation.no_data.iter().map(|bottleneck| &bottleneck.name).collect::<Vec<_>>(),
        "failed": evaluation.failed.iter().map(|(bottleneck, error)| json!({ "name": bottleneck.name, "error": error })).collect::<Vec<_>>(),
    }))
}

/// Computes the health score from firing alerts, failing collectors and bottlenecks.
pub(crate) fn score(params: &Parameters, context: &AnalysisContext<'_>) -> Result<Value, ApiError> {
    params.reject_unknown(&[])?;
    let evaluation = evaluate_all(context, context.now);
    let firing = context
        .alerts
        .iter()
        .filter(|alert| alert.state == AlertState::Firing);
    let firing: Vec<(&str, Severity)> =
        firing.map(|alert| (&*alert.rule, alert.severity)).collect();
    let failing: Vec<(&str, &str)> = (context.health.collectors.iter())
        .filter(|(_, collector)| collector.success == Some(false))
        .map(|(origin, collector)| {
            let why = collector
                .failure
                .as_ref()
                .map_or("", |failure| failure.detail.as_str());
            (origin.as_str(), why)
        })
        .collect();
    let observed = Observed {
        firing: &firing,
        bottlenecks: &evaluation.findings,
        failing: &failing,
    };
    let score: Score = evaluate(&observed, &context.analysis_settings.health);
    let parts = score.parts.iter().map(|part| {
        json!({
            "cause": part.cause.as_str(),
            "name": part.name,
            "points": number(part.points),
            "reason": part.why,
        })
    });
    Ok(json!({
        "score": number(score.score),
        "rating": score.word(),
        "parts": parts.collect::<Vec<_>>(),
    }))
}

fn evaluate_all<'a>(context: &AnalysisContext<'a>, at: UnixMillis) -> Evaluation<'a> {
    let mut evaluation = Evaluation {
        findings: Vec::new(),
        no_data: Vec::new(),
        failed: Vec::new(),
    };
    for bottleneck in context.analysis_settings.bottlenecks.iter() {
        match samples(bottleneck, context, at) {
            Err(error) => evaluation.failed.push((bottleneck, error)),
            Ok(values) => {
                let findings = bottleneck.evaluate(values);
                if findings.is_empty() {
                    evaluation.no_data.push(bottleneck);
                }
                evaluation.findings.extend(findings);
            }
        }
    }
    sort(&mut evaluation.findings);
    evaluation
}

fn samples(
    bottleneck: &Bottleneck,
    context: &AnalysisContext<'_>,
    at: UnixMillis,
) -> Result<Vec<(LabelSet, f64)>, String> {
    let query = bellwether_promql::parse(&bottleneck.promql).map_err(|error| error.to_string())?;
    let answer = query.instant(context.source, at, &context.options, context.guard);
    match answer.map_err(|error| error.to_string())?.value {
        QueryValue::Vector(samples) => Ok(samples
            .into_iter()
            .map(|sample| {
                let rest = sample
                    .labels
                    .iter()
                    .filter(|(name, _)| *name != METRIC_NAME);
                (LabelSet::new(rest), sample.value)
            })
            .collect()),
        QueryValue::Scalar { value, .. } => Ok(vec![(LabelSet::default(), value)]),
        _ => Err("a vector or a scalar is needed".to_owned()),
    }
}

fn view(finding: &Finding<'_>) -> Value {
    let bottleneck = finding.bottleneck;
    json!({
        "name": bottleneck.name,
        "resource": bottleneck.resource.as_str(),
        "component": bottleneck.component,
        "labels": labels(&finding.labels),
        "impact": number(finding.impact),
        "value": number(finding.value),
        "unit": bottleneck.unit,
        "warning": number(bottleneck.warning),
        "critical": number(bottleneck.critical),
        "promql": bottleneck.promql,
        "advice": bottleneck.advice,
    })
}
