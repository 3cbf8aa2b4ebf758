//! Telegraf: its inputs, the interval and the tags of the agent.
//!
//! Source: Telegraf, `docs/CONFIGURATION.md` and the README of each plugin.

mod host;
mod probes;
mod programs;
mod receivers;
mod services;
mod text;

use bellwether_schema::{Pos, YamlError};

use self::text::expanded;
use super::draft::Draft;
use super::fields::Fields;
use super::labels::labels;
use super::source::Source;
use super::toml;
use super::yaml::{Map, Note, NoteKind, Yaml};
use super::{durations, yaml};

/// Beginnings of the lines that files of Telegraf have.
const HEADERS: [&str; 6] = [
    "[[inputs.",
    "[[outputs.",
    "[agent]",
    "[global_tags]",
    "[[processors.",
    "[[aggregators.",
];

/// An input, and the function that converts it.
type Input = (&'static str, fn(&mut Instance<'_, '_>, &mut Inputs<'_>));

/// All inputs with a counterpart.
const INPUTS: [Input; 42] = [
    ("apache", services::apache),
    ("conntrack", |_, inputs| inputs.node("conntrack")),
    ("cpu", host::cpu),
    ("disk", host::disk),
    ("diskio", host::disk_io),
    ("dns_query", probes::dns),
    ("docker", services::docker),
    ("exec", programs::exec),
    ("haproxy", |instance, _| {
        instance.lose("a collector of type http_json reads `/stats;csv` with `format: csv`")
    }),
    ("http", services::http),
    ("http_response", probes::http),
    ("influxdb_listener", receivers::influx),
    ("influxdb_v2_listener", receivers::influx),
    ("internal", |instance, _| {
        let at = instance.at();
        let text = "it is about Telegraf itself, whose place Bellwether's own metrics take";
        instance.notes.remark(at, text);
    }),
    ("kernel", |_, inputs| inputs.node("stat")),
    ("kernel_vmstat", |_, inputs| inputs.node("vmstat")),
    ("linux_sysctl_fs", |_, inputs| inputs.node("filefd")),
    ("mem", host::memory),
    ("memcached", services::memcached),
    ("mysql", services::mysql),
    ("net", host::net),
    ("net_response", probes::net),
    ("netstat", host::netstat),
    ("nginx", services::nginx),
    ("nstat", |_, inputs| inputs.node("netstat")),
    ("nvidia_smi", services::nvidia),
    ("opentelemetry", receivers::opentelemetry),
    ("ping", probes::ping),
    ("postgresql", services::postgresql),
    ("processes", host::processes),
    ("procstat", programs::procstat),
    ("prometheus", services::prometheus),
    ("redis", services::redis),
    ("socket_listener", receivers::socket),
    ("sql", |instance, _| {
        instance.lose("a collector of type sql says with `queries` what it asks")
    }),
    ("statsd", receivers::statsd),
    ("swap", host::swap),
    ("system", host::system),
    ("systemd_units", programs::systemd),
    ("tail", |instance, _| {
        instance.lose("a collector of type log says with `match` what it takes")
    }),
    ("temp", host::temperature),
    ("x509_cert", probes::certificates),
];

pub(super) fn is(source: &Source<'_>) -> bool {
    let mut lines = source.file.text.lines().map(str::trim_start);
    lines.any(|line| HEADERS.iter().any(|header| line.starts_with(header)))
}

pub(super) fn convert(sources: &[Source<'_>], draft: &mut Draft) -> Result<(), YamlError> {
    let mut inputs = Inputs {
        draft,
        groups: Vec::new(),
        node: Vec::new(),
    };
    let roots: Vec<_> = sources.iter().map(toml::parse).collect::<Result<_, _>>()?;
    for root in &roots {
        let mut fields = Fields::of(root);
        inputs.agent(&mut fields);
        let mut plugins = fields.within("inputs");
        for (plugin, instances) in plugins.sections() {
            for instance in instances {
                inputs.convert(plugin, instance);
            }
        }
        plugins.finish(&mut inputs.draft.general);
        inputs.outputs(fields.within("outputs"));
        for kind in ["processors", "aggregators", "secretstores"] {
            for (plugin, instances) in fields.within(kind).sections() {
                for instance in instances {
                    inputs
                        .draft
                        .general
                        .lose(instance.at, format!("{kind}.{plugin}"));
                }
            }
        }
        fields.finish(&mut inputs.draft.general);
    }
    inputs.finish();
    Ok(())
}

/// One `[[inputs.NAME]]`.
struct Instance<'n, 'p> {
    plugin: &'p str,
    fields: Fields<'n>,
    /// Labels of the collectors.
    tags: Map,
    interval: Option<(std::time::Duration, Pos)>,
    /// Parts without a counterpart of an input that is no collector of its own.
    notes: Map,
    /// False if nothing came of it.
    is_converted: bool,
    /// Set once a collector has its labels and its interval.
    has_collector: bool,
}

impl Instance<'_, '_> {
    fn at(&self) -> Pos {
        self.fields.at
    }

    /// Notes that the input has no counterpart.
    fn lose(&mut self, reason: &str) {
        let text = format!("inputs.{}: {reason}", self.plugin);
        self.notes.lose(self.fields.at, text);
        self.is_converted = false;
    }
}

/// Entries of the inputs of all files.
struct Inputs<'d> {
    draft: &'d mut Draft,
    /// Groups of the collector of processes.
    groups: Vec<Map>,
    /// Collectors of node_exporter.
    node: Vec<&'static str>,
}

impl Inputs<'_> {
    fn agent(&mut self, fields: &mut Fields<'_>) {
        let tags = fields.pairs("global_tags");
        let tags = labels(tags, &mut self.draft.general, expanded);
        for (name, value) in tags.fields {
            self.draft.default_labels.put(&name, value);
        }
        let mut agent = fields.within("agent");
        let interval = durations::take(&mut agent, "interval")
            .filter(|(interval, _)| interval.as_millis() >= 100);
        if self.draft.collection_interval.is_none() {
            self.draft.collection_interval = interval.map(|(interval, _)| interval);
        }
        let host = agent.text("hostname").filter(|host| !host.is_empty());
        if agent.flag("omit_hostname") != Some(true) && !self.draft.default_labels.has("host") {
            let host = host.map(expanded);
            self.draft.default_labels.put_some("host", host);
        }
        let reason = "it is about Telegraf itself, such as its buffers and its log";
        agent.set_rest_aside(reason, &mut self.draft.general);
    }

    fn convert(&mut self, plugin: &str, mut fields: Fields<'_>) {
        let tags = labels(fields.pairs("tags"), &mut self.draft.general, expanded);
        let interval = durations::take(&mut fields, "interval");
        let mut notes = Map::default();
        fields.set_aside(
            &[
                "alias",
                "precision",
                "time_source",
                "collection_jitter",
                "collection_offset",
                "log_level",
                "startup_error_behavior",
            ],
            "it is about Telegraf itself",
            &mut notes,
        );
        let mut instance = Instance {
            plugin,
            fields,
            tags,
            interval,
            notes,
            is_converted: true,
            has_collector: false,
        };
        match INPUTS.iter().find(|(name, _)| *name == plugin) {
            Some((_, convert)) => convert(&mut instance, self),
            None => instance.is_converted = false,
        }
        let shared_interval = self.draft.collection_interval;
        let Instance {
            fields,
            tags,
            interval,
            mut notes,
            is_converted,
            has_collector,
            ..
        } = instance;
        let is_lost = |note: &Note| note.kind == NoteKind::Lost;
        if is_converted {
            if !has_collector && !tags.fields.is_empty() {
                notes.lose(fields.at, "tags: no collector is its own");
            }
            let own = interval.filter(|(interval, _)| Some(*interval) != shared_interval);
            if let Some((_, at)) = own.filter(|_| !has_collector) {
                notes.lose(at, "interval: no collector is its own");
            }
            fields.finish(&mut notes);
        } else if !notes.notes.iter().any(is_lost) {
            notes.lose(fields.at, format!("inputs.{plugin}"));
        }
        for note in &mut notes.notes {
            if !note.text.starts_with("inputs.") {
                note.text = format!("inputs.{plugin}: {}", note.text);
            }
        }
        self.draft.converted += usize::from(is_converted);
        self.draft.general.notes.append(&mut notes.notes);
    }

    /// Adds a collector of node_exporter.
    fn node(&mut self, collector: &'static str) {
        if !self.node.contains(&collector) {
            self.node.push(collector);
        }
    }

    fn outputs(&mut self, mut outputs: Fields<'_>) {
        for (plugin, instances) in outputs.sections() {
            for instance in instances {
                if plugin == "prometheus_client" {
                    self.prometheus_client(instance);
                    continue;
                }
                let reason = match plugin {
                    "http" | "influxdb" | "influxdb_v2" => {
                        ": remote_write sends samples to a server that takes Prometheus's remote write"
                    }
                    _ => "",
                };
                self.draft
                    .general
                    .lose(instance.at, format!("outputs.{plugin}{reason}"));
            }
        }
    }

    /// Takes the address of `/metrics`. Its access is that of the web configuration file.
    fn prometheus_client(&mut self, mut fields: Fields<'_>) {
        let address = fields.parsed("listen", |listen| {
            let (host, port) = listen.rsplit_once(':')?;
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let is_valid = host.is_empty() || probes::is_host(host);
            is_valid.then_some((host.to_owned(), port.parse().ok()?))
        });
        self.draft.listen = address.or(self.draft.listen.take());
        self.draft.converted += 1;
        let mut notes = Map::default();
        if let Some(at) = fields
            .pos("basic_password")
            .or(fields.pos("basic_username"))
        {
            notes.complete(
                at,
                "the password of `prometheus_client` is not copied: write a web configuration file and set \
                 `prometheus.web_config_file`",
            );
        }
        fields.skip(&["basic_username", "basic_password"]);
        fields.set_aside(
            &[
                "metric_version",
                "expiration_interval",
                "collectors_exclude",
                "string_as_label",
                "name_sanitization",
                "export_timestamp",
            ],
            "it is about how Telegraf forms and keeps its samples",
            &mut notes,
        );
        let reason = "`prometheus.limits` has the timeouts";
        fields.set_aside(&["read_timeout", "write_timeout"], reason, &mut notes);
        fields.skip_if("path", &["/metrics"]);
        fields.skip_if("ip_range", &[]);
        for key in ["tls_cert", "tls_key"] {
            fields.lose(
                key,
                "write it to a web configuration file, and set `prometheus.web_config_file`",
                &mut notes,
            );
        }
        fields.lose(
            "ip_range",
            "a firewall has to let these addresses in only",
            &mut notes,
        );
        fields.finish(&mut notes);
        for note in &mut notes.notes {
            note.text = format!("outputs.prometheus_client: {}", note.text);
        }
        self.draft.general.notes.append(&mut notes.notes);
    }

    /// Returns a collector of an input, with its labels, its interval and a timeout.
    fn collector(
        &mut self,
        instance: &mut Instance<'_, '_>,
        wanted: &str,
        r#type: &str,
        timeout: Option<(std::time::Duration, Pos)>,
    ) -> (String, Map) {
        instance.has_collector = true;
        let (name, mut collector) = self.draft.collector(wanted, r#type);
        self.draft
            .schedule(&mut collector, instance.interval, timeout);
        collector.put_filled("labels", instance.tags.clone());
        (name, collector)
    }

    /// Adds what several inputs share.
    fn finish(self) {
        if !self.node.is_empty() {
            let (_, mut collector) = self.draft.collector("node", "node_exporter");
            collector.put("collectors", Yaml::texts(self.node));
            self.draft.push(collector);
        }
        if !self.groups.is_empty() {
            let (_, mut collector) = self.draft.collector("processes", "process");
            collector.put("groups", yaml::Yaml::maps(self.groups));
            self.draft.push(collector);
        }
    }
}
