//! Errors for requests whose client lacks the role.

use hyper::StatusCode;

use crate::auth::role::Role;

/// Error for a request whose client lacks the role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessError {
    /// 401 if a token would help, else 403.
    pub status: StatusCode,
    /// Reason for the self-metric, from a small fixed set.
    pub reason: &'static str,
    /// Message for the client.
    pub message: &'static str,
    /// Hint how to fix it.
    pub hint: &'static str,
}

pub(super) const CROSS_SITE: AccessError = forbidden(
    "cross_site",
    "requests from other web sites are rejected",
    "call it from a shell or a program, not from a web page",
);
pub(super) const HOST_NAME: AccessError = forbidden(
    "host",
    "the Host header must name this host by address or as localhost",
    "use http://127.0.0.1 or http://localhost, or set prometheus.control.token_file",
);
pub(super) const FORWARDED_REQUEST: AccessError = forbidden(
    "forwarded",
    "requests that came through a proxy are rejected",
    "set prometheus.control.token_file and send the token",
);
pub(super) const PEER: AccessError = forbidden(
    "peer",
    "this address may not change state",
    "call it on the host itself, or set prometheus.control.networks or token_file",
);
pub(super) const USERS: AccessError = forbidden(
    "users",
    "this needs a role, and the web configuration file gives no user one",
    "add the user to roles: in the web configuration file; or set prometheus.control.token_file and \
     send the token, or prometheus.control.socket for the commands of this host",
);
pub(super) const NO_ORIGIN: AccessError = forbidden(
    "cross_site",
    "a change with a session cookie must have the header Origin or Sec-Fetch-Site, as browsers send",
    "programs send a token or a password in place of the cookie",
);

/// Returns the error for a client whose role is less than `needed`.
pub(super) const fn lacks_role(needed: Role) -> AccessError {
    let (message, hint) = match needed {
        Role::Viewer => ("this needs the role viewer", ""),
        Role::Operator => ("this needs the role operator", ROLES),
        Role::Admin => ("this needs the role admin", ROLES),
    };
    forbidden("role", message, hint)
}

const ROLES: &str = "roles are in the web configuration file, for users, and in \
                     prometheus.control.tokens";

pub(super) const NO_TOKEN: AccessError = AccessError {
    status: StatusCode::UNAUTHORIZED,
    reason: "token",
    message: "a token is required",
    hint: "send Authorization: Bearer with the content of prometheus.control.token_file; \
           bellwether's commands do with --token-file",
};
pub(super) const WRONG_TOKEN: AccessError = AccessError {
    message: "the token is wrong",
    hint: "compare it with the content of prometheus.control.token_file; a reload reads the file again",
    ..NO_TOKEN
};

const fn forbidden(reason: &'static str, message: &'static str, hint: &'static str) -> AccessError {
    AccessError {
        status: StatusCode::FORBIDDEN,
        reason,
        message,
        hint,
    }
}
