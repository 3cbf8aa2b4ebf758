//! Files that are shipped to run Bellwether: the systemd unit, its user, the Prometheus file.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs `tool`; one that is not there fails the test in a line that names it.
fn run(tool: &str, arguments: &[&str]) -> Output {
    Command::new(tool)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("missing tool: {tool}: {error}"))
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn the_unit_is_sandboxed() {
    let unit = shipped("deploy/bellwether.service");
    let unit = unit.to_str().expect("utf-8");
    // Above the threshold, in tenths, the tool ends with an error.
    let output = run(
        "systemd-analyze",
        &[
            "security",
            "--offline=true",
            "--threshold=13",
            "--no-pager",
            unit,
        ],
    );
    let report = text(&output);
    assert!(report.contains("Overall exposure level"), "{report}");
    assert!(output.status.success(), "{report}");
}

#[test]
fn systemd_finds_nothing_to_correct_in_the_unit() {
    let unit = fs::read_to_string(shipped("deploy/bellwether.service")).expect("unit");
    let folder = tempfile::tempdir().expect("folder");
    let copy = folder.path().join("bellwether.service");
    fs::write(
        &copy,
        unit.replace(
            "/usr/local/bin/bellwether",
            env!("CARGO_BIN_EXE_bellwether"),
        ),
    )
    .expect("copy");
    let output = run(
        "systemd-analyze",
        &["verify", "--man=no", copy.to_str().expect("utf-8")],
    );
    assert_eq!(
        (output.status.success(), text(&output).as_str()),
        (true, "")
    );
}

#[test]
fn the_unit_can_do_what_the_agent_needs() {
    let unit = fs::read_to_string(shipped("deploy/bellwether.service")).expect("unit");
    for line in [
        "Type=notify",
        "WatchdogSec=30",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "User=bellwether",
        // What queries and rules may hold, and the rest of the agent.
        "MemoryMax=2G",
        "StateDirectory=bellwether",
        "LogsDirectory=bellwether",
        "ConfigurationDirectory=bellwether",
        // Commands of every user read the runtime file in it.
        "RuntimeDirectory=bellwether",
        "RuntimeDirectoryMode=0755",
        // Sizes of the file systems below the homes, and /proc/stat and the like.
        "ProtectHome=read-only",
        "ProcSubset=all",
        // Scrapes, UDP, Bolt and Kafka; the notify socket.
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
    ] {
        assert!(
            unit.lines().any(|found| found == line),
            "missing from the unit: {line}"
        );
    }
    for cut in ["PrivateNetwork=yes", "IPAddressDeny"] {
        assert!(!unit.contains(cut), "cuts the agent off: {cut}");
    }
}

/// A managed Kafka is reached by TLS and SCRAM only.
#[test]
fn what_is_shipped_speaks_tls_to_kafka() {
    let read = |path| fs::read_to_string(shipped(path)).expect(path);
    let default =
        |line: &str| line.starts_with("default = [") && line.contains("\"kafka-ssl-vendored\"");
    assert!(read("Cargo.toml").lines().any(default), "not by default");
    for (path, build) in [
        ("Makefile", "\tcargo build --release --locked\n"),
        ("Makefile", "cargo rustc --release --locked"),
        ("deploy/Dockerfile", "make dist"),
    ] {
        assert!(read(path).contains(build), "{path}: {build}");
    }
    let without = |line: &&str| line.contains("build") && line.contains("--no-default-features");
    assert_eq!(read("deploy/Dockerfile").lines().find(without), None);
    // `make run` alone builds without OpenSSL.
    assert_eq!(read("Makefile").lines().filter(without).count(), 1);
}

/// A binary as `make run` builds it is not installed by mistake.
#[test]
fn install_rejects_a_binary_without_tls_to_kafka() {
    let root = tempfile::tempdir().expect("folder");
    let binary = root.path().join("bellwether");
    for (features, is_installed) in [
        ("kafka,neo4j", false),
        ("kafka,kafka-ssl,neo4j", true),
        ("neo4j", true),
    ] {
        let script = format!("#!/bin/sh\necho 'bellwether 0\n  features: {features}'\n");
        fs::write(&binary, script).expect("script");
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).expect("mode");
        let output = make_with("install", &root.path().join("root"), &binary);
        assert_eq!(output.status.success(), is_installed, "{features}");
        let says =
            text(&output).contains("has no TLS to Kafka, as after make run; hint: make build");
        assert_eq!(says, !is_installed, "{}", text(&output));
    }
}

/// The rpm has the files of the Debian package, with the same modes.
#[test]
fn both_packages_have_the_same_files() {
    let manifest = fs::read_to_string(shipped("Cargo.toml")).expect("manifest");
    let section = |name: &str| {
        let header = format!("\n[package.metadata.{name}]\n");
        let (_, rest) = manifest.split_once(&header).expect(name);
        rest.split("\n[").next().unwrap_or(rest).to_owned()
    };
    let quoted = |line: &str| -> Vec<String> {
        let texts = line.split('"').skip(1).step_by(2);
        texts.map(str::to_owned).collect()
    };
    let files = |section: &str| -> Vec<(String, String)> {
        let lines = section
            .lines()
            .filter(|line| line.contains("target/packages"));
        let texts = lines.map(quoted);
        texts
            .map(|texts| (texts[0].clone(), texts[2].clone()))
            .collect()
    };
    let deb = files(&section("deb"));
    assert!(deb.len() > 10, "{deb:?}");
    assert_eq!(deb, files(&section("generate-rpm")));
}

/// The agent on a node of Kubernetes has its host's paths, and a configuration that it accepts.
#[test]
fn the_configuration_of_kubernetes_is_good() {
    let config = shipped("deploy/kubernetes/bellwether.yaml");
    let output = Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .arg("check")
        .arg(&config)
        .env("HOSTNAME", "node-1")
        .output()
        .expect("bellwether runs");
    assert!(output.status.success(), "{}", text(&output));
    assert!(!text(&output).contains("warning"), "{}", text(&output));
    let pods = fs::read_to_string(shipped("deploy/kubernetes/daemonset.yaml")).expect("pods");
    let config = fs::read_to_string(config).expect("configuration");
    for (key, path) in [
        ("procfs", "/host/proc"),
        ("sysfs", "/host/sys"),
        ("rootfs", "/host/root"),
    ] {
        assert!(config.contains(&format!("{key}: {path}\n")), "{key}");
        assert!(
            pods.contains(&format!("mountPath: {path}, readOnly: true")),
            "{path}"
        );
    }
}

/// A build without features needs no C++ compiler.
#[test]
fn a_build_without_kafka_has_no_librdkafka() {
    let crates = |features: &[&str]| {
        let tree = ["tree", "--locked", "--edges", "no-dev", "--prefix", "none"];
        let manifest = shipped("Cargo.toml");
        let manifest = ["--manifest-path", manifest.to_str().expect("utf-8")];
        let output = run(env!("CARGO"), &[&tree, &manifest[..], features].concat());
        assert!(output.status.success(), "{}", text(&output));
        String::from_utf8(output.stdout).expect("utf-8")
    };
    let with = crates(&["--no-default-features", "--features", "kafka"]);
    assert!(with.contains("\nrdkafka-sys "), "{with}");
    let without = crates(&["--no-default-features"]);
    assert!(without.contains("\nbellwether-notify "), "{without}");
    assert!(!without.contains("rdkafka"), "{without}");
}

#[test]
fn prometheus_takes_its_file() {
    let file = shipped("deploy/prometheus.yml");
    let output = run(
        "promtool",
        &["check", "config", file.to_str().expect("utf-8")],
    );
    assert!(output.status.success(), "{}", text(&output));
    let settings: serde_yaml::Value =
        serde_yaml::from_str(&fs::read_to_string(&file).expect("file")).expect("yaml");
    let job = &settings["scrape_configs"][0];
    assert_eq!(
        job["honor_labels"].as_bool(),
        Some(true),
        "the instance label of the target must win"
    );
    assert_eq!(
        job["static_configs"][0]["targets"][0].as_str(),
        Some("localhost:9091")
    );
    assert_eq!(settings["global"]["scrape_interval"].as_str(), Some("30s"));
}

/// `make install` or `make uninstall` into a folder, with the binary under test.
fn make(target: &str, root: &Path) -> String {
    let output = make_with(target, root, Path::new(env!("CARGO_BIN_EXE_bellwether")));
    assert!(output.status.success(), "{}", text(&output));
    text(&output)
}

fn make_with(target: &str, root: &Path, binary: &Path) -> Output {
    Command::new("make")
        .args([
            "--no-print-directory",
            "-C",
            env!("CARGO_MANIFEST_DIR"),
            target,
        ])
        .arg(format!("DESTDIR={}", root.display()))
        .arg(format!("BINARY={}", binary.display()))
        .args(["PREFIX=/usr", "SYSCONFDIR=/etc"])
        .output()
        .expect("make runs")
}

fn files_below(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("folder") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(
                    path.strip_prefix(root)
                        .expect("below")
                        .display()
                        .to_string(),
                );
            }
        }
    }
    found.sort();
    found
}

#[test]
fn install_puts_everything_in_its_place_and_uninstall_takes_it_away() {
    let root = tempfile::tempdir().expect("folder");
    make("install", root.path());
    assert_eq!(
        files_below(root.path()),
        [
            "etc/bellwether/bellwether.yaml",
            "usr/bin/bellwether",
            "usr/lib/systemd/system/bellwether.service",
            "usr/lib/sysusers.d/bellwether.conf",
            "usr/share/bellwether/bellwether.schema.json",
            "usr/share/bellwether/bellwether.yaml",
            "usr/share/bellwether/grafana/dashboards/bellwether.json",
            "usr/share/bellwether/grafana/provisioning/dashboards/bellwether.yml",
            "usr/share/bellwether/grafana/provisioning/datasources/bellwether.yml",
            "usr/share/bellwether/presets/apache.test.yaml",
            "usr/share/bellwether/presets/apache.yaml",
            "usr/share/bellwether/presets/containers.test.yaml",
            "usr/share/bellwether/presets/containers.yaml",
            "usr/share/bellwether/presets/host.test.yaml",
            "usr/share/bellwether/presets/host.yaml",
            "usr/share/bellwether/presets/kafka.test.yaml",
            "usr/share/bellwether/presets/kafka.yaml",
            "usr/share/bellwether/presets/memcached.test.yaml",
            "usr/share/bellwether/presets/memcached.yaml",
            "usr/share/bellwether/presets/mysql.test.yaml",
            "usr/share/bellwether/presets/mysql.yaml",
            "usr/share/bellwether/presets/neo4j.test.yaml",
            "usr/share/bellwether/presets/neo4j.yaml",
            "usr/share/bellwether/presets/nginx.test.yaml",
            "usr/share/bellwether/presets/nginx.yaml",
            "usr/share/bellwether/presets/postgresql.test.yaml",
            "usr/share/bellwether/presets/postgresql.yaml",
            "usr/share/bellwether/presets/redis.test.yaml",
            "usr/share/bellwether/presets/redis.yaml",
            "usr/share/bellwether/prometheus.yml",
        ]
    );
    let unit = root
        .path()
        .join("usr/lib/systemd/system/bellwether.service");
    let unit = fs::read_to_string(unit).expect("unit");
    assert!(
        unit.contains("ExecStart=/usr/bin/bellwether run --config /etc/bellwether/bellwether.yaml")
    );
    assert!(!unit.contains("/usr/local"), "{unit}");
    let binary = root.path().join("usr/bin/bellwether");
    let config = root.path().join("etc/bellwether/bellwether.yaml");
    let schema = "\n# yaml-language-server: $schema=/usr/share/bellwether/bellwether.schema.json\n";
    let written = fs::read_to_string(&config).expect("config");
    assert!(written.contains(schema), "{written}");
    let output = run(
        binary.to_str().expect("utf-8"),
        &["check", config.to_str().expect("utf-8")],
    );
    assert!(output.status.success(), "{}", text(&output));

    make("uninstall", root.path());
    assert_eq!(files_below(root.path()), ["etc/bellwether/bellwether.yaml"]);
}

#[test]
fn install_leaves_an_edited_configuration_alone() {
    let root = tempfile::tempdir().expect("folder");
    make("install", root.path());
    let config = root.path().join("etc/bellwether/bellwether.yaml");
    let shipped = fs::read_to_string(&config).expect("config");
    assert_eq!(
        make("install", root.path()).matches(".new").count(),
        0,
        "nothing was edited"
    );

    fs::write(&config, "performance_monitor: {}\n").expect("edit");
    assert!(make("install", root.path()).contains("bellwether.yaml.new"));
    assert_eq!(
        fs::read_to_string(&config).expect("config"),
        "performance_monitor: {}\n"
    );
    assert_eq!(
        fs::read_to_string(config.with_extension("yaml.new")).expect("new"),
        shipped
    );
}

#[test]
fn a_build_without_neo4j_has_no_client_of_it() {
    let manifest = shipped("Cargo.toml");
    let manifest = manifest.to_str().expect("utf-8");
    let tree = |features: &[&str]| {
        let tree = ["tree", "--locked", "--edges", "no-dev", "--prefix", "none"];
        let place = ["--no-default-features", "--manifest-path", manifest];
        let output = run(env!("CARGO"), &[&tree, &place[..], features].concat());
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    };
    assert!(tree(&["--features", "neo4j"]).contains("\nneo4rs "));
    let without = tree(&[]);
    assert!(without.contains("\nbellwether-collectors "), "{without}");
    assert!(!without.contains("neo4rs"), "{without}");
}
