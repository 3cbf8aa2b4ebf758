//! Checks of the client: its rate, its password, and its right to change state.

use hyper::StatusCode;
use hyper::header::{RETRY_AFTER, WWW_AUTHENTICATE};

use super::RequestContext;
use crate::api::endpoints::AccessLevel;
use crate::api::response::ApiError;
use crate::auth::control::AccessError;
use crate::auth::users::PasswordCheck;

const BASIC: &str = "Basic realm=\"bellwether\", charset=\"UTF-8\"";

impl RequestContext<'_> {
    /// Checks the rate limit and the password.
    ///
    /// # Errors
    /// The client sends too many requests, or has no right to read.
    pub(crate) async fn authenticate(&self) -> Result<(), ApiError> {
        // The mode of the Unix socket has decided.
        if self.peer.is_socket() {
            return Ok(());
        }
        self.check_rate()?;
        let Some(users) = &self.access.web.users else {
            return Ok(());
        };
        let headers = &self.parts.headers;
        if self.changes_state() && self.access.control.has_token(headers) {
            return Ok(());
        }
        let verifier = &self.shared.verifier;
        let error = match verifier.check(users, self.peer.client(), headers).await {
            PasswordCheck::Granted => return Ok(()),
            PasswordCheck::Denied => {
                ApiError::new(StatusCode::UNAUTHORIZED, "user and password are needed")
                    .header(WWW_AUTHENTICATE, BASIC)
            }
            PasswordCheck::Busy => too_many("too many passwords are being checked"),
        };
        self.shared.stats.count_rejected("password");
        Err(error)
    }

    fn check_rate(&self) -> Result<(), ApiError> {
        let now = self.shared.registry.now();
        match &self.access.web.rate {
            Some(rate) if !rate.try_acquire(self.peer.client(), now) => {
                self.shared.stats.count_rejected("rate");
                Err(too_many("too many requests"))
            }
            _ => Ok(()),
        }
    }

    /// Returns whether the request would change state.
    pub(crate) fn changes_state(&self) -> bool {
        self.resource
            .and_then(|resource| resource.endpoint(self.method()))
            .is_some_and(|endpoint| endpoint.access == AccessLevel::Change)
    }

    /// Checks that the request may change state.
    ///
    /// # Errors
    /// The control rules do not allow it.
    pub(crate) fn authorize(&self) -> Result<(), ApiError> {
        let (uri, headers) = (&self.parts.uri, &self.parts.headers);
        let users = self.access.web.users.is_some();
        let control = &self.access.control;
        control
            .authorize(self.peer, uri, headers, users)
            .map_err(|error| {
                self.shared.stats.count_rejected(error.reason);
                error.into()
            })
    }
}

fn too_many(message: &str) -> ApiError {
    ApiError::new(StatusCode::TOO_MANY_REQUESTS, message).header(RETRY_AFTER, "1")
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
