//! Table of endpoints: path, methods, access.

use std::borrow::Cow;

use hyper::Method;

use crate::api::analysis::Analysis;
use crate::api::query::HistoryEndpoint;

/// Handler of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
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
    History(HistoryEndpoint),
    Analysis(Analysis),
}

/// Read-only views of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
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
    Config,
    Flags,
    RuntimeInfo,
    WalReplay,
    Targets,
    ScrapePools,
    Alertmanagers,
    FormatQuery,
    ParseQuery,
}

/// One path with everything that is known without answering.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Path; one segment may be a placeholder in angle brackets.
    pub(crate) path: &'static str,
    pub(crate) route: Route,
    /// Value of the label `handler` in the self-metrics.
    pub(crate) name: &'static str,
    /// Description on the landing page.
    pub(crate) about: &'static str,
    /// Allowed methods, in the form of `Allow`.
    pub(crate) methods: &'static str,
    /// Methods of them that change state, which need authorization.
    changes: &'static str,
    /// True if a GET without parameters is an error.
    pub(crate) needs_parameters: bool,
}

const READ: &str = "GET, HEAD";
const QUERY: &str = "GET, POST";

/// Endpoint without parameters in a body.
const fn get(
    path: &'static str,
    route: Route,
    name: &'static str,
    about: &'static str,
) -> Endpoint {
    Endpoint {
        path,
        route,
        name,
        about,
        methods: READ,
        changes: "",
        needs_parameters: false,
    }
}

/// Endpoint with parameters in the URL or in a form.
const fn query(
    path: &'static str,
    route: Route,
    name: &'static str,
    about: &'static str,
) -> Endpoint {
    Endpoint {
        methods: QUERY,
        ..get(path, route, name, about)
    }
}

impl Endpoint {
    const fn with(self, methods: &'static str, changes: &'static str) -> Self {
        Self {
            methods,
            changes,
            ..self
        }
    }

    const fn needs_parameters(self) -> Self {
        Self {
            needs_parameters: true,
            ..self
        }
    }

    /// Finds the endpoint of `path`.
    pub(crate) fn find(path: &str) -> Option<&'static Self> {
        ENDPOINTS
            .iter()
            .find(|endpoint| matches(endpoint.path, path))
    }

    /// Value of the placeholder in `path`: a name, an id.
    pub(crate) fn path_parameter<'a>(&self, path: &'a str) -> &'a str {
        placeholder(self.path, path).unwrap_or_default()
    }

    /// Returns true if `method` changes state and needs authorization.
    pub(crate) fn changes_state(&self, method: &Method) -> bool {
        contains(self.changes, method)
    }

    /// Returns true if it needs no password: load balancers and supervisors have none.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.route, Route::Healthy | Route::Ready)
    }

    /// Returns true if `method` is allowed.
    pub(crate) fn allows(&self, method: &Method) -> bool {
        contains(self.methods, method)
    }

    /// Returns true if a browser that follows a link to it gets an answer.
    pub(crate) fn is_link(&self) -> bool {
        contains(self.methods, &Method::GET) && !self.needs_parameters && !self.path.contains('<')
    }
}

/// Returns true if a list in the form of `Allow` contains `method`.
fn contains(methods: &str, method: &Method) -> bool {
    methods.split(", ").any(|listed| listed == method.as_str())
}

/// Removes repeated slashes from `path`: some clients join it to a base URL that ends in a slash.
pub(crate) fn without_repeated_slashes(path: &str) -> Cow<'_, str> {
    if !path.contains("//") {
        return Cow::Borrowed(path);
    }
    let mut out = String::with_capacity(path.len());
    for character in path.chars() {
        if character != '/' || !out.ends_with('/') {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

pub(crate) const ENDPOINTS: &[Endpoint] = &[
    get("/", Route::Landing, "landing", "this page"),
    get(
        "/metrics",
        Route::Metrics,
        "metrics",
        "all series, for Prometheus",
    ),
    get(
        "/-/healthy",
        Route::Healthy,
        "healthy",
        "liveness: the process answers",
    ),
    get(
        "/-/ready",
        Route::Ready,
        "ready",
        "readiness: every collector has run",
    ),
    get(
        "/-/reload",
        Route::Reload,
        "reload",
        "POST reloads the configuration",
    )
    .with("POST, PUT", "POST, PUT"),
    get(
        "/api/v1/record",
        Route::Record,
        "record",
        "POST records values of applications",
    )
    .with("POST", "POST"),
    get(
        "/api/v1/metrics",
        Route::Api(View::Metrics),
        "api_metrics",
        "configured metrics and their values",
    ),
    get(
        "/api/v1/alerts",
        Route::Api(View::Alerts),
        "api_alerts",
        "pending and firing alerts",
    ),
    get(
        "/api/v1/alerts/history",
        Route::AlertHistory,
        "api_alerts_history",
        "transitions of alerts and outcomes of notifications: start, end, rule, match[], state, channel",
    ),
    get(
        "/api/v1/alerts/<fingerprint>/acknowledge",
        Route::Acknowledge,
        "api_acknowledge",
        "POST acknowledges an alert: by, comment, duration; DELETE ends that",
    )
    .with("POST, DELETE", "POST, DELETE"),
    get(
        "/api/v1/silences",
        Route::Silences,
        "api_silences",
        "silences; POST creates one: matchers, duration, times, created_by, comment",
    )
    .with("GET, HEAD, POST", "POST"),
    get(
        "/api/v1/silences/<id>",
        Route::Silence,
        "api_silences",
        "DELETE ends a silence",
    )
    .with("DELETE", "DELETE"),
    get(
        "/api/v1/dead-letters",
        Route::DeadLetters,
        "api_dead_letters",
        "notifications that channels rejected; POST resends them, DELETE discards them: id, \
         channel, all",
    )
    .with("GET, HEAD, POST, DELETE", "POST, DELETE"),
    get(
        "/api/v1/explain",
        Route::Api(View::Explain),
        "api_explain",
        "why a rule's alerts fire or not, and who is notified: rule, fingerprint",
    )
    .needs_parameters(),
    get(
        "/api/v1/rules",
        Route::Api(View::Rules),
        "api_rules",
        "rules and their state",
    ),
    get(
        "/api/v1/health",
        Route::Api(View::Health),
        "api_health",
        "status of collectors, channels and storage",
    ),
    get(
        "/api/v1/summary",
        Route::Api(View::Summary),
        "api_summary",
        "summary of status, alerts and counts",
    ),
    query(
        "/api/v1/query",
        Route::History(HistoryEndpoint::Query),
        "api_query",
        "a PromQL expression at one time: query, time",
    )
    .needs_parameters(),
    query(
        "/api/v1/query_range",
        Route::History(HistoryEndpoint::QueryRange),
        "api_query_range",
        "a PromQL expression over time: query, start, end, step",
    )
    .needs_parameters(),
    query(
        "/api/v1/series",
        Route::History(HistoryEndpoint::Series),
        "api_series",
        "series in history: match[], start, end",
    )
    .needs_parameters(),
    query(
        "/api/v1/labels",
        Route::History(HistoryEndpoint::Labels),
        "api_labels",
        "names of labels in history",
    ),
    query(
        "/api/v1/label/<name>/values",
        Route::History(HistoryEndpoint::Values),
        "api_label_values",
        "values of a label in history",
    ),
    get(
        "/api/v1/metadata",
        Route::Api(View::Metadata),
        "api_metadata",
        "type and help of each metric",
    ),
    query(
        "/api/v1/query_exemplars",
        Route::Api(View::Exemplars),
        "api_query_exemplars",
        "always empty: no exemplars are kept",
    ),
    get(
        "/api/v1/status/buildinfo",
        Route::Api(View::BuildInfo),
        "api_buildinfo",
        "which Prometheus this API is compatible with",
    ),
    query(
        "/api/v1/format_query",
        Route::Api(View::FormatQuery),
        "api_format_query",
        "a PromQL expression as it is usually written: query",
    )
    .needs_parameters(),
    query(
        "/api/v1/parse_query",
        Route::Api(View::ParseQuery),
        "api_parse_query",
        "a PromQL expression as a tree: query",
    )
    .needs_parameters(),
    get(
        "/api/v1/targets",
        Route::Api(View::Targets),
        "api_targets",
        "collectors, as Prometheus shows targets: state, scrapePool",
    ),
    get(
        "/api/v1/scrape_pools",
        Route::Api(View::ScrapePools),
        "api_scrape_pools",
        "names of collectors",
    ),
    get(
        "/api/v1/alertmanagers",
        Route::Api(View::Alertmanagers),
        "api_alertmanagers",
        "Alertmanagers that are notified",
    ),
    get(
        "/api/v1/status/config",
        Route::Api(View::Config),
        "api_config",
        "the active config, without its secrets",
    ),
    get(
        "/api/v1/status/flags",
        Route::Api(View::Flags),
        "api_flags",
        "settings under the names of Prometheus's flags",
    ),
    get(
        "/api/v1/status/runtimeinfo",
        Route::Api(View::RuntimeInfo),
        "api_runtimeinfo",
        "the process: start time, retention of history",
    ),
    query(
        "/api/v1/status/tsdb",
        Route::History(HistoryEndpoint::Tsdb),
        "api_tsdb",
        "series in history by metric and label: limit",
    )
    .with(READ, ""),
    get(
        "/api/v1/status/walreplay",
        Route::Api(View::WalReplay),
        "api_walreplay",
        "always done: history is read before anything is answered",
    ),
    query(
        "/api/v1/trends",
        Route::Analysis(Analysis::Trends),
        "api_trends",
        "trend of a metric: metric, window",
    )
    .needs_parameters(),
    query(
        "/api/v1/baseline",
        Route::Analysis(Analysis::Baseline),
        "api_baseline",
        "baseline of a metric by hour and weekday: metric",
    )
    .needs_parameters(),
    query(
        "/api/v1/anomalies",
        Route::Analysis(Analysis::Anomalies),
        "api_anomalies",
        "anomalies of a metric: metric, window",
    )
    .needs_parameters(),
    query(
        "/api/v1/forecast",
        Route::Analysis(Analysis::Forecast),
        "api_forecast",
        "forecast of a metric: metric, reaches, hours",
    )
    .needs_parameters(),
    query(
        "/api/v1/correlations",
        Route::Analysis(Analysis::Correlations),
        "api_correlations",
        "series that correlate with a metric or an alert: metric, alert",
    )
    .needs_parameters(),
    query(
        "/api/v1/bottlenecks",
        Route::Analysis(Analysis::Bottlenecks),
        "api_bottlenecks",
        "bottlenecks, and how to fix them",
    ),
    query(
        "/api/v1/score",
        Route::Analysis(Analysis::Score),
        "api_score",
        "the health score",
    ),
    query(
        "/api/v1/advise",
        Route::Analysis(Analysis::Advise),
        "api_advise",
        "recommended threshold from history: metric, per_week",
    )
    .needs_parameters(),
];

/// Returns true if `path` matches `pattern`, which may have a placeholder.
fn matches(pattern: &str, path: &str) -> bool {
    match placeholder(pattern, path) {
        Some(value) => {
            // An id at the end may have slashes: `maintenance/backups`.
            let free = value == pattern || pattern.ends_with('>');
            !value.is_empty() && (free || !value.contains('/'))
        }
        None => false,
    }
}

/// Value of the placeholder of `pattern` in `path`; `path` itself if `pattern` has none.
fn placeholder<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let brackets = pattern
        .split_once('<')
        .and_then(|(before, rest)| Some((before, rest.split_once('>')?)));
    match brackets {
        Some((before, (_, after))) => path.strip_prefix(before)?.strip_suffix(after),
        None => (pattern == path).then_some(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_found_and_changes_state_only_by_allowed_methods() {
        for endpoint in ENDPOINTS {
            let Endpoint {
                path,
                methods,
                changes,
                ..
            } = endpoint;
            assert_eq!(
                Endpoint::find(path).map(|endpoint| endpoint.path),
                Some(*path)
            );
            for method in changes.split(", ").filter(|method| !method.is_empty()) {
                assert!(
                    methods.split(", ").any(|allowed| allowed == method),
                    "{path} {method}"
                );
            }
            let names = ENDPOINTS.iter().filter(|other| other.name == endpoint.name);
            assert!(
                names.count() == 1 || endpoint.name == "api_silences",
                "{path}"
            );
        }
        let reload = Endpoint::find("/-/reload").unwrap();
        assert!(reload.allows(&Method::PUT) && reload.changes_state(&Method::POST));
        assert!(!reload.allows(&Method::GET) && !reload.allows(&Method::PATCH));
        let values = Some(Route::History(HistoryEndpoint::Values));
        let of = |path| Endpoint::find(path).map(|endpoint| endpoint.route);
        assert_eq!(of("/api/v1/label/__name__/values"), values);
        for path in [
            "/metrics/",
            "/api/v1/label//values",
            "/api/v1/label/a/b/values",
        ] {
            assert_eq!(of(path), None, "{path}");
        }
    }

    #[test]
    fn repeated_slashes_are_one() {
        for (path, expected) in [
            ("/api/v1/query", "/api/v1/query"),
            ("//api/v1/query", "/api/v1/query"),
            ("/api///v1//query", "/api/v1/query"),
            ("//", "/"),
        ] {
            assert_eq!(without_repeated_slashes(path), expected);
        }
    }
}
