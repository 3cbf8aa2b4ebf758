//! Client of DNS for what the resolver of the system does not give: records other than addresses, and the answer
//! of a certain server.

mod message;

use std::io;
use std::net::{IpAddr, SocketAddr};

pub use message::{Answer, RecordData, RecordType, code_name};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use bellwether_files as files;

/// Default file with the addresses of the servers.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// A question.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    pub name: &'a str,
    pub kind: RecordType,
    /// Set if the server shall ask others.
    pub recursion: bool,
}

/// Returns the servers of the system. Blocks.
///
/// # Errors
/// The file cannot be read, or names no server.
pub fn system_servers() -> io::Result<Vec<SocketAddr>> {
    let servers = read_servers(&files::read_text(RESOLV_CONF.as_ref(), files::SMALL)?);
    match servers.is_empty() {
        false => Ok(servers),
        true => Err(io::Error::other(format!("no nameserver in {RESOLV_CONF}"))),
    }
}

fn read_servers(text: &str) -> Vec<SocketAddr> {
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        words.next().filter(|word| *word == "nameserver")?;
        // An IPv6 address may have an interface behind %.
        let text = words.next()?.split('%').next()?;
        Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, 53))
    });
    lines.collect()
}

/// Returns whether DNS can have the name.
#[must_use]
pub fn is_name(name: &str) -> bool {
    message::query(0, name, RecordType::A, true).is_some()
}

/// Asks a server over UDP, and again over TCP if the answer does not fit.
///
/// # Errors
/// No connection, or an invalid answer.
pub async fn ask(server: SocketAddr, question: &Question<'_>) -> io::Result<Answer> {
    let answer = ask_udp(server, question).await?;
    match answer.truncated {
        false => Ok(answer),
        true => ask_tcp(server, question).await,
    }
}

/// Asks a server over UDP.
///
/// # Errors
/// No connection.
pub async fn ask_udp(server: SocketAddr, question: &Question<'_>) -> io::Result<Answer> {
    let (id, query) = new_query(question)?;
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(&query).await?;
    let mut packet = [0; 4096];
    loop {
        let length = socket.recv(&mut packet).await?;
        // What is not the answer comes from somebody else.
        if let Some(answer) = message::read(&packet[..length], id) {
            return Ok(answer);
        }
    }
}

/// Asks a server over TCP.
///
/// # Errors
/// No connection, or an invalid answer.
pub async fn ask_tcp(server: SocketAddr, question: &Question<'_>) -> io::Result<Answer> {
    let (id, query) = new_query(question)?;
    let mut stream = TcpStream::connect(server).await?;
    let mut framed = (query.len() as u16).to_be_bytes().to_vec();
    framed.extend(query);
    stream.write_all(&framed).await?;
    let length = stream.read_u16().await?;
    let mut packet = vec![0; usize::from(length)];
    stream.read_exact(&mut packet).await?;
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, "not an answer to the query");
    message::read(&packet, id).ok_or_else(invalid)
}

fn new_query(question: &Question<'_>) -> io::Result<(u16, Vec<u8>)> {
    let id = fastrand::u16(..);
    let query = message::query(id, question.name, question.kind, question.recursion);
    let invalid = || {
        let message = format!("not a DNS name: {:?}", question.name);
        io::Error::new(io::ErrorKind::InvalidInput, message)
    };
    Ok((id, query.ok_or_else(invalid)?))
}

/// Splits `HOST:PORT`; `None` if one is missing.
pub(crate) fn host_and_port(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let bracketed = host.starts_with('[') && host.ends_with(']');
    let is_host = !host.is_empty() && (bracketed || !host.contains(':'));
    Some((host, port.parse().ok()?)).filter(|_| is_host && !host.contains(['/', ' ', '@']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_the_system_are_the_name_servers_of_its_file() {
        let text = "# a\nsearch x\nnameserver 127.0.0.53\nnameserver fe80::1%eth0\nnameserver x\n";
        let servers = read_servers(text);
        assert_eq!(
            servers,
            [
                "127.0.0.53:53".parse().unwrap(),
                "[fe80::1]:53".parse::<SocketAddr>().unwrap()
            ]
        );
    }
}
