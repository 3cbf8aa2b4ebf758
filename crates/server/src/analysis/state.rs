//! What holds things back, and how well all is.

use bellwether_analysis::bottleneck::{Bottleneck, Finding, sort};
use bellwether_analysis::health::{Observed, Score, score as judge};
use bellwether_core::{AlertState, LabelSet, METRIC_NAME, Severity, UnixMillis};
use bellwether_promql::Value as Result_;
use serde_json::{Value, json};

use super::super::api::{number, time};
use super::Desk;
use super::course::labels;
use crate::answer::Trouble;
use crate::query::Parameters;

/// What was looked at, and what there was to see.
struct Look<'a> {
    /// The worst first; those without impact too.
    findings: Vec<Finding<'a>>,
    /// Without samples.
    silent: Vec<&'a Bottleneck>,
    /// What could not be evaluated, and why.
    failed: Vec<(&'a Bottleneck, String)>,
}

/// All bottlenecks at `time`.
pub(super) fn bottlenecks(params: &Parameters, desk: &Desk<'_>) -> Result<Value, Trouble> {
    params.only(&["time"])?;
    let at = params.time("time")?.unwrap_or(desk.now);
    let look = look(desk, at);
    let (held, clear): (Vec<_>, Vec<_>) = look
        .findings
        .iter()
        .partition(|finding| finding.impact > 0.0);
    Ok(json!({
        "time": time(at),
        "bottlenecks": held.into_iter().map(view).collect::<Vec<_>>(),
        "clear": clear.into_iter().map(view).collect::<Vec<_>>(),
        "withoutData": look.silent.iter().map(|one| &one.name).collect::<Vec<_>>(),
        "failed": look.failed.iter().map(|(one, why)| json!({ "name": one.name, "error": why })).collect::<Vec<_>>(),
    }))
}

/// The health score, from what is firing, failing and held back now.
pub(super) fn score(params: &Parameters, desk: &Desk<'_>) -> Result<Value, Trouble> {
    params.only(&[])?;
    let look = look(desk, desk.now);
    let firing = desk
        .alerts
        .iter()
        .filter(|alert| alert.state == AlertState::Firing);
    let firing: Vec<(&str, Severity)> =
        firing.map(|alert| (&*alert.rule, alert.severity)).collect();
    let failing: Vec<(&str, &str)> = (desk.health.collectors.iter())
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
        bottlenecks: &look.findings,
        failing: &failing,
    };
    let told: Score = judge(&observed, &desk.judgement.health);
    let parts = told.parts.iter().map(|part| {
        json!({
            "cause": part.cause.as_str(),
            "name": part.name,
            "points": number(part.points),
            "why": part.why,
        })
    });
    Ok(json!({
        "score": number(told.score),
        "word": told.word(),
        "parts": parts.collect::<Vec<_>>(),
    }))
}

fn look<'a>(desk: &Desk<'a>, at: UnixMillis) -> Look<'a> {
    let mut look = Look {
        findings: Vec::new(),
        silent: Vec::new(),
        failed: Vec::new(),
    };
    for bottleneck in desk.judgement.bottlenecks.iter() {
        match ask(bottleneck, desk, at) {
            Err(why) => look.failed.push((bottleneck, why)),
            Ok(samples) => {
                let found = bottleneck.judge(samples);
                if found.is_empty() {
                    look.silent.push(bottleneck);
                }
                look.findings.extend(found);
            }
        }
    }
    sort(&mut look.findings);
    look
}

fn ask(
    bottleneck: &Bottleneck,
    desk: &Desk<'_>,
    at: UnixMillis,
) -> Result<Vec<(LabelSet, f64)>, String> {
    let query = bellwether_promql::parse(&bottleneck.promql).map_err(|error| error.to_string())?;
    let answer = query.instant(desk.source, at, &desk.options, desk.guard);
    match answer.map_err(|error| error.to_string())?.value {
        Result_::Vector(samples) => Ok(samples
            .into_iter()
            .map(|sample| {
                let rest = sample
                    .labels
                    .iter()
                    .filter(|(name, _)| *name != METRIC_NAME);
                (LabelSet::new(rest), sample.value)
            })
            .collect()),
        Result_::Scalar { value, .. } => Ok(vec![(LabelSet::default(), value)]),
        _ => Err("a vector or a scalar is needed".to_owned()),
    }
}

fn view(finding: &Finding<'_>) -> Value {
    let of = finding.bottleneck;
    json!({
        "name": of.name,
        "resource": of.resource.as_str(),
        "component": of.component,
        "labels": labels(&finding.labels),
        "impact": number(finding.impact),
        "value": number(finding.value),
        "unit": of.unit,
        "warning": number(of.warning),
        "critical": number(of.critical),
        "promql": of.promql,
        "advice": of.advice,
    })
}
