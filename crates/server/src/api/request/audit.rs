//! Author of a request, and the audit entry of a rejected one.

use hyper::{Method, StatusCode};

use super::RequestContext;
use crate::api::response::ApiError;
use crate::audit::{Actor, AuditEntry, AuditOutcome, user_of, via};

impl RequestContext<'_> {
    /// Returns the author of a request that is allowed.
    pub(crate) fn actor(&self) -> Actor {
        Actor {
            user: self.identity.user.clone(),
            auth: Some(self.identity.auth.as_str()),
            ..self.client_of_entry()
        }
    }

    /// Returns an author of whom nothing is known but the address.
    pub(crate) fn client_of_entry(&self) -> Actor {
        Actor {
            from: self.peer.to_string(),
            via: via(&self.parts.headers),
            ..Actor::default()
        }
    }

    /// Adds an entry about a request that was rejected, if it needs more than the right to read.
    pub(crate) fn audit_rejection(&self, error: &ApiError) {
        let is_rejection = matches!(
            error.status,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
        );
        let resource = self.resource.filter(|_| self.needs_more_than_reading());
        let Some(resource) = resource.filter(|_| is_rejection) else {
            return;
        };
        let action = action(resource.name, self.method());
        let what = format!("{} {}", self.method(), self.path);
        let user = self.identity.user.clone();
        self.add_rejection(
            action,
            what,
            user.or_else(|| user_of(&self.parts.headers)),
            error,
        );
    }

    /// Adds an entry about a login that was rejected.
    pub(crate) fn audit_rejected_login(&self, user: &str, error: &ApiError) {
        self.add_rejection(
            "login",
            format!("login of {user:?}"),
            Some(user.to_owned()),
            error,
        );
    }

    fn add_rejection(
        &self,
        action: &'static str,
        what: String,
        user: Option<String>,
        error: &ApiError,
    ) {
        let now = self.shared.backend.now().mono;
        let Some(unlogged) = self.shared.rejections.lock().admit(self.client(), now) else {
            return;
        };
        let mut reason = error.message.clone();
        if unlogged > 0 {
            reason += &format!("; {unlogged} more rejected requests before it are not logged");
        }
        self.shared.backend.audit(AuditEntry {
            action,
            what,
            actor: Actor {
                user,
                ..self.client_of_entry()
            },
            outcome: AuditOutcome::Rejected(reason),
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
        ("api_resolve", _) => "resolve",
        ("api_channel_test", _) => "notify_test",
        ("api_backtest", _) => "backtest",
        ("api_rule_tests", _) => "rule_tests",
        ("api_config_files" | "api_config_check", _) => "read_configuration",
        ("api_config_apply", _) => "configure",
        ("api_dead_letters", &Method::DELETE) => "discard",
        ("api_dead_letters", _) => "resend",
        ("api_dashboard_layout", _) => "layout",
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::endpoints::ENDPOINTS;
    use crate::auth::role::Role;

    #[test]
    fn a_rejected_change_has_the_action_of_one_that_is_done() {
        let cases = [
            ("api_silences", Method::POST, "silence"),
            ("api_silences", Method::DELETE, "expire"),
            ("api_acknowledge", Method::POST, "acknowledge"),
            ("api_acknowledge", Method::DELETE, "release"),
            ("api_dead_letters", Method::POST, "resend"),
            ("api_dead_letters", Method::DELETE, "discard"),
            ("api_dashboard_layout", Method::DELETE, "layout"),
            ("reload", Method::PUT, "reload"),
        ];
        for (name, method, expected) in cases {
            assert_eq!(action(name, &method), expected, "{method} {name}");
        }
        for row in ENDPOINTS.iter().filter(|row| row.role > Some(Role::Viewer)) {
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
