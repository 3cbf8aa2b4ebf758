//! Inputs that ask services for their own figures.

use std::collections::BTreeMap;

use reqwest::Url;

use super::super::durations;
use super::super::http_client::SECOND;
use super::super::secrets::{Address, put_file};
use super::super::sql_exporter::Dsn;
use super::super::yaml::{Map, Yaml};
use super::probes::is_host_and_port;
use super::programs::unread;
use super::text::{expanded, put_url};
use super::{Inputs, Instance};

pub(super) fn apache(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    status_pages(
        instance,
        inputs,
        "apache",
        "http://localhost/server-status?auto",
    );
}

pub(super) fn nginx(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    status_pages(instance, inputs, "nginx", "http://localhost/server_status");
}

/// Adds a collector for each page.
fn status_pages(
    instance: &mut Instance<'_, '_>,
    inputs: &mut Inputs<'_>,
    kind: &str,
    usual: &'static str,
) {
    let at = instance.at();
    let mut urls = instance.fields.texts("urls");
    if urls.is_empty() {
        urls.push((usual, at));
    }
    let timeout = durations::take(&mut instance.fields, "response_timeout");
    let user = instance.fields.text("username");
    if user.is_some() {
        instance.fields.skip(&["password"]);
    }
    instance.fields.skip_if("insecure_skip_verify", &["false"]);
    let ca_file = instance.fields.text("tls_ca");
    for (url, at) in urls {
        let (name, mut collector) = inputs.collector(instance, kind, kind, timeout);
        if !put_url(&mut collector, url, &name, at) {
            instance.lose("its address");
            return;
        }
        if let Some(user) = user.filter(|_| !collector.has("basic_auth")) {
            let mut basic = Map::of([("username", user)]);
            put_file(&mut basic, "password_file", &name, at);
            collector.notes.append(&mut basic.notes);
            collector.put("basic_auth", basic.into());
        }
        collector.put_some("ca_file", ca_file.map(Yaml::text));
        inputs.draft.push(collector);
    }
}

pub(super) fn memcached(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    let mut servers = instance.fields.texts("servers");
    if servers.is_empty() {
        servers.push(("localhost:11211", instance.at()));
    }
    for (server, _) in servers {
        let address = if server.contains(':') {
            server.to_owned()
        } else {
            format!("{server}:11211")
        };
        if !is_host_and_port(&address) {
            return instance.lose("its address is not HOST:PORT");
        }
        let (_, mut collector) = inputs.collector(instance, "memcached", "memcached", None);
        collector.put("address", Yaml::text(&address));
        inputs.draft.push(collector);
    }
}

pub(super) fn redis(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    let at = instance.at();
    let mut servers = instance.fields.texts("servers");
    if servers.is_empty() {
        servers.push(("tcp://localhost:6379", at));
    }
    let user = instance.fields.text("username");
    let password = instance.fields.text_at("password");
    let ca_file = instance.fields.text("tls_ca");
    instance.fields.skip_if("insecure_skip_verify", &["false"]);
    for (server, at) in servers {
        let Some(address) =
            Address::parse(server).or_else(|| Address::parse(&format!("tcp://{server}")))
        else {
            return instance.lose("its address");
        };
        let url = match (address.url.scheme(), address.url.host_str()) {
            ("unix", _) if address.url.path().len() > 1 => format!("unix://{}", address.url.path()),
            (scheme, Some(host)) if !host.is_empty() => {
                let scheme = if scheme == "tcp" && ca_file.is_none() {
                    "redis"
                } else {
                    "rediss"
                };
                format!("{scheme}://{host}:{}", address.url.port().unwrap_or(6379))
            }
            _ => return instance.lose("its address"),
        };
        let (name, mut collector) = inputs.collector(instance, "redis", "redis", None);
        collector.put("url", Yaml::text(&url));
        let user = Some(address.user.as_str())
            .filter(|user| !user.is_empty())
            .or(user);
        collector.put_some("username", user.map(Yaml::text));
        match password {
            _ if address.has_password => put_file(&mut collector, "password_file", &name, at),
            Some((text, _)) if text.starts_with('$') => collector.put("password", expanded(text)),
            Some((_, at)) => put_file(&mut collector, "password_file", &name, at),
            None => {}
        }
        collector.put_some(
            "ca_file",
            ca_file
                .filter(|_| url.starts_with("rediss"))
                .map(Yaml::text),
        );
        inputs.draft.push(collector);
    }
}

pub(super) fn postgresql(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    let address = instance
        .fields
        .text("address")
        .unwrap_or("postgres://bellwether@localhost/postgres");
    set_aside(
        instance,
        &[
            "outputaddress",
            "max_lifetime",
            "databases",
            "ignored_databases",
            "prepared_statements",
        ],
        PRESET,
    );
    let address = match address.contains("://") {
        true => from_url(address),
        false => from_pairs(address),
    };
    database(
        instance,
        inputs,
        "postgresql.yaml",
        "POSTGRESQL_DSN",
        address,
    );
}

pub(super) fn mysql(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    let servers = instance.fields.texts("servers");
    let server = servers
        .first()
        .map_or("mysql://bellwether@localhost/", |(server, _)| server);
    if servers.len() > 1 {
        instance.notes.lose(
            servers[1].1,
            "further servers: a copy of the preset for each",
        );
    }
    let address = from_url(server).or_else(|| from_url(&format!("mysql://{server}")));
    set_aside(
        instance,
        &[
            "gather_slave_status",
            "gather_global_variables",
            "gather_innodb_metrics",
            "gather_process_list",
            "gather_table_schema",
            "gather_info_schema_auto_inc",
            "interval_slow",
            "metric_version",
            "table_schema_databases",
        ],
        PRESET,
    );
    database(instance, inputs, "mysql.yaml", "MYSQL_DSN", address);
}

const PRESET: &str = "the preset has a choice of its own";

fn set_aside(instance: &mut Instance<'_, '_>, keys: &[&str], reason: &str) {
    instance.fields.set_aside(keys, reason, &mut instance.notes);
}

/// Returns the URL of a database without its password, and the names of its parameters without a counterpart.
fn from_url(text: &str) -> Option<(Url, Vec<String>)> {
    let dsn = Dsn::parse(text).ok()?;
    Some((dsn.url?, dsn.lost))
}

/// Includes the preset of a database, whose address is in a variable.
fn database(
    instance: &mut Instance<'_, '_>,
    inputs: &mut Inputs<'_>,
    preset: &'static str,
    variable: &str,
    address: Option<(Url, Vec<String>)>,
) {
    let Some((url, lost)) = address else {
        return instance.lose("its address");
    };
    for parameter in lost {
        let text = format!("the parameter {parameter} of the address");
        instance.notes.lose(instance.fields.at, text);
    }
    if !inputs.draft.include(preset) {
        return instance.lose("a second server: a copy of the preset for each");
    }
    let text = format!(
        "inputs.{}: the address is in a variable: set {variable}={url}, with the password behind the user",
        instance.plugin
    );
    instance.notes.complete(instance.fields.at, text);
}

/// As [`from_url`], of `host=a user=b dbname=c`.
fn from_pairs(text: &str) -> Option<(Url, Vec<String>)> {
    let pairs: BTreeMap<&str, &str> = text
        .split_whitespace()
        .filter_map(|pair| pair.split_once('='))
        .collect();
    let mut url = Url::parse("postgres://localhost/postgres").ok()?;
    let mut lost = Vec::new();
    for (key, value) in pairs {
        let value = value.trim_matches('\'');
        match key {
            "host" if !value.starts_with('/') => url.set_host(Some(value)).ok()?,
            "port" => url.set_port(value.parse().ok()).ok()?,
            "user" => url.set_username(value).ok()?,
            "dbname" => url.set_path(value),
            "host" | "sslmode" | "sslrootcert" | "sslcert" | "sslkey" | "application_name" => {
                url.query_pairs_mut().append_pair(key, value);
            }
            "password" => {}
            other => lost.push(other.to_owned()),
        }
    }
    Some((url, lost))
}

/// Adds the collector of graphics cards.
pub(super) fn nvidia(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    let timeout = durations::take(&mut instance.fields, "timeout");
    instance
        .fields
        .skip_if("bin_path", &["/usr/bin/nvidia-smi"]);
    let (_, mut collector) = inputs.collector(instance, "gpus", "gpu", timeout);
    collector.put("vendors", Yaml::texts(["nvidia"]));
    inputs.draft.push(collector);
}

pub(super) fn docker(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    let keys = [
        "endpoint",
        "timeout",
        "perdevice",
        "perdevice_include",
        "total",
        "total_include",
    ];
    let reason = "cgroups are read, whose figures are the same ones always";
    set_aside(instance, &keys, reason);
    let fields = &mut instance.fields;
    fields.skip_if("gather_services", &["false"]);
    fields.skip_if("source_tag", &["false"]);
    for key in [
        "container_names",
        "container_name_include",
        "container_name_exclude",
        "docker_label_include",
        "docker_label_exclude",
    ] {
        fields.skip_if(key, &[]);
    }
    let (_, mut collector) = inputs.collector(instance, "containers", "cgroup", None);
    collector.put(
        "include",
        Yaml::texts(["/docker/*", "/system.slice/docker-*.scope"]),
    );
    inputs.draft.push(collector);
}

pub(super) fn http(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    match instance.fields.text("data_format").unwrap_or("influx") {
        "prometheus" => prometheus(instance, inputs),
        other => {
            instance.lose(&unread(other, "http_json", "json, xml and csv"));
        }
    }
}

/// Scheme and path of targets, and their addresses.
type Groups = BTreeMap<(String, String), Vec<String>>;

/// Adds a collector for each scheme and path.
pub(super) fn prometheus(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    let mut groups = Groups::new();
    for (url, at) in instance.fields.texts("urls") {
        if !group(url, &mut groups) {
            instance.notes.lose(at, reason(url));
        }
    }
    if groups.is_empty() {
        if instance.notes.notes.is_empty() {
            instance.lose("it has no targets: discovery is another one here");
        }
        instance.is_converted = false;
        return;
    }
    let timeout = durations::take(&mut instance.fields, "timeout");
    let fields = &mut instance.fields;
    let token = fields.text("bearer_token");
    let text_token = fields.text_at("bearer_token_string");
    if token.is_some() || text_token.is_some() {
        fields.lose("username", SECOND, &mut instance.notes);
    }
    let user = fields.text_at("username");
    let ca_file = fields.text("tls_ca");
    if user.is_some() {
        fields.skip(&["password"]);
    }
    fields.skip_if("method", &["GET"]);
    fields.skip_if("insecure_skip_verify", &["false"]);
    let reason = "names and labels are those of the targets, and `instance` is the address";
    set_aside(instance, &["metric_version", "url_tag"], reason);
    for ((scheme, path), targets) in groups {
        let (name, mut collector) = inputs.collector(instance, "prometheus", "scrape", timeout);
        if scheme == "https" {
            collector.put("scheme", Yaml::text(&scheme));
        }
        if path != "/metrics" {
            collector.put("metrics_path", Yaml::text(&path));
        }
        if let Some(file) = token {
            collector.put("bearer_token_file", expanded(file));
        } else if let Some((_, at)) = text_token {
            put_file(&mut collector, "bearer_token_file", &name, at);
        } else if let Some((user, at)) = user {
            let mut basic = Map::of([("username", user)]);
            put_file(&mut basic, "password_file", &name, at);
            collector.notes.append(&mut basic.notes);
            collector.put("basic_auth", basic.into());
        }
        collector.put_some("ca_file", ca_file.map(Yaml::text));
        let mut static_config = Map::default();
        static_config.put("targets", Yaml::texts(targets.iter().map(String::as_str)));
        collector.put("static_configs", vec![static_config].into());
        inputs.draft.push(collector);
    }
}

/// Returns why a target is none.
fn reason(url: &str) -> &'static str {
    let has_user = |url: &Url| !url.username().is_empty() || url.password().is_some();
    match Url::parse(url).is_ok_and(|url| has_user(&url)) {
        true => "the URL has a user and a password: write it without them, and add `basic_auth`",
        false => "a target that is no URL without parameters",
    }
}

/// Adds a target; returns false if it is none.
fn group(text: &str, groups: &mut Groups) -> bool {
    let Some(url) = Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
    else {
        return false;
    };
    let is_plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    let Some(host) = url.host_str().filter(|_| is_plain) else {
        return false;
    };
    let address = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let key = (url.scheme().to_owned(), url.path().to_owned());
    groups.entry(key).or_default().push(address);
    true
}
