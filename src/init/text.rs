//! The configuration for a host, as text.

use std::fmt::Write;

use super::facts::{DEFAULT_PORT, HostFacts, OTHERS, PRESETS};
use super::findings::findings;

/// Size from which a file system gets thresholds of its own: 15 % of it are much space.
const LARGE: u64 = 1 << 40;

/// Returns a configuration for the host: short, commented, with rules for what it has.
#[must_use]
pub fn configuration(facts: &HostFacts) -> String {
    let mut out = String::new();
    head(&mut out, facts);
    metrics(&mut out, facts);
    neo4j(&mut out, facts);
    web(&mut out, facts);
    rules(&mut out, facts);
    out
}

fn head(out: &mut String, facts: &HostFacts) {
    let name = facts.name.replace(char::is_control, "?");
    let _ = writeln!(
        out,
        "# Configuration of Bellwether for {name}, written by `bellwether init` from what it found:"
    );
    out.push_str("#\n");
    for line in findings(facts) {
        let _ = writeln!(out, "#   - {line}");
    }
    out.push_str(
        "#\n# It is yours to edit. `bellwether check` reports every error in it, `bellwether config` prints all settings with\n\
         # their defaults, and `bellwether init --full --dry-run` prints the catalogue of metrics and rules.\n\
         # An editor completes and checks it with the schema, which `bellwether schema` prints:\n\
         # yaml-language-server: $schema=bellwether.schema.json\n\n\
         # Further files: their entries are added. One of the same name replaces the one here if it has `override: true`.\n\
         include:\n  - conf.d/*.yaml\n",
    );
    presets(out, facts);
    out.push('\n');
}

/// Writes a comment for each service that a shipped file has metrics and rules of. Most need an access first.
fn presets(out: &mut String, facts: &HostFacts) {
    let found = OTHERS
        .iter()
        .filter(|service| facts.service(service).is_some());
    let presets: Vec<&str> = found.filter_map(|service| service.preset).collect();
    if presets.is_empty() {
        return;
    }
    out.push_str(
        "  # Metrics and rules of services here. The head of each file says what it needs.\n",
    );
    for preset in presets {
        let _ = writeln!(out, "  # - {PRESETS}/{preset}.yaml");
    }
}

fn metrics(out: &mut String, facts: &HostFacts) {
    out.push_str(
        "performance_monitor:\n  collection_interval: 15s\n\n  \
         system_metrics:\n    \
         - {name: cpu_percent}\n    \
         - {name: cpu_count}\n    \
         - {name: cpu_iowait_percent}\n    \
         - {name: load_average_5m}\n    \
         - {name: memory_percent}\n    \
         - {name: memory_available_bytes}\n",
    );
    if facts.swap_bytes > 0 {
        out.push_str("    - {name: swap_percent}\n");
    }
    out.push_str(
        "    - {name: disk_usage_percent}\n    \
         - {name: disk_available_bytes}\n    \
         - {name: disk_inodes_percent}\n    \
         - {name: disk_io_read_bytes}\n    \
         - {name: disk_io_write_bytes}\n    \
         - {name: network_bytes_recv}\n    \
         - {name: network_bytes_sent}\n    \
         - {name: network_errors_in}\n    \
         - {name: network_errors_out}\n",
    );
    if facts.has_pressure {
        out.push_str(
            "    # Share of the last minute in which tasks waited for processor, memory or disks.\n    \
             - {name: pressure_percent, include: {window: 60s}}\n",
        );
    }
    let _ = write!(
        out,
        "\n  # Applications can record metrics, with POST /api/v1/record or as StatsD. For example:\n  \
         # application: {{statsd: {{listen: \"127.0.0.1:{}\"}}}}\n  \
         # application_metrics:\n  \
         #   - {{name: orders, type: counter, labels: [shop], help: Orders that were placed.}}\n",
        facts.statsd_port()
    );
}

fn neo4j(out: &mut String, facts: &HostFacts) {
    let Some(port) = facts.neo4j_port() else {
        return;
    };
    let _ = write!(
        out,
        "\n  # Your own Cypher is a metric too: {{name: orders_open, query: \"MATCH (o:Order {{open: true}}) RETURN count(o)\"}}\n  \
         neo4j_metrics:\n    uri: bolt://localhost:{port}\n"
    );
    let asks_for_password = facts
        .neo4j
        .as_ref()
        .is_none_or(|neo4j| neo4j.has_authentication);
    if asks_for_password {
        out.push_str(
            "    # Set NEO4J_PASSWORD in the environment: for the service in /etc/bellwether/environment.\n    \
             user: \"${NEO4J_USER:-neo4j}\"\n    \
             password: \"${NEO4J_PASSWORD:-neo4j}\"\n",
        );
    }
    out.push_str(
        "    queries:\n      \
         - {name: neo4j_query_duration_p95}\n      \
         - {name: neo4j_transactions_active}\n      \
         - {name: neo4j_node_count}\n      \
         - {name: neo4j_relationship_count}\n      \
         # Left out where the server does not have it: a Community server needs APOC.\n      \
         - {name: neo4j_database_size_bytes, enabled: auto}\n",
    );
}

fn web(out: &mut String, facts: &HostFacts) {
    let port = facts.web_port();
    let other = match port {
        DEFAULT_PORT => String::new(),
        _ => format!("  # {DEFAULT_PORT} is in use"),
    };
    let _ = write!(
        out,
        "\n  # /metrics for Prometheus, the API and a page for people: http://localhost:{port}/\n  \
         prometheus:\n    \
         host: 0.0.0.0  # 127.0.0.1: this host only\n    \
         port: {port}{other}\n    \
         default_labels: {{instance: \"${{HOSTNAME:-localhost}}\"}}\n",
    );
}

fn rules(out: &mut String, facts: &HostFacts) {
    out.push_str(
        "\n  alerting:\n    \
         notifications:\n      \
         channels:\n        \
         - {type: log}\n        \
         # Others: slack, teams, email, webhook, pagerduty, ... `bellwether notify-test NAME` tries one.\n        \
         # - {type: webhook, name: team, url: \"${ALERT_URL}\", min_severity: warning}\n    \
         rules:\n",
    );
    let rule = |out: &mut String, text: &str| {
        for line in text.lines() {
            let _ = writeln!(out, "      {line}");
        }
    };
    rule(
        out,
        "- name: cpu_busy\n  \
           metric: cpu_percent\n  \
           condition: \">\"\n  \
           threshold: 90\n  \
           duration: 15m\n  \
           severity: warning\n  \
           message: \"The processors are {{ value | round }} % busy\"\n  \
           annotations: {action: \"find the processes that use them: top\"}\n\
         - name: load_high\n  \
           expr: load_average_5m / cpu_count > 2\n  \
           duration: 15m\n  \
           severity: warning\n  \
           message: \"{{ value | round(1) }} tasks per processor run or wait\"\n  \
           annotations: {action: \"see whether they wait for processors or for disks: vmstat 1\"}\n\
         - name: memory_low\n  \
           metric: memory_percent\n  \
           condition: \">\"\n  \
           thresholds: {warning: 90, critical: 96}\n  \
           duration: 5m\n  \
           message: \"{{ value | round(1) }} % of the memory is in use\"\n  \
           annotations: {action: \"find the processes that use it: ps aux --sort -rss\"}",
    );
    if facts.swap_bytes > 0 {
        rule(
            out,
            "- name: swap_full\n  \
               metric: swap_percent\n  \
               condition: \">\"\n  \
               threshold: 80\n  \
               duration: 10m\n  \
               severity: warning\n  \
               message: \"{{ value | round }} % of the swap space is in use\"\n  \
               annotations: {action: \"the memory does not suffice: move work away or add memory\"}",
        );
    }
    if facts.has_pressure {
        rule(
            out,
            "- name: memory_pressure\n  \
               metric: pressure_percent\n  \
               labels: {resource: memory, scope: some}\n  \
               condition: \">\"\n  \
               threshold: 20\n  \
               duration: 5m\n  \
               severity: warning\n  \
               message: \"Tasks waited for memory in {{ value | round }} % of the last minute\"\n  \
               annotations: {action: \"the memory does not suffice: move work away or add memory\"}",
        );
    }
    rule(out, &disk_rules(facts));
    if facts.neo4j_port().is_some() {
        out.push_str("      # A Neo4j that never answered since the installation is no failure.\n");
        rule(
            out,
            "- name: neo4j_down\n  \
               metric: neo4j_up\n  \
               condition: \"==\"\n  \
               threshold: 0\n  \
               duration: 1m\n  \
               severity: critical\n  \
               message: Neo4j does not answer\n  \
               annotations: {action: \"see its state and log: systemctl status neo4j\"}\n\
             - name: neo4j_slow\n  \
               metric: neo4j_query_duration_p95\n  \
               condition: \">\"\n  \
               threshold: 1000\n  \
               duration: 5m\n  \
               severity: warning\n  \
               message: \"95 % of the queries take up to {{ value | round }} ms\"\n  \
               annotations: {action: \"list what runs: SHOW TRANSACTIONS\"}",
        );
    }
}

fn disk_rules(facts: &HostFacts) -> String {
    let large: Vec<&str> = facts
        .file_systems
        .iter()
        .filter(|one| one.size_bytes >= LARGE)
        .map(|one| one.mount_point.as_str())
        .filter(|point| is_plain(point))
        .collect();
    let mut out = String::new();
    let mut full = |name: &str, labels: &str, thresholds: &str| {
        let _ = write!(
            out,
            "- name: {name}\n  \
               metric: disk_usage_percent\n{labels}  \
               condition: \">\"\n  \
               thresholds: {thresholds}\n  \
               duration: 5m\n  \
               message: \"{{{{ labels.mount_point }}}} is {{{{ value | round(1) }}}} % full\"\n  \
               annotations: {{action: \"find what fills it: du -xh --max-depth 2 {{{{ labels.mount_point }}}} | sort -h\"}}\n"
        );
    };
    let usual = "{warning: 85, critical: 92, emergency: 97}";
    if large.is_empty() {
        full("disk_full", "", usual);
    } else {
        let points = large.join("|");
        let (others, these) = (
            format!("  labels: {{mount_point: \"!~{points}\"}}\n"),
            format!("  labels: {{mount_point: \"=~{points}\"}}\n"),
        );
        full("disk_full", &others, usual);
        full(
            "large_disk_full",
            &these,
            "{warning: 93, critical: 97, emergency: 99}",
        );
    }
    out.push_str(
        "# From the trend: it needs as many hours of history as it looks ahead.\n\
         - name: disk_full_soon\n  \
           metric: disk_usage_percent\n  \
           forecast: {reaches: 97, within: 4h}\n  \
           duration: 10m\n  \
           severity: critical\n  \
           message: \"{{ labels.mount_point }} is going to be full {{ forecast }}\"\n  \
           annotations: {action: \"stop what writes, or make room before\"}\n\
         - name: inodes_low\n  \
           metric: disk_inodes_percent\n  \
           condition: \">\"\n  \
           threshold: 90\n  \
           duration: 5m\n  \
           severity: warning\n  \
           message: \"{{ labels.mount_point }} has {{ value | round(1) }} % of its inodes in use\"\n  \
           annotations: {action: \"find directories with very many small files\"}\n",
    );
    out
}

/// Returns whether a path has the same meaning in YAML and as a regular expression.
fn is_plain(path: &str) -> bool {
    path.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"/_-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::super::facts::{FileSystem, HAS_NEO4J, ListeningSocket, Neo4jConfig, Protocol};
    use super::*;
    use bellwether_config::{Plan, Source, decode, plan};

    fn plan_of(text: &str) -> Plan {
        let loaded = decode(&Source::File("init.yaml".into()), text, &environment);
        let plan = plan(loaded).unwrap_or_else(|report| panic!("{report}\n{text}"));
        assert!(plan.warnings.is_empty(), "{:?}\n{text}", plan.warnings);
        plan
    }

    fn environment(name: &str) -> Option<std::ffi::OsString> {
        (name == "HOSTNAME").then(|| "web1".into())
    }

    fn small() -> HostFacts {
        HostFacts {
            name: "web1".into(),
            processors: 1,
            memory_bytes: 512 << 20,
            ..HostFacts::default()
        }
    }

    fn disk(mount_point: &str, size_bytes: u64) -> FileSystem {
        FileSystem {
            mount_point: mount_point.into(),
            fs_type: "ext4".into(),
            size_bytes,
        }
    }

    fn socket(protocol: Protocol, port: u16, process: Option<&str>) -> ListeningSocket {
        ListeningSocket {
            protocol,
            port,
            process: process.map(str::to_owned),
        }
    }

    fn rule_names(plan: &Plan) -> Vec<&str> {
        plan.rules.rules.iter().map(|rule| &*rule.name).collect()
    }

    #[test]
    fn every_host_gets_a_configuration_without_errors_and_warnings() {
        let mut hosts = vec![small()];
        // Each fact with and without every other one.
        let facts: [fn(&mut HostFacts); 8] = [
            |host| host.swap_bytes = 1 << 30,
            |host| host.has_pressure = true,
            |host| host.file_systems = vec![disk("/", 20 << 30), disk("/srv/\"${X}\n", 9 << 40)],
            |host| host.file_systems.push(disk("/data", 4 << 40)),
            |host| host.interfaces = (0..20).map(|n| format!("eth{n}: {{\n")).collect(),
            |host| host.sockets.push(socket(Protocol::Tcp, 7687, None)),
            |host| {
                host.neo4j = Some(Neo4jConfig {
                    bolt_port: Some(7000),
                    has_authentication: false,
                });
            },
            |host| {
                host.sockets
                    .push(socket(Protocol::Tcp, 9091, Some("push\u{7}: #")));
                host.sockets.push(socket(Protocol::Udp, 8125, None));
                host.units.extend(["nginx", "redis"].map(str::to_owned));
            },
        ];
        for add in facts {
            let with = hosts.iter().cloned().map(|mut host| {
                add(&mut host);
                host
            });
            let with: Vec<HostFacts> = with.collect();
            hosts.extend(with);
        }
        assert_eq!(hosts.len(), 256);
        for host in hosts {
            let text = configuration(&host);
            let plan = plan_of(&text);
            assert!(text.lines().count() < 200 && text.is_ascii(), "{text}");
            for rule in &plan.rules.settings {
                assert!(rule.message.is_some() && rule.annotations.contains_key("action"));
                assert!(rule.severity.is_some() || rule.thresholds.is_some());
            }
        }
    }

    #[test]
    fn rules_are_for_what_the_host_has() {
        let bare = plan_of(&configuration(&small()));
        let expected = [
            "cpu_busy",
            "load_high",
            "memory_low",
            "disk_full",
            "disk_full_soon",
            "inodes_low",
        ];
        assert_eq!(rule_names(&bare), expected);
        let mut host = small();
        host.swap_bytes = 1 << 30;
        host.has_pressure = true;
        host.file_systems = vec![
            disk("/", 20 << 30),
            disk("/data", 4 << 40),
            disk("/a b", 4 << 40),
        ];
        host.sockets = vec![socket(Protocol::Tcp, 7687, Some("java"))];
        let text = configuration(&host);
        assert!(text.contains("{mount_point: \"=~/data\"}"), "{text}");
        let mut names = vec!["swap_full", "memory_pressure", "large_disk_full"];
        if HAS_NEO4J {
            names.extend(["neo4j_down", "neo4j_slow"]);
        }
        let plan = plan_of(&text);
        for name in names {
            assert!(rule_names(&plan).contains(&name), "{name}");
        }
    }

    #[cfg(feature = "neo4j")]
    #[test]
    fn neo4j_has_a_password_where_it_asks_for_one() {
        let mut host = small();
        host.units.insert("neo4j".into());
        let text = configuration(&host);
        assert!(text.contains("uri: bolt://localhost:7687\n") && text.contains("NEO4J_PASSWORD"));
        assert!(
            text.contains("Neo4j is installed and does not run"),
            "{text}"
        );
        host.neo4j = Some(Neo4jConfig {
            bolt_port: Some(7000),
            has_authentication: false,
        });
        let text = configuration(&host);
        assert!(text.contains("uri: bolt://localhost:7000\n") && !text.contains("NEO4J_PASSWORD"));
        // A process of another name is no Neo4j, and neither is a Java program on another port.
        host = small();
        host.sockets = vec![
            socket(Protocol::Tcp, 7474, Some("node")),
            socket(Protocol::Tcp, 8080, Some("java")),
        ];
        assert!(!configuration(&host).contains("eo4j"));
    }

    #[test]
    fn a_port_in_use_is_left_to_its_process() {
        let mut host = small();
        host.sockets = vec![
            socket(Protocol::Tcp, 9091, Some("pushgateway")),
            socket(Protocol::Tcp, 9391, None),
            socket(Protocol::Udp, 8125, Some("statsd_exporter")),
        ];
        let text = configuration(&host);
        assert!(text.contains("port: 9392  # 9091 is in use\n"), "{text}");
        assert!(text.contains("127.0.0.1:8126"), "{text}");
        assert!(text.contains("port 9091 is in use by pushgateway: Bellwether listens on 9392"));
        // A Bellwether that runs already keeps its port.
        host.sockets = vec![socket(Protocol::Tcp, 9091, Some("bellwether"))];
        assert!(configuration(&host).contains("port: 9091\n"));
    }

    #[test]
    fn services_are_named_with_their_presets() {
        let mut host = small();
        host.sockets = vec![
            socket(Protocol::Tcp, 5433, Some("postgres")),
            socket(Protocol::Tcp, 6379, None),
            socket(Protocol::Tcp, 9092, Some("java")),
            socket(Protocol::Tcp, 80, None),
        ];
        host.units.insert("nginx".into());
        let text = configuration(&host);
        for line in [
            "#   - Redis on port 6379: include the preset redis.yaml\n",
            "#   - Kafka on port 9092 by java: include the preset kafka.yaml\n",
            "#   - nginx (unit nginx.service): include the preset nginx.yaml\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
        let of_sql = match cfg!(feature = "sql") {
            true => "include the preset postgresql.yaml",
            false => "this binary was built without its collector",
        };
        let postgresql = format!("#   - PostgreSQL on port 5433 by postgres: {of_sql}\n");
        assert!(text.contains(&postgresql), "{text}");
        assert!(
            text.contains("  # - /usr/share/bellwether/presets/redis.yaml\n"),
            "{text}"
        );
        assert!(
            !text.contains("MySQL") && !text.contains("memcached.yaml"),
            "{text}"
        );
    }
}
