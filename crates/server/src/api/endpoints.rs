//! Endpoints as data: path, methods, role, parameters, handler.
//!
//! Everything that is known without answering derives from the table [`ENDPOINTS`]: the lookup of a
//! path, `Allow`, roles, the list of endpoints and the reference of the parameters.

mod answer;
mod answers;
pub(crate) mod openapi;
pub(crate) mod parameter;
pub(crate) mod reference;
mod resource;
mod table;

use std::pin::Pin;

use bellwether_promql::{Guard, Queryable};
use hyper::Method;
pub(crate) use resource::{Resource, without_repeated_slashes};
use serde_json::Value;
pub(crate) use table::ENDPOINTS;

use self::answer::{Answer, Shape};
pub use self::answer::{AnswerError, check_answer};
use self::parameter::Parameter;
use crate::api::analysis::AnalysisContext;
use crate::api::query::{HistoryRequest, Parameters, Reply, TIMEOUT};
use crate::api::request::RequestContext;
use crate::api::response::{ApiError, HttpResponse};
use crate::api::view::ViewRequest;
use crate::auth::role::Role;
use crate::backend::Backend;

/// One row of the table: some methods of one path. Rows of one path stand together.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Path; one segment may be a placeholder in angle brackets.
    pub(crate) path: &'static str,
    /// Methods, in the order of `Allow`.
    pub(crate) methods: &'static [Method],
    /// Role that a client needs; none for what everybody gets.
    pub(crate) role: Option<Role>,
    /// Value of the label `handler` in the self-metrics.
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    /// Parameters but for those of all endpoints of its kind; see [`Endpoint::parameters`].
    own_parameters: &'static [Parameter],
    pub(crate) answer: Answer,
    /// Status of an error that has the data of a success, if there is one.
    error_with_data: Option<u16>,
    pub(crate) handler: Handler,
    /// True if its requests are scrapes, for which places and permits are reserved.
    is_scrape: bool,
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
    /// JSON of something else than history that takes time, made by such a job.
    Job(fn(&Parameters, &dyn Backend, &Guard) -> Result<Value, ApiError>),
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
        role: Some(Role::Viewer),
        name,
        summary,
        own_parameters: &[],
        answer: Answer::Text,
        error_with_data: None,
        handler,
        is_scrape: false,
    }
}

/// Value of the label `handler` of the page's documents.
const PAGE: &str = "page";

/// View of the web page. Its document has no data in it, and shows the login where one is needed.
const fn view(path: &'static str, summary: &'static str, handler: Handler) -> Endpoint {
    get(path, PAGE, summary, handler).open()
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

/// Endpoint that reads, with other methods: its parameters are a JSON object.
const fn read(
    methods: &'static [Method],
    path: &'static str,
    name: &'static str,
    summary: &'static str,
    handler: Handler,
) -> Endpoint {
    Endpoint {
        methods,
        ..get(path, name, summary, handler)
    }
}

/// Endpoint that changes state, for operators.
const fn change(
    methods: &'static [Method],
    path: &'static str,
    name: &'static str,
    summary: &'static str,
    handler: Handler,
) -> Endpoint {
    Endpoint {
        methods,
        role: Some(Role::Operator),
        ..get(path, name, summary, handler)
    }
}

impl Endpoint {
    /// Answers everybody: load balancers have no password, and neither has who is about to log in.
    const fn open(self) -> Self {
        Self { role: None, ..self }
    }

    const fn role(self, role: Role) -> Self {
        Self {
            role: Some(role),
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

    /// Sets the shape of `data`; answers are text otherwise.
    const fn answers(self, shape: &'static Shape) -> Self {
        Self {
            answer: Answer::Data(shape),
            ..self
        }
    }

    const fn also_answers(self, status: u16) -> Self {
        Self {
            error_with_data: Some(status),
            ..self
        }
    }

    const fn document(self) -> Self {
        Self {
            answer: Answer::Document,
            ..self
        }
    }

    const fn protocol(self) -> Self {
        Self {
            answer: Answer::Protocol,
            ..self
        }
    }

    const fn web_socket(self) -> Self {
        Self {
            answer: Answer::WebSocket,
            ..self
        }
    }

    /// All parameters, in the order of the documentation.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &'static Parameter> {
        let timeout = match self.handler {
            Handler::History(_) | Handler::Analysis(_) => Some(&TIMEOUT),
            Handler::View(_) | Handler::Job(_) | Handler::Respond(_) => None,
        };
        self.own_parameters.iter().chain(timeout)
    }

    /// Returns true for the documents and files of the page.
    pub(crate) fn is_page(&self) -> bool {
        self.name == PAGE || self.path.starts_with("/assets/")
    }

    /// Returns true if its methods only read.
    #[cfg(test)]
    pub(crate) fn is_read(&self) -> bool {
        [GET, QUERY].contains(&self.methods)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::parameter::Place;
    use super::*;

    #[test]
    fn viewers_send_get_head_a_query_by_post_and_what_is_known_to_change_nothing() {
        let harmless = ["api_login", "api_logout", "api_route"];
        for endpoint in ENDPOINTS {
            let is_change = endpoint.role > Some(Role::Viewer);
            assert!(
                endpoint.is_read() || is_change || harmless.contains(&endpoint.name),
                "{}",
                endpoint.path
            );
        }
    }

    #[test]
    fn every_endpoint_of_the_api_has_the_shape_of_its_answer() {
        // Protocols of others have paths of their own.
        let own = |endpoint: &&Endpoint| !matches!(endpoint.answer, Answer::Protocol);
        for endpoint in ENDPOINTS.iter().filter(own) {
            assert_eq!(
                !matches!(endpoint.answer, Answer::Text),
                endpoint.path.starts_with("/api/") || endpoint.path == "/ws",
                "{}",
                endpoint.path
            );
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
                assert!(*place != Place::Body || !endpoint.is_read());
            }
            let has_path_parameter = endpoint.parameters().any(|p| p.place == Place::Path);
            assert_eq!(has_path_parameter, path.contains('<'), "{path}");
        }
    }
}
