//! Checks of the client: its rate, its identity, and its role.

use hyper::StatusCode;
use hyper::header::{HeaderName, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE};

use super::RequestContext;
use crate::api::response::ApiError;
use crate::auth::control::{self, AccessError, Head};
use crate::auth::identity::{Authentication, Identity};
use crate::auth::role::Role;
use crate::auth::users::{PasswordCheck, Users, credentials};
use crate::net::peer::Client;

const BASIC: &str = "Basic realm=\"bellwether\", charset=\"UTF-8\"";

/// Header of requests that a script of the web page sends: it shows a login form of its own.
const REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

impl RequestContext<'_> {
    /// Checks the rate limit, and finds out who the client is.
    ///
    /// # Errors
    /// The client sends too many requests, or may not read.
    pub(crate) async fn identify(&self) -> Result<Identity, ApiError> {
        self.check_rate()?;
        if let Some(identity) = self.identity_without_password() {
            return Ok(identity);
        }
        match &self.access.web.users {
            Some(users) => self.check_credentials(users).await,
            None => Ok(Identity::ADDRESS),
        }
    }

    /// Returns the identity of a client, if no password needs to be checked for it.
    pub(crate) fn identity_without_password(&self) -> Option<Identity> {
        let (headers, web) = (&self.parts.headers, &self.access.web);
        if let Some(token) = self.access.control.token(headers) {
            return Some(Identity {
                user: token.name.clone(),
                auth: Authentication::Token,
                role: Some(token.role),
            });
        }
        if let Some(user) = self.session_user() {
            let role = web.role(&user);
            return Some(Identity::user(user, Authentication::Session, role));
        }
        if let Some(user) = web.proxies.user(self.peer, headers) {
            let role = Some(web.role(&user).unwrap_or(Role::Viewer));
            return Some(Identity::user(user, Authentication::Proxy, role));
        }
        // The mode of the socket's file has decided, unless a proxy is in front of it.
        let is_socket = self.peer.is_socket();
        match is_socket && control::is_forwarded(headers) {
            true if credentials(headers).is_none() => Some(Identity::ADDRESS),
            true => None,
            false => is_socket.then_some(Identity::SOCKET),
        }
    }

    /// Returns the user who logged in, if the session goes on.
    fn session_user(&self) -> Option<String> {
        let web = &self.access.web;
        let (sessions, now) = (&self.shared.sessions, self.shared.registry.now());
        let (headers, secure) = (&self.parts.headers, self.is_secure());
        sessions.user(headers, web.users.as_ref()?, &web.sessions, secure, now)
    }

    async fn check_credentials(&self, users: &Users) -> Result<Identity, ApiError> {
        let Some(pair) = credentials(&self.parts.headers) else {
            return Err(self.password_needed("user and password are needed"));
        };
        let user = pair.0.clone();
        self.check_password(users, pair).await?;
        let role = self.access.web.role(&user);
        Ok(Identity::user(user, Authentication::Password, role))
    }

    /// Checks a user's password.
    ///
    /// # Errors
    /// It is wrong, or cannot be checked now.
    pub(crate) async fn check_password(
        &self,
        users: &Users,
        pair: (String, String),
    ) -> Result<(), ApiError> {
        let verifier = &self.shared.verifier;
        let error = match verifier.check(users, self.client(), pair).await {
            PasswordCheck::Granted => return Ok(()),
            PasswordCheck::Denied => {
                return Err(self.password_needed("the user or the password is wrong"));
            }
            PasswordCheck::Busy => too_many("too many passwords are being checked", "1"),
            PasswordCheck::Limited => too_many("too many wrong passwords", "10"),
        };
        self.shared.stats.count_rejected("password");
        Err(error)
    }

    fn password_needed(&self, message: &str) -> ApiError {
        self.shared.stats.count_rejected("password");
        // A browser shows its own dialog for Basic, also if a script has sent the request.
        let scheme = if self.is_from_page() { "Bearer" } else { BASIC };
        ApiError::new(StatusCode::UNAUTHORIZED, message).header(WWW_AUTHENTICATE, scheme)
    }

    /// Returns true if a script of a web page sent the request.
    fn is_from_page(&self) -> bool {
        let headers = &self.parts.headers;
        let mode = headers.get(SEC_FETCH_MODE).map(|mode| mode.as_bytes());
        headers.contains_key(REQUESTED_WITH)
            || headers.contains_key(ORIGIN)
            || mode.is_some_and(|mode| mode != b"navigate")
            || self.shared.sessions.has_cookie(headers, self.is_secure())
    }

    /// Checks the rate limit of the client. The Unix socket has none.
    ///
    /// # Errors
    /// The client sends too many requests.
    pub(crate) fn check_rate(&self) -> Result<(), ApiError> {
        let now = self.shared.registry.now();
        match &self.access.web.rate {
            Some(rate) if !self.peer.is_socket() && !rate.try_acquire(self.client(), now) => {
                self.shared.stats.count_rejected("rate");
                Err(too_many("too many requests", "1"))
            }
            _ => Ok(()),
        }
    }

    /// Client that the limits count: behind a trusted proxy the one that it names.
    pub(crate) fn client(&self) -> Client {
        let proxies = &self.access.web.proxies;
        proxies.client(self.peer, &self.parts.headers).client()
    }

    /// Returns true if the client's browser speaks TLS.
    pub(crate) fn is_secure(&self) -> bool {
        let proxies = &self.access.web.proxies;
        let own_tls = self.access.is_tls() && !self.peer.is_socket();
        own_tls || proxies.is_tls(self.peer, &self.parts.headers)
    }

    /// Returns true if the request needs more than the right to read.
    pub(crate) fn needs_more_than_reading(&self) -> bool {
        self.resource
            .and_then(|resource| resource.endpoint(self.method()))
            .is_some_and(|endpoint| endpoint.role > Some(Role::Viewer))
    }

    /// Checks that the client has the role `needed`.
    ///
    /// # Errors
    /// It has not.
    pub(crate) fn authorize(&self, identity: &Identity, needed: Role) -> Result<(), ApiError> {
        let authorized = self
            .access
            .control
            .authorize(&self.head(), identity, needed);
        authorized.map_err(|error| self.rejected(error))
    }

    /// Returns the role of the client.
    pub(crate) fn role(&self, identity: &Identity) -> Role {
        let role = self.access.control.role(&self.head(), identity);
        role.unwrap_or(Role::Viewer)
    }

    /// Rejects a request of another site's page.
    ///
    /// # Errors
    /// It is one.
    pub(crate) fn check_site(&self, identity: &Identity) -> Result<(), ApiError> {
        control::check_site(&self.head(), identity).map_err(|error| self.rejected(error))
    }

    fn head(&self) -> Head<'_> {
        let headers = &self.parts.headers;
        Head {
            peer: self.peer,
            is_forwarded: control::is_forwarded(headers)
                || self.access.web.proxies.trusts(self.peer),
            method: self.method(),
            uri: &self.parts.uri,
            headers,
        }
    }

    fn rejected(&self, error: AccessError) -> ApiError {
        self.shared.stats.count_rejected(error.reason);
        error.into()
    }
}

fn too_many(message: &str, retry_after: &'static str) -> ApiError {
    ApiError::new(StatusCode::TOO_MANY_REQUESTS, message).header(RETRY_AFTER, retry_after)
}

impl From<AccessError> for ApiError {
    fn from(error: AccessError) -> Self {
        let api_error = Self::new(error.status, error.message).hint(error.hint);
        match error.status {
            StatusCode::UNAUTHORIZED => api_error.header(WWW_AUTHENTICATE, "Bearer"),
            _ => api_error,
        }
    }
}
