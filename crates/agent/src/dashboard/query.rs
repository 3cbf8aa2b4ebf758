//! `PromQL` for one metric, in the few shapes that panels have.

use bellwether_core::{Kind, MetricDef};

use super::panels::{Query, Target};

/// Labels of the variables of Grafana's dashboard; each of its queries selects them.
const CHOSEN: &str = "job=~\"$job\", instance=~\"$instance\"";

/// Data source that queries are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// History of this Bellwether: one instance, without the labels of a scrape.
    Own,
    /// Grafana's dashboard, over several jobs and instances.
    Grafana,
}

/// Returns the query of `target` on `def`, and for a share of `other`; `None` if the type of the
/// metric does not allow it.
pub(super) fn expression(
    target: &Target<'_>,
    def: &MetricDef,
    other: Option<&MetricDef>,
    dialect: Dialect,
) -> Option<String> {
    let by = grouping(target, def, dialect);
    let selector = |def: &MetricDef, suffix, matcher| selector(def, suffix, matcher, dialect);
    let part = |def: &MetricDef, suffix| part(def, suffix, dialect);
    let per_second = |def: &MetricDef| per_second(def, dialect);
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
        Query::Quantile(q) => quantile(target, def, q, dialect)?,
        Query::ShareWith(_) => {
            let own = format!("sum{by} ({})", per_second(def)?);
            let other = format!("sum{by} ({})", per_second(other?)?);
            // Either may not have begun to exist: all of it then falls to the other.
            format!("({own} or 0 * {other}) / ({own} + {other} or {own} or {other})")
        }
    })
}

/// Returns the legend of a target: prefix, labels, instance.
pub(super) fn legend(
    target: &Target<'_>,
    def: &MetricDef,
    several: bool,
    dialect: Dialect,
) -> String {
    let mut words = Vec::new();
    if several {
        words.push(def.name.to_string());
    }
    if !target.legend.is_empty() {
        words.push(target.legend.to_owned());
    }
    let labels = grouping_labels(target, def);
    words.extend(labels.into_iter().map(|label| format!("{{{{{label}}}}}")));
    if names_instance(target, dialect) {
        words.push("{{instance}}".to_owned());
    }
    // Of one series without labels, the name of its metric says what it is.
    if words.is_empty() {
        words.push(def.name.to_string());
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

/// Returns whether series differ by instance.
fn names_instance(target: &Target<'_>, dialect: Dialect) -> bool {
    target.per_instance && dialect == Dialect::Grafana
}

fn grouping(target: &Target<'_>, def: &MetricDef, dialect: Dialect) -> String {
    let mut labels = grouping_labels(target, def);
    if names_instance(target, dialect) {
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
fn per_second(def: &MetricDef, dialect: Dialect) -> Option<String> {
    match def.kind {
        Kind::Counter => Some(format!(
            "rate({}[$__rate_interval])",
            selector(def, "", "", dialect)
        )),
        Kind::Gauge => Some(selector(def, "", "", dialect)),
        Kind::Histogram | Kind::Summary => None,
    }
}

/// Returns the rate of the count or the sum of observations.
fn part(def: &MetricDef, suffix: &str, dialect: Dialect) -> Option<String> {
    match def.kind {
        Kind::Histogram | Kind::Summary => Some(format!(
            "rate({}[$__rate_interval])",
            selector(def, suffix, "", dialect)
        )),
        Kind::Counter | Kind::Gauge => None,
    }
}

fn quantile(target: &Target<'_>, def: &MetricDef, q: f64, dialect: Dialect) -> Option<String> {
    match def.kind {
        Kind::Histogram => {
            let mut labels = grouping_labels(target, def);
            labels.extend(names_instance(target, dialect).then_some("instance"));
            labels.push("le");
            let buckets = part(def, "_bucket", dialect)?;
            Some(format!(
                "histogram_quantile({q}, sum by ({}) ({buckets}))",
                labels.join(", ")
            ))
        }
        // Quantiles cannot be added up; the worst of the series that fall together is shown.
        Kind::Summary if def.quantiles.contains(&q) => {
            let by = grouping(target, def, dialect);
            Some(format!(
                "max{by} ({})",
                selector(def, "", &format!("quantile=\"{q}\""), dialect)
            ))
        }
        Kind::Summary | Kind::Counter | Kind::Gauge => None,
    }
}

/// Returns a selector for the series; in Grafana those of the chosen jobs and instances.
fn selector(def: &MetricDef, suffix: &str, matcher: &str, dialect: Dialect) -> String {
    let name = &def.exported;
    let chosen = (dialect == Dialect::Grafana).then_some(CHOSEN);
    let matchers: Vec<&str> = chosen
        .into_iter()
        .chain((!matcher.is_empty()).then_some(matcher))
        .collect();
    let matchers = matchers.join(", ");
    if matchers.is_empty() {
        return format!("{name}{suffix}");
    }
    // A scrape in OpenMetrics, which Prometheus asks for, has counters end in `_total`; in the
    // older text format they keep their name. The query finds either.
    if dialect == Dialect::Grafana && def.kind == Kind::Counter && !name.ends_with("_total") {
        return format!("{{__name__=~\"{name}|{name}_total\", {matchers}}}");
    }
    format!("{name}{suffix}{{{matchers}}}")
}
