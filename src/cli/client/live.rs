//! Live updates of a Bellwether: a WebSocket (RFC 6455) that is opened by the client of all other requests, so
//! that addresses, TLS and credentials are the same.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bellwether_server::websocket_accept;
use futures_util::{SinkExt, StreamExt};
use reqwest::header::{
    CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use reqwest::{Response, StatusCode, Upgraded};
use serde_json::Value;
use tokio_websockets::{ClientBuilder, Message, WebSocketStream};

use super::{Client, Request, failure};

/// Path of the WebSocket.
const PATH: &str = "/api/v1/live";

/// Open WebSocket. Its methods are for [`Client::wait`] of the client that opened it.
pub(in crate::cli) struct LiveSocket(WebSocketStream<Upgraded>);

/// Error of the opening of a WebSocket.
#[derive(Debug)]
pub(in crate::cli) enum LiveError {
    /// There is no answer, or the server wants a user or another password.
    Unanswered(anyhow::Error),
    /// The server, or a proxy before it, answers and opens no WebSocket, for this reason.
    Refused(String),
}

impl Client {
    /// Opens the WebSocket of live updates.
    ///
    /// # Errors
    /// There is no answer within `timeout`, or one that opens none.
    pub(in crate::cli) fn live(&self, timeout: Duration) -> Result<LiveSocket, LiveError> {
        let request = Request {
            timeout,
            ..Request::get(PATH)
        };
        let key = STANDARD.encode(fastrand::u128(..).to_ne_bytes());
        let headers: [(HeaderName, &str); 4] = [
            (CONNECTION, "Upgrade"),
            (UPGRADE, "websocket"),
            (SEC_WEBSOCKET_VERSION, "13"),
            (SEC_WEBSOCKET_KEY, &key),
        ];
        let prepared = self.prepared(&request).map_err(LiveError::Unanswered)?;
        let prepared = headers
            .into_iter()
            .fold(prepared, |sent, (name, value)| sent.header(name, value));
        self.wait(async {
            let unanswered = |error| {
                let failure = failure::unanswered(&self.address, &request, error);
                LiveError::Unanswered(failure.into())
            };
            let response = prepared.send().await.map_err(unanswered)?;
            if response.status() == StatusCode::UNAUTHORIZED {
                return Err(LiveError::Unanswered(self.unauthorized(&request)));
            }
            check(&response, &key)?;
            let upgraded = response.upgrade().await.map_err(unanswered)?;
            Ok(LiveSocket(ClientBuilder::new().take_over(upgraded)))
        })
    }

    /// Waits for `future`, in which the WebSocket of this client goes on.
    pub(in crate::cli) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}

/// Checks that a response opens the WebSocket that was asked for with `key`.
fn check(response: &Response, key: &str) -> Result<(), LiveError> {
    let accept = response.headers().get(SEC_WEBSOCKET_ACCEPT);
    match response.status() {
        StatusCode::SWITCHING_PROTOCOLS
            if accept.is_some_and(|accept| *accept == websocket_accept(key.as_bytes())) =>
        {
            Ok(())
        }
        StatusCode::SWITCHING_PROTOCOLS => Err(LiveError::Refused(
            "the answer is for another WebSocket".to_owned(),
        )),
        status => Err(LiveError::Refused(status.to_string())),
    }
}

impl LiveSocket {
    /// Sends a message.
    ///
    /// # Errors
    /// The connection is lost.
    pub(in crate::cli) async fn send(&mut self, message: &Value) -> anyhow::Result<()> {
        let sent = self.0.send(Message::text(message.to_string())).await;
        sent.map_err(|error| anyhow::anyhow!("the live connection is lost: {error}"))
    }

    /// Waits for the next message; none if the server has closed the WebSocket, or the connection is lost. A wait
    /// that is given up loses no message.
    pub(in crate::cli) async fn next(&mut self) -> Option<Value> {
        loop {
            let message = self.0.next().await?.ok()?;
            if message.is_close() {
                return None;
            }
            // The server sends no other texts; pings are answered by the library.
            let text = message
                .as_text()
                .and_then(|text| serde_json::from_str(text).ok());
            if text.is_some() {
                return text;
            }
        }
    }
}
