//! The JSON Schema against a validator: what loads is valid, and what does not load is invalid as far as a
//! schema can know.
//!
//! `UPDATE_EXPECTED=1 cargo test --test library schema` writes `config/bellwether.schema.json` anew.

use std::fs;
use std::path::{Path, PathBuf};

use bellwether_config as config;
use jsonschema::Validator;
use serde_json::{Map, Value, json};

/// Files of `tests/config/bad` that are valid by the schema, by the reason why.
const BEYOND_A_SCHEMA: &[(&str, &[&str])] = &[
    (
        "a name that must exist elsewhere, or may be there only once",
        &[
            "anomaly_metrics",
            "app_label_twice",
            "channel_same_name",
            "collector_twice",
            "collectors",
            "counter_total_collides",
            "created_collides_counter_counter",
            "created_collides_histogram_gauge",
            "created_collides_summary_counter",
            "histogram_series_collide",
            "metric_in_two_sections",
            "neo4j_enabled_but_absent",
            "neo4j_no_query",
            "report_channels",
            "rule_expr_unknown_metric",
            "rule_label_unknown",
            "rule_template_unknown_label",
            "rule_twice",
            "rule_unknown_metric",
            "statsd_mapping_unknown_metric",
            "system_duplicate",
            "system_include_unknown_label",
            "system_unknown_metric",
            "system_unknown_source",
        ],
    ),
    (
        "a language within a text: a name, an address, a glob, an expression, a query, a template",
        &[
            "app_label_invalid",
            "channel_discord_mention",
            "channel_pagerduty_severity",
            "channel_slack_proxy",
            "channel_teams_template",
            "channel_telegram_chat",
            "channel_webhook_bad_url",
            "control_network_invalid",
            "default_label_invalid",
            "default_label_reserved",
            "host_with_port",
            "metric_name_invalid",
            "metric_name_reserved",
            "neo4j_uri_scheme",
            "neo4j_uri_with_password",
            "prefix_invalid",
            "recording_rules",
            "rule_expr_assignment",
            "rule_expr_function",
            "rule_expr_syntax",
            "rule_label_bad_regex",
            "rule_promql_syntax",
            "rule_template_syntax",
            "statsd_listen_invalid",
            "system_bad_glob",
        ],
    ),
    (
        "the value of one setting against that of another",
        &[
            "app_buckets_on_gauge",
            "app_buckets_unsorted",
            "app_label_le",
            "channel_kafka_source",
            "exec_command",
            "exec_not_allowed",
            "log",
            "query_timeout_over_request",
            "rule_histogram_without_aggregation",
            "rule_resolve_threshold_wrong_side",
            "rule_thresholds_out_of_order",
            "rule_without_history",
            "system_gauge_as_counter",
            "system_histogram",
            "timeout_over_interval",
            "trend_memory_with_path",
        ],
    ),
    (
        "a bound of a number or a length, which the declaration does not have: it is checked, with a hint, after decoding",
        &[
            "anomaly_values",
            "app_buckets_empty",
            "app_max_series_zero",
            "app_quantile_out_of_range",
            "interval_zero",
            "limits_zero",
            "neo4j_pool_zero",
            "query_no_concurrency",
            "rule_consecutive_zero",
            "trend_limits_zero",
        ],
    ),
    (
        "the environment, or the form of a reference to it",
        &[
            "env_bad_operator",
            "env_nested",
            "env_number_field",
            "env_required_message",
            "env_unset",
            "env_unterminated",
        ],
    ),
];

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn schema() -> Value {
    serde_json::from_str(&config::json_schema()).unwrap()
}

fn validator() -> Validator {
    jsonschema::draft202012::new(&schema()).unwrap()
}

/// Reads YAML as an editor does: the error of one that is not YAML counts as refused.
fn read(text: &str) -> Result<Value, String> {
    let mut value: serde_yaml::Value =
        serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    value.apply_merge().map_err(|error| error.to_string())?;
    Ok(to_json(value))
}

fn to_json(value: serde_yaml::Value) -> Value {
    match value {
        serde_yaml::Value::Null => Value::Null,
        serde_yaml::Value::Bool(value) => value.into(),
        serde_yaml::Value::Number(number) => serde_json::to_value(number).unwrap(),
        serde_yaml::Value::String(text) => text.into(),
        serde_yaml::Value::Sequence(items) => items.into_iter().map(to_json).collect(),
        serde_yaml::Value::Mapping(entries) => {
            let entry = |(key, value)| (key_text(&key), to_json(value));
            Value::Object(entries.into_iter().map(entry).collect::<Map<_, _>>())
        }
        serde_yaml::Value::Tagged(tagged) => to_json(tagged.value),
    }
}

fn key_text(key: &serde_yaml::Value) -> String {
    match key {
        serde_yaml::Value::String(text) => text.clone(),
        other => to_json(other.clone()).to_string(),
    }
}

/// Returns what the schema has against `text`, one error a line; nothing if it is valid.
fn errors(validator: &Validator, text: &str) -> Vec<String> {
    match read(text) {
        Ok(value) => validator
            .iter_errors(&value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect(),
        Err(error) => vec![error],
    }
}

fn yaml_files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(in_repository(folder)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.ends_with(".yaml") && !name.ends_with(".test.yaml")
    });
    files.sort();
    files
}

#[test]
fn the_committed_schema_is_what_the_code_gives() {
    let path = in_repository("config/bellwether.schema.json");
    let generated = config::json_schema();
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&path, &generated).unwrap();
    }
    assert!(
        fs::read_to_string(&path).ok() == Some(generated),
        "config/bellwether.schema.json is not what the code gives; \
         UPDATE_EXPECTED=1 cargo test --test library schema writes it anew"
    );
}

#[test]
fn the_schema_is_one_of_its_draft() {
    let schema = schema();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    if let Err(error) = jsonschema::draft202012::meta::validate(&schema) {
        panic!("{}: {error}", error.instance_path());
    }
}

#[test]
fn every_configuration_that_loads_is_valid() {
    let validator = validator();
    let folders = [
        "tests/config/good",
        "tests/config/odd",
        "config",
        "config/examples",
        "config/presets",
    ];
    let files: Vec<PathBuf> = folders.into_iter().flat_map(yaml_files).collect();
    assert!(files.len() >= 15, "only {} files", files.len());
    for path in files {
        let errors = errors(&validator, &fs::read_to_string(&path).unwrap());
        assert!(
            errors.is_empty(),
            "{}: {}",
            path.display(),
            errors.join("\n")
        );
    }
}

#[test]
fn every_configuration_in_the_docs_is_valid() {
    let validator = validator();
    let keys: Vec<String> = schema()["properties"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    let mut count = 0;
    let mut pages: Vec<PathBuf> = fs::read_dir(in_repository("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    pages.push(in_repository("README.md"));
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        let blocks = text.split("\n```yaml\n").skip(1);
        let blocks = blocks.filter_map(|block| block.split("\n```").next());
        // Blocks of other files, and parts of a configuration, begin with other keys.
        for block in blocks.filter(|block| is_whole(block, &keys)) {
            let errors = errors(&validator, block);
            assert!(
                errors.is_empty(),
                "{}: {}\n{block}",
                page.display(),
                errors.join("\n")
            );
            count += 1;
        }
    }
    assert!(count >= 10, "only {count} blocks");
}

/// Returns whether all keys of `block` that are not indented are those of a configuration.
fn is_whole(block: &str, keys: &[String]) -> bool {
    let mut tops = block
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(key, _)| key);
    let is_top = |key: &&str| !key.starts_with([' ', '#', '-']);
    let tops: Vec<&str> = tops.by_ref().filter(is_top).collect();
    !tops.is_empty() && tops.iter().all(|top| keys.iter().any(|key| key == top))
}

#[test]
fn every_broken_configuration_is_invalid_unless_no_schema_could_know() {
    let validator = validator();
    let beyond: Vec<&str> = BEYOND_A_SCHEMA
        .iter()
        .flat_map(|(_, names)| *names)
        .copied()
        .collect();
    let mut wrong = Vec::new();
    for path in yaml_files("tests/config/bad") {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let is_valid = errors(&validator, &fs::read_to_string(&path).unwrap()).is_empty();
        match (is_valid, beyond.contains(&&*name)) {
            (true, false) => wrong.push(format!("{name} is valid")),
            (false, true) => wrong.push(format!("{name} is invalid: take it off the list")),
            _ => {}
        }
    }
    let exists = |name: &&&str| {
        in_repository("tests/config/bad")
            .join(format!("{name}.yaml"))
            .exists()
    };
    let gone = beyond.iter().filter(|name| !exists(name));
    wrong.extend(gone.map(|name| format!("{name} does not exist")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_default_is_valid() {
    let whole = schema();
    let definitions = whole["$defs"].as_object().unwrap();
    let mut count = 0;
    for section in definitions.values().chain([&whole]) {
        let Some(properties) = section["properties"].as_object() else {
            continue;
        };
        for (key, property) in properties {
            let Some(default) = property.get("default") else {
                continue;
            };
            let mut alone = property.clone();
            alone["$defs"] = whole["$defs"].clone();
            let validator = jsonschema::draft202012::new(&alone).unwrap();
            let error = validator.validate(default).err();
            assert!(error.is_none(), "{}.{key}: {default}", section["title"]);
            count += 1;
        }
    }
    assert!(count > 150, "only {count} defaults");
}

#[test]
fn every_key_is_described() {
    let whole = schema();
    let definitions = whole["$defs"].as_object().unwrap();
    for section in definitions.values().chain([&whole]) {
        assert!(
            section["description"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{}",
            section["title"]
        );
        for (key, property) in section["properties"].as_object().unwrap() {
            let text = property["description"].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{}.{key}", section["title"]);
        }
    }
}

#[test]
fn a_variable_stands_for_a_value_of_any_scalar_type() {
    let validator = validator();
    for (text, is_valid) in [
        ("performance_monitor: {prometheus: {port: '${PORT}'}}", true),
        (
            "performance_monitor: {prometheus: {port: '$<PORT:-9091>'}}",
            true,
        ),
        ("performance_monitor: {prometheus: {port: '9091'}}", true),
        ("performance_monitor: {prometheus: {port: PORT}}", false),
        (
            "performance_monitor: {collection_interval: '${EVERY:-30s}'}",
            true,
        ),
        (
            "performance_monitor: {alerting: {enabled: '${ALERTING:-true}'}}",
            true,
        ),
        (
            "performance_monitor: {alerting: {enabled: 'perhaps'}}",
            false,
        ),
        ("logging: {level: '${LEVEL:-info}'}", true),
        ("logging: {level: INFO}", true),
        ("logging: {level: loud}", false),
        ("logging: {max_bytes: 1.5}", false),
    ] {
        assert_eq!(errors(&validator, text).is_empty(), is_valid, "{text}");
    }
}

#[test]
fn the_keys_of_a_channel_are_those_of_its_type() {
    let validator = validator();
    let channel = |text: &str| {
        format!("performance_monitor: {{alerting: {{notifications: {{channels: [{text}]}}}}}}")
    };
    for (text, is_valid) in [
        ("{type: log, level: warning, name: a}", true),
        ("{type: LOG, level: warning}", true),
        ("{type: log, topic: a}", false),
        ("{type: kafka, topic: a}", false),
        (
            "{type: kafka, topic: a, brokers: 'h:1', retry: {initial: 2s}}",
            true,
        ),
        ("{type: webhook, url: 'http://h'}", true),
        ("{type: webhook, url: 'http://h', url_file: f}", false),
        ("{name: a}", false),
    ] {
        assert_eq!(
            errors(&validator, &channel(text)).is_empty(),
            is_valid,
            "{text}"
        );
    }
}

#[test]
fn a_key_of_an_earlier_version_is_deprecated_and_excludes_the_new_one() {
    let former = &schema()["$defs"]["Retry"]["properties"]["give_up_after"];
    assert_eq!(former["deprecated"], json!(true));
    let validator = validator();
    let retry = |text: &str| {
        let channel = format!("{{type: log, retry: {text}}}");
        let text = format!(
            "performance_monitor: {{alerting: {{notifications: {{channels: [{channel}]}}}}}}"
        );
        errors(&validator, &text).is_empty()
    };
    assert!(retry("{give_up_after: 1h}"));
    assert!(!retry("{give_up_after: 1h, max_elapsed_time: 1h}"));
}
