//! Declarations that must load, and broken ones with the message that each must give.
//!
//! Beside `bad/x.yaml` and `odd/x.yaml` is `x.txt`, the output of `bellwether check` for it. After a wanted
//! change of a message, `UPDATE_EXPECTED=1 cargo test --test library config` writes them anew; read the
//! difference before you commit it.

use std::fs;
use std::path::{Path, PathBuf};

use bellwether_config::{self as config, EMBEDDED, Source};

fn yaml_files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/config")
        .join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    // Those of Kafka need a build with it.
    files.retain(|path| {
        cfg!(feature = "kafka") || !path.to_string_lossy().contains("channel_kafka")
    });
    files.sort();
    files
}

/// Plan of `text`, or the output of `check`; the file has its bare name there.
fn report(name: &str, text: &str) -> Result<config::Plan, String> {
    let source = Source::File(name.into());
    config::plan(config::decode(&source, text, &|_| None)).map_err(|report| format!("{report}\n"))
}

/// Compares what `render` makes of each file of `folder` with the text beside it.
fn compare(folder: &str, render: impl Fn(Result<config::Plan, String>) -> Option<String>) {
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let mut different = Vec::new();
    for path in yaml_files(folder) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(found) = render(report(&name, &fs::read_to_string(&path).unwrap())) else {
            different.push(format!("{name} is in the wrong folder"));
            continue;
        };
        let expected = path.with_extension("txt");
        if update {
            fs::write(&expected, &found).unwrap();
        } else if fs::read_to_string(&expected).ok().as_ref() != Some(&found) {
            different.push(format!("{name} gives:\n{found}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn broken_configurations_give_the_expected_message() {
    assert!(
        yaml_files("bad").len() >= 60,
        "only {} broken files",
        yaml_files("bad").len()
    );
    compare("bad", Result::err);
}

#[test]
#[cfg(not(feature = "kafka"))]
fn a_kafka_channel_needs_a_build_with_kafka() {
    let text = fs::read_to_string("tests/config/good/channel_kafka.yaml").unwrap();
    let error = "k.yaml:5:11: performance_monitor.alerting.notifications.channels[0]: channel \"kafka\": \
                 this binary was built without Kafka\n  hint: build with `--features kafka`, or remove \
                 the channel\n";
    assert_eq!(report("k.yaml", &text).err().as_deref(), Some(error));
    let disabled = text.replace("min_severity: critical", "enabled: false");
    assert!(report("k.yaml", &disabled).is_ok());
}

#[test]
fn unusual_configurations_load_with_the_expected_warnings() {
    compare("odd", |plan| {
        let mut warnings = plan.ok()?.warnings;
        warnings.sort_by_key(|warning| warning.location.pos);
        (!warnings.is_empty()).then(|| {
            warnings
                .iter()
                .map(|warning| format!("{warning}\n"))
                .collect()
        })
    });
}

#[test]
fn good_configurations_load() {
    let files = yaml_files("good");
    assert!(files.len() >= 8, "only {} good files", files.len());
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if let Err(report) = report(&name, &fs::read_to_string(&path).unwrap()) {
            panic!("{report}");
        }
    }
}

#[test]
fn every_good_configuration_prints_as_one_that_loads_to_the_same() {
    let folders = [
        "good",
        "odd",
        "../../config",
        "../../config/examples",
        "../../config/presets",
    ];
    let mut files: Vec<PathBuf> = folders.into_iter().flat_map(yaml_files).collect();
    files.retain(|path| !path.to_string_lossy().ends_with(".test.yaml"));
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let printed = config::print(&report(&name, &text).unwrap().root).unwrap();
        if path.to_string_lossy().contains("environment.yaml") {
            assert!(printed.contains("/$${NOT_SET}") && printed.contains("'${NOT_EXPANDED}'"));
        }
        // Hidden values stay as they are; it is no address and no header any more.
        let address = match &*name {
            "redis.yaml" => "redis://secret",
            _ => "http://secret",
        };
        let replaced = |printed: String| {
            let printed = printed.replace("dsn: <secret>", "dsn: mysql://secret");
            printed.replace("<secret>", address)
        };
        let printed = replaced(printed);
        let again = replaced(config::print(&report(&name, &printed).unwrap().root).unwrap());
        assert_eq!(printed, again, "{name}");
    }
}

#[test]
fn the_shipped_configuration_holds_the_whole_catalogue() {
    let plan = report("bellwether.yaml", EMBEDDED).unwrap();
    let collectors = &plan.root.performance_monitor.built_in;
    assert_eq!(collectors.system.system_metrics.len(), 24);
    assert_eq!(collectors.application.application_metrics.len(), 14);
    let neo4j = collectors.neo4j.neo4j_metrics.as_ref().unwrap();
    assert_eq!(neo4j.queries.len(), 13);
    assert!(plan.rules.rules.len() >= 13);
    let conditions: Vec<String> = plan
        .rules
        .rules
        .iter()
        .map(|rule| rule.condition())
        .collect();
    for expected in [
        "disk_usage_percent reaches 95 within 4h",
        "memory_percent is anomalous",
    ] {
        assert!(
            conditions.iter().any(|condition| condition == expected),
            "{conditions:?}"
        );
    }
    assert!(plan.warnings.is_empty(), "{:?}", plan.warnings);
}

#[test]
fn every_example_and_preset_loads_without_a_warning() {
    let mut examples = yaml_files("../../config/examples");
    examples.extend(yaml_files("../../config/presets"));
    examples.retain(|path| !path.to_string_lossy().ends_with(".test.yaml"));
    assert!(!examples.is_empty());
    for path in examples {
        let name = path.display().to_string();
        let plan = report(&name, &fs::read_to_string(&path).unwrap()).unwrap();
        assert!(plan.warnings.is_empty(), "{name}: {:?}", plan.warnings);
    }
}

#[test]
fn secrets_are_not_printed() {
    let text = "performance_monitor:\n  neo4j_metrics: {password: hunter2}\n  alerting:\n    \
                notifications:\n      channels:\n        - {type: webhook, url: \
                \"https://user:hunter2@example.org/hunter2\", bearer_token: hunter2}\n";
    let printed = config::print(&report("x.yaml", text).unwrap().root).unwrap();
    assert!(
        printed.contains("<secret>") && !printed.contains("hunter2"),
        "{printed}"
    );
}

#[test]
fn secrets_inside_of_addresses_and_headers_are_not_printed() {
    let text = "performance_monitor:\n  alerting:\n    allow_exec: false\n    external_url: \
                \"https://u:hunter2@example.org\"\n    notifications:\n      channels:\n        \
                - {type: slack, channel: '#a', token: hunter2, api_url: \"https://u:hunter2@example.org\"}\n        \
                - {type: email, smtp_server: mail.example.org, from: a@example.org, recipients: [b@example.org], \
                headers: {X-Token: hunter2}}\n";
    let printed = config::print(&report("x.yaml", text).unwrap().root).unwrap();
    assert!(
        printed.contains("https://<secret>@example.org"),
        "{printed}"
    );
    assert!(!printed.contains("hunter2"), "{printed}");
}

#[test]
fn a_list_or_a_mapping_with_nothing_behind_it_is_the_default() {
    let text = "performance_monitor:\n  system_metrics:\n  enabled_collectors:\n  prometheus:\n    \
                default_labels:\n  alerting:\n    rules:\n    notifications:\n      channels:\n\
                remote_write:\nlogging:\n";
    let plan = report("x.yaml", text).unwrap();
    let collectors = &plan.root.performance_monitor.built_in;
    assert!(collectors.system.system_metrics.is_empty());
    assert!(plan.root.remote_write.is_empty());
    let text =
        "performance_monitor:\n  alerting:\n    recording_rules:\n      - {record: a, promql: }\n";
    assert!(report("x.yaml", text).is_err());
}

#[test]
fn the_generated_docs_are_what_the_code_gives() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    for (name, generated) in [
        ("configuration.md", config::reference()),
        ("metrics.md", config::metrics()),
    ] {
        let path = docs.join(name);
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(&path, &generated).unwrap();
        }
        assert!(
            fs::read_to_string(&path).ok() == Some(generated),
            "docs/{name} is not what the code gives; \
             UPDATE_EXPECTED=1 cargo test --test library config writes it anew"
        );
    }
}

#[test]
fn a_header_or_label_whose_name_ends_in_file_names_no_file() {
    let text = "performance_monitor:\n  application_metrics: [{name: a, type: gauge, labels: [log_file]}]\n  \
                application:\n    statsd: {mappings: [{match: m.*, metric: a, labels: {log_file: $1}}]}\n  \
                alerting:\n    notifications:\n      channels:\n        \
                - {type: webhook, url: 'http://localhost', headers: {x_file: none}}\n";
    let plan = report("x.yaml", text).unwrap();
    assert_eq!(config::check_external(&plan), []);
    let missing = text.replace("url:", "bearer_token_file: /none, url:");
    let plan = report("x.yaml", &missing).unwrap();
    assert_eq!(config::check_external(&plan).len(), 1);
}

#[test]
fn a_wrong_rule_file_costs_its_own_rules_at_a_start_and_fails_the_check() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let group =
        |expr: &str| format!("groups: [{{name: g, rules: [{{alert: {expr}, expr: '{expr}'}}]}}]");
    write("a.yml", &group("good"));
    write("b.yml", "groups: [");
    write("c.yml", &group("sum("));
    write("d.yml", "groups: [{nam: x}]");
    fs::create_dir(folder.path().join("e.yml")).unwrap();
    write("z.yml", &group("fine"));
    let configuration = |more: &str| {
        let text = format!("performance_monitor: {{alerting: {{rule_files: ['*.yml']{more}}}}}");
        write("bellwether.yaml", &text);
    };
    let source = Source::File(folder.path().join("bellwether.yaml"));
    let load = || config::load(&source, &|_| None);

    configuration("");
    let report = load().and_then(config::plan).err().unwrap();
    let plan = config::plan_at_start(load).unwrap();
    let names: Vec<&str> = plan.rules.rules.iter().map(|rule| &*rule.name).collect();
    assert_eq!(names, ["good", "fine"]);
    for file in ["b.yml", "c.yml", "d.yml", "e.yml"] {
        let render = |problems: &[bellwether_schema::Diagnostic]| {
            problems
                .iter()
                .any(|problem| problem.render(&"x").contains(file))
        };
        assert!(
            render(&plan.left_out) && render(&report.problems),
            "{file}: {:?}",
            plan.left_out
        );
    }
    let files: std::collections::BTreeSet<_> = plan
        .left_out
        .iter()
        .map(|problem| &problem.location.file)
        .collect();
    assert_eq!(files.len(), 4, "{:?}", plan.left_out);

    configuration(", rule_limit: x");
    let report = config::plan_at_start(load).err().unwrap();
    assert!(report.to_string().contains("rule_limit"), "{report}");
}
