//! Figures of memcached, by its command `stats`
//! (<https://github.com/memcached/memcached/blob/master/doc/protocol.txt>).

use std::collections::HashMap;
use std::time::Duration;

use bellwether_collector::fields::{Field, push_fields};
use bellwether_collector::{Build, Collecting, Collector, EntryContext, EntryType};
use bellwether_core::{Batch, Failure, Now, SeriesBatch};
use bellwether_schema::{Spanned, section};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::dns::host_and_port;
use crate::status_page::push_up;

section! {
    /// Collector of type `memcached`: a server's own statistics, under the metric names of memcached_exporter.
    pub struct Memcached {
        /// Address: `HOST:PORT`.
        pub address: Spanned<String> = Spanned::nowhere("127.0.0.1:11211".into()),
    }
}

impl EntryType for Memcached {
    fn resolve(&self, context: &mut EntryContext<'_>) -> Option<Build> {
        let address = &self.address;
        if host_and_port(address).is_none() {
            let message = format!("not HOST:PORT: {:?}", address.value);
            context
                .problems
                .error(&address.at, message)
                .hint("such as 127.0.0.1:11211");
            return None;
        }
        let server = Server {
            address: address.value.clone(),
            limit: context.limits.bytes.0,
            timeout: context.request_timeout(),
        };
        context.build(move |_| server.clone())
    }
}

const COMMANDS: &str = "Commands by their result.";

macro_rules! command {
    ($key:literal, $command:literal, $status:literal) => {
        Field::counter($key, "memcached_commands_total", COMMANDS)
            .with(&[("command", $command), ("status", $status)])
    };
}

/// Fields of `stats`.
const FIELDS: &[Field] = &[
    Field::counter(
        "uptime",
        "memcached_uptime_seconds",
        "Time since the start.",
    ),
    Field::gauge("time", "memcached_time_seconds", "Unix time of the server."),
    Field::counter(
        "rusage_user",
        "memcached_process_user_cpu_seconds_total",
        "CPU time of the process in user mode.",
    ),
    Field::counter(
        "rusage_system",
        "memcached_process_system_cpu_seconds_total",
        "CPU time of the process in the kernel.",
    ),
    Field::gauge(
        "bytes",
        "memcached_current_bytes",
        "Size of the stored items.",
    ),
    Field::gauge(
        "limit_maxbytes",
        "memcached_limit_bytes",
        "Maximum size of the stored items.",
    ),
    Field::gauge("curr_items", "memcached_current_items", "Stored items."),
    Field::counter(
        "total_items",
        "memcached_items_total",
        "Items that were ever stored.",
    ),
    Field::counter(
        "evictions",
        "memcached_items_evicted_total",
        "Valid items removed for new ones.",
    ),
    Field::counter(
        "reclaimed",
        "memcached_items_reclaimed_total",
        "Items stored in the memory of an expired one.",
    ),
    Field::counter(
        "store_too_large",
        "memcached_item_too_large_total",
        "Items that were too large.",
    ),
    Field::counter(
        "store_no_memory",
        "memcached_item_no_memory_total",
        "Items that could not be stored for lack of memory.",
    ),
    Field::counter(
        "bytes_read",
        "memcached_read_bytes_total",
        "Bytes received.",
    ),
    Field::counter(
        "bytes_written",
        "memcached_written_bytes_total",
        "Bytes sent.",
    ),
    Field::gauge(
        "curr_connections",
        "memcached_current_connections",
        "Open connections.",
    ),
    Field::counter(
        "total_connections",
        "memcached_connections_total",
        "Connections.",
    ),
    Field::counter(
        "rejected_connections",
        "memcached_connections_rejected_total",
        "Connections rejected by the limit of connections.",
    ),
    Field::counter(
        "conn_yields",
        "memcached_connections_yielded_total",
        "Times that a connection had to wait after many requests (option -R).",
    ),
    Field::counter(
        "listen_disabled_num",
        "memcached_connections_listener_disabled_total",
        "Times that the limit of connections stopped the listener.",
    ),
    Field::gauge(
        "accepting_conns",
        "memcached_accepting_connections",
        "1 if the server accepts connections.",
    ),
    Field::counter(
        "direct_reclaims",
        "memcached_direct_reclaims_total",
        "Times that a worker had to reclaim or evict items itself.",
    ),
    Field::counter(
        "lru_crawler_starts",
        "memcached_lru_crawler_starts_total",
        "Starts of the LRU crawler.",
    ),
    Field::counter(
        "crawler_reclaimed",
        "memcached_lru_crawler_reclaimed_total",
        "Items freed by the LRU crawler.",
    ),
    Field::counter(
        "crawler_items_checked",
        "memcached_lru_crawler_items_checked_total",
        "Items seen by the LRU crawler.",
    ),
    Field::counter(
        "moves_to_cold",
        "memcached_lru_crawler_moves_to_cold_total",
        "Items moved to the cold LRU.",
    ),
    Field::counter(
        "moves_to_warm",
        "memcached_lru_crawler_moves_to_warm_total",
        "Items moved from the cold to the warm LRU.",
    ),
    Field::counter(
        "moves_within_lru",
        "memcached_lru_crawler_moves_within_lru_total",
        "Items moved within the hot or warm LRU.",
    ),
    command!("get_hits", "get", "hit"),
    command!("get_misses", "get", "miss"),
    command!("delete_hits", "delete", "hit"),
    command!("delete_misses", "delete", "miss"),
    command!("incr_hits", "incr", "hit"),
    command!("incr_misses", "incr", "miss"),
    command!("decr_hits", "decr", "hit"),
    command!("decr_misses", "decr", "miss"),
    command!("cas_hits", "cas", "hit"),
    command!("cas_misses", "cas", "miss"),
    command!("cas_badval", "cas", "badval"),
    command!("touch_hits", "touch", "hit"),
    command!("touch_misses", "touch", "miss"),
    command!("cmd_flush", "flush", "hit"),
    // Its value is computed, see `fill`.
    command!("set_hits", "set", "hit"),
];

/// Fields of `stats settings`.
const SETTINGS: &[Field] = &[Field::gauge(
    "maxconns",
    "memcached_max_connections",
    "Maximum number of connections.",
)];

#[derive(Clone)]
struct Server {
    address: String,
    /// Maximum size of an answer.
    limit: u64,
    timeout: Duration,
}

impl Server {
    /// Returns the answers to `stats` and `stats settings`.
    async fn ask(&self) -> Result<[String; 2], String> {
        let stream = TcpStream::connect(&self.address).await;
        let mut stream = stream.map_err(|error| error.to_string())?;
        let sent = stream.write_all(b"stats\r\nstats settings\r\n").await;
        sent.map_err(|error| error.to_string())?;
        let mut reader = BufReader::new(stream).take(self.limit);
        Ok([answer(&mut reader).await?, answer(&mut reader).await?])
    }

    async fn stats(&self) -> Result<[String; 2], Failure> {
        match timeout(self.timeout, self.ask()).await {
            Ok(Ok(answers)) => Ok(answers),
            Ok(Err(error)) => Err(Failure::new(
                "connection",
                format!("{}: {error}", self.address),
            )),
            Err(_) => Err(Failure::new(
                "timeout",
                format!("{}: no answer", self.address),
            )),
        }
    }
}

/// Reads lines up to `END`.
async fn answer(reader: &mut (impl AsyncBufReadExt + Unpin)) -> Result<String, String> {
    let mut answer = String::new();
    loop {
        let start = answer.len();
        let read = reader.read_line(&mut answer).await;
        read.map_err(|error| error.to_string())?;
        match answer[start..].trim_end() {
            "END" => return Ok(answer),
            line if line.starts_with("STAT ") => {}
            "" => return Err("the answer ends too early; hint: limits.bytes".into()),
            other => return Err(format!("unexpected answer {other:?}")),
        }
    }
}

impl Collector for Server {
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, _: Now) -> Collecting<'a> {
        Box::pin(async move {
            let stats = self.stats().await;
            push_up("memcached_up", stats.is_ok(), &mut batch.series);
            let [stats, settings] = stats?;
            fill(&stats, &settings, &mut batch.series);
            Ok(())
        })
    }
}

/// Returns the values of lines `STAT NAME VALUE`.
fn values(answer: &str) -> HashMap<&str, &str> {
    let stats = answer.lines().filter_map(|line| line.strip_prefix("STAT "));
    stats.filter_map(|stat| stat.split_once(' ')).collect()
}

fn fill(stats: &str, settings: &str, out: &mut SeriesBatch) {
    let (stats, settings) = (values(stats), values(settings));
    let number = |key: &str| stats.get(key)?.parse::<f64>().ok();
    push_fields(
        FIELDS,
        |key| match key {
            // `cmd_set` includes `cas`.
            "set_hits" => {
                let cas = ["cas_hits", "cas_misses", "cas_badval"];
                let cas: f64 = cas.into_iter().filter_map(number).sum();
                Some(number("cmd_set")? - cas)
            }
            key => number(key),
        },
        out,
    );
    push_fields(SETTINGS, |key| settings.get(key)?.parse().ok(), out);
    if let Some(version) = stats.get("version") {
        let labels = [("version", *version)];
        out.gauge("memcached_version", "Version of the server.", &labels, 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_collector::testing::resolve_type;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for address in ["cache", ":11211", "cache:memcached"] {
            let yaml = format!("{{address: '{address}'}}");
            let errors = resolve_type::<Memcached>(&yaml).err().unwrap_or_default();
            let found = errors.len() == 1 && errors[0].contains("not HOST:PORT");
            assert!(found, "{address}: {errors:?}");
        }
    }

    #[test]
    fn sets_do_not_include_cas() {
        let mut out = SeriesBatch::default();
        let stats = "STAT cmd_set 10\r\nSTAT cas_hits 2\r\nSTAT cas_badval 1\r\nSTAT version 1.6.18\r\nEND\r\n";
        fill(stats, "STAT maxconns 1024\r\nEND\r\n", &mut out);
        let lines: Vec<_> = out.lines().collect();
        assert_eq!(
            lines,
            [
                "memcached_commands_total{command=\"cas\", status=\"hit\"} 2",
                "memcached_commands_total{command=\"cas\", status=\"badval\"} 1",
                "memcached_commands_total{command=\"set\", status=\"hit\"} 7",
                "memcached_max_connections 1024",
                "memcached_version{version=\"1.6.18\"} 1",
            ]
        );
    }

    #[tokio::test]
    async fn an_answer_ends_with_end_and_nothing_else() {
        for (text, error) in [
            ("STAT a 1\r\nEND\r\n", None),
            ("STAT a 1\r\n", Some("ends too early")),
            ("ERROR\r\n", Some("unexpected answer \"ERROR\"")),
            ("HTTP/1.1 400 Bad Request\r\n", Some("unexpected answer")),
        ] {
            let found = answer(&mut text.as_bytes()).await.err();
            let same = match (&found, error) {
                (None, None) => true,
                (Some(found), Some(error)) => found.contains(error),
                _ => false,
            };
            assert!(same, "{text:?}: {found:?}");
        }
    }
}
