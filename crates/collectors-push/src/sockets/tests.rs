use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwether_schema::{Decode, DecodeContext, Diagnostics, parse};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UdpSocket, UnixDatagram, UnixStream};
use tokio::time::{sleep, timeout};

use super::*;

/// Keeps the lines.
#[derive(Default)]
struct Kept(Mutex<Vec<String>>);

impl LineReceiver for Kept {
    fn receive(&self, lines: &[u8], _: Now) {
        let text = String::from_utf8_lossy(lines);
        self.0.lock().extend(text.lines().map(ToOwned::to_owned));
    }
}

struct World {
    sockets: Sockets,
    kept: Arc<Kept>,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self {
            sockets: Sockets::default(),
            kept: Arc::default(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    async fn listen(&self, endpoints: &[Endpoint]) -> Vec<String> {
        let receiver: Arc<dyn LineReceiver> = self.kept.clone();
        self.sockets
            .listen(endpoints, &receiver, Now::default())
            .await
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Waits for lines, and removes them.
    async fn arrived(&self, expected: &[&str]) {
        let arrived = timeout(Duration::from_secs(20), async {
            while self.kept.0.lock().len() < expected.len() {
                sleep(Duration::from_millis(5)).await;
            }
        });
        arrived.await.expect("lines arrive");
        assert_eq!(std::mem::take(&mut *self.kept.0.lock()), expected);
    }
}

/// Returns an address whose port is free.
fn free(is_tcp: bool) -> String {
    let address = match is_tcp {
        true => std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr(),
        false => std::net::UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr(),
    };
    address.unwrap().to_string()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn packets_and_connections_bring_lines() {
    let world = World::new();
    let (udp, tcp) = (free(false), free(true));
    let (datagrams, stream) = (world.path("d.sock"), world.path("s.sock"));
    let endpoints = [
        Endpoint::Udp(udp.clone()),
        Endpoint::Tcp(tcp.clone()),
        Endpoint::Unix {
            path: datagrams.clone(),
            mode: 0o600,
        },
        Endpoint::UnixStream {
            path: stream.clone(),
            mode: 0o666,
        },
    ];
    assert_eq!(world.listen(&endpoints).await, [""; 0]);
    assert_eq!((mode(&datagrams), mode(&stream)), (0o600, 0o666));

    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(b"a\nb", &udp).await.unwrap();
    world.arrived(&["a", "b"]).await;
    let socket = UnixDatagram::unbound().unwrap();
    socket.send_to(b"c", &datagrams).await.unwrap();
    world.arrived(&["c"]).await;
    let mut client = UnixStream::connect(&stream).await.unwrap();
    client
        .write_all(b"\x03\0\0\0d\ne\x01\0\0\0f")
        .await
        .unwrap();
    world.arrived(&["d", "e", "f"]).await;

    let mut client = TcpStream::connect(&tcp).await.unwrap();
    client.write_all(b"one\ntw").await.unwrap();
    world.arrived(&["one"]).await;
    client.write_all(b"o\n").await.unwrap();
    world.arrived(&["two"]).await;
    let long = "x".repeat(stream::MAX_LINE + 2);
    client
        .write_all(format!("{long}{long}\nthree\nlast").as_bytes())
        .await
        .unwrap();
    drop(client);
    world.arrived(&["three", "last"]).await;
    assert_eq!(world.sockets.totals.long_lines.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_socket_that_stays_is_not_opened_again_and_one_that_goes_leaves_no_file() {
    let world = World::new();
    let tcp = Endpoint::Tcp(free(true));
    let path = world.path("d.sock");
    let unix = Endpoint::Unix {
        path: path.clone(),
        mode: 0o660,
    };
    assert_eq!(world.listen(&[tcp.clone(), unix.clone()]).await, [""; 0]);
    let Endpoint::Tcp(address) = &tcp else {
        unreachable!()
    };
    let mut client = TcpStream::connect(address).await.unwrap();
    assert_eq!(world.listen(std::slice::from_ref(&tcp)).await, [""; 0]);
    assert!(!path.exists());
    client.write_all(b"still here\n").await.unwrap();
    world.arrived(&["still here"]).await;

    // Another mode is one of the same socket.
    let sent = std::os::unix::net::UnixDatagram::unbound().unwrap();
    for mode in [0o660, 0o600] {
        let unix = Endpoint::Unix {
            path: path.clone(),
            mode,
        };
        assert_eq!(world.listen(&[unix]).await, [""; 0]);
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode);
        sent.send_to(b"packet", &path).unwrap();
        world.arrived(&["packet"]).await;
    }
    world.listen(&[]).await;

    // What a killed process left is replaced; a file that is no socket stays.
    drop(std::os::unix::net::UnixDatagram::bind(&path).unwrap());
    assert_eq!(world.listen(std::slice::from_ref(&unix)).await, [""; 0]);
    let other = World::new();
    let errors = other.listen(std::slice::from_ref(&unix)).await;
    assert!(
        errors.len() == 1 && errors[0].contains("d.sock: "),
        "{errors:?}"
    );
    world.listen(&[]).await;
    fs::write(&path, "precious").unwrap();
    assert!(other.listen(&[unix]).await[0].contains("not a socket"));
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}

#[tokio::test]
async fn connections_above_the_limit_are_closed_and_the_others_go_on() {
    let world = World::new();
    let path = world.path("s.sock");
    let endpoint = Endpoint::UnixStream {
        path: path.clone(),
        mode: 0o660,
    };
    assert_eq!(world.listen(&[endpoint]).await, [""; 0]);
    let mut clients = Vec::new();
    for _ in 0..=stream::MAX_CONNECTIONS {
        clients.push(UnixStream::connect(&path).await.unwrap());
    }
    let rejected = &world.sockets.totals.rejected_connections;
    timeout(Duration::from_secs(20), async {
        while rejected.load(Ordering::Relaxed) == 0 {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("one is rejected");
    clients[0].write_all(b"\x01\0\0\0a").await.unwrap();
    world.arrived(&["a"]).await;
}

#[test]
fn wrong_settings_are_errors() {
    for (yaml, expected) in [
        (
            "{listen_tcp: '8125'}",
            "not an address with a port: \"8125\"",
        ),
        ("{socket_mode: rw}", "not the mode of a file: \"rw\""),
        ("{socket_mode: '7777'}", "not the mode of a file"),
        (
            "{listen_unix: /a, listen_unix_stream: /a}",
            "the same path as listen_unix",
        ),
    ] {
        let mut problems = Diagnostics::default();
        let mut context = DecodeContext::new(&mut problems, &|_| None);
        let sockets = StreamSockets::decode(&parse(yaml).unwrap(), &mut context).unwrap();
        sockets.endpoints(&mut problems);
        let problems = problems.into_sorted();
        assert!(
            problems.len() == 1 && problems[0].message.contains(expected),
            "{yaml}: {problems:?}"
        );
    }
}
