//! Register of the types of collectors in the list `collectors`.
//!
//! To add a type: write one file in this folder with its section of settings, for which it implements
//! [`EntryType`](bellwether_collector::EntryType), and its [`Collector`](bellwether_collector::Collector), which fills
//! [`Batch::series`](bellwether_core::Batch::series); add its `mod` line, and its line to `collector_types!`.

use bellwether_collector::{Build, EntryContext, EntryType, NamedFile};
use bellwether_schema::{MapReader, Section, Variant};

use bellwether_collectors_host as host;
use bellwether_collectors_push as push;
use bellwether_collectors_services as services;

mod exec;
mod gpu;
mod http_json;
mod log;
mod scrape;
mod textfile;

macro_rules! collector_types {
    ($( $(#[doc = $doc:literal])* $variant:ident = $word:literal, $module:ident :: $settings:ident; )+) => {
        bellwether_schema::string_enum! {
            /// Types of collectors.
            pub enum CollectorType { $( $(#[doc = $doc])* $variant = $word ),+ }
        }

        /// Settings of one type of collector.
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        #[serde(untagged)]
        pub enum TypeSettings { $( $(#[doc = $doc])* $variant(Box<$module::$settings>) ),+ }

        impl TypeSettings {
            /// Reads the settings of `kind`.
            pub(crate) fn read(kind: CollectorType, map: &mut MapReader<'_, '_, '_>) -> Option<Self> {
                match kind { $( CollectorType::$variant =>
                    <$module::$settings as Section>::read(map, None).map(Box::new).map(Self::$variant) ),+ }
            }

            /// Describes the settings of each type.
            pub(crate) fn variants() -> Vec<Variant> {
                vec![ $( Variant { word: $word, section: <$module::$settings as Section>::doc } ),+ ]
            }

            /// Checks the settings, and returns how a collector is built.
            pub(crate) fn resolve(&self, context: &mut EntryContext<'_>) -> Option<Build> {
                match self { $( Self::$variant(settings) => settings.resolve(context) ),+ }
            }

            /// Returns the file that the settings name.
            pub(crate) fn named_file(&mut self) -> Option<&mut dyn NamedFile> {
                match self { $( Self::$variant(settings) => settings.named_file() ),+ }
            }
        }
    };
}

collector_types! {
    /// Cgroups and containers, under the metric names of cAdvisor.
    Cgroup = "cgroup", host::Cgroup;
    /// Output of a program.
    Exec = "exec", exec::Exec;
    /// The host under the metric names of node_exporter.
    NodeExporter = "node_exporter", host::NodeExporter;
    /// Groups of processes, as process-exporter has them.
    Process = "process", host::Process;
    /// Units of systemd, under the metric names of node_exporter.
    Systemd = "systemd", host::Systemd;
    /// Graphics cards of NVIDIA and AMD.
    Gpu = "gpu", gpu::Gpu;
    /// Documents in JSON that a server answers with.
    HttpJson = "http_json", http_json::HttpJson;
    /// Requests and workers of the Apache HTTP server, under the metric names of apache_exporter.
    Apache = "apache", services::Apache;
    /// Brokers, topics and consumer groups of Kafka, under the metric names of kafka_exporter.
    Kafka = "kafka", services::Kafka;
    /// Statistics of memcached, under the metric names of memcached_exporter.
    Memcached = "memcached", services::Memcached;
    /// Connections and requests of nginx, under the metric names of nginx-prometheus-exporter.
    Nginx = "nginx", services::Nginx;
    /// Figures of Redis and Valkey, under the metric names of redis_exporter.
    Redis = "redis", services::Redis;
    /// Metrics of the lines of log files or of the journal, as mtail and grok_exporter have them.
    Log = "log", log::Log;
    /// Availability of services over HTTP, TCP, TLS, DNS, ICMP and gRPC, as blackbox_exporter probes them.
    Probe = "probe", services::Probe;
    /// Targets of Prometheus: exporters and whatever else has metrics over HTTP.
    Scrape = "scrape", scrape::Scrape;
    /// Queries of PostgreSQL, MySQL, MariaDB and SQLite.
    Sql = "sql", services::Sql;
    /// Files in the text format, as the textfile collector of node_exporter reads them.
    Textfile = "textfile", textfile::Textfile;
    /// Lines of StatsD, mapped as statsd_exporter does.
    Statsd = "statsd", push::StatsdLines;
    /// Plaintext of Graphite, mapped as graphite_exporter does.
    Graphite = "graphite", push::Graphite;
    /// Points in the line protocol of InfluxDB.
    Influx = "influx", push::Influx;
    /// Metrics that batch jobs push, as to a Pushgateway.
    Pushgateway = "pushgateway", push::Pushgateway;
    /// Metrics that applications push with OpenTelemetry's protocol.
    Otlp = "otlp", push::Otlp;
    /// Samples that Prometheus and its agents send by remote write.
    RemoteWrite = "remote_write", push::RemoteWriteReceiver;
}
