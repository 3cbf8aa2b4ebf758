//! Sockets of packets: UDP, and Unix sockets of datagrams.

use std::io;
use std::path::Path;
use std::time::Duration;

use bellwether_files::socket::SocketFile;
use socket2::SockRef;
use tokio::net::{UdpSocket, UnixDatagram};
use tokio::time::sleep;
use tracing::warn;

use super::{Context, count};

/// Largest payload of a packet, and one byte more.
const PACKET: usize = 65_536;
/// Size of the receive buffer that the kernel is asked for: bursts wait in it.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Packets that are received before it is the turn of another task.
const BURST: usize = 256;
/// Pause after an error.
const PAUSE: Duration = Duration::from_secs(1);

/// Binds `address`, and returns the task that receives.
pub(super) async fn udp(
    address: &str,
    context: Context,
) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let socket = UdpSocket::bind(address).await?;
    // Without the size it works as well, until packets come in a burst.
    SockRef::from(&socket)
        .set_recv_buffer_size(RECEIVE_BUFFER)
        .ok();
    Ok(async move {
        let mut buffer = vec![0; PACKET];
        loop {
            if socket.readable().await.is_err() {
                sleep(PAUSE).await;
            }
            let receive = |buffer: &mut [u8]| socket.try_recv(buffer);
            drain(receive, &mut buffer, |packet| {
                count(&context.totals.udp_packets);
                context.receive(packet);
            })
            .await;
        }
    })
}

/// Binds a socket of datagrams at `path`, and returns the task that receives.
pub(super) fn unix(
    path: &Path,
    mode: u32,
    context: Context,
) -> io::Result<(impl Future<Output = ()> + Send + 'static, SocketFile)> {
    let in_use = |path: &Path| {
        let probe = std::os::unix::net::UnixDatagram::unbound();
        probe.and_then(|probe| probe.connect(path)).is_ok()
    };
    let (socket, file) = SocketFile::bind(path, mode, in_use, UnixDatagram::bind)?;
    SockRef::from(&socket)
        .set_recv_buffer_size(RECEIVE_BUFFER)
        .ok();
    let task = async move {
        let mut buffer = vec![0; PACKET];
        loop {
            if socket.readable().await.is_err() {
                sleep(PAUSE).await;
            }
            let receive = |buffer: &mut [u8]| socket.try_recv(buffer);
            drain(receive, &mut buffer, |packet| {
                count(&context.totals.unix_packets);
                context.receive(packet);
            })
            .await;
        }
    };
    Ok((task, file))
}

/// Receives the packets that have arrived, up to a burst.
async fn drain(
    receive: impl Fn(&mut [u8]) -> io::Result<usize>,
    buffer: &mut [u8],
    mut take: impl FnMut(&[u8]),
) {
    for _ in 0..BURST {
        match receive(buffer) {
            Ok(length) => take(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => {
                warn!(%error, "cannot receive packets; trying again");
                sleep(PAUSE).await;
                return;
            }
        }
    }
    tokio::task::yield_now().await;
}
