//! Paths: the rows of the table that share one, and how a request finds them.

use std::borrow::Cow;

use hyper::Method;

use super::{ENDPOINTS, Endpoint};

/// Endpoints of one path.
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
        let by_path = ENDPOINTS.chunk_by(|row, next| row.path == next.path);
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

    /// Rows of the path.
    pub(super) fn endpoints(&self) -> &'static [Endpoint] {
        self.endpoints
    }

    /// Value of `Allow`.
    pub(crate) fn allow(&self) -> String {
        let methods = self.endpoints.iter().flat_map(|endpoint| endpoint.methods);
        methods.map(Method::as_str).collect::<Vec<_>>().join(", ")
    }

    /// Returns true if no method of it needs a role.
    pub(crate) fn is_open(&self) -> bool {
        let mut endpoints = self.endpoints.iter();
        endpoints.all(|endpoint| endpoint.role.is_none())
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

    use super::*;
    use crate::auth::role::Role;

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
                names.insert(resource.name)
                    || ["api_silences", "otlp", "page"].contains(&resource.name),
                "{path}"
            );
        }
    }

    #[test]
    fn the_role_is_that_of_the_method() {
        let reload = Resource::find("/-/reload").unwrap();
        let change = reload.endpoint(&Method::PUT).unwrap();
        assert_eq!(change.role, Some(Role::Admin));
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
