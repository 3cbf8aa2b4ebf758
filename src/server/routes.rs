//! What can be asked for, as one table: path, methods, who may.

use hyper::Method;

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
}

/// What the API shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    Metrics,
    Alerts,
    Rules,
    Health,
    Summary,
}

/// Every path there is.
pub(super) const ROUTES: [(&str, Route); 11] = [
    ("/", Route::Landing),
    ("/metrics", Route::Metrics),
    ("/-/healthy", Route::Healthy),
    ("/-/ready", Route::Ready),
    ("/-/reload", Route::Reload),
    ("/api/v1/record", Route::Record),
    ("/api/v1/metrics", Route::Api(View::Metrics)),
    ("/api/v1/alerts", Route::Api(View::Alerts)),
    ("/api/v1/rules", Route::Api(View::Rules)),
    ("/api/v1/health", Route::Api(View::Health)),
    ("/api/v1/summary", Route::Api(View::Summary)),
];

impl Route {
    /// The route of `path`.
    pub(super) fn of(path: &str) -> Option<Self> {
        ROUTES.iter().find(|(known, _)| *known == path).map(|(_, route)| *route)
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
            Self::Api(View::Rules) => "api_rules",
            Self::Api(View::Health) => "api_health",
            Self::Api(View::Summary) => "api_summary",
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
            Self::Api(View::Rules) => "rules and their state",
            Self::Api(View::Health) => "collectors and channels",
            Self::Api(View::Summary) => "everything in short",
        }
    }

    /// Whether it changes state, which not everybody may.
    pub(super) fn changes_state(self) -> bool {
        matches!(self, Self::Reload | Self::Record)
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
            _ => matches!(*method, Method::GET | Method::HEAD),
        }
    }

    /// The methods that fit, as `Allow` lists them.
    pub(super) fn allow(self) -> &'static str {
        match self {
            Self::Reload => "POST, PUT",
            Self::Record => "POST",
            _ => "GET, HEAD",
        }
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
        assert_eq!(Route::of("/metrics/"), None);
    }
}
