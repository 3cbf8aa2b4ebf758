//! A broker that answers as a test says.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::messages::REQUIRED;
use super::wire::{Reader, Writer};

pub(super) const LIST_OFFSETS: i16 = 2;
pub(super) const METADATA: i16 = 3;
pub(super) const OFFSET_FETCH: i16 = 9;
pub(super) const LIST_GROUPS: i16 = 16;
const DESCRIBE_GROUPS: i16 = 15;
const API_VERSIONS: i16 = 18;

/// A broker on a port of its own.
pub(super) struct FakeBroker {
    pub(super) port: u16,
    connections: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

/// A request to the broker.
pub(super) struct Received {
    /// Port of the broker.
    pub(super) port: u16,
    /// Number of the connection, from 0.
    pub(super) connection: usize,
    /// Key of the kind of the request.
    pub(super) key: i16,
    body: Vec<u8>,
}

impl FakeBroker {
    /// Starts a broker. It sends nothing where `answer` returns `None`.
    pub(super) async fn start(
        answer: impl Fn(&Received) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let (answer, count) = (Arc::new(answer), connections.clone());
        let accepting = tokio::spawn(async move {
            // Connections end with this task.
            let mut serving = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let connection = count.fetch_add(1, Ordering::Relaxed);
                serving.spawn(serve(stream, port, connection, answer.clone()));
            }
        });
        Self {
            port,
            connections,
            accepting,
        }
    }

    /// Returns how many connections there were.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Ends the broker and its connections.
    pub(super) async fn stop(self) {
        self.accepting.abort();
        let _ = self.accepting.await;
    }
}

async fn serve(
    mut stream: TcpStream,
    port: u16,
    connection: usize,
    answer: Arc<impl Fn(&Received) -> Option<Vec<u8>>>,
) -> io::Result<()> {
    loop {
        let length = stream.read_u32().await?;
        let mut frame = vec![0; length as usize];
        stream.read_exact(&mut frame).await?;
        let mut header = Reader::new(&frame);
        let (key, _version) = (header.i16().unwrap(), header.i16().unwrap());
        let (number, client) = (header.i32().unwrap(), header.string().unwrap());
        let received = Received {
            port,
            connection,
            key,
            body: frame[10 + client.len()..].to_vec(),
        };
        if let Some(answer) = answer(&received) {
            let length = 4 + answer.len() as u32;
            let frame = [&length.to_be_bytes()[..], &number.to_be_bytes(), &answer].concat();
            stream.write_all(&frame).await?;
        }
    }
}

impl Received {
    /// Returns the group of a request for committed offsets.
    pub(super) fn group(&self) -> String {
        Reader::new(&self.body).string().unwrap()
    }

    /// Answers as broker 1 of a cluster of its own, which coordinates these groups. Each has a member, and has
    /// committed the offset 4 of the partition 0 of `orders`, which ends at 10.
    pub(super) fn answer(&self, groups: &[&str]) -> Vec<u8> {
        match self.key {
            API_VERSIONS => written(|writer| {
                writer.i16(0);
                writer.array(REQUIRED.iter(), |writer, api| {
                    writer.i16(api.key);
                    writer.i16(0);
                    writer.i16(api.version);
                });
            }),
            METADATA => metadata(&[self.port]),
            LIST_GROUPS => written(|writer| {
                writer.i16(0);
                writer.array(groups.iter(), |writer, group| {
                    writer.string(group);
                    writer.string("consumer");
                });
            }),
            DESCRIBE_GROUPS => {
                let groups = Reader::new(&self.body).array(Reader::string).unwrap();
                written(|writer| {
                    writer.array(groups.iter(), |writer, group| describe(writer, group));
                })
            }
            OFFSET_FETCH => written(|writer| {
                of_partition(writer, |writer| {
                    writer.i64(4);
                    writer.string("");
                    writer.i16(0);
                });
                writer.i16(0);
            }),
            LIST_OFFSETS => written(|writer| {
                of_partition(writer, |writer| {
                    writer.i16(0);
                    writer.i64(-1);
                    writer.i64(10);
                });
            }),
            key => panic!("a request with the key {key}"),
        }
    }
}

/// Returns an answer.
pub(super) fn written(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::default();
    write(&mut writer);
    writer.into_bytes()
}

/// Returns brokers with these ports and ids from 1, the first of which leads the partition 0 of `orders`.
pub(super) fn metadata(ports: &[u16]) -> Vec<u8> {
    written(|writer| {
        writer.array(ports.iter().enumerate(), |writer, (index, port)| {
            writer.i32(index as i32 + 1);
            writer.string("127.0.0.1");
            writer.i32((*port).into());
            writer.i16(-1);
        });
        writer.i32(1);
        writer.array([()].into_iter(), |writer, ()| {
            writer.i16(0);
            writer.string("orders");
            writer.byte(0);
            writer.array([()].into_iter(), |writer, ()| {
                writer.i16(0);
                writer.i32(0);
                writer.i32(1);
                writer.array([1].into_iter(), Writer::i32);
                writer.array([1].into_iter(), Writer::i32);
            });
        });
    })
}

/// Writes the state of a group with a member.
fn describe(writer: &mut Writer, group: &str) {
    writer.i16(0);
    for text in [group, "Stable", "consumer", "range"] {
        writer.string(text);
    }
    writer.array([()].into_iter(), |writer, ()| {
        for text in ["member", "client", "host"] {
            writer.string(text);
        }
        writer.bytes(b"");
        writer.bytes(b"");
    });
}

/// Writes an array with the partition 0 of `orders`.
fn of_partition(writer: &mut Writer, write: impl FnOnce(&mut Writer)) {
    writer.i32(1);
    writer.string("orders");
    writer.i32(1);
    writer.i32(0);
    write(writer);
}
