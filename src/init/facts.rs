//! Facts about a host that its first configuration depends on.

use std::collections::BTreeSet;

/// A host, as far as a configuration depends on it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostFacts {
    /// Host name.
    pub name: String,
    /// Number of processors.
    pub processors: usize,
    /// Size of the memory in bytes.
    pub memory_bytes: u64,
    /// Size of the swap space in bytes.
    pub swap_bytes: u64,
    /// True if the kernel has pressure stall information.
    pub has_pressure: bool,
    /// Local file systems.
    pub file_systems: Vec<FileSystem>,
    /// Network interfaces, without those of this host alone.
    pub interfaces: Vec<String>,
    /// Sockets that others can connect or send to.
    pub sockets: Vec<ListeningSocket>,
    /// Names of systemd units of services, without `.service`.
    pub units: BTreeSet<String>,
    /// Configuration of an installed Neo4j.
    pub neo4j: Option<Neo4jConfig>,
}

/// A mounted file system.
#[derive(Clone, Debug, PartialEq)]
pub struct FileSystem {
    pub mount_point: String,
    /// Type: `ext4`.
    pub fs_type: String,
    pub size_bytes: u64,
}

/// Transport of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Tcp,
    Udp,
}

/// A socket that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListeningSocket {
    pub protocol: Protocol,
    pub port: u16,
    /// Name of its process, if this user may see that.
    pub process: Option<String>,
}

/// Settings of Neo4j that matter to its clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neo4jConfig {
    /// Port for Bolt, if it is set.
    pub bolt_port: Option<u16>,
    /// False if it asks for no password.
    pub has_authentication: bool,
}

impl HostFacts {
    /// Returns the socket that uses a port.
    pub(super) fn socket(&self, protocol: Protocol, port: u16) -> Option<&ListeningSocket> {
        let mut sockets = self.sockets.iter();
        sockets.find(|socket| socket.protocol == protocol && socket.port == port)
    }

    /// Returns the first of `ports` that no process uses but a Bellwether.
    pub(super) fn free_port(
        &self,
        protocol: Protocol,
        ports: impl IntoIterator<Item = u16>,
    ) -> Option<u16> {
        ports.into_iter().find(|port| {
            self.socket(protocol, *port)
                .is_none_or(|socket| socket.process.as_deref() == Some("bellwether"))
        })
    }

    /// Returns the port for `/metrics` and the API.
    pub(super) fn web_port(&self) -> u16 {
        let candidates = [DEFAULT_PORT].into_iter().chain(9391..=9399);
        self.free_port(Protocol::Tcp, candidates)
            .unwrap_or(DEFAULT_PORT)
    }

    /// Returns the port for StatsD.
    pub(super) fn statsd_port(&self) -> u16 {
        self.free_port(Protocol::Udp, STATSD_PORT..=STATSD_PORT + 9)
            .unwrap_or(STATSD_PORT)
    }

    /// Returns the port for Bolt of a Neo4j on this host, if this build can collect its metrics.
    pub(super) fn neo4j_port(&self) -> Option<u16> {
        if !HAS_NEO4J {
            return None;
        }
        let is_there = self.neo4j.is_some() || self.service(&NEO4J).is_some();
        let configured = self.neo4j.as_ref().and_then(|neo4j| neo4j.bolt_port);
        is_there.then(|| configured.unwrap_or(NEO4J.ports[0]))
    }

    /// Returns how a service was found, if it was: the port on which it listens, or its unit.
    pub(super) fn service(&self, service: &Service) -> Option<Found<'_>> {
        let mut tcp = self
            .sockets
            .iter()
            .filter(|socket| socket.protocol == Protocol::Tcp);
        let listens = tcp.find(|socket| match socket.process.as_deref() {
            Some(name) if service.is_shared_runtime(name) => service.ports.contains(&socket.port),
            Some(name) => service.processes.contains(&name),
            None => service.ports.contains(&socket.port),
        });
        let unit = || {
            service
                .units
                .iter()
                .find(|unit| self.units.contains(**unit))
        };
        listens
            .map(Found::Socket)
            .or_else(|| unit().map(|unit| Found::Unit(unit)))
    }
}

/// True if this build has the collector of Neo4j; in others its settings are an error.
pub(super) const HAS_NEO4J: bool = cfg!(feature = "neo4j");

/// Evidence of a service.
pub(super) enum Found<'a> {
    Socket(&'a ListeningSocket),
    Unit(&'static str),
}

/// Default of `prometheus.port`.
pub(super) const DEFAULT_PORT: u16 = 9091;
/// Default port of `application.statsd.listen`.
pub(super) const STATSD_PORT: u16 = 8125;

/// A service that a host may run.
pub(super) struct Service {
    pub(super) name: &'static str,
    /// Usual ports, by which it is known if its process is hidden; those of web servers are no sign.
    pub(super) ports: &'static [u16],
    /// Names of its processes.
    pub(super) processes: &'static [&'static str],
    /// Names of its systemd units.
    pub(super) units: &'static [&'static str],
    /// Name of the shipped file with its metrics and rules, without `.yaml`.
    pub(super) preset: Option<&'static str>,
}

impl Service {
    /// Returns whether other services have a process of this name too.
    fn is_shared_runtime(&self, process: &str) -> bool {
        process == "java" && self.processes.contains(&process)
    }
}

pub(super) const NEO4J: Service = Service {
    name: "Neo4j",
    ports: &[7687, 7474],
    processes: &["java", "neo4j"],
    units: &["neo4j"],
    // Its section is written.
    preset: None,
};

/// Without the feature `sql`, presets of databases are of no use.
const fn preset_of_sql(name: &'static str) -> Option<&'static str> {
    if cfg!(feature = "sql") {
        Some(name)
    } else {
        None
    }
}

/// Services that are found and not configured.
pub(super) const OTHERS: [Service; 7] = [
    Service {
        name: "Kafka",
        ports: &[9092],
        processes: &["java", "kafka"],
        units: &["kafka", "confluent-kafka"],
        preset: Some("kafka"),
    },
    Service {
        name: "PostgreSQL",
        ports: &[5432],
        processes: &["postgres", "postmaster"],
        units: &["postgresql"],
        preset: preset_of_sql("postgresql"),
    },
    Service {
        name: "MySQL",
        ports: &[3306],
        processes: &["mysqld", "mariadbd"],
        units: &["mysql", "mysqld", "mariadb"],
        preset: preset_of_sql("mysql"),
    },
    Service {
        name: "Redis",
        ports: &[6379],
        processes: &["redis-server", "valkey-server"],
        units: &["redis", "redis-server", "valkey-server"],
        preset: Some("redis"),
    },
    Service {
        name: "nginx",
        ports: &[],
        processes: &["nginx"],
        units: &["nginx"],
        preset: Some("nginx"),
    },
    Service {
        name: "Apache",
        ports: &[],
        processes: &["apache2", "httpd"],
        units: &["apache2", "httpd"],
        preset: Some("apache"),
    },
    Service {
        name: "memcached",
        ports: &[11211],
        processes: &["memcached"],
        units: &["memcached"],
        preset: Some("memcached"),
    },
];

/// Directory of the presets of a package.
pub(crate) const PRESETS: &str = "/usr/share/bellwether/presets";
