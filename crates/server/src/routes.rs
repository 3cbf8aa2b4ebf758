//! What can be asked for, as one table: path, methods, who may.

use std::borrow::Cow;

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

/// One path, and all that is known of it without answering.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// One part of it may stand in angle brackets for any text.
    pub(super) path: &'static str,
    pub(super) route: Route,
    /// Value of the label `handler` in the self-metrics.
    pub(super) name: &'static str,
    /// Description for people.
    pub(super) about: &'static str,
    /// Methods, as `Allow` lists them.
    pub(super) methods: &'static str,
    /// Those of them that change state, which not everybody may.
    changes: &'static str,
    /// Whether a bare GET has no answer, because a parameter is needed.
    pub(super) needs_parameters: bool,
}

const READ: &str = "GET, HEAD";
const QUERY: &str = "GET, POST";

/// What is shown as it is.
const fn page(
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

/// What parameters are sent to, in the URL or in a form.
const fn query(
    path: &'static str,
    route: Route,
    name: &'static str,
    about: &'static str,
) -> Endpoint {
    Endpoint {
        methods: QUERY,
        ..page(path, route, name, about)
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

    /// The endpoint of `path`.
    pub(super) fn of(path: &str) -> Option<&'static Self> {
        ENDPOINTS.iter().find(|endpoint| fits(endpoint.path, path))
    }

    /// The text in `path` for the part in angle brackets: a name, an identity.
    pub(super) fn part<'a>(&self, path: &'a str) -> &'a str {
        part(self.path, path).unwrap_or_default()
    }

    /// Whether `method` changes state, which not everybody may.
    pub(super) fn changes_state(&self, method: &Method) -> bool {
        lists(self.changes, method)
    }

    /// Whether it is answered to anybody: load balancers and supervisors have no password.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.route, Route::Healthy | Route::Ready)
    }

    /// Whether `method` fits.
    pub(super) fn takes(&self, method: &Method) -> bool {
        lists(self.methods, method)
    }

    /// Whether a browser that follows a link to it gets an answer.
    pub(super) fn is_link(&self) -> bool {
        lists(self.methods, &Method::GET) && !self.needs_parameters && !self.path.contains('<')
    }
}

/// Whether a list as in `Allow` has `method`.
fn lists(methods: &str, method: &Method) -> bool {
    methods.split(", ").any(|listed| listed == method.as_str())
}

/// `path` without repeated slashes, as clients write it that join a base URL ending in a slash.
pub(super) fn without_repeated_slashes(path: &str) -> Cow<'_, str> {
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

/// Every path there is.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    page("/", Route::Landing, "landing", "this page"),
    page(
        "/metrics",
        Route::Metrics,
        "metrics",
        "all series, for Prometheus",
    ),
    page(
        "/-/healthy",
        Route::Healthy,
        "healthy",
        "whether the process answers",
    ),
    page(
        "/-/ready",
        Route::Ready,
        "ready",
        "whether every collector has run",
    ),
    page(
        "/-/reload",
        Route::Reload,
        "reload",
        "read the configuration again",
    )
    .with("POST, PUT", "POST, PUT"),
    page(
        "/api/v1/record",
        Route::Record,
        "record",
        "record values of applications",
    )
    .with("POST", "POST"),
    page(
        "/api/v1/metrics",
        Route::Api(View::Metrics),
        "api_metrics",
        "declared metrics and their values",
    ),
    page(
        "/api/v1/alerts",
        Route::Api(View::Alerts),
        "api_alerts",
        "pending and firing alerts",
    ),
    page(
        "/api/v1/alerts/history",
        Route::AlertHistory,
        "api_alerts_history",
        "changes of alerts and notifications: start, end, rule, match[], state, channel",
    ),
    page(
        "/api/v1/alerts/<fingerprint>/acknowledge",
        Route::Acknowledge,
        "api_acknowledge",
        "POST acknowledges an alert: by, comment, duration; DELETE ends that",
    )
    .with("POST, DELETE", "POST, DELETE"),
    page(
        "/api/v1/silences",
        Route::Silences,
        "api_silences",
        "silences; POST makes one: matchers, duration, times, created_by, comment",
    )
    .with("GET, HEAD, POST", "POST"),
    page(
        "/api/v1/silences/<id>",
        Route::Silence,
        "api_silences",
        "DELETE ends a silence",
    )
    .with("DELETE", "DELETE"),
    page(
        "/api/v1/dead-letters",
        Route::DeadLetters,
        "api_dead_letters",
        "notifications that channels gave up; POST sends them again, DELETE discards them: id, \
         channel, all",
    )
    .with("GET, HEAD, POST, DELETE", "POST, DELETE"),
    page(
        "/api/v1/explain",
        Route::Api(View::Explain),
        "api_explain",
        "why a rule's alerts fire or not, and who is notified: rule, fingerprint",
    )
    .needs_parameters(),
    page(
        "/api/v1/rules",
        Route::Api(View::Rules),
        "api_rules",
        "rules and their state",
    ),
    page(
        "/api/v1/health",
        Route::Api(View::Health),
        "api_health",
        "collectors and channels",
    ),
    page(
        "/api/v1/summary",
        Route::Api(View::Summary),
        "api_summary",
        "everything in short",
    ),
    query(
        "/api/v1/query",
        Route::Past(Past::Query),
        "api_query",
        "a PromQL expression at one time: query, time",
    )
    .needs_parameters(),
    query(
        "/api/v1/query_range",
        Route::Past(Past::QueryRange),
        "api_query_range",
        "a PromQL expression over time: query, start, end, step",
    )
    .needs_parameters(),
    query(
        "/api/v1/series",
        Route::Past(Past::Series),
        "api_series",
        "series in history: match[], start, end",
    )
    .needs_parameters(),
    query(
        "/api/v1/labels",
        Route::Past(Past::Labels),
        "api_labels",
        "names of labels in history",
    ),
    query(
        "/api/v1/label/<name>/values",
        Route::Past(Past::Values),
        "api_label_values",
        "values of a label in history",
    ),
    page(
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
    page(
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
    page(
        "/api/v1/targets",
        Route::Api(View::Targets),
        "api_targets",
        "collectors, as Prometheus shows targets: state, scrapePool",
    ),
    page(
        "/api/v1/scrape_pools",
        Route::Api(View::ScrapePools),
        "api_scrape_pools",
        "names of collectors",
    ),
    page(
        "/api/v1/alertmanagers",
        Route::Api(View::Alertmanagers),
        "api_alertmanagers",
        "Alertmanagers that are notified",
    ),
    page(
        "/api/v1/status/config",
        Route::Api(View::Config),
        "api_config",
        "the configuration in effect, without its secrets",
    ),
    page(
        "/api/v1/status/flags",
        Route::Api(View::Flags),
        "api_flags",
        "settings under the names of Prometheus' flags",
    ),
    page(
        "/api/v1/status/runtimeinfo",
        Route::Api(View::RuntimeInfo),
        "api_runtimeinfo",
        "the process: since when it runs, for how long it keeps history",
    ),
    query(
        "/api/v1/status/tsdb",
        Route::Past(Past::Tsdb),
        "api_tsdb",
        "series in history by metric and label: limit",
    )
    .with(READ, ""),
    page(
        "/api/v1/status/walreplay",
        Route::Api(View::WalReplay),
        "api_walreplay",
        "always done: history is read before anything is answered",
    ),
    query(
        "/api/v1/trends",
        Route::Analysis(Analysis::Trends),
        "api_trends",
        "where a metric goes: metric, window",
    )
    .needs_parameters(),
    query(
        "/api/v1/baseline",
        Route::Analysis(Analysis::Baseline),
        "api_baseline",
        "what is usual by hour and weekday: metric",
    )
    .needs_parameters(),
    query(
        "/api/v1/anomalies",
        Route::Analysis(Analysis::Anomalies),
        "api_anomalies",
        "what was unusual: metric, window",
    )
    .needs_parameters(),
    query(
        "/api/v1/forecast",
        Route::Analysis(Analysis::Forecast),
        "api_forecast",
        "what comes next: metric, reaches, hours",
    )
    .needs_parameters(),
    query(
        "/api/v1/correlations",
        Route::Analysis(Analysis::Correlations),
        "api_correlations",
        "what moved with it: metric or alert",
    )
    .needs_parameters(),
    query(
        "/api/v1/bottlenecks",
        Route::Analysis(Analysis::Bottlenecks),
        "api_bottlenecks",
        "what holds things back, and what to do",
    ),
    query(
        "/api/v1/score",
        Route::Analysis(Analysis::Score),
        "api_score",
        "the health score, in one number",
    ),
    query(
        "/api/v1/advise",
        Route::Analysis(Analysis::Advise),
        "api_advise",
        "a threshold from history: metric, per_week",
    )
    .needs_parameters(),
];

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
    let brackets = known
        .split_once('<')
        .and_then(|(before, rest)| Some((before, rest.split_once('>')?)));
    match brackets {
        Some((before, (_, after))) => path.strip_prefix(before)?.strip_suffix(after),
        None => (known == path).then_some(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_found_and_changes_only_by_methods_it_takes() {
        for endpoint in ENDPOINTS {
            let Endpoint {
                path,
                methods,
                changes,
                ..
            } = endpoint;
            assert_eq!(Endpoint::of(path).map(|found| found.path), Some(*path));
            for method in changes.split(", ").filter(|method| !method.is_empty()) {
                assert!(
                    methods.split(", ").any(|taken| taken == method),
                    "{path} {method}"
                );
            }
            let names = ENDPOINTS.iter().filter(|other| other.name == endpoint.name);
            assert!(
                names.count() == 1 || endpoint.name == "api_silences",
                "{path}"
            );
        }
        let reload = Endpoint::of("/-/reload").unwrap();
        assert!(reload.takes(&Method::PUT) && reload.changes_state(&Method::POST));
        assert!(!reload.takes(&Method::GET) && !reload.takes(&Method::PATCH));
        let values = Some(Route::Past(Past::Values));
        let of = |path| Endpoint::of(path).map(|endpoint| endpoint.route);
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
