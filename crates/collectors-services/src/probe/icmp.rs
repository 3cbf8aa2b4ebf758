//! ICMP echo (RFC 792, RFC 4443), over a socket of the kernel for users without privileges, or a raw one.

use std::io;
use std::net::{SocketAddr, UdpSocket as StdSocket};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::time::Instant;

use super::connect::resolve;
use super::report::{ICMP_DURATION, Report};

const PAYLOAD: &[u8] = b"bellwether probe";

pub(super) async fn run(target: &str, report: &mut Report) -> Result<(), String> {
    for phase in ["resolve", "setup", "rtt"] {
        report.set_labeled(&ICMP_DURATION, "phase", phase, 0.0);
    }
    let (addresses, resolved) = resolve(target, 0, report).await?;
    report.add_phase(&ICMP_DURATION, "resolve", resolved);
    let address = addresses[0];
    let started = Instant::now();
    let (socket, raw) = open(address).map_err(|error| {
        format!(
            "cannot open a socket of ICMP: {error}; hint: the sysctl net.ipv4.ping_group_range, or the \
             capability CAP_NET_RAW"
        )
    })?;
    report.add_phase(&ICMP_DURATION, "setup", started.elapsed());
    let (id, sequence) = (fastrand::u16(..), fastrand::u16(..));
    let request = echo(address.is_ipv6(), id, sequence);
    let started = Instant::now();
    let sent = socket.send(&request).await;
    sent.map_err(|error| format!("{}: {error}", address.ip()))?;
    let mut packet = [0; 1500];
    loop {
        let length = socket.recv(&mut packet).await;
        let length = length.map_err(|error| format!("{}: {error}", address.ip()))?;
        let packet = &packet[..length];
        let message = match raw && address.is_ipv4() {
            true => behind_ip_header(packet),
            false => packet,
        };
        // The kernel replaces the identifier of a socket that is not raw.
        let own_id = raw.then_some(id);
        if is_reply(message, address.is_ipv6(), own_id, sequence) {
            report.add_phase(&ICMP_DURATION, "rtt", started.elapsed());
            return Ok(());
        }
    }
}

/// Opens a socket, and returns whether it is a raw one.
fn open(address: SocketAddr) -> io::Result<(UdpSocket, bool)> {
    let (domain, protocol) = match address {
        SocketAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        SocketAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    let (socket, raw) = match Socket::new(domain, Type::DGRAM, Some(protocol)) {
        Ok(socket) => (socket, false),
        Err(error) => match Socket::new(domain, Type::RAW, Some(protocol)) {
            Ok(socket) => (socket, true),
            Err(_) => return Err(error),
        },
    };
    socket.set_nonblocking(true)?;
    socket.connect(&address.into())?;
    Ok((UdpSocket::from_std(StdSocket::from(socket))?, raw))
}

/// Returns an echo request.
fn echo(v6: bool, id: u16, sequence: u16) -> Vec<u8> {
    let mut packet = vec![if v6 { 128 } else { 8 }, 0, 0, 0];
    packet.extend(id.to_be_bytes());
    packet.extend(sequence.to_be_bytes());
    packet.extend(PAYLOAD);
    // The kernel computes that of ICMPv6, which includes addresses.
    if !v6 {
        let sum = checksum(&packet);
        packet[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

/// Returns the checksum of the Internet (RFC 1071).
fn checksum(packet: &[u8]) -> u16 {
    let words = packet
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or_default()));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn behind_ip_header(packet: &[u8]) -> &[u8] {
    let words = packet.first().map_or(0, |first| first & 0xf);
    packet.get(usize::from(words) * 4..).unwrap_or_default()
}

/// Returns whether a message is the reply to an echo.
fn is_reply(message: &[u8], v6: bool, id: Option<u16>, sequence: u16) -> bool {
    let kind = if v6 { 129 } else { 0 };
    let word = |at: usize| {
        Some(u16::from_be_bytes([
            *message.get(at)?,
            *message.get(at + 1)?,
        ]))
    };
    message.first() == Some(&kind)
        && (id.is_none() || word(4) == id)
        && word(6) == Some(sequence)
        && message.get(8..) == Some(PAYLOAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_known_by_type_identifier_sequence_and_payload() {
        let mut reply = echo(false, 7, 9);
        assert_eq!(checksum(&reply), 0, "a sum over a packet with its checksum");
        assert!(!is_reply(&reply, false, Some(7), 9), "the request itself");
        reply[0] = 0;
        assert!(is_reply(&reply, false, Some(7), 9));
        assert!(is_reply(&reply, false, None, 9));
        assert!(!is_reply(&reply, false, Some(8), 9));
        assert!(!is_reply(&reply, false, Some(7), 10));
        assert!(!is_reply(&reply[..10], false, Some(7), 9));
        let with_header = [&[0x45; 20][..], &reply].concat();
        assert_eq!(behind_ip_header(&with_header), reply);
        assert_eq!(behind_ip_header(&[0x4f]), [0; 0]);
    }
}
