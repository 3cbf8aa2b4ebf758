//! The list of endpoints, for clients that are no browsers.

use hyper::{Method, StatusCode};

use crate::api::VERSION;
use crate::api::endpoints::parameter::Place;
use crate::api::endpoints::{ENDPOINTS, Endpoint};
use crate::api::response::{self, HttpResponse};

/// Returns the list.
pub(crate) fn respond() -> HttpResponse {
    response::text(StatusCode::OK, list(VERSION))
}

/// Returns a line per endpoint that reads, and the version.
fn list(version: &str) -> String {
    let lines: String = ENDPOINTS
        .iter()
        .filter(|endpoint| endpoint.methods.contains(&Method::GET) && !endpoint.is_page())
        .map(line)
        .collect();
    format!("Bellwether {version}. A browser gets a page here; these are its endpoints:\n\n{lines}")
}

/// Returns the path, the summary, and the names of the parameters.
fn line(endpoint: &Endpoint) -> String {
    let outside_path = endpoint
        .parameters()
        .filter(|parameter| parameter.place != Place::Path);
    let names: Vec<&str> = outside_path.map(|parameter| parameter.name).collect();
    let (path, summary) = (endpoint.path, endpoint.summary);
    match names.as_slice() {
        [] => format!("{path}  {summary}\n"),
        names => format!("{path}  {summary}: {}\n", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn lists_what_can_be_read() {
        let list = super::list("1.0");
        assert!(list.starts_with("Bellwether 1.0."));
        assert!(list.contains("\n/metrics  all series") && list.contains("\n/api/v1/alerts  "));
        assert!(!list.contains("reload") && !list.contains("/assets"));
    }
}
