//! Receivers of notifications: whether they took one in the past, and the live ones, which listen in this process.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use bellwether_core::{Notification, UnixMillis};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;

/// Bytes of a request that are read.
const MAX_BODY: usize = 1 << 20;

const UNAVAILABLE: &str = "503 Service Unavailable: the gateway is being upgraded";
const NO_PROJECT: &str = "422 Unprocessable Content: the project of the ticket is archived";

/// Outcome of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// The service took it.
    Yes,
    /// It failed, and is tried again.
    Later(&'static str),
    /// The service rejected it for good.
    Never(&'static str),
}

/// Returns the outcome of the delivery of `notification` to `channel` at `at`, for a demo that began at `start`.
pub(super) fn delivery(
    channel: &str,
    notification: &Notification,
    at: UnixMillis,
    start: UnixMillis,
) -> Delivered {
    let hours = (start.0 - at.0) as f64 / 3_600_000.0;
    match (channel, &*notification.alert.rule) {
        // A long outage of the chat, and one of the gateway of the managers that still goes on.
        ("chat", _) if (73.0..75.0).contains(&hours) => Delivered::Later(UNAVAILABLE),
        ("managers", _) if hours < 2.5 => Delivered::Later(UNAVAILABLE),
        ("tickets", "queue_backlog" | "worker_leaks") if hours < 40.0 => {
            Delivered::Never(NO_PROJECT)
        }
        _ => Delivered::Yes,
    }
}

/// The live receivers, on one port of this host.
pub(super) struct Receivers {
    listener: TcpListener,
    address: SocketAddr,
}

impl Receivers {
    /// Opens a free port.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn bind() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers as long as the runtime of the caller lives.
    ///
    /// # Errors
    /// The runtime does not take the socket.
    pub(super) fn serve(&self) -> std::io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener.try_clone()?)?;
        tokio::spawn(accept(listener));
        Ok(())
    }
}

async fn accept(listener: tokio::net::TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(take));
                tokio::spawn(connection);
            }
            Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    }
}

async fn take(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = Limited::new(request.into_body(), MAX_BODY).collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let (status, text) = answer(&path, &String::from_utf8_lossy(&body));
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    Ok(response)
}

/// Returns the answer to a request.
fn answer(path: &str, body: &str) -> (StatusCode, &'static str) {
    match path {
        "/teams" => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the gateway is being upgraded",
        ),
        "/tickets" if body.contains("slow_checkout") => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "the project of the ticket is archived",
        ),
        "/pagerduty/v2/enqueue" => (StatusCode::ACCEPTED, r#"{"status": "success"}"#),
        _ => (StatusCode::OK, "ok"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_answer_as_the_demo_needs_it() {
        let status = |path: &str, body: &str| answer(path, body).0.as_u16();
        assert_eq!(status("/slack", "{}"), 200);
        assert_eq!(status("/pagerduty/v2/enqueue", "{}"), 202);
        assert_eq!(status("/teams", "{}"), 503);
        assert_eq!(status("/tickets", "{}"), 200);
        assert_eq!(status("/tickets", "slow_checkout"), 422);
    }
}
