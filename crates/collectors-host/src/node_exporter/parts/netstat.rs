//! Counters of the network protocols, from `/proc/net/netstat`, `/proc/net/snmp` and `/proc/net/snmp6`.

use super::super::part::{Part, PartError, ProcFile, Run};
use super::super::settings::{Filter, Setup};

struct Netstat {
    /// Files with a line of names and a line of values per protocol.
    tables: [ProcFile; 2],
    /// A file with a line per counter.
    ipv6: ProcFile,
    fields: Filter,
    /// Fields of the files, in their order, and whether they are shown: the filter is asked once.
    known: Vec<(String, bool)>,
}

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Netstat {
        tables: ["netstat", "snmp"].map(|file| setup.net(file)),
        ipv6: setup.net("snmp6"),
        fields: setup.filters.netstat.clone(),
        known: Vec::new(),
    })
}

impl Part for Netstat {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let mut shown = Shown {
            fields: &self.fields,
            known: &mut self.known,
            next: 0,
        };
        for table in &mut self.tables {
            let text = table.required()?;
            let mut lines = text.lines();
            while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
                push_protocol(names, values, &mut shown, run);
            }
        }
        match self.ipv6.optional() {
            Ok(text) => push_ipv6(&text, &mut shown, run),
            Err(PartError::NoData) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Fields that are shown.
struct Shown<'s> {
    fields: &'s Filter,
    known: &'s mut Vec<(String, bool)>,
    next: usize,
}

impl Shown<'_> {
    /// Returns the metric of a field, if it is shown.
    fn metric(&mut self, protocol: &str, field: &str) -> Option<&str> {
        let at = self.next;
        self.next += 1;
        let is_known = self.known.get(at).is_some_and(|(name, _)| {
            let rest = name.strip_prefix("node_netstat_").unwrap_or_default();
            let rest = rest.strip_prefix(protocol).unwrap_or_default();
            rest.strip_prefix('_') == Some(field)
        });
        if !is_known {
            let key = format!("{protocol}_{field}");
            let is_shown = self.fields.selects(&key);
            self.known.truncate(at);
            self.known.push((format!("node_netstat_{key}"), is_shown));
        }
        let (name, is_shown) = &self.known[at];
        is_shown.then_some(name)
    }
}

/// Adds the counters of two lines: `Ip: Forwarding DefaultTTL` and `Ip: 1 64`.
fn push_protocol(names: &str, values: &str, shown: &mut Shown<'_>, run: &mut Run<'_>) {
    let Some((protocol, names)) = names.split_once(':') else {
        return;
    };
    let values = values.split_once(':').map_or("", |(_, values)| values);
    let fields = names.split_ascii_whitespace();
    for (field, value) in fields.zip(values.split_ascii_whitespace()) {
        push(protocol, field, value, shown, run);
    }
}

/// Adds the counters of lines such as `Ip6InReceives  7`.
fn push_ipv6(text: &str, shown: &mut Shown<'_>, run: &mut Run<'_>) {
    for line in text.lines() {
        let mut columns = line.split_ascii_whitespace();
        let (Some(key), Some(value)) = (columns.next(), columns.next()) else {
            continue;
        };
        if let Some(six) = key.find('6') {
            push(&key[..=six], &key[six + 1..], value, shown, run);
        }
    }
}

fn push(protocol: &str, field: &str, value: &str, shown: &mut Shown<'_>, run: &mut Run<'_>) {
    if let (Some(name), Ok(value)) = (shown.metric(protocol, field), value.parse()) {
        run.out
            .untyped(name, "A counter of the network protocols.", &[], value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, Parts, collect};

    #[test]
    fn protocols_have_the_default_fields_and_others_if_they_are_asked_for() {
        let host = Host::with(&[
            (
                "proc/net/netstat",
                "TcpExt: SyncookiesSent EmbryonicRsts ListenDrops\nTcpExt: 1 2 3\n",
            ),
            (
                "proc/net/snmp",
                "Ip: Forwarding DefaultTTL\nIp: 1 64\nTcp: MaxConn CurrEstab\nTcp: -1 5\n",
            ),
            (
                "proc/net/snmp6",
                "Ip6InReceives                   \t7\nIp6InOctets                     \t460\nbroken\n",
            ),
        ]);
        let expected = [
            "node_netstat_TcpExt_SyncookiesSent 1",
            "node_netstat_TcpExt_ListenDrops 3",
            "node_netstat_Ip_Forwarding 1",
            "node_netstat_Tcp_CurrEstab 5",
            "node_netstat_Ip6_InOctets 460",
        ];
        let mut parts = Parts::new(&host, "netstat", "");
        assert_eq!(parts.collect().unwrap(), expected);
        assert_eq!(parts.collect().unwrap(), expected);
        host.write(
            "proc/net/netstat",
            "TcpExt: EmbryonicRsts SyncookiesSent\nTcpExt: 2 1\n",
        );
        let fewer = parts.collect().unwrap();
        assert!(fewer.len() == 4 && fewer[0] == expected[0], "{fewer:?}");
        let all = collect(&host, "netstat", "netstat: {fields: MaxConn}").unwrap();
        assert_eq!(all, ["node_netstat_Tcp_MaxConn -1"]);
    }
}
