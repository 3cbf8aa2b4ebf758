//! blackbox_exporter: probes.
//!
//! Source: blackbox_exporter, CONFIGURATION.md.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bellwether_core::is_label_name;
use bellwether_schema::{Pos, Size, YamlError, is_host_name};
use regex::bytes::Regex;
use reqwest::Method;

use super::draft::Draft;
use super::durations;
use super::fields::Fields;
use super::http_client::{authorization, tls};
use super::secrets;
use super::source::Source;
use super::yaml::{Map, Yaml};

/// Types of records that a DNS probe can ask for.
const RECORDS: [&str; 9] = ["A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"];
const RESOLVER: &str = "all addresses of a name are tried in their order";

pub(super) fn is(source: &Source<'_>) -> bool {
    source.has_within("modules", "prober")
}

pub(super) fn convert(sources: &[Source<'_>], draft: &mut Draft) -> Result<(), YamlError> {
    draft.modules(sources, convert_module)
}

/// Entry that a module becomes.
struct Entry<'e> {
    source: &'e Source<'e>,
    /// Name of the collector.
    name: &'e str,
}

/// Function that takes the settings of a prober, and returns ours.
type Settings = fn(&mut Fields<'_>, &Entry<'_>, &mut Map) -> Map;

fn convert_module(source: &Source<'_>, module: &str, mut fields: Fields<'_>, draft: &mut Draft) {
    let at = fields.at;
    let prober = fields.text("prober").unwrap_or_default();
    // A target as an example, and the settings of the prober.
    let (target, convert): (_, Settings) = match prober {
        "http" => ("https://example.org/", http),
        "tcp" => ("localhost:25", tcp),
        "dns" => ("127.0.0.1", dns),
        "grpc" => ("localhost:50051", grpc),
        "icmp" => ("127.0.0.1", |inner, _, collector| {
            resolver(inner, collector);
            Map::default()
        }),
        other => {
            draft
                .general
                .lose(at, format!("module {module}: the prober {other}"));
            return;
        }
    };
    let mut inner = fields.within(prober);
    if let Some(reason) = invalid_question(inner.clone()).filter(|_| prober == "dns") {
        draft.general.lose(at, format!("module {module}: {reason}"));
        return;
    }
    let (name, mut collector) = draft.collector(module, "probe");
    collector.put("enabled", Yaml::word(false));
    let timeout = durations::take(&mut fields, "timeout");
    draft.schedule(&mut collector, None, timeout);
    collector.complete(at, "blackbox_exporter gets the targets from Prometheus: write them, and remove `enabled: false`");
    collector.put("prober", Yaml::text(prober));
    collector.put("targets", Yaml::texts([target]));
    let entry = Entry {
        source,
        name: &name,
    };
    let settings = convert(&mut inner, &entry, &mut collector);
    inner.finish(&mut collector);
    let others = ["http", "tcp", "dns", "icmp", "grpc", "unix", "websocket"];
    fields.set_aside(&others, "settings of another prober", &mut collector);
    fields.finish(&mut collector);
    collector.put_filled(prober, settings);
    draft.push(collector);
    draft.converted += 1;
}

/// Returns the reason why a question of DNS has no counterpart.
fn invalid_question(mut dns: Fields<'_>) -> Option<String> {
    let name = dns.text("query_name").unwrap_or_default();
    // The default is another one than ours.
    let query_type = dns.text("query_type").unwrap_or("ANY");
    if !RECORDS.contains(&query_type) {
        return Some(format!("the type of records {query_type}"));
    }
    let is_name = is_host_name(name.strip_suffix('.').unwrap_or(name));
    (!is_name).then(|| format!("the name {name:?}"))
}

/// Takes the settings about addresses, of which there are none here.
fn resolver(fields: &mut Fields<'_>, collector: &mut Map) {
    fields.lose("preferred_ip_protocol", RESOLVER, collector);
    fields.skip_if("ip_protocol_fallback", &["true"]);
    fields.lose("ip_protocol_fallback", RESOLVER, collector);
}

fn http(fields: &mut Fields<'_>, entry: &Entry<'_>, collector: &mut Map) -> Map {
    let mut http = Map::default();
    let method = fields.parsed("method", |text| Method::from_bytes(text.as_bytes()).ok());
    http.put_some("method", method.map(|method| Yaml::text(method.as_str())));
    http.put_some(
        "body",
        fields
            .text("body")
            .filter(|body| !body.is_empty())
            .map(Yaml::raw),
    );
    let headers = fields.pairs("headers");
    authorization(fields, headers, entry.name, &mut http);
    collector.notes.append(&mut http.notes);
    let codes = fields.numbers("valid_status_codes").unwrap_or_default();
    let codes = codes
        .iter()
        .filter(|code| code.fract() == 0.0 && (0.0..1000.0).contains(*code));
    http.put_filled("valid_status_codes", Yaml::words(codes));
    if fields.flag("follow_redirects") == Some(false)
        || fields.flag("no_follow_redirects") == Some(true)
    {
        http.put("follow_redirects", Yaml::word(false));
    }
    fields.skip_if("fail_if_ssl", &["false"]);
    if fields.flag("fail_if_not_ssl") == Some(true) {
        http.put("fail_if_not_ssl", Yaml::word(true));
    }
    for key in [
        "fail_if_body_matches_regexp",
        "fail_if_body_not_matches_regexp",
    ] {
        http.put_filled(key, expressions(fields, key, collector));
    }
    tls(fields, collector);
    if let Some(limit) = fields
        .parsed("body_size_limit", Size::parse)
        .filter(|limit| limit.0 > 0)
    {
        let mut limits = Map::default();
        limits.put("bytes", Yaml::word(limit));
        collector.put("limits", limits.into());
    }
    resolver(fields, collector);
    fields.lose("valid_http_versions", "requests are HTTP/1.1", collector);
    fields.set_aside(&["enable_http2"], "requests are HTTP/1.1", collector);
    fields.skip_if("enable_http3", &["false"]);
    fields.skip_if("compression", &["", "identity"]);
    fields.skip_if("skip_resolve_phase_with_proxy", &["false"]);
    http
}

fn tcp(fields: &mut Fields<'_>, entry: &Entry<'_>, collector: &mut Map) -> Map {
    let mut tcp = Map::default();
    if fields.flag("tls") == Some(true) {
        tcp.put("tls", Yaml::word(true));
    }
    let mut is_encrypted = tcp.has("tls");
    let mut steps = Vec::new();
    for step in fields.maps("query_response") {
        let step = query_response(step, entry.source, &mut is_encrypted, collector);
        if !step.fields.is_empty() {
            steps.push(step);
        }
    }
    tcp.put_filled("query_response", steps);
    tls(fields, collector);
    resolver(fields, collector);
    tcp
}

/// Returns a step of a dialogue. TLS begins once in it.
fn query_response(
    mut step: Fields<'_>,
    source: &Source<'_>,
    is_encrypted: &mut bool,
    collector: &mut Map,
) -> Map {
    let mut map = Map::default();
    if let Some((expect, at)) = text(&mut step, "expect", source, collector) {
        match Regex::new(&expect) {
            Ok(_) => map.put("expect", Yaml::raw(&expect)),
            Err(_) => collector.lose(at, format!("expect: the regular expression {expect}")),
        }
    }
    let mut labels = Map::default();
    for mut label in step.maps("labels") {
        let (at, name) = (label.at, label.text("name").unwrap_or_default());
        let text = label.text("value").unwrap_or_default();
        label.finish(collector);
        match is_label_name(name) && !matches!(name, "instance" | "job") && map.has("expect") {
            true => labels.put(name, Yaml::raw(text)),
            false => collector.lose(at, format!("the label {name:?} of a step")),
        }
    }
    map.put_filled("labels", labels);
    let bytes = text(&mut step, "expect_bytes", source, collector);
    map.put_some("expect_bytes", bytes.map(|(text, _)| Yaml::raw(&text)));
    if let Some((text, at)) = step.text_at("send") {
        if source.has_tag(at, BINARY) {
            map.put("send_bytes", Yaml::text(text));
            collector.remark(at, "send_bytes sends no line feed behind the bytes");
        } else {
            map.put("send", Yaml::raw(text));
        }
    }
    step.skip_if("starttls", &["false"]);
    if !*is_encrypted && step.flag("starttls") == Some(true) {
        *is_encrypted = true;
        map.put("starttls", Yaml::word(true));
    }
    step.lose("starttls", "TLS begins once", collector);
    step.finish(collector);
    map
}

/// Tag of a value in Base64.
const BINARY: &str = "!!binary";

/// Takes a text, which may be in Base64.
fn text(
    step: &mut Fields<'_>,
    key: &str,
    source: &Source<'_>,
    collector: &mut Map,
) -> Option<(String, Pos)> {
    let (text, at) = step.text_at(key)?;
    if !source.has_tag(at, BINARY) {
        return Some((text.to_owned(), at));
    }
    let bytes = BASE64_STANDARD.decode(text.trim()).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    if text.is_none() {
        collector.lose(at, format!("{key}: bytes that are no text"));
    }
    text.map(|text| (text, at))
}

fn grpc(fields: &mut Fields<'_>, entry: &Entry<'_>, collector: &mut Map) -> Map {
    let mut grpc = Map::default();
    let mut metadata = fields.within("metadata");
    let mut headers = Vec::new();
    for (key, values, at) in metadata.lists() {
        // Its client encodes these.
        match key.ends_with("-bin") {
            true => collector.lose(at, format!("metadata.{key}: bytes")),
            false => headers.push((key, values.join(","), at)),
        }
    }
    metadata.finish(collector);
    let pairs = headers
        .iter()
        .map(|(key, values, at)| (*key, values.as_str(), *at));
    let headers = secrets::headers(pairs.collect(), entry.name, collector);
    grpc.put_filled("headers", headers);
    let service = fields.text("service").filter(|service| !service.is_empty());
    grpc.put_some("service", service.map(Yaml::text));
    if fields.flag("tls") == Some(true) {
        grpc.put("tls", Yaml::word(true));
    }
    tls(fields, collector);
    resolver(fields, collector);
    grpc
}

fn dns(fields: &mut Fields<'_>, _: &Entry<'_>, collector: &mut Map) -> Map {
    let mut dns = Map::default();
    dns.put_some("query_name", fields.text("query_name").map(Yaml::text));
    dns.put_some("query_type", fields.text("query_type").map(Yaml::text));
    let transport = fields
        .text("transport_protocol")
        .filter(|name| matches!(*name, "udp" | "tcp"));
    dns.put_some("transport_protocol", transport.map(Yaml::text));
    if fields.flag("recursion_desired") == Some(false) {
        dns.put("recursion_desired", Yaml::word(false));
    }
    dns.put_filled(
        "valid_rcodes",
        Yaml::texts(
            fields
                .texts("valid_rcodes")
                .into_iter()
                .map(|(code, _)| code),
        ),
    );
    let mut answer = fields.within("validate_answer_rrs");
    let mut expected = Map::default();
    for key in ["fail_if_matches_regexp", "fail_if_not_matches_regexp"] {
        expected.put_filled(key, expressions(&mut answer, key, collector));
    }
    answer.finish(collector);
    dns.put_filled("validate_answer_rrs", expected);
    fields.skip_if("dns_over_tls", &["false"]);
    fields.skip_if("query_class", &["IN"]);
    resolver(fields, collector);
    dns
}

/// Takes regular expressions; those that are not valid here are noted.
fn expressions(fields: &mut Fields<'_>, key: &str, collector: &mut Map) -> Yaml {
    let mut valid = Vec::new();
    for (expression, at) in fields.texts(key) {
        match Regex::new(expression) {
            Ok(_) => valid.push(expression),
            Err(_) => collector.lose(at, format!("{key}: the regular expression {expression}")),
        }
    }
    Yaml::raws(valid)
}
