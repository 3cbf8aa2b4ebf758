//! Inputs that ask services as their users do, as collectors of type `probe`.

use bellwether_schema::is_host_name;
use regex::bytes::Regex;
use reqwest::Url;

use super::super::durations;
use super::super::http_client::{SECOND, drop_authorization};
use super::super::secrets::{headers, put_file};
use super::super::yaml::{Map, Yaml};
use super::{Inputs, Instance};

/// Types of records that a probe can ask for.
const RECORDS: [&str; 9] = ["A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"];

fn texts<'n>(instance: &mut Instance<'n, '_>, key: &str) -> Vec<&'n str> {
    instance
        .fields
        .texts(key)
        .into_iter()
        .map(|(text, _)| text)
        .collect()
}

pub(super) fn http(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    let old = texts(instance, "address");
    let mut targets = texts(instance, "urls");
    targets.extend(old);
    let is_url = |text: &&str| {
        let url = Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"));
        url.is_some_and(|url| url.username().is_empty() && url.password().is_none())
    };
    if targets.is_empty() || !targets.iter().all(is_url) {
        return instance.lose("its targets are no URLs without user and password");
    }
    let timeout = durations::take(&mut instance.fields, "response_timeout");
    let (name, mut collector) = inputs.collector(instance, "http_response", "probe", timeout);
    let fields = &mut instance.fields;
    collector.put("prober", Yaml::text("http"));
    collector.put("targets", Yaml::texts(targets));
    collector.put_some("ca_file", fields.text("tls_ca").map(Yaml::text));
    let mut http = Map::default();
    http.put_some("method", fields.text("method").map(Yaml::text));
    http.put_some(
        "body",
        fields
            .text("body")
            .filter(|body| !body.is_empty())
            .map(Yaml::raw),
    );
    let mut pairs = fields.pairs("headers");
    if let Some(file) = fields.text("bearer_token") {
        http.put("bearer_token_file", Yaml::text(file));
        fields.lose("username", SECOND, &mut collector);
    } else if let Some((user, at)) = fields.text_at("username") {
        let mut basic = Map::of([("username", user)]);
        put_file(&mut basic, "password_file", &name, at);
        collector.notes.append(&mut basic.notes);
        http.put("basic_auth", basic.into());
    }
    if http.has("bearer_token_file") || http.has("basic_auth") {
        drop_authorization(&mut pairs, &mut collector);
    }
    http.put_filled("headers", headers(pairs, &name, &mut collector));
    if http.has("basic_auth") {
        fields.skip(&["password"]);
    }
    fields.lose("password", SECOND, &mut collector);
    // Other than here, redirects are not followed by default.
    if fields.flag("follow_redirects") != Some(true) {
        http.put("follow_redirects", Yaml::word(false));
    }
    if let Some(code) = fields
        .parsed("response_status_code", |text| text.parse::<u16>().ok())
        .filter(|code| *code > 0)
    {
        http.put("valid_status_codes", Yaml::words([code]));
    }
    if let Some(expression) = fields
        .text("response_string_match")
        .filter(|text| Regex::new(text).is_ok())
    {
        http.put("fail_if_body_not_matches_regexp", Yaml::raws([expression]));
    }
    fields.skip_if("insecure_skip_verify", &["false"]);
    collector.put_filled("http", http);
    inputs.draft.push(collector);
}

pub(super) fn net(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    if instance.fields.text("protocol") != Some("tcp") {
        return instance.lose("only TCP is probed");
    }
    let address = instance.fields.text("address").unwrap_or_default();
    let address = if address.starts_with(':') {
        format!("localhost{address}")
    } else {
        address.to_owned()
    };
    if !is_host_and_port(&address) {
        return instance.lose("its address is not HOST:PORT");
    }
    let timeout = durations::take(&mut instance.fields, "timeout");
    let reason = "`timeout` is that of the whole probe";
    instance
        .fields
        .set_aside(&["read_timeout"], reason, &mut instance.notes);
    let (_, mut collector) = inputs.collector(instance, "net_response", "probe", timeout);
    collector.put("prober", Yaml::text("tcp"));
    collector.put("targets", Yaml::texts([address.as_str()]));
    // Telegraf sends first, and then expects a text.
    let send = instance.fields.text("send").filter(|text| !text.is_empty());
    let expect = instance
        .fields
        .text("expect")
        .filter(|text| !text.is_empty());
    let mut steps = Vec::new();
    for (key, text) in [
        ("send", send.map(str::to_owned)),
        ("expect", expect.map(regex::escape)),
    ] {
        if let Some(text) = text {
            steps.push(Map::from_iter([(key.to_owned(), Yaml::raw(&text))]));
        }
    }
    let mut tcp = Map::default();
    tcp.put_filled("query_response", steps);
    collector.put_filled("tcp", tcp);
    inputs.draft.push(collector);
}

/// Adds a probe over TLS, whose series have the end of the certificates.
pub(super) fn certificates(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    let mut targets = Vec::new();
    for (source, at) in instance.fields.texts("sources") {
        match certificate_target(source) {
            Some(target) => targets.push(target),
            None => instance.notes.lose(
                at,
                "sources: only the certificates of tcp:// and https:// are probed",
            ),
        }
    }
    if targets.is_empty() {
        return instance.lose("it has no address that is probed");
    }
    let timeout = durations::take(&mut instance.fields, "timeout");
    let ca_file = instance.fields.text("tls_ca");
    let reason = "all certificates that the server sends are looked at";
    instance
        .fields
        .set_aside(&["exclude_root_certs"], reason, &mut instance.notes);
    instance.fields.skip_if("insecure_skip_verify", &["false"]);
    let (_, mut collector) = inputs.collector(instance, "certificates", "probe", timeout);
    collector.remark(
        instance.at(),
        "the end of a certificate is probe_ssl_earliest_cert_expiry",
    );
    collector.put("prober", Yaml::text("tcp"));
    collector.put("targets", Yaml::texts(targets.iter().map(String::as_str)));
    collector.put_some("ca_file", ca_file.map(Yaml::text));
    let mut tcp = Map::default();
    tcp.put("tls", Yaml::word(true));
    collector.put("tcp", tcp.into());
    inputs.draft.push(collector);
}

fn certificate_target(source: &str) -> Option<String> {
    let url = Url::parse(source).ok()?;
    if !matches!(url.scheme(), "tcp" | "tcp4" | "tcp6" | "https") {
        return None;
    }
    let target = format!("{}:{}", url.host_str()?, url.port_or_known_default()?);
    is_host_and_port(&target).then_some(target)
}

pub(super) fn ping(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    let targets = texts(instance, "urls");
    if targets.is_empty() || !targets.iter().all(|host| is_host(host)) {
        return instance.lose("its targets are no hosts");
    }
    let fields = &mut instance.fields;
    fields.set_aside(
        &["method", "count", "ping_interval", "deadline", "binary", "privileged", "timeout"],
        "a probe sends one echo request, and waits for its answer until the `timeout` of the collector",
        &mut instance.notes,
    );
    let reason =
        "of one echo request there are none; ask for quantiles of probe_all_duration_seconds";
    fields.lose("percentiles", reason, &mut instance.notes);
    fields.skip_if("ipv6", &["false"]);
    fields.skip_if("interface", &[""]);
    let (_, mut collector) = inputs.collector(instance, "ping", "probe", None);
    collector.remark(instance.at(), "a probe sends one echo request");
    collector.put("prober", Yaml::text("icmp"));
    collector.put("targets", Yaml::texts(targets));
    inputs.draft.push(collector);
}

/// Adds a probe for each domain: all targets of one are servers.
pub(super) fn dns(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    let record = instance.fields.text("record_type").unwrap_or("NS");
    let domains = texts(instance, "domains");
    let port = instance.fields.text("port").unwrap_or("53");
    let servers: Vec<String> = texts(instance, "servers")
        .into_iter()
        .map(|server| match server.contains(':') {
            true => format!("[{server}]:{port}"),
            false => format!("{server}:{port}"),
        })
        .collect();
    let transport = instance.fields.text("network").unwrap_or("udp");
    let is_known = RECORDS.contains(&record)
        && matches!(transport, "udp" | "tcp")
        && !domains.is_empty()
        && domains.iter().all(|domain| is_host_name(domain))
        && !servers.is_empty()
        && servers.iter().all(|server| is_host_and_port(server));
    if !is_known {
        return instance.lose("it needs servers, domains and a known type of record");
    }
    let timeout = durations::take(&mut instance.fields, "timeout");
    for domain in domains {
        let (_, mut collector) =
            inputs.collector(instance, &format!("dns-{domain}"), "probe", timeout);
        collector.put("prober", Yaml::text("dns"));
        collector.put("targets", Yaml::texts(servers.iter().map(String::as_str)));
        let mut dns = Map::of([("query_name", domain), ("query_type", record)]);
        if transport == "tcp" {
            dns.put("transport_protocol", Yaml::text(transport));
        }
        collector.put("dns", dns.into());
        inputs.draft.push(collector);
    }
}

/// Returns whether a text is a name or an address of a host.
pub(super) fn is_host(text: &str) -> bool {
    is_host_name(text) || text.parse::<std::net::IpAddr>().is_ok()
}

/// Returns whether a text is `HOST:PORT`, with brackets around an IPv6 address.
pub(super) fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        port.parse::<u16>().is_ok() && is_host(host)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_of_servers_are_probed() {
        for (source, expected) in [
            ("https://example.org", Some("example.org:443")),
            ("tcp://example.org:8443", Some("example.org:8443")),
            ("https://[2001:db8::1]:444/x", Some("[2001:db8::1]:444")),
            ("tcp://example.org", None),
            ("/etc/ssl/a.pem", None),
            ("smtp://mail.example.org:25", None),
        ] {
            assert_eq!(certificate_target(source).as_deref(), expected, "{source}");
        }
    }
}
