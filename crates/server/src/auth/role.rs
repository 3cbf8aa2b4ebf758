//! Roles of users and tokens.

use bellwether_schema::string_enum;

string_enum! {
    /// Rights of a user or a token; each role includes those before it.
    #[derive(PartialOrd, Ord)]
    pub enum Role {
        /// May read.
        Viewer = "viewer",
        /// May silence, acknowledge, resolve, resend, record and test channels.
        Operator = "operator",
        /// May reload, and read and change the configuration.
        Admin = "admin",
    }
}

impl Role {
    /// All roles, the least first.
    pub(crate) const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];
}
