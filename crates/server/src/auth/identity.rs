//! Client of a request, as far as it was checked. Pure.

use crate::auth::role::Role;

/// Client of a request with its role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Name of the user or of the token.
    pub(crate) user: Option<String>,
    pub(crate) auth: Authentication,
    /// None if the address of the client decides.
    pub(crate) role: Option<Role>,
}

/// Proof of an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Authentication {
    Password,
    Session,
    Token,
    /// Header of a trusted proxy.
    Proxy,
    /// Mode of the Unix socket's file.
    Socket,
    Address,
}

impl Authentication {
    /// Returns the word of the audit.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Session => "session",
            Self::Token => "token",
            Self::Proxy => "proxy",
            Self::Socket => "socket",
            Self::Address => "address",
        }
    }
}

impl Identity {
    pub(crate) const SOCKET: Self = Self {
        user: None,
        auth: Authentication::Socket,
        role: Some(Role::Admin),
    };
    pub(crate) const ADDRESS: Self = Self {
        user: None,
        auth: Authentication::Address,
        role: None,
    };

    /// Returns the identity of a user whose role is configured, or else up to the address.
    pub(crate) fn user(name: String, auth: Authentication, role: Option<Role>) -> Self {
        Self {
            user: Some(name),
            auth,
            role,
        }
    }
}
