//! `PromQL` for one metric, in the few shapes that panels have.

use bellwether_core::{Kind, MetricDef};

use super::panels::{Query, Target};

/// Labels of the dashboard's variables; every query selects them.
const CHOSEN: &str = "job=~\"$job\", instance=~\"$instance\"";

/// Returns the query of `target` on `def`, and for a share of `other`; `None` if the type of the
/// metric does not allow it.
pub(super) fn expression(
    target: &Target<'_>,
    def: &MetricDef,
    other: Option<&MetricDef>,
) -> Option<String> {
    let by = grouping(target, def);
    Some(match target.query {
        Query::Value => match def.kind {
            Kind::Gauge => format!("{}{}", factor(target), selector(def, "", "")),
            Kind::Counter | Kind::Histogram | Kind::Summary => return None,
        },
        Query::Where(matcher) => format!("sum{by} ({})", selector(def, "", matcher)),
        Query::Rate => format!("{}sum{by} ({})", factor(target), per_second(def)?),
        Query::Increase(matcher) => match def.kind {
            Kind::Counter => {
                format!(
                    "sum{by} (increase({}[$__range]))",
                    selector(def, "", matcher)
                )
            }
            Kind::Gauge | Kind::Histogram | Kind::Summary => return None,
        },
        Query::Mean => {
            format!(
                "sum{by} ({}) / sum{by} ({})",
                part(def, "_sum")?,
                part(def, "_count")?
            )
        }
        Query::Quantile(q) => quantile(target, def, q)?,
        Query::ShareWith(_) => {
            let own = format!("sum{by} ({})", per_second(def)?);
            let other = format!("sum{by} ({})", per_second(other?)?);
            // Either may not have begun to exist: all of it then falls to the other.
            format!("({own} or 0 * {other}) / ({own} + {other} or {own} or {other})")
        }
    })
}

/// Returns the legend of a target: prefix, labels, instance.
pub(super) fn legend(target: &Target<'_>, def: &MetricDef, several: bool) -> String {
    let mut words = Vec::new();
    if several {
        words.push(def.name.to_string());
    }
    if !target.legend.is_empty() {
        words.push(target.legend.to_owned());
    }
    let labels = grouping_labels(target, def);
    words.extend(labels.into_iter().map(|label| format!("{{{{{label}}}}}")));
    if target.per_instance {
        words.push("{{instance}}".to_owned());
    }
    words.join(" ")
}

/// Returns the metric's own labels to group by.
fn grouping_labels<'a>(target: &Target<'_>, def: &'a MetricDef) -> Vec<&'a str> {
    let all = matches!(target.query, Query::Value);
    def.labels
        .iter()
        .map(AsRef::as_ref)
        .filter(|label| all || target.by.contains(label))
        .collect()
}

fn grouping(target: &Target<'_>, def: &MetricDef) -> String {
    let mut labels = grouping_labels(target, def);
    if target.per_instance {
        labels.push("instance");
    }
    if labels.is_empty() {
        String::new()
    } else {
        format!(" by ({})", labels.join(", "))
    }
}

fn factor(target: &Target<'_>) -> String {
    if target.factor == 1.0 {
        String::new()
    } else {
        format!("{} * ", target.factor)
    }
}

/// Returns the rate of a metric: of a counter computed here, of a gauge computed by the collector.
fn per_second(def: &MetricDef) -> Option<String> {
    match def.kind {
        Kind::Counter => Some(format!("rate({}[$__rate_interval])", selector(def, "", ""))),
        Kind::Gauge => Some(selector(def, "", "")),
        Kind::Histogram | Kind::Summary => None,
    }
}

/// Returns the rate of the count or the sum of observations.
fn part(def: &MetricDef, suffix: &str) -> Option<String> {
    match def.kind {
        Kind::Histogram | Kind::Summary => Some(format!(
            "rate({}[$__rate_interval])",
            selector(def, suffix, "")
        )),
        Kind::Counter | Kind::Gauge => None,
    }
}

fn quantile(target: &Target<'_>, def: &MetricDef, q: f64) -> Option<String> {
    match def.kind {
        Kind::Histogram => {
            let mut labels = grouping_labels(target, def);
            labels.extend(target.per_instance.then_some("instance"));
            labels.push("le");
            let buckets = part(def, "_bucket")?;
            Some(format!(
                "histogram_quantile({q}, sum by ({}) ({buckets}))",
                labels.join(", ")
            ))
        }
        // Quantiles cannot be added up; the worst of the series that fall together is shown.
        Kind::Summary if def.quantiles.contains(&q) => {
            let by = grouping(target, def);
            Some(format!(
                "max{by} ({})",
                selector(def, "", &format!("quantile=\"{q}\""))
            ))
        }
        Kind::Summary | Kind::Counter | Kind::Gauge => None,
    }
}

/// Returns a selector for the series of the chosen jobs and instances.
fn selector(def: &MetricDef, suffix: &str, matcher: &str) -> String {
    let name = &def.exported;
    let more = if matcher.is_empty() {
        String::new()
    } else {
        format!(", {matcher}")
    };
    // A scrape in OpenMetrics, which Prometheus asks for, has counters end in `_total`; in the
    // older text format they keep their name. The query finds either.
    if def.kind == Kind::Counter && !name.ends_with("_total") {
        return format!("{{__name__=~\"{name}|{name}_total\", {CHOSEN}{more}}}");
    }
    format!("{name}{suffix}{{{CHOSEN}{more}}}")
}
