//! Counters of the network protocols, from `/proc/net/netstat`, `/proc/net/snmp` and `/proc/net/snmp6`.

use super::super::part::{Part, PartError, ProcFile, Run};
use super::super::settings::{Filter, Setup};

const HELP: &str = "A counter of the network protocols.";

struct Netstat {
    /// Files with a line of names and a line of values per protocol.
    tables: [ProcFile; 2],
    /// A file with a line per counter.
    ipv6: ProcFile,
    fields: Filter,
    /// Protocols of the tables, in their order.
    protocols: Vec<Protocol>,
    /// Counters of `ipv6`, in their order.
    counters: Vec<Counter>,
}

/// Names of a protocol: the filter is asked, and the line taken apart, once.
struct Protocol {
    /// The line of names.
    names: String,
    /// Metrics of the fields that are shown, with the places of their values.
    shown: Vec<(usize, String)>,
}

/// A line of a file with a line per counter.
struct Counter {
    key: String,
    /// `None` if it is not shown.
    metric: Option<String>,
}

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Netstat {
        tables: ["netstat", "snmp"].map(|file| setup.net(file)),
        ipv6: setup.net("snmp6"),
        fields: setup.filters.netstat.clone(),
        protocols: Vec::new(),
        counters: Vec::new(),
    })
}

impl Part for Netstat {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let mut count = 0;
        for table in &mut self.tables {
            let text = table.required()?;
            let mut lines = text.lines();
            while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
                let known = self.protocols.get(count);
                if known.is_none_or(|known| known.names != names) {
                    self.protocols.truncate(count);
                    self.protocols.push(Protocol::new(names, &self.fields));
                }
                self.protocols[count].push(values, run);
                count += 1;
            }
        }
        match self.ipv6.optional() {
            Ok(text) => push_ipv6(&text, &mut self.counters, &self.fields, run),
            Err(PartError::NoData) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl Protocol {
    /// Reads a line such as `Ip: Forwarding DefaultTTL`.
    fn new(names: &str, fields: &Filter) -> Self {
        let (protocol, rest) = names.split_once(':').unwrap_or_default();
        let shown = rest.split_ascii_whitespace().enumerate();
        let shown = shown.filter_map(|(at, field)| Some((at, metric(protocol, field, fields)?)));
        Self {
            names: names.to_owned(),
            shown: shown.collect(),
        }
    }

    /// Adds the counters of a line such as `Ip: 1 64`.
    fn push(&self, values: &str, run: &mut Run<'_>) {
        let values = values.split_once(':').map_or("", |(_, values)| values);
        let mut values = values.split_ascii_whitespace();
        let mut next = 0;
        for (at, metric) in &self.shown {
            let value = values.nth(at - next);
            next = at + 1;
            if let Some(value) = value.and_then(|value| value.parse().ok()) {
                run.out.untyped(metric, HELP, &[], value);
            }
        }
    }
}

/// Adds the counters of lines such as `Ip6InReceives  7`.
fn push_ipv6(text: &str, counters: &mut Vec<Counter>, fields: &Filter, run: &mut Run<'_>) {
    for (at, line) in text.lines().enumerate() {
        let mut columns = line.split_ascii_whitespace();
        let key = columns.next().unwrap_or_default();
        if counters.get(at).is_none_or(|known| known.key != key) {
            counters.truncate(at);
            let six = key.find('6').map(|six| key.split_at(six + 1));
            counters.push(Counter {
                key: key.to_owned(),
                metric: six.and_then(|(protocol, field)| metric(protocol, field, fields)),
            });
        }
        if let Some(metric) = &counters[at].metric
            && let Some(value) = columns.next().and_then(|value| value.parse().ok())
        {
            run.out.untyped(metric, HELP, &[], value);
        }
    }
}

/// Returns the metric of a field, if it is shown.
fn metric(protocol: &str, field: &str, fields: &Filter) -> Option<String> {
    let key = format!("{protocol}_{field}");
    fields.selects(&key).then(|| format!("node_netstat_{key}"))
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
