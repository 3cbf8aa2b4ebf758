//! Endpoints as data: path, methods, access, parameters, handler.
//!
//! Everything that is known without answering derives from the table [`ENDPOINTS`]: the lookup of a
//! path, `Allow`, access, the landing page and the reference of the parameters.

pub(crate) mod parameter;
pub(crate) mod reference;
mod table;

use std::borrow::Cow;
use std::pin::Pin;

use bellwether_promql::{Guard, Queryable};
use hyper::Method;
use serde_json::Value;
pub(crate) use table::ENDPOINTS;

use self::parameter::{Necessity, Parameter};
use crate::api::analysis::AnalysisContext;
use crate::api::query::{HistoryRequest, Parameters, Reply, TIMEOUT};
use crate::api::request::RequestContext;
use crate::api::response::{ApiError, HttpResponse};
use crate::api::view::ViewRequest;

/// One row of the table: some methods of one path. Rows of one path stand together.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Path; one segment may be a placeholder in angle brackets.
    pub(crate) path: &'static str,
    /// Methods, in the order of `Allow`.
    pub(crate) methods: &'static [Method],
    pub(crate) access: AccessLevel,
    /// Value of the label `handler` in the self-metrics.
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    /// Parameters but for those of all endpoints of its kind; see [`Endpoint::parameters`].
    own_parameters: &'static [Parameter],
    pub(crate) handler: Handler,
    /// True if its requests are scrapes, for which places and permits are reserved.
    is_scrape: bool,
}

/// Access that an endpoint needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccessLevel {
    /// None: load balancers and supervisors have no password.
    Open,
    /// The password of a user, if there are users.
    Read,
    /// The rights of `prometheus.control`.
    Change,
}

/// Handler of an endpoint, by the kind of its work.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Handler {
    /// JSON of the current state, made on a blocking thread.
    View(fn(&ViewRequest<'_>) -> Result<Value, ApiError>),
    /// Response from history, made by a job within the query limits.
    History(fn(&HistoryRequest, &dyn Queryable, &Guard) -> Result<Reply, ApiError>),
    /// JSON of an analysis of history, made by such a job.
    Analysis(fn(&Parameters, &AnalysisContext<'_>) -> Result<Value, ApiError>),
    /// Any other response.
    Respond(for<'a> fn(&'a mut RequestContext<'_>) -> Responding<'a>),
}

/// Response that is being made.
pub(crate) type Responding<'a> =
    Pin<Box<dyn Future<Output = Result<HttpResponse, ApiError>> + Send + 'a>>;

const GET: &[Method] = &[Method::GET, Method::HEAD];
const QUERY: &[Method] = &[Method::GET, Method::POST];

/// Endpoint that reads, without parameters in a body.
const fn get(
    path: &'static str,
    name: &'static str,
    summary: &'static str,
    handler: Handler,
) -> Endpoint {
    Endpoint {
        path,
        methods: GET,
        access: AccessLevel::Read,
        name,
        summary,
        own_parameters: &[],
        handler,
        is_scrape: false,
    }
}

/// Endpoint that reads, with parameters in the URL or in a form.
const fn query(
    path: &'static str,
    name: &'static str,
    summary: &'static str,
    handler: Handler,
) -> Endpoint {
    Endpoint {
        methods: QUERY,
        ..get(path, name, summary, handler)
    }
}

/// Endpoint that changes state.
const fn change(
    methods: &'static [Method],
    path: &'static str,
    name: &'static str,
    summary: &'static str,
    handler: Handler,
) -> Endpoint {
    Endpoint {
        methods,
        access: AccessLevel::Change,
        ..get(path, name, summary, handler)
    }
}

impl Endpoint {
    const fn open(self) -> Self {
        Self {
            access: AccessLevel::Open,
            ..self
        }
    }

    const fn scrape(self) -> Self {
        Self {
            is_scrape: true,
            ..self
        }
    }

    const fn takes(self, parameters: &'static [Parameter]) -> Self {
        Self {
            own_parameters: parameters,
            ..self
        }
    }

    /// All parameters, in the order of the documentation.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &'static Parameter> {
        let timeout = match self.handler {
            Handler::History(_) | Handler::Analysis(_) => Some(&TIMEOUT),
            Handler::View(_) | Handler::Respond(_) => None,
        };
        self.own_parameters.iter().chain(timeout)
    }

    /// Returns true if a browser that follows a link to it gets an answer.
    pub(crate) fn is_link(&self) -> bool {
        self.methods.contains(&Method::GET)
            && self
                .parameters()
                .all(|parameter| parameter.necessity == Necessity::Optional)
    }
}

/// The endpoints of one path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resource {
    pub(crate) path: &'static str,
    /// Value of the label `handler` in the self-metrics.
    pub(crate) name: &'static str,
    endpoints: &'static [Endpoint],
}

impl Resource {
    /// All paths, in the order of the table.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let by_path = ENDPOINTS.chunk_by(|one, next| one.path == next.path);
        by_path.filter_map(|endpoints| {
            let first = endpoints.first()?;
            Some(Self {
                path: first.path,
                name: first.name,
                endpoints,
            })
        })
    }

    /// Finds the endpoints of `path`.
    pub(crate) fn find(path: &str) -> Option<Self> {
        Self::all().find(|resource| matches(resource.path, path))
    }

    /// Value of the placeholder in `path`.
    pub(crate) fn path_parameter<'a>(&self, path: &'a str) -> Option<&'a str> {
        placeholder(self.path, path)
    }

    pub(crate) fn endpoint(&self, method: &Method) -> Option<&'static Endpoint> {
        let mut endpoints = self.endpoints.iter();
        endpoints.find(|endpoint| endpoint.methods.contains(method))
    }

    /// Value of `Allow`.
    pub(crate) fn allow(&self) -> String {
        let methods = self.endpoints.iter().flat_map(|endpoint| endpoint.methods);
        methods.map(Method::as_str).collect::<Vec<_>>().join(", ")
    }

    /// Returns true if no method of it needs a password.
    pub(crate) fn is_open(&self) -> bool {
        let mut endpoints = self.endpoints.iter();
        endpoints.all(|endpoint| endpoint.access == AccessLevel::Open)
    }

    pub(crate) fn is_scrape(&self) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.is_scrape)
    }
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
    use std::collections::HashSet;

    use super::parameter::Place;
    use super::*;

    #[test]
    fn every_path_is_found_once_and_no_two_rows_share_a_method() {
        let mut paths = HashSet::new();
        let mut names = HashSet::new();
        for resource in Resource::all() {
            let path = resource.path;
            assert!(
                paths.insert(path),
                "the rows of {path} do not stand together"
            );
            let found = Resource::find(path).unwrap();
            assert_eq!((found.path, found.name), (path, resource.name));
            let methods: Vec<&Method> = resource
                .endpoints
                .iter()
                .flat_map(|row| row.methods)
                .collect();
            assert_eq!(
                methods.iter().collect::<HashSet<_>>().len(),
                methods.len(),
                "{path}"
            );
            assert!(
                resource
                    .endpoints
                    .iter()
                    .all(|row| row.name == resource.name),
                "{path}"
            );
            assert!(
                names.insert(resource.name) || resource.name == "api_silences",
                "{path}"
            );
        }
    }

    #[test]
    fn only_change_endpoints_take_other_methods_than_get_head_and_a_query_by_post() {
        for endpoint in ENDPOINTS {
            let reads = [GET, QUERY].contains(&endpoint.methods);
            assert_eq!(
                reads,
                endpoint.access != AccessLevel::Change,
                "{}",
                endpoint.path
            );
        }
        let reload = Resource::find("/-/reload").unwrap();
        let change = reload.endpoint(&Method::PUT).unwrap();
        assert_eq!(change.access, AccessLevel::Change);
        assert!(reload.endpoint(&Method::GET).is_none() && !reload.is_open());
        assert!(Resource::find("/-/ready").unwrap().is_open());
    }

    #[test]
    fn allow_lists_the_methods_of_all_rows() {
        for (path, allow) in [
            ("/metrics", "GET, HEAD"),
            ("/-/reload", "POST, PUT"),
            ("/api/v1/query", "GET, POST"),
            ("/api/v1/status/tsdb", "GET, HEAD"),
            ("/api/v1/silences", "GET, HEAD, POST"),
            ("/api/v1/silences/<id>", "DELETE"),
            ("/api/v1/alerts/7/acknowledge", "POST, DELETE"),
            ("/api/v1/dead-letters", "GET, HEAD, POST, DELETE"),
        ] {
            assert_eq!(Resource::find(path).unwrap().allow(), allow, "{path}");
        }
    }

    #[test]
    fn a_placeholder_takes_one_segment_or_the_rest() {
        let name = |path| Some(Resource::find(path)?.path_parameter(path)?.to_owned());
        let value = |path| name(path).unwrap();
        assert_eq!(value("/api/v1/label/__name__/values"), "__name__");
        assert_eq!(
            value("/api/v1/silences/maintenance/backups"),
            "maintenance/backups"
        );
        for path in [
            "/metrics/",
            "/api/v1/label//values",
            "/api/v1/label/a/b/values",
        ] {
            assert_eq!(name(path), None, "{path}");
        }
    }

    #[test]
    fn parameters_are_declared_once_each_and_those_of_the_path_are_in_it() {
        for endpoint in ENDPOINTS {
            let path = endpoint.path;
            let mut names = HashSet::new();
            for Parameter { name, place, .. } in endpoint.parameters() {
                assert!(names.insert(name), "{path} {name}");
                let in_path = path.contains(&format!("<{name}>"));
                assert_eq!(in_path, *place == Place::Path, "{path} {name}");
                assert!(*place != Place::Body || endpoint.access == AccessLevel::Change);
            }
            let has_path_parameter = endpoint.parameters().any(|p| p.place == Place::Path);
            assert_eq!(has_path_parameter, path.contains('<'), "{path}");
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
