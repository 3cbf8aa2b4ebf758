//! Series of the text that `INFO` answers.

use std::collections::BTreeMap;

use bellwether_collector::fields::{Entry, Field, push_entries, push_fields};
use bellwether_core::{SeriesBatch, UnixMillis};

use super::fields::FIELDS;

/// Fields of `INFO`, in the order of their names.
pub(super) struct Info<'a>(BTreeMap<&'a str, &'a str>);

const COMMANDS: &[Field] = &[
    Field::counter("calls", "redis_commands_total", "Calls by command."),
    Field::counter(
        "usec",
        "redis_commands_duration_seconds_total",
        "Duration of all calls by command.",
    )
    .scaled(1e-6),
    Field::counter(
        "rejected_calls",
        "redis_commands_rejected_calls_total",
        "Calls rejected before the command ran.",
    ),
    Field::counter(
        "failed_calls",
        "redis_commands_failed_calls_total",
        "Calls whose command failed.",
    ),
];

const ERRORS: &[Field] = &[Field::counter(
    "count",
    "redis_errors_total",
    "Replies with an error by its prefix.",
)];

const DATABASES: &[Field] = &[
    Field::gauge("keys", "redis_db_keys", "Keys by database."),
    Field::gauge(
        "expires",
        "redis_db_keys_expiring",
        "Keys with an expiry by database.",
    ),
    Field::gauge(
        "avg_ttl",
        "redis_db_avg_ttl_seconds",
        "Mean time to live of the keys with an expiry by database.",
    )
    .scaled(1e-3),
];

const REPLICAS: &[Field] = &[
    Field::gauge(
        "offset",
        "redis_connected_slave_offset_bytes",
        "Replication offset of a replica.",
    ),
    Field::gauge(
        "lag",
        "redis_connected_slave_lag_seconds",
        "Time since a replica last acknowledged.",
    ),
];

/// Fields of a replica about its master.
const MASTER: &[Field] = &[
    Field::gauge(
        "master_link_status",
        "redis_master_link_up",
        "1 if the link to the master is up.",
    ),
    Field::gauge(
        "master_last_io_seconds_ago",
        "redis_master_last_io_seconds_ago",
        "Time since the master last sent something.",
    ),
    Field::gauge(
        "master_sync_in_progress",
        "redis_master_sync_in_progress",
        "1 while the master synchronizes this replica.",
    ),
    Field::gauge(
        "slave_repl_offset",
        "redis_slave_repl_offset",
        "Replication offset of this replica.",
    ),
];

/// Labels of `redis_instance_info`.
const INSTANCE: [&str; 9] = [
    "role",
    "redis_version",
    "redis_build_id",
    "redis_mode",
    "os",
    "maxmemory_policy",
    "tcp_port",
    "run_id",
    "process_id",
];

impl<'a> Info<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self(
            text.lines()
                .filter_map(|line| line.split_once(':'))
                .collect(),
        )
    }

    fn text(&self, key: &str) -> &'a str {
        self.0.get(key).copied().unwrap_or_default()
    }

    fn number(&self, key: &str) -> Option<f64> {
        match *self.0.get(key)? {
            "ok" | "up" => Some(1.0),
            "err" | "fail" | "down" => Some(0.0),
            number => number.parse().ok(),
        }
    }

    /// Appends the series. `databases` is the number of databases, 0 if it is not known.
    pub(super) fn fill(&self, databases: usize, now: UnixMillis, out: &mut SeriesBatch) {
        push_fields(FIELDS, |key| self.number(key), out);
        self.fill_instance(now, out);
        push_entries(COMMANDS, &self.entries("cmdstat_", "cmd"), out);
        push_entries(ERRORS, &self.entries("errorstat_", "err"), out);
        self.fill_databases(databases, out);
        push_entries(REPLICAS, &self.replicas(), out);
        if self.text("role") == "slave" {
            self.fill_master(out);
        }
    }

    fn fill_instance(&self, now: UnixMillis, out: &mut SeriesBatch) {
        let labels = INSTANCE.map(|key| (key, self.text(key)));
        let help = "Version, role and identity of the server.";
        out.gauge("redis_instance_info", help, &labels, 1.0);
        if let Some(uptime) = self.number("uptime_in_seconds") {
            let start = (now.0 as f64 / 1000.0).floor() - uptime;
            let help = "Unix time of the start.";
            out.gauge("redis_start_time_seconds", help, &[], start);
        }
    }

    /// Returns the fields whose names begin with `prefix`, as entries with the rest of the name as a label.
    fn entries(&self, prefix: &str, label: &'static str) -> Vec<Entry<'a>> {
        let entries = self.0.iter().filter_map(|(name, value)| {
            Some(Entry {
                labels: vec![(label, name.strip_prefix(prefix)?)],
                values: pairs(value),
            })
        });
        entries.collect()
    }

    /// Appends the databases. Those without keys, which `INFO` leaves out, have 0.
    fn fill_databases(&self, databases: usize, out: &mut SeriesBatch) {
        let names: Vec<String> = (0..databases).map(|index| format!("db{index}")).collect();
        let empty = names
            .iter()
            .filter(|name| !self.0.contains_key(name.as_str()));
        let empty = empty.map(|name| Entry {
            labels: vec![("db", name)],
            values: BTreeMap::from([("keys", "0"), ("expires", "0")]),
        });
        let used = self.numbered("db").map(|(name, values)| Entry {
            labels: vec![("db", name)],
            values,
        });
        let entries: Vec<_> = used.chain(empty).collect();
        push_entries(DATABASES, &entries, out);
    }

    fn replicas(&self) -> Vec<Entry<'a>> {
        let replicas = self.numbered("slave").map(|(_, values)| {
            let text = |key: &str| values.get(key).copied().unwrap_or_default();
            let labels = vec![
                ("slave_ip", text("ip")),
                ("slave_port", text("port")),
                ("slave_state", text("state")),
            ];
            Entry { labels, values }
        });
        replicas.collect()
    }

    /// Returns the fields whose names are `prefix` with a number behind it.
    fn numbered(
        &self,
        prefix: &'static str,
    ) -> impl Iterator<Item = (&'a str, BTreeMap<&'a str, &'a str>)> {
        let numbered = self.0.iter().filter(move |(name, _)| {
            let number = name.strip_prefix(prefix);
            number.is_some_and(|number| number.parse::<u32>().is_ok())
        });
        numbered.map(|(name, value)| (*name, pairs(value)))
    }

    fn fill_master(&self, out: &mut SeriesBatch) {
        let master = [
            ("master_host", self.text("master_host")),
            ("master_port", self.text("master_port")),
        ];
        let status = match self.text("master_link_status") {
            "up" => "1",
            _ => "0",
        };
        let mut values = self.0.clone();
        values.insert("master_link_status", status);
        let labels = master.to_vec();
        push_entries(MASTER, &[Entry { labels, values }], out);
        let [host, port] = master;
        let labels = [host, port, ("read_only", self.text("slave_read_only"))];
        let help = "Master of this replica.";
        out.gauge("redis_slave_info", help, &labels, 1.0);
    }
}

/// Parses `NAME=VALUE,NAME=VALUE`.
fn pairs(text: &str) -> BTreeMap<&str, &str> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, databases: usize) -> Vec<String> {
        let mut out = SeriesBatch::default();
        Info::new(text).fill(databases, UnixMillis(1_000_500), &mut out);
        let lines = out.lines();
        lines
            .filter(|line| !line.starts_with("redis_instance_info"))
            .collect()
    }

    #[test]
    fn entries_have_their_labels_and_units() {
        let text = "# Commandstats\r\ncmdstat_config|get:calls=2,usec=500000,usec_per_call=1.00,rejected_calls=0,failed_calls=1\r\n# Errorstats\r\nerrorstat_ERR:count=3\r\n# Keyspace\r\ndb1:keys=4,expires=1,avg_ttl=1500,subexpiry=0\r\n";
        assert_eq!(
            lines(text, 2),
            [
                "redis_commands_total{cmd=\"config|get\"} 2",
                "redis_commands_duration_seconds_total{cmd=\"config|get\"} 0.5",
                "redis_commands_rejected_calls_total{cmd=\"config|get\"} 0",
                "redis_commands_failed_calls_total{cmd=\"config|get\"} 1",
                "redis_errors_total{err=\"ERR\"} 3",
                "redis_db_keys{db=\"db1\"} 4",
                "redis_db_keys{db=\"db0\"} 0",
                "redis_db_keys_expiring{db=\"db1\"} 1",
                "redis_db_keys_expiring{db=\"db0\"} 0",
                "redis_db_avg_ttl_seconds{db=\"db1\"} 1.5",
            ]
        );
    }

    #[test]
    fn replication_is_that_of_the_role() {
        let master = "role:master\r\nconnected_slaves:1\r\nslave0:ip=10.0.0.2,port=6379,state=online,offset=70,lag=1\r\n";
        assert_eq!(
            lines(master, 0),
            [
                "redis_connected_slaves 1",
                "redis_connected_slave_offset_bytes{slave_ip=\"10.0.0.2\", slave_port=\"6379\", slave_state=\"online\"} 70",
                "redis_connected_slave_lag_seconds{slave_ip=\"10.0.0.2\", slave_port=\"6379\", slave_state=\"online\"} 1",
            ]
        );
        let replica = "role:slave\r\nmaster_host:a\r\nmaster_port:1\r\nmaster_link_status:down\r\nslave_read_only:1\r\n";
        assert_eq!(
            lines(replica, 0),
            [
                "redis_master_link_up{master_host=\"a\", master_port=\"1\"} 0",
                "redis_slave_info{master_host=\"a\", master_port=\"1\", read_only=\"1\"} 1",
            ]
        );
    }

    #[test]
    fn statuses_are_numbers_and_units_are_seconds() {
        let text = "rdb_last_bgsave_status:err\naof_last_write_status:ok\nlatest_fork_usec:2000000\nuptime_in_seconds:100\n";
        assert_eq!(
            lines(text, 0),
            [
                "redis_rdb_last_bgsave_status 0",
                "redis_aof_last_write_status 1",
                "redis_latest_fork_seconds 2",
                "redis_uptime_in_seconds 100",
                "redis_start_time_seconds 900",
            ]
        );
    }
}
