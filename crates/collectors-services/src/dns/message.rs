//! Messages of DNS (RFC 1035): queries and answers. Pure.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

bellwether_schema::string_enum! {
    /// Types of DNS records.
    pub enum RecordType {
        /// IPv4 addresses.
        A = "A" | "a",
        /// IPv6 addresses.
        Aaaa = "AAAA" | "aaaa",
        /// Another name of the name.
        Cname = "CNAME" | "cname",
        /// Mail servers.
        Mx = "MX" | "mx",
        /// Name servers.
        Ns = "NS" | "ns",
        /// Name of an address.
        Ptr = "PTR" | "ptr",
        /// Start of authority.
        Soa = "SOA" | "soa",
        /// Hosts and ports of a service.
        Srv = "SRV" | "srv",
        /// Texts.
        Txt = "TXT" | "txt",
    }
}

impl RecordType {
    fn code(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Ns => 2,
            Self::Cname => 5,
            Self::Soa => 6,
            Self::Ptr => 12,
            Self::Mx => 15,
            Self::Txt => 16,
            Self::Aaaa => 28,
            Self::Srv => 33,
        }
    }
}

fn kind_name(code: u16) -> String {
    let kinds = [
        RecordType::A,
        RecordType::Aaaa,
        RecordType::Cname,
        RecordType::Mx,
        RecordType::Ns,
        RecordType::Ptr,
        RecordType::Soa,
        RecordType::Srv,
        RecordType::Txt,
    ];
    let known = kinds.into_iter().find(|kind| kind.code() == code);
    known.map_or_else(|| format!("TYPE{code}"), |kind| kind.as_str().to_owned())
}

/// Class of records: the Internet.
const INTERNET: u16 = 1;
/// Type of the pseudo-record by which a client says how large an answer may be (RFC 6891).
const OPT: u16 = 41;
/// Size of an answer over UDP that passes every network.
const UDP_SIZE: u16 = 1232;

/// A record of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Name that it belongs to, in lower case, without the dot at the end.
    pub name: String,
    pub ttl: u32,
    /// Type: a word of [`RecordType`], or `TYPE` and the number.
    pub kind: String,
    pub data: RecordData,
}

/// Data of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordData {
    Address(IpAddr),
    Srv {
        port: u16,
        target: String,
    },
    /// Name of another host: CNAME, NS, PTR, MX.
    Name(String),
    Text(String),
    /// Record of a type that nothing reads.
    Other,
}

/// Formats the record as a line of a zone file. Data that nothing reads are left out.
impl fmt::Display for Record {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            ttl,
            kind,
            data,
        } = self;
        write!(out, "{name}.\t{ttl}\tIN\t{kind}\t")?;
        match data {
            RecordData::Address(address) => write!(out, "{address}"),
            RecordData::Srv { port, target } => write!(out, "{port} {target}."),
            RecordData::Name(other) => write!(out, "{other}."),
            RecordData::Text(text) => write!(out, "{text:?}"),
            RecordData::Other => Ok(()),
        }
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Response code: 0 is no error, 3 is that there is no such name.
    pub code: u8,
    /// Set if the answer did not fit into its packet.
    pub truncated: bool,
    pub answers: Vec<Record>,
    /// Number of records of the section `authority`.
    pub authority: usize,
    /// Number of records of the section `additional`, without that of EDNS.
    pub additional: usize,
}

/// Returns the name of a response code.
#[must_use]
pub fn code_name(code: u8) -> String {
    let names = [
        "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED",
    ];
    names
        .get(usize::from(code))
        .map_or_else(|| format!("RCODE{code}"), |name| (*name).to_owned())
}

/// Returns a query; `None` if `name` is not a name.
#[must_use]
pub fn query(id: u16, name: &str, kind: RecordType, recursion: bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(64);
    let flags: u16 = if recursion { 0x0100 } else { 0 };
    for word in [id, flags, 1, 0, 0, 1] {
        out.extend(word.to_be_bytes());
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut length = 1;
    for label in name.split('.').filter(|_| !name.is_empty()) {
        length += label.len() + 1;
        if label.is_empty() || label.len() > 63 || length > 255 {
            return None;
        }
        out.push(label.len() as u8);
        out.extend(label.as_bytes());
    }
    out.push(0);
    out.extend(kind.code().to_be_bytes());
    out.extend(INTERNET.to_be_bytes());
    // The root as name, the size of the answer as class, and neither flags nor data.
    out.push(0);
    out.extend(OPT.to_be_bytes());
    out.extend(UDP_SIZE.to_be_bytes());
    out.extend([0; 6]);
    Some(out)
}

/// Reads the answer to the query `id`; `None` if `packet` is another one, or cut, or invalid.
#[must_use]
pub fn read(packet: &[u8], id: u16) -> Option<Answer> {
    let mut reader = Reader { packet, at: 0 };
    let flags = match (reader.word()?, reader.word()?) {
        (own, flags) if own == id && flags & 0x8000 != 0 => flags,
        _ => return None,
    };
    let counts = [
        reader.word()?,
        reader.word()?,
        reader.word()?,
        reader.word()?,
    ];
    for _ in 0..counts[0] {
        reader.name()?;
        reader.skip(4)?;
    }
    let truncated = flags & 0x0200 != 0;
    let mut answer = Answer {
        code: (flags & 0xf) as u8,
        truncated,
        answers: Vec::new(),
        authority: 0,
        additional: 0,
    };
    if truncated {
        return Some(answer);
    }
    for _ in 0..counts[1] {
        let (_, record) = reader.record()?;
        answer.answers.push(record);
    }
    for _ in 0..counts[2] {
        reader.record()?;
        answer.authority += 1;
    }
    for _ in 0..counts[3] {
        let (kind, _) = reader.record()?;
        answer.additional += usize::from(kind != OPT);
    }
    Some(answer)
}

struct Reader<'p> {
    packet: &'p [u8],
    at: usize,
}

impl<'p> Reader<'p> {
    fn bytes(&mut self, count: usize) -> Option<&'p [u8]> {
        let bytes = self.packet.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(bytes)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.bytes(count).map(|_| ())
    }

    fn byte(&mut self) -> Option<u8> {
        self.bytes(1).map(|bytes| bytes[0])
    }

    fn word(&mut self) -> Option<u16> {
        let bytes = self.bytes(2)?;
        Some(u16::from_be_bytes(bytes.try_into().ok()?))
    }

    /// Reads a name, which may go on at a place before it.
    fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        let mut resume = None;
        // A name has 127 labels at most; more are pointers in a circle.
        for _ in 0..128 {
            let length = self.byte()?;
            match length {
                0 => {
                    self.at = resume.unwrap_or(self.at);
                    return Some(name);
                }
                1..=63 => {
                    let label = self.bytes(usize::from(length))?;
                    if !name.is_empty() {
                        name.push('.');
                    }
                    name.extend(label.iter().map(|byte| {
                        let printable = byte.is_ascii_graphic() && *byte != b'.';
                        if printable {
                            byte.to_ascii_lowercase() as char
                        } else {
                            '?'
                        }
                    }));
                }
                192.. => {
                    let low = self.byte()?;
                    let target = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                    resume = resume.or(Some(self.at));
                    self.at = target;
                }
                _ => return None,
            }
        }
        None
    }

    fn record(&mut self) -> Option<(u16, Record)> {
        let name = self.name()?;
        let (kind, _class) = (self.word()?, self.word()?);
        let ttl = u32::from(self.word()?) << 16 | u32::from(self.word()?);
        let length = usize::from(self.word()?);
        let start = self.at;
        self.skip(length)?;
        let end = self.at;
        let packet = &self.packet[..end];
        let mut inner = Reader { packet, at: start };
        let data = inner.data(kind, length)?;
        let record = Record {
            name,
            ttl,
            kind: kind_name(kind),
            data,
        };
        Some((kind, record))
    }

    fn data(&mut self, kind: u16, length: usize) -> Option<RecordData> {
        Some(match kind {
            1 => {
                let bytes: [u8; 4] = self.bytes(length)?.try_into().ok()?;
                RecordData::Address(Ipv4Addr::from(bytes).into())
            }
            28 => {
                let bytes: [u8; 16] = self.bytes(length)?.try_into().ok()?;
                RecordData::Address(Ipv6Addr::from(bytes).into())
            }
            2 | 5 | 12 => RecordData::Name(self.name()?),
            15 => {
                self.skip(2)?;
                RecordData::Name(self.name()?)
            }
            33 => {
                self.skip(4)?;
                let port = self.word()?;
                let target = self.name()?;
                RecordData::Srv { port, target }
            }
            16 => {
                let mut text = Vec::new();
                let mut left = length;
                while left > 0 {
                    let part = usize::from(self.byte()?);
                    text.extend_from_slice(self.bytes(part)?);
                    left = left.checked_sub(part + 1)?;
                }
                RecordData::Text(String::from_utf8_lossy(&text).into_owned())
            }
            _ => RecordData::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer to `_x._tcp.example.org`: an SRV record whose names are compressed, and an address.
    fn answer() -> Vec<u8> {
        let mut packet = vec![0, 7, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 1];
        for label in ["_x", "_tcp", "Example", "org"] {
            packet.push(label.len() as u8);
            packet.extend(label.as_bytes());
        }
        packet.extend([0, 0, 33, 0, 1]);
        // Its name is that at 12, its target "a" below that at 20.
        packet.extend([0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0, 10]);
        packet.extend([0, 0, 0, 0, 0x23, 0x8c, 1, b'a', 0xc0, 20]);
        packet.extend([0xc0, 20, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4, 127, 0, 0, 2]);
        packet.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
        packet
    }

    #[test]
    fn names_are_followed_and_records_are_read() {
        let answer = read(&answer(), 7).unwrap();
        assert_eq!(
            (answer.code, answer.additional, answer.authority),
            (0, 0, 0)
        );
        let [srv, address] = answer.answers.as_slice() else {
            panic!("{answer:?}");
        };
        assert_eq!((srv.name.as_str(), srv.ttl), ("_x._tcp.example.org", 60));
        let target = RecordData::Srv {
            port: 9100,
            target: "a.example.org".into(),
        };
        assert_eq!(srv.data, target);
        assert_eq!(
            srv.to_string(),
            "_x._tcp.example.org.\t60\tIN\tSRV\t9100 a.example.org."
        );
        assert_eq!((address.name.as_str(), address.ttl), ("example.org", 256));
        let loopback = RecordData::Address("127.0.0.2".parse().unwrap());
        assert_eq!(address.data, loopback);
    }

    #[test]
    fn a_packet_that_is_cut_or_circular_or_not_the_answer_is_none() {
        let whole = answer();
        assert_eq!(read(&whole, 8), None, "another query's");
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length], 7), None, "{length} bytes");
        }
        let mut circle = vec![0, 7, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        circle.extend([0xc0, 12, 0, 1, 0, 1]);
        assert_eq!(read(&circle, 7), None);
    }

    #[test]
    fn a_query_has_the_labels_of_its_name() {
        let packet = query(0x1234, "a.bc.", RecordType::Srv, true).unwrap();
        assert_eq!(packet[..12], [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
        assert_eq!(packet[12..22], [1, b'a', 2, b'b', b'c', 0, 0, 33, 0, 1]);
        assert_eq!(query(1, "a..b", RecordType::A, true), None);
        assert_eq!(query(1, &"a".repeat(64), RecordType::A, true), None);
        assert!(query(1, ".", RecordType::Ns, true).is_some());
    }
}
