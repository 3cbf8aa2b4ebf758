//! A request as its handler gets it.
//!
//! Owns what a handler takes from the server for a request: a permit, the body, work on other
//! threads; and the checks of its client.

mod admission;
mod audit;
mod authentication;
mod body;
mod form;
mod work;

use std::sync::Arc;

pub(crate) use admission::unless_disconnected;
use hyper::Method;
use hyper::body::Incoming;
use hyper::http::request::Parts;
pub(crate) use work::{blocking, detached, joined};

use crate::api::endpoints::Resource;
use crate::api::query::Parameters;
use crate::api::response::{ApiError, not_acceptable};
use crate::api::shared::{Connection, Shared};
use crate::auth::access::Access;
use crate::auth::identity::Identity;
use crate::backend::Backend;
use crate::net::body::RequestGuard;
use crate::net::negotiate::{self, Coding};
use crate::net::peer::Peer;

/// Request with its body, as far as that is not read.
pub(crate) struct RequestContext<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) access: &'a Access,
    pub(crate) connection: &'a Connection,
    pub(crate) peer: Peer,
    /// Client, once it was checked.
    pub(crate) identity: Identity,
    /// Endpoints of the path; none if there is no such path.
    pub(crate) resource: Option<Resource>,
    /// Path without repeated slashes.
    pub(crate) path: &'a str,
    pub(crate) parts: &'a Parts,
    /// Keeps the request under way.
    pub(crate) guard: &'a RequestGuard,
    /// None once all of it is read.
    pub(crate) body: Option<Incoming>,
}

impl RequestContext<'_> {
    pub(crate) fn method(&self) -> &Method {
        &self.parts.method
    }

    /// Value of the placeholder in the path: a name, an id.
    pub(crate) fn path_parameter(&self) -> &str {
        self.resource
            .and_then(|resource| resource.path_parameter(self.path))
            .unwrap_or_default()
    }

    /// Query of the URL.
    pub(crate) fn query(&self) -> &str {
        self.parts.uri.query().unwrap_or_default()
    }

    /// Parameters of the URL alone.
    pub(crate) fn parameters(&self) -> Parameters {
        Parameters::new(self.query(), b"")
    }

    /// Negotiates the content coding of the response.
    ///
    /// # Errors
    /// The client accepts none that is served.
    pub(crate) fn coding(&self) -> Result<Coding, ApiError> {
        self.coding_of(Coding::ALL)
    }

    /// Negotiates the content coding of a response that exists in the codings `served`.
    ///
    /// # Errors
    /// The client accepts none of them.
    pub(crate) fn coding_of(&self, served: &[Coding]) -> Result<Coding, ApiError> {
        negotiate::coding(&self.parts.headers, served).ok_or_else(|| not_acceptable(served))
    }

    /// Content coding of a response that is not rejected for want of one: the change is done.
    pub(crate) fn coding_or_identity(&self) -> Coding {
        self.coding().unwrap_or(Coding::Identity)
    }

    pub(crate) fn backend(&self) -> Arc<dyn Backend> {
        Arc::clone(&self.shared.backend)
    }
}
