//! Inputs that others send to, as collectors that receive.

use bellwether_schema::Pos;

use super::super::yaml::{Map, Yaml};
use super::probes::is_host_and_port;
use super::{Inputs, Instance};

/// Reason why a second input of a type has no counterpart.
const SECOND: &str = "only one collector has this type";

/// Returns `HOST:PORT` of an address, which may be `:PORT`.
fn address(text: &str) -> Option<String> {
    let address = match text.starts_with(':') {
        true => format!("0.0.0.0{text}"),
        false => text.to_owned(),
    };
    is_host_and_port(&address).then_some(address)
}

/// Returns a collector that takes all metrics, as Telegraf does.
fn receiver(
    instance: &mut Instance<'_, '_>,
    inputs: &mut Inputs<'_>,
    wanted: &str,
    r#type: &str,
) -> Map {
    let (_, mut collector) = inputs.collector(instance, wanted, r#type, None);
    collector.put("accept", Yaml::raws([".*"]));
    collector
}

pub(super) fn statsd(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    let fields = &mut instance.fields;
    let listen = address(fields.text("service_address").unwrap_or(":8125"));
    let is_udp = fields.text("protocol").unwrap_or("udp").starts_with("udp");
    let Some(listen) = listen.filter(|_| is_udp) else {
        return instance.lose("its address is not HOST:PORT of UDP");
    };
    fields.skip(&[
        "delete_gauges",
        "delete_counters",
        "delete_sets",
        "delete_timings",
        "percentiles",
        "percentile_limit",
        "metric_separator",
        "allowed_pending_messages",
        "number_workers_threads",
        "max_tcp_connections",
        "tcp_keep_alive",
        "datadog_extensions",
        "datadog_distributions",
        "parse_data_dog_tags",
        "read_buffer_size",
    ]);
    fields.lose("templates", MAPPINGS, &mut instance.notes);
    let mut collector = receiver(instance, inputs, "statsd", "statsd");
    collector.put("listen", Yaml::text(&listen));
    inputs.draft.push(collector);
}

/// Counterpart of templates.
const MAPPINGS: &str = "write them as `mappings`";

/// Lines of Graphite over TCP or UDP; other formats of sockets are not received.
pub(super) fn socket(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    let fields = &mut instance.fields;
    let format = fields.text("data_format").unwrap_or("influx");
    if format != "graphite" {
        let reason = match format {
            "influx" => "data_format influx: a collector of type influx receives over HTTP",
            _ => "only data_format graphite is received from a socket",
        };
        return instance.lose(reason);
    }
    let service = fields.text("service_address").unwrap_or_default();
    let (transport, rest) = service.split_once("://").unwrap_or(("tcp", service));
    let is_known = transport.starts_with("tcp") || transport.starts_with("udp");
    let Some(listen) = address(rest).filter(|_| is_known) else {
        return instance.lose("its address is not HOST:PORT of TCP or UDP");
    };
    fields.skip(&[
        "max_connections",
        "read_timeout",
        "read_buffer_size",
        "keep_alive_period",
        "separator",
    ]);
    fields.lose("templates", MAPPINGS, &mut instance.notes);
    let mut collector = receiver(instance, inputs, "graphite", "graphite");
    collector.put("listen", Yaml::text(&listen));
    inputs.draft.push(collector);
}

pub(super) fn opentelemetry(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    let fields = &mut instance.fields;
    let service = fields.text("service_address").unwrap_or("0.0.0.0:4317");
    let Some(listen) = address(service) else {
        return instance.lose("its address is not HOST:PORT");
    };
    if inputs.draft.has_type("otlp") {
        return instance.lose(SECOND);
    }
    fields.skip(&[
        "timeout",
        "metrics_schema",
        "max_msg_size",
        "span_dimensions",
        "log_record_dimensions",
        "profile_dimensions",
    ]);
    let mut collector = receiver(instance, inputs, "otlp", "otlp");
    collector.put("grpc_listen", Yaml::text(&listen));
    inputs.draft.push(collector);
}

/// Points over HTTP, which are sent to the port of Bellwether.
pub(super) fn influx(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    if inputs.draft.has_type("influx") {
        return instance.lose(SECOND);
    }
    let at = instance.at();
    let fields = &mut instance.fields;
    let usual = match instance.plugin {
        "influxdb_v2_listener" => ":8086",
        _ => ":8186",
    };
    let service = fields.text("service_address").unwrap_or(usual);
    let mut secrets: Vec<Pos> = Vec::new();
    for key in ["basic_password", "token"] {
        secrets.extend(fields.text_at(key).map(|(_, at)| at));
    }
    fields.skip(&[
        "basic_username",
        "read_timeout",
        "write_timeout",
        "max_body_size",
        "max_line_size",
        "max_undelivered_metrics",
        "parser_type",
        "database_tag",
        "retention_policy_tag",
        "bucket_tag",
    ]);
    let mut collector = receiver(instance, inputs, "influx", "influx");
    let text =
        format!("clients write to `prometheus.port`, in place of {service}: change their URL");
    collector.complete(at, text);
    for at in secrets {
        collector.complete(
            at,
            "the password is not copied: write a token with the role operator to a file, and name it in `prometheus.control.tokens`",
        );
    }
    inputs.draft.push(collector);
}
