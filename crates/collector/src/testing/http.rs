//! Server of HTTP in tests, whose replies the test gives.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Answer of a server to a request.
pub enum Reply {
    /// Sends these bytes and closes the connection.
    Bytes(Vec<u8>),
    /// Sends them and says no more.
    Hang(Vec<u8>),
    /// Sends them over and over.
    Endless(Vec<u8>),
}

/// Returns a response with a body.
pub fn response(headers: &str, body: impl AsRef<[u8]>) -> Reply {
    let mut bytes = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{headers}\r\n").into_bytes();
    bytes.extend_from_slice(body.as_ref());
    Reply::Bytes(bytes)
}

/// Serves requests, given as text, until the set is dropped. Returns its port.
#[expect(clippy::unwrap_used, reason = "only tests call it")]
pub async fn serve(
    tasks: &mut JoinSet<()>,
    reply: impl Fn(&str) -> Reply + Send + Sync + 'static,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let reply = Arc::new(reply);
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let reply = reply.clone();
            connections.spawn(async move {
                let mut request = Vec::new();
                while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read_buf(&mut request).await {
                        Ok(1..) => {}
                        _ => return,
                    }
                }
                match reply(&String::from_utf8_lossy(&request)) {
                    Reply::Bytes(bytes) => {
                        let _ = stream.write_all(&bytes).await;
                    }
                    Reply::Hang(bytes) => {
                        let _ = stream.write_all(&bytes).await;
                        std::future::pending::<()>().await;
                    }
                    Reply::Endless(bytes) => while stream.write_all(&bytes).await.is_ok() {},
                }
            });
        }
    });
    port
}
