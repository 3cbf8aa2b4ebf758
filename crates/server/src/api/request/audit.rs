//! Author of a request, and the audit entry of a refused one.

use hyper::StatusCode;

use super::RequestContext;
use crate::api::response::ApiError;
use crate::audit::{Actor, AuditEntry, AuditOutcome, user_of, via};

impl RequestContext<'_> {
    /// Returns the author of a request that is allowed.
    pub(crate) fn actor(&self) -> Actor {
        let headers = &self.parts.headers;
        let auth = if self.access.control.has_token(headers) {
            "token"
        } else if self.peer.is_socket() {
            "socket"
        } else if self.access.web.users.is_some() {
            "password"
        } else {
            "address"
        };
        // Without configured users nobody has checked the name.
        let user = (auth == "password").then(|| user_of(headers)).flatten();
        Actor {
            user,
            auth: Some(auth),
            from: self.peer.to_string(),
            via: via(headers),
        }
    }

    /// Adds an entry about a request that was refused, if it would have changed state.
    pub(crate) fn audit_refusal(&self, error: &ApiError) {
        let is_refusal = matches!(
            error.status,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
        );
        let Some(resource) = self.resource.filter(|_| is_refusal && self.changes_state()) else {
            return;
        };
        let now = self.shared.backend.now().mono;
        let Some(unlogged) = self.shared.refusals.lock().admit(self.peer.client(), now) else {
            return;
        };
        let mut reason = error.message.clone();
        if unlogged > 0 {
            reason += &format!("; {unlogged} more refused requests before it are not logged");
        }
        let actor = Actor {
            user: user_of(&self.parts.headers),
            auth: None,
            from: self.peer.to_string(),
            via: via(&self.parts.headers),
        };
        self.shared.backend.audit(AuditEntry {
            action: resource.name,
            what: format!("{} {}", self.method(), self.path),
            actor,
            outcome: AuditOutcome::Refused(reason),
        });
    }
}
