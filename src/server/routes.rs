//! What can be asked for, as one table: path, methods, who may.

use hyper::Method;

use super::analysis::Analysis;
use super::query::Past;

/// One thing that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Landing,
    Metrics,
    Healthy,
    Ready,
    Reload,
    Record,
    Api(View),
    AlertHistory,
    Silences,
    Silence,
    Acknowledge,
    DeadLetters,
    Past(Past),
    Analysis(Analysis),
}

/// What the API shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    Metrics,
    Alerts,
    Rules,
    Health,
    Summary,
    Metadata,
    BuildInfo,
    Exemplars,
    Silences,
    Explain,
}

/// Every path there is.
pub(super) const ROUTES: [(&str, Route); 33] = [
    ("/", Route::Landing),
    ("/metrics", Route::Metrics),
    ("/-/healthy", Route::Healthy),
    ("/-/ready", Route::Ready),
    ("/-/reload", Route::Reload),
    ("/api/v1/record", Route::Record),
    ("/api/v1/metrics", Route::Api(View::Metrics)),
    ("/api/v1/alerts", Route::Api(View::Alerts)),
    ("/api/v1/alerts/history", Route::AlertHistory),
    ("/api/v1/alerts/<fingerprint>/acknowledge", Route::Acknowledge),
    ("/api/v1/silences", Route::Silences),
    ("/api/v1/silences/<id>", Route::Silence),
    ("/api/v1/dead-letters", Route::DeadLetters),
    ("/api/v1/explain", Route::Api(View::Explain)),
    ("/api/v1/rules", Route::Api(View::Rules)),
    ("/api/v1/health", Route::Api(View::Health)),
    ("/api/v1/summary", Route::Api(View::Summary)),
    ("/api/v1/query", Route::Past(Past::Query)),
    ("/api/v1/query_range", Route::Past(Past::QueryRange)),
    ("/api/v1/series", Route::Past(Past::Series)),
    ("/api/v1/labels", Route::Past(Past::Labels)),
    ("/api/v1/label/<name>/values", Route::Past(Past::Values)),
    ("/api/v1/metadata", Route::Api(View::Metadata)),
    ("/api/v1/query_exemplars", Route::Api(View::Exemplars)),
    ("/api/v1/status/buildinfo", Route::Api(View::BuildInfo)),
    ("/api/v1/trends", Route::Analysis(Analysis::Trends)),
    ("/api/v1/baseline", Route::Analysis(Analysis::Baseline)),
    ("/api/v1/anomalies", Route::Analysis(Analysis::Anomalies)),
    ("/api/v1/forecast", Route::Analysis(Analysis::Forecast)),
    ("/api/v1/correlations", Route::Analysis(Analysis::Correlations)),
    ("/api/v1/bottlenecks", Route::Analysis(Analysis::Bottlenecks)),
    ("/api/v1/score", Route::Analysis(Analysis::Score)),
    ("/api/v1/advise", Route::Analysis(Analysis::Advise)),
];

impl Route {
    /// The route of `path`.
    pub(super) fn of(path: &str) -> Option<Self> {
        ROUTES.iter().find(|(known, _)| fits(known, path)).map(|(_, route)| *route)
    }

    /// What stands in `path` for the part of its own that differs: a name, an identity.
    pub(super) fn part(self, path: &str) -> &str {
        let known = ROUTES.iter().find(|(_, route)| *route == self);
        known.and_then(|(known, _)| part(known, path)).unwrap_or_default()
    }

    /// The word for it in the self-metric's label.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Landing => "landing",
            Self::Metrics => "metrics",
            Self::Healthy => "healthy",
            Self::Ready => "ready",
            Self::Reload => "reload",
            Self::Record => "record",
            Self::Api(View::Metrics) => "api_metrics",
            Self::Api(View::Alerts) => "api_alerts",
            Self::AlertHistory => "api_alerts_history",
            Self::Silences | Self::Silence => "api_silences",
            Self::Acknowledge => "api_acknowledge",
            Self::DeadLetters => "api_dead_letters",
            Self::Api(View::Silences) => "api_silences",
            Self::Api(View::Explain) => "api_explain",
            Self::Api(View::Rules) => "api_rules",
            Self::Api(View::Health) => "api_health",
            Self::Api(View::Summary) => "api_summary",
            Self::Api(View::Metadata) => "api_metadata",
            Self::Api(View::BuildInfo) => "api_buildinfo",
            Self::Api(View::Exemplars) => "api_query_exemplars",
            Self::Past(Past::Query) => "api_query",
            Self::Past(Past::QueryRange) => "api_query_range",
            Self::Past(Past::Series) => "api_series",
            Self::Past(Past::Labels) => "api_labels",
            Self::Past(Past::Values) => "api_label_values",
            Self::Analysis(what) => what.name(),
        }
    }

    /// What it is, for people.
    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Landing => "this page",
            Self::Metrics => "all series, for Prometheus",
            Self::Healthy => "whether the process answers",
            Self::Ready => "whether every collector has run",
            Self::Reload => "read the declaration again",
            Self::Record => "record values of applications",
            Self::Api(View::Metrics) => "declared metrics and their values",
            Self::Api(View::Alerts) => "pending and firing alerts",
            Self::AlertHistory => {
                "what became of alerts and notifications: start, end, rule, match[], state, channel"
            }
            Self::Silences | Self::Api(View::Silences) => {
                "silences; POST makes one: matchers, duration, times, created_by, comment"
            }
            Self::Silence => "DELETE ends a silence",
            Self::Acknowledge => "POST says who takes care of an alert: by, comment, duration",
            Self::DeadLetters => {
                "what channels gave up; POST sends it again, DELETE discards it: id, channel, all"
            }
            Self::Api(View::Explain) => {
                "why a rule's alerts fire or not, and who is told: rule, fingerprint"
            }
            Self::Api(View::Rules) => "rules and their state",
            Self::Api(View::Health) => "collectors and channels",
            Self::Api(View::Summary) => "everything in short",
            Self::Api(View::Metadata) => "type and help of each metric",
            Self::Api(View::BuildInfo) => "which Prometheus this API is compatible with",
            Self::Api(View::Exemplars) => "always empty: no exemplars are kept",
            Self::Past(Past::Query) => "a PromQL expression at one time: query, time",
            Self::Past(Past::QueryRange) => {
                "a PromQL expression over time: query, start, end, step"
            }
            Self::Past(Past::Series) => "series in history: match[], start, end",
            Self::Past(Past::Labels) => "names of labels in history",
            Self::Past(Past::Values) => "values of a label in history",
            Self::Analysis(what) => what.about(),
        }
    }

    /// Whether `method` changes state, which not everybody may.
    pub(super) fn changes_state(self, method: &Method) -> bool {
        match self {
            Self::Reload | Self::Record | Self::Silence | Self::Acknowledge => true,
            Self::Silences => *method == Method::POST,
            Self::DeadLetters => matches!(*method, Method::POST | Method::DELETE),
            _ => false,
        }
    }

    /// Whether it is answered to anybody: load balancers and supervisors have no password.
    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::Healthy | Self::Ready)
    }

    /// Whether `method` fits; `PUT` reloads too, as it does at Prometheus.
    pub(super) fn takes(self, method: &Method) -> bool {
        match self {
            Self::Reload => matches!(*method, Method::POST | Method::PUT),
            Self::Record => *method == Method::POST,
            Self::Silences => matches!(*method, Method::GET | Method::HEAD | Method::POST),
            Self::Silence => *method == Method::DELETE,
            Self::Acknowledge => matches!(*method, Method::POST | Method::DELETE),
            Self::DeadLetters => {
                matches!(*method, Method::GET | Method::HEAD | Method::POST | Method::DELETE)
            }
            Self::Past(_) | Self::Analysis(_) | Self::Api(View::Exemplars) => {
                matches!(*method, Method::GET | Method::POST)
            }
            _ => matches!(*method, Method::GET | Method::HEAD),
        }
    }

    /// The methods that fit, as `Allow` lists them.
    pub(super) fn allow(self) -> &'static str {
        match self {
            Self::Reload => "POST, PUT",
            Self::Record => "POST",
            Self::Silences => "GET, HEAD, POST",
            Self::Silence => "DELETE",
            Self::Acknowledge => "POST, DELETE",
            Self::DeadLetters => "GET, HEAD, POST, DELETE",
            Self::Past(_) | Self::Analysis(_) | Self::Api(View::Exemplars) => "GET, POST",
            _ => "GET, HEAD",
        }
    }
}

/// Whether `path` is `known`, which may have one part in angle brackets that stands for any text.
fn fits(known: &str, path: &str) -> bool {
    match part(known, path) {
        Some(part) => {
            // An identity at the end may have slashes: `maintenance/backups`.
            let free = part == known || known.ends_with('>');
            !part.is_empty() && (free || !part.contains('/'))
        }
        None => false,
    }
}

/// What stands in `path` for the part of `known` in angle brackets; `path` itself where `known` has
/// none.
fn part<'a>(known: &str, path: &'a str) -> Option<&'a str> {
    let brackets =
        known.split_once('<').and_then(|(before, rest)| Some((before, rest.split_once('>')?)));
    match brackets {
        Some((before, (_, after))) => path.strip_prefix(before)?.strip_suffix(after),
        None => (known == path).then_some(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allow_says_what_is_taken() {
        let all = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE];
        for (path, route) in ROUTES {
            let taken: Vec<&str> =
                all.iter().filter(|method| route.takes(method)).map(Method::as_str).collect();
            assert_eq!(taken.join(", "), route.allow(), "{path}");
            assert_eq!(Route::of(path), Some(route));
        }
        let values = Some(Route::Past(Past::Values));
        assert_eq!(Route::of("/api/v1/label/__name__/values"), values);
        for path in ["/metrics/", "/api/v1/label//values", "/api/v1/label/a/b/values"] {
            assert_eq!(Route::of(path), None, "{path}");
        }
    }
}
