//! Inputs that others send to, as collectors that receive.

use bellwether_schema::Pos;

use super::super::durations;
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
    let notes = &mut instance.notes;
    fields.set_aside(
        &[
            "delete_gauges",
            "delete_counters",
            "delete_sets",
            "delete_timings",
        ],
        "values go on until the `ttl` of a series is over",
        notes,
    );
    fields.set_aside(&["percentile_limit"], "quantiles are of all values", notes);
    let forms = ["metric_separator", "sanitize_name_method", "convert_names"];
    fields.set_aside(&forms, "names have `_` between their parts", notes);
    fields.set_aside(
        &[
            "datadog_extensions",
            "datadog_distributions",
            "parse_data_dog_tags",
        ],
        "tags and distributions are always read",
        notes,
    );
    fields.set_aside(
        &["float_counters", "float_sets", "float_timings"],
        "values are floats",
        notes,
    );
    fields.set_aside(
        &[
            "allowed_pending_messages",
            "number_workers_threads",
            "max_tcp_connections",
            "tcp_keep_alive",
            "tcp_keep_alive_period",
            "read_buffer_size",
        ],
        SOCKETS,
        notes,
    );
    fields.lose("templates", MAPPINGS, notes);
    let mut defaults = Map::default();
    let ttl = durations::take(fields, "max_ttl");
    defaults.put_some("ttl", ttl.map(|(ttl, _)| Yaml::duration(ttl)));
    let at = fields.pos("percentiles").unwrap_or(fields.at);
    match fields.numbers("percentiles") {
        Some(percentiles) if are_percentiles(&percentiles) => {
            let quantiles = percentiles.iter().map(|percentile| {
                let mut quantile = Map::default();
                quantile.put("quantile", Yaml::word(percentile / 100.0));
                quantile
            });
            let mut options = Map::default();
            options.put_filled("quantiles", quantiles.collect::<Vec<_>>());
            defaults.put_filled("summary_options", options);
        }
        Some(_) => notes.lose(
            at,
            "percentiles: one that is twice there, or not between 0 and 100",
        ),
        None => {}
    }
    let mut collector = receiver(instance, inputs, "statsd", "statsd");
    collector.put("listen", Yaml::text(&listen));
    collector.put_filled("defaults", defaults);
    inputs.draft.push(collector);
}

/// Returns whether there are percentiles, each between the smallest and the largest value, and none twice.
fn are_percentiles(percentiles: &[f64]) -> bool {
    let mut sorted = percentiles.to_vec();
    sorted.sort_by(f64::total_cmp);
    let is_ascending = sorted.windows(2).all(|pair| pair[0] < pair[1]);
    is_ascending
        && sorted
            .iter()
            .all(|percentile| (0.0..=100.0).contains(percentile))
}

/// Reason why buffers and limits of sockets mean nothing.
const SOCKETS: &str = "sockets have their own buffers and limits";

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
    fields.set_aside(
        &[
            "max_connections",
            "read_timeout",
            "read_buffer_size",
            "keep_alive_period",
        ],
        SOCKETS,
        &mut instance.notes,
    );
    let reason = "names have `_` between their parts";
    fields.set_aside(&["separator"], reason, &mut instance.notes);
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
    let notes = &mut instance.notes;
    fields.set_aside(
        &["timeout", "max_msg_size"],
        "requests have limits of their own",
        notes,
    );
    fields.set_aside(&["metrics_schema"], "names are those of Prometheus", notes);
    fields.set_aside(
        &[
            "span_dimensions",
            "log_record_dimensions",
            "profile_dimensions",
        ],
        "metrics alone are received",
        notes,
    );
    let (certificate, key) = (fields.text("tls_cert"), fields.text("tls_key"));
    let authorities = fields.texts("tls_allowed_cacerts");
    if let [_, (_, at), ..] = authorities[..] {
        notes.lose(at, "tls_allowed_cacerts: write all of them into one file");
    }
    let mut collector = receiver(instance, inputs, "otlp", "otlp");
    collector.put("grpc_listen", Yaml::text(&listen));
    if let (Some(certificate), Some(key)) = (certificate, key) {
        let mut tls = Map::of([("cert_file", certificate), ("key_file", key)]);
        let authority = authorities.first().map(|(file, _)| Yaml::text(file));
        tls.put_some("client_ca_file", authority);
        collector.put("grpc_tls", tls.into());
    }
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
    if !secrets.is_empty() {
        fields.skip(&["basic_username"]);
    }
    let notes = &mut instance.notes;
    fields.set_aside(
        &[
            "read_timeout",
            "write_timeout",
            "max_body_size",
            "max_line_size",
            "max_undelivered_metrics",
            "parser_type",
        ],
        "requests have limits of their own",
        notes,
    );
    fields.set_aside(
        &["database_tag", "retention_policy_tag", "bucket_tag"],
        "databases and buckets are not read",
        notes,
    );
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
