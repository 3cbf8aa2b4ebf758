//! /proc/net/dev and the sockets of /proc/net/tcp.

use super::{Malformed, fields, lines, totals};

/// One network interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Interface<'a> {
    pub(in super::super) name: &'a [u8],
    pub(in super::super) bytes_received: u64,
    pub(in super::super) packets_received: u64,
    pub(in super::super) errors_in: u64,
    pub(in super::super) dropped_in: u64,
    pub(in super::super) bytes_sent: u64,
    pub(in super::super) packets_sent: u64,
    pub(in super::super) errors_out: u64,
    pub(in super::super) dropped_out: u64,
}

/// Parses the interfaces of /proc/net/dev. A bad line is an error, and the iteration continues.
pub(in super::super) fn interfaces(
    bytes: &[u8],
) -> impl Iterator<Item = Result<Interface<'_>, Malformed>> {
    // Two lines of headings; a file without them is another one.
    let headings = bytes.iter().filter(|byte| **byte == b'|').count() >= 4;
    let missing = (!headings).then(|| Err(Malformed::missing("heading")));
    let rows = lines(bytes)
        .filter(|(_, line)| !line.contains(&b'|'))
        .map(|(at, line)| {
            interface(line)
                .ok_or_else(|| Malformed::line(at, "an interface and its counters", line))
        });
    missing.into_iter().chain(rows)
}

fn interface(line: &[u8]) -> Option<Interface<'_>> {
    // Old kernels print no blank after the colon, and aliases have one in their name.
    let colon = line.iter().rposition(|byte| *byte == b':')?;
    let name = line[..colon].trim_ascii();
    let columns: [u64; 12] = totals(&mut fields(&line[colon + 1..]))?;
    let [
        bytes_received,
        packets_received,
        errors_in,
        dropped_in,
        sent @ ..,
    ] = columns;
    let [.., bytes_sent, packets_sent, errors_out, dropped_out] = sent;
    (!name.is_empty()).then_some(Interface {
        name,
        bytes_received,
        packets_received,
        errors_in,
        dropped_in,
        bytes_sent,
        packets_sent,
        errors_out,
        dropped_out,
    })
}

/// Names of the TCP states; the numbers of the kernel begin at 1.
pub(in super::super) const STATES: [&str; 12] = [
    "established",
    "syn_sent",
    "syn_recv",
    "fin_wait1",
    "fin_wait2",
    "time_wait",
    "close",
    "close_wait",
    "last_ack",
    "listen",
    "closing",
    "new_syn_recv",
];

/// Number of TCP sockets by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct TcpStates {
    /// In the order of [`STATES`].
    pub(in super::super) counts: [u64; STATES.len()],
}

impl TcpStates {
    /// Counts a line of /proc/net/tcp or tcp6; the heading is ignored.
    pub(in super::super) fn add_line(&mut self, at: usize, line: &[u8]) -> Result<(), Malformed> {
        let state = fields(line).nth(3).unwrap_or_default();
        if state == b"st" {
            return Ok(());
        }
        let digits = std::str::from_utf8(state).ok();
        let index = digits.and_then(|digits| usize::from_str_radix(digits, 16).ok());
        let slot = index.and_then(|index| self.counts.get_mut(index.checked_sub(1)?));
        *slot.ok_or_else(|| Malformed::line(at, "a socket and its state", line))? += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADINGS: &str = "Inter-|   Receive  |  Transmit\n face |bytes |bytes\n";

    #[test]
    fn interfaces_have_their_columns() {
        let text = format!("{HEADINGS}  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n");
        let found = interfaces(text.as_bytes()).next().unwrap().unwrap();
        assert_eq!(found.name, b"eth0");
        assert_eq!(
            (
                found.bytes_received,
                found.packets_received,
                found.errors_in
            ),
            (1, 2, 3)
        );
        assert_eq!(
            (found.bytes_sent, found.packets_sent, found.errors_out),
            (9, 10, 11)
        );
        assert_eq!((found.dropped_in, found.dropped_out), (4, 12));
    }

    #[test]
    fn glued_numbers_aliases_and_unusual_names() {
        let row = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16";
        let text = [
            HEADINGS.as_bytes(),
            b"eth0:",
            row.as_bytes(),
            b"\n eth0:1: ",
            row.as_bytes(),
            b"\n w\xff\": ",
            row.as_bytes(),
            b"\n",
        ]
        .concat();
        let names: Vec<_> = interfaces(&text)
            .map(|found| found.unwrap().name.to_vec())
            .collect();
        assert_eq!(names, [&b"eth0"[..], b"eth0:1", b"w\xff\""]);
    }

    #[test]
    fn what_is_cut_or_garbled_is_named() {
        let cut = format!("{HEADINGS} lo: 1 2 3");
        for (text, expected) in [
            ("", "no heading in it"),
            (
                &cut,
                "line 3: expected an interface and its counters, found \" lo: 1 2 3\"",
            ),
        ] {
            let error = interfaces(text.as_bytes()).find_map(Result::err).unwrap();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn sockets_are_counted_by_state() {
        let text = b"  sl  local_address rem_address   st tx_queue\n\
            0: 0100007F:1F90 00000000:0000 0A 0:0\n1: 0100007F:1F90 00000000:0000 01 0:0\n";
        let mut states = TcpStates::default();
        lines(text)
            .try_for_each(|(at, line)| states.add_line(at, line))
            .unwrap();
        assert_eq!(states.counts[..2], [1, 0]);
        assert_eq!(states.counts[9], 1);
        for bad in ["0: a b 00 0:0", "0: a b 0D 0:0", "0: a b zz 0:0", "0: a"] {
            assert!(
                TcpStates::default().add_line(1, bad.as_bytes()).is_err(),
                "{bad}"
            );
        }
    }
}
