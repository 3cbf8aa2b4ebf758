//! Author of a request, and the audit entry of a refused one.

use hyper::{Method, StatusCode};

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
            action: action(resource.name, self.method()),
            what: format!("{} {}", self.method(), self.path),
            actor,
            outcome: AuditOutcome::Refused(reason),
        });
    }
}

/// Returns the kind of a change as an entry about one that is done has it; `name` is that of the endpoint.
fn action(name: &'static str, method: &Method) -> &'static str {
    match (name, method) {
        ("api_silences", &Method::DELETE) => "expire",
        ("api_silences", _) => "silence",
        ("api_acknowledge", &Method::DELETE) => "release",
        ("api_acknowledge", _) => "acknowledge",
        ("api_dead_letters", &Method::DELETE) => "discard",
        ("api_dead_letters", _) => "resend",
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::endpoints::{AccessLevel, ENDPOINTS};

    #[test]
    fn a_refused_change_has_the_action_of_one_that_is_done() {
        let cases = [
            ("api_silences", Method::POST, "silence"),
            ("api_silences", Method::DELETE, "expire"),
            ("api_acknowledge", Method::POST, "acknowledge"),
            ("api_acknowledge", Method::DELETE, "release"),
            ("api_dead_letters", Method::POST, "resend"),
            ("api_dead_letters", Method::DELETE, "discard"),
            ("reload", Method::PUT, "reload"),
        ];
        for (name, method, expected) in cases {
            assert_eq!(action(name, &method), expected, "{method} {name}");
        }
        for row in ENDPOINTS
            .iter()
            .filter(|row| row.access == AccessLevel::Change)
        {
            for method in row.methods {
                let action = action(row.name, method);
                assert!(
                    !action.starts_with("api_"),
                    "{method} {}: {action}",
                    row.path
                );
            }
        }
    }
}
