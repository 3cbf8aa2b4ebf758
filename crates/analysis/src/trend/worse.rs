//! Guesses from the name of a metric whether more is worse.

/// Words in names of metrics of which less is worse.
const LITTLE: [&str; 14] = [
    "available",
    "avail",
    "free",
    "healthy",
    "hit",
    "hits",
    "idle",
    "left",
    "remaining",
    "success",
    "succeeded",
    "up",
    "uptime",
    "unused",
];
/// Words in names of metrics of which more is worse.
const MUCH: [&str; 42] = [
    "age",
    "backlog",
    "blocked",
    "cpu",
    "delay",
    "disk",
    "dropped",
    "drops",
    "duration",
    "error",
    "errors",
    "evicted",
    "failed",
    "failure",
    "failures",
    "iowait",
    "lag",
    "latency",
    "load",
    "memory",
    "miss",
    "misses",
    "pending",
    "pressure",
    "queue",
    "refused",
    "rejected",
    "retries",
    "retry",
    "saturation",
    "steal",
    "stalled",
    "swap",
    "temperature",
    "throttled",
    "timeout",
    "timeouts",
    "unavailable",
    "usage",
    "used",
    "utilization",
    "waiting",
];

/// Returns whether more of the metric is worse, if the words of its name show it. With words of
/// both kinds (`memory_available_bytes`) less is worse.
#[must_use]
pub fn more_is_worse(name: &str) -> Option<bool> {
    match () {
        () if has_word(name, &LITTLE) => Some(false),
        () if has_word(name, &MUCH) => Some(true),
        () => None,
    }
}

/// Returns whether one of the words of a metric name is in `list`.
fn has_word(name: &str, list: &[&str]) -> bool {
    name.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| list.contains(&&*word.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_show_which_side_is_bad() {
        for (name, worse) in [
            ("cpu_percent", Some(true)),
            ("node_memory_available_bytes", Some(false)),
            ("api_error_count", Some(true)),
            ("cache_hits", Some(false)),
            ("queue.length", Some(true)),
            ("neo4j_query_duration", Some(true)),
            ("network_bytes_recv", None),
            ("uptime_seconds", Some(false)),
            ("", None),
        ] {
            assert_eq!(more_is_worse(name), worse, "{name}");
        }
    }
}
