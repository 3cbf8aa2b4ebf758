//! Errors for requests that may not change state.

use hyper::StatusCode;

/// Error for a request that may not change state.
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
    "this changes state, and the passwords of basic_auth_users are only for reading",
    "set prometheus.control.token_file and send the token, or prometheus.control.socket for the \
     commands of this host, or prometheus.control.networks for clients that may",
);
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
