//! Settings of all requests to one server.

use super::authorization::Authorization;
use super::client_settings::ClientSettings;

/// Settings of all requests to one server.
#[derive(Clone, Debug, Default)]
pub struct Access {
    pub authorization: Authorization,
    pub client: ClientSettings,
}

/// Access without authorization.
impl From<ClientSettings> for Access {
    fn from(client: ClientSettings) -> Self {
        Self {
            authorization: Authorization::default(),
            client,
        }
    }
}
