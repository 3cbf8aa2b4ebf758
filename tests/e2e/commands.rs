//! The commands by hand: what they print and how they exit.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::queue_rule;
use crate::support::agent::Agent;
use crate::support::free_port;
use crate::support::receiver::{Mood, Receiver};

fn bellwether(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn check_says_what_is_wrong_and_where() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("x.yaml");
    std::fs::write(&file, "performance_monitor:\n  colection_interval: 3\n").unwrap();
    let output = bellwether(&["check", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.contains("x.yaml:2:3: performance_monitor.colection_interval: unknown key"),
        "{said}"
    );
    assert!(
        said.contains("did you mean \"collection_interval\"?"),
        "{said}"
    );

    let output = bellwether(&["check"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("good"));
}

#[test]
fn a_first_configuration_is_good_and_never_overwrites() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("first.yaml");
    let file = file.to_str().unwrap();
    let output = bellwether(&["init", "--output", file]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(
        said.contains(&format!("  bellwether run --config {file}\n")),
        "{said}"
    );
    let written = std::fs::read_to_string(file).unwrap();

    let checked = text(&bellwether(&["check", file]).stdout);
    assert!(checked.starts_with(&format!("{file}: good: ")), "{checked}");
    let printed = bellwether(&["init", "--dry-run"]);
    assert_eq!(text(&printed.stdout), written);

    let again = bellwether(&["init", "--full", "--output", file]);
    assert_eq!(again.status.code(), Some(1));
    let said = text(&again.stderr);
    let shows = format!("bellwether init --full --dry-run | diff {file} -");
    assert!(
        said.contains("exists and stays as it is") && said.contains(&shows),
        "{said}"
    );
    assert_eq!(std::fs::read_to_string(file).unwrap(), written);
    let full = text(&bellwether(&["init", "--full", "--output", "-"]).stdout);
    assert_eq!(full, bellwether_config::EMBEDDED);
}

#[test]
fn a_conversion_counts_what_is_lost_and_never_overwrites() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (source, broken, written) = (path("telegraf.conf"), path("broken.conf"), path("new.yaml"));
    std::fs::write(&source, "[[inputs.mem]]\n[[inputs.zfs]]\n").unwrap();
    std::fs::write(&broken, "[[inputs.mem]]\n[[inputs\n").unwrap();

    let output = bellwether(&["convert", &source, "-o", &written]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), "");
    let said = text(&output.stderr);
    assert!(said.contains("telegraf.conf:2: inputs.zfs\n"), "{said}");
    assert!(
        said.ends_with("bellwether: 1 converted, 1 without a counterpart\n"),
        "{said}"
    );
    assert_eq!(bellwether(&["check", &written]).status.code(), Some(0));

    let output = bellwether(&["convert", &source, "-o", &written]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.contains("new.yaml exists and stays as it is"),
        "{said}"
    );

    let output = bellwether(&["convert", &broken]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "");
    let said = text(&output.stderr);
    assert!(said.contains("broken.conf:2:"), "{said}");
    assert!(said.contains(": not valid TOML: "), "{said}");
    let output = bellwether(&["convert", "--from", "nothing", &source]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn check_lists_the_files_that_it_read() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("x.yaml"), "include: [y.yaml]\nperformance_monitor: {}\n").unwrap();
    std::fs::write(
        at("y.yaml"),
        "performance_monitor: {alerting: {rule_files: [z.yml]}}\n",
    )
    .unwrap();
    std::fs::write(at("z.yml"), "groups: []\n").unwrap();
    let output = bellwether(&["check", at("x.yaml").to_str().unwrap()]);
    let list: String = ["x.yaml", "y.yaml", "z.yml"]
        .map(|name| format!("  {}\n", at(name).display()))
        .concat();
    let said = text(&output.stdout);
    assert!(said.ends_with(&format!("files read:\n{list}")), "{said}");
}

#[test]
fn a_channel_is_tried_by_a_marked_sample_also_one_that_is_off() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("x.yaml");
    let receiver = Receiver::start(0);
    let channel = format!(
        "performance_monitor: {{alerting: {{notifications: {{channels: [{{type: webhook, name: pager, \
         enabled: false, min_severity: critical, url: 'http://{}'}}]}}}}}}\n",
        receiver.address()
    );
    std::fs::write(&file, channel).unwrap();
    let file = file.to_str().unwrap();
    let output = bellwether(&["notify-test", "pager", "--resolve", "--config", file]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(
        said.contains("pager: firing delivered in ")
            && said.contains("pager: resolved delivered in ")
    );
    let both = [
        "firing bellwether_test severity=info,test=true",
        "resolved bellwether_test severity=info,test=true",
    ];
    assert_eq!(receiver.taken(), both);
    assert_eq!(receiver.bodies()[0]["alerts"][0]["cause"], "test");

    receiver.mood(Mood::Status(400));
    let output = bellwether(&["notify-test", "pager", "--config", file]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stdout).contains("pager: firing rejected ("),
        "{}",
        text(&output.stdout)
    );
    let output = bellwether(&["notify-test", "--all", "--config", file]);
    assert!(text(&output.stderr).contains("no channel is enabled; hint: the channels are pager"));
}

#[test]
fn unreadable_files_are_one_line() {
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join("missing.yaml");
    let not_text = folder.path().join("binary.yaml");
    std::fs::write(&not_text, b"a: \xff\xfe").unwrap();
    for (path, expected) in [
        (missing.as_path(), "cannot read"),
        (folder.path(), "cannot read"),
        (not_text.as_path(), "not UTF-8"),
    ] {
        let output = bellwether(&["run", "--config", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1));
        let said = text(&output.stderr);
        assert!(
            said.contains(expected) && said.lines().count() <= 2,
            "{said}"
        );
    }
}

#[test]
fn whoever_has_read_enough_ends_a_command_in_silence() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .args(["config", "--reference"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(text(&output.stderr), "");
    assert_eq!(output.status.signal(), Some(13), "SIGPIPE");
}

#[test]
fn a_port_in_use_is_one_line_and_exit_1() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("x.yaml");
    std::fs::write(&file, queue_rule("{type: log}")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .args([
            "run",
            "--config",
            file.to_str().unwrap(),
            "--web.listen-address",
            &address,
        ])
        .env("STATE_DIRECTORY", folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("bellwether:"))
        .collect();
    assert_eq!(lines.len(), 1, "{said}");
    assert!(
        lines[0].contains(&address) && lines[0].contains("address already in use"),
        "{said}"
    );
}

#[test]
fn sigterm_stops_in_order_and_with_0() {
    let folder = TempDir::new().unwrap();
    let agent = Agent::start(folder.path(), &queue_rule("{type: log}"));
    assert!(agent.stop().success());
}

#[test]
fn status_health_and_version() {
    let folder = TempDir::new().unwrap();
    let agent = Agent::start(folder.path(), &queue_rule("{type: log}"));
    agent.wait_for_value(
        "bellwether_collector_success{collector=\"application\"",
        |up| up == 1.0,
    );
    crate::set_queue(&agent, "mail", 42.0);
    agent.wait_for_value("bellwether_alerts{state=\"firing\"", |firing| firing == 1.0);
    let url = format!("http://{}", agent.address());
    let line = agent.wait_for_log(&["started url="]);
    for field in ["version=", "configuration=", "state_directory="] {
        assert!(line.contains(field), "{line}");
    }
    let output = bellwether(&["health", "--url", &url]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let output = bellwether(&["status", "--url", &url]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(
        said.contains("application") && said.contains("backlog"),
        "{said}"
    );

    let nobody = format!("http://127.0.0.1:{}", free_port());
    let output = bellwether(&["health", "--url", &nobody]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("is it running?"));
    let output = bellwether(&["version"]);
    let version = text(&output.stdout);
    let first = format!("bellwether {}\n", env!("CARGO_PKG_VERSION"));
    assert!(version.starts_with(&first), "{version}");
    for line in ["revision:", "rust version: 1.", "features:"] {
        assert!(version.contains(line), "{version}");
    }
    assert_eq!(text(&bellwether(&["--version"]).stdout), version);
    assert_eq!(text(&bellwether(&["-V"]).stdout).lines().count(), 1);
}

#[test]
fn config_prints_what_is_in_effect_without_secrets() {
    let output = Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .arg("config")
        .env("NEO4J_PASSWORD", "hunter2")
        .env("ENVIRONMENT", "staging")
        .output()
        .unwrap();
    let said = text(&output.stdout);
    assert!(
        said.contains("password: <secret>") && said.contains("environment: staging"),
        "{said}"
    );
    assert!(!said.contains("hunter2"));
}

#[test]
fn commands_send_the_token_that_the_control_of_an_agent_asks_for() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("token"), "s3cret\n").unwrap();
    std::fs::write(at("other"), "guess\n").unwrap();
    let control = format!(
        "metric_prefix: test\n    host: 127.0.0.1\n    port: {}\n    control: {{token_file: {}}}",
        free_port(),
        at("token")
    );
    let yaml = queue_rule("{type: log}").replace("metric_prefix: test", &control);
    std::fs::write(at("bellwether.yaml"), yaml).unwrap();
    let agent = Agent::start_with(folder.path(), &[]);
    let url = format!("http://{}", agent.address());
    let silence = |more: &[&str]| {
        let output = bellwether(&[&["silence", "add", "a=b", "--for", "1h"], more].concat());
        (
            output.status.code(),
            text(&output.stdout) + &text(&output.stderr),
        )
    };
    let rejected = |more: &[&str], words: [&str; 2]| {
        let (status, said) = silence(&[&["--url", &url], more].concat());
        assert!(
            status == Some(1) && words.iter().all(|word| said.contains(word)),
            "{said}"
        );
        assert!(!said.contains("s3cret"), "{said}");
    };
    rejected(&[], ["a token is required", "--token-file"]);
    rejected(
        &["--token-file", &at("other")],
        ["the token is wrong", "compare it"],
    );
    rejected(
        &["--token-file", &at("none")],
        ["none: No such file", "hint: give --token-file a file"],
    );
    assert_eq!(
        silence(&["--url", &url, "--token-file", &at("token")]).0,
        Some(0)
    );
    assert_eq!(
        silence(&["--config", &at("bellwether.yaml")]).0,
        Some(0),
        "as declared"
    );
    // Looking needs none.
    let output = bellwether(&["silence", "list", "--url", &url]);
    assert_eq!(
        text(&output.stdout).matches("{a=\"b\"}").count(),
        2,
        "{}",
        text(&output.stderr)
    );
}

/// A history in a folder with one series, made by `import`.
fn imported() -> TempDir {
    let folder = TempDir::new().unwrap();
    let samples = folder.path().join("samples.txt");
    std::fs::write(
        &samples,
        "# TYPE x gauge\nx 1 1700000000\nx 2 1700000060\n# EOF\n",
    )
    .unwrap();
    let history = folder.path().join("history");
    let import = [
        "import",
        samples.to_str().unwrap(),
        "--history",
        history.to_str().unwrap(),
    ];
    let output = bellwether(&import);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    folder
}

/// A unit test of a rule that passes.
fn unit_test(folder: &TempDir) -> std::path::PathBuf {
    let rules = "groups: [{name: g, rules: [{alert: a, expr: up == 0}]}]\n";
    let test = "rule_files: [rules.yml]\ntests: [{interval: 1m, input_series: [{series: up, values: '0 0'}], \
                alert_rule_test: [{eval_time: 1m, alertname: a, exp_alerts: [{}]}]}]\n";
    std::fs::write(folder.path().join("rules.yml"), rules).unwrap();
    let path = folder.path().join("x.test.yaml");
    std::fs::write(&path, test).unwrap();
    path
}

#[test]
fn a_command_that_writes_a_file_replaces_regular_files_alone() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    let folder = imported();
    let at = |name: &str| folder.path().join(name);
    let test = unit_test(&folder);
    let history = at("history");
    let export = |output: &std::path::Path| {
        let (history, output) = (history.to_str().unwrap(), output.to_str().unwrap());
        bellwether(&[
            "export",
            "--history",
            history,
            "--from",
            "2023-01-01",
            "--file",
            output,
        ])
    };
    let junit = |output: &std::path::Path| {
        bellwether(&[
            "test",
            "--junit",
            output.to_str().unwrap(),
            test.to_str().unwrap(),
        ])
    };
    type Export<'a> = &'a dyn Fn(&std::path::Path) -> Output;
    let commands: [(Export<'_>, &str); 2] = [(&export, "x 1"), (&junit, "<testsuites")];
    for (command, wanted) in commands {
        let link = |to: &str, name: &str| symlink(to, at(name)).unwrap();
        std::fs::write(at("target"), "old").unwrap();
        std::fs::set_permissions(at("target"), PermissionsExt::from_mode(0o600)).unwrap();
        link("target", "link");
        link("/dev/null", "null");
        link("/dev/full", "full");
        assert!(
            Command::new("mkfifo")
                .arg(at("fifo"))
                .status()
                .unwrap()
                .success()
        );
        let fifo = at("fifo");
        let reader = std::thread::spawn(move || std::fs::read_to_string(fifo).unwrap());
        for name in ["new", "link", "null", "fifo"] {
            let output = command(&at(name));
            assert_eq!(
                output.status.code(),
                Some(0),
                "{name}: {}",
                text(&output.stderr)
            );
        }
        let through = reader.join().unwrap();
        assert!(through.contains(wanted), "{through}");
        for name in ["new", "target"] {
            assert!(
                std::fs::read_to_string(at(name)).unwrap().contains(wanted),
                "{name}"
            );
        }
        assert_eq!(
            std::fs::metadata(at("target")).unwrap().mode() & 0o777,
            0o600
        );
        for name in ["link", "null", "full"] {
            assert!(
                std::fs::symlink_metadata(at(name)).unwrap().is_symlink(),
                "{name}"
            );
        }
        let output = command(&at("full"));
        assert_ne!(output.status.code(), Some(0));
        let said = text(&output.stderr);
        assert!(
            said.contains("No space left on device") && !said.contains("panicked"),
            "{said}"
        );
        for name in ["new", "target", "link", "null", "full", "fifo"] {
            std::fs::remove_file(at(name)).unwrap();
        }
    }
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(
        left, 4,
        "no draft is left beside samples, history, rules and test"
    );
}

#[test]
fn what_cannot_be_printed_ends_a_command_with_one_line() {
    let folder = imported();
    let history = folder.path().join("history");
    let history = history.to_str().unwrap();
    let (samples, test) = (folder.path().join("samples.txt"), unit_test(&folder));
    let agent = Agent::start(folder.path(), &queue_rule(""));
    let url = format!("http://{}", agent.address());
    let of_folder = |command: &'static str| vec![command, "--history", history];
    let export = [of_folder("export"), vec!["--from", "2023-01-01"]].concat();
    let import = [of_folder("import"), vec![samples.to_str().unwrap()]].concat();
    let commands: Vec<Vec<&str>> = vec![
        vec!["--help"],
        vec!["--version"],
        vec!["query", "--help"],
        vec!["version"],
        vec!["check"],
        vec!["config"],
        vec!["config", "--reference"],
        vec!["dashboard"],
        vec!["rules"],
        vec!["route", "a=b"],
        vec!["test", test.to_str().unwrap()],
        export,
        import,
        vec!["query", "vector(1)", "--url", &url],
        vec!["status", "--url", &url],
        vec!["health", "--url", &url],
        vec!["alerts", "--url", &url],
        vec!["silence", "list", "--url", &url],
    ];
    for arguments in commands {
        let full = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
        let output = command.args(&arguments).stdout(full).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{arguments:?}: {said}");
        assert!(
            said.contains("No space left on device"),
            "{arguments:?}: {said}"
        );
        // Nothing ends badly where nothing can be said at all.
        let full = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
        let output = command.args(&arguments).stderr(full).output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{arguments:?}: {}",
            text(&output.stdout)
        );
    }
}

#[test]
fn check_finds_what_would_keep_run_from_starting_or_sending() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (missing, not_pem, empty, fifo) = (at("missing"), at("x.pem"), at("empty"), at("fifo"));
    std::fs::write(&not_pem, "x\n").unwrap();
    std::fs::write(&empty, "\n").unwrap();
    let unknown_user = at("web.yml");
    std::fs::write(&unknown_user, "roles:\n  a: admin\n").unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let here = folder.path().to_str().unwrap();
    let channel = |keys: &str| {
        format!(
            "performance_monitor: {{alerting: {{notifications: {{channels: [{{{keys}}}]}}}}}}\n"
        )
    };
    let hook = |keys: &str| channel(&format!("type: webhook, url: 'http://127.0.0.1:1', {keys}"));
    let kafka = |security: &str| {
        channel(&format!(
            "type: kafka, brokers: 'k:9', topic: t, security: {{{security}}}"
        ))
    };
    let neo4j = |keys: &str| format!("performance_monitor: {{neo4j_metrics: {{{keys}}}}}\n");
    let remote = |keys: &str| {
        format!(
            "performance_monitor: {{}}\nremote_write: [{{url: 'http://127.0.0.1:1/w', {keys}}}]\n"
        )
    };
    let cases = [
        (
            channel(&format!("type: webhook, url_file: {missing}")),
            "url_file: ",
        ),
        (
            channel(&format!("type: webhook, url_file: {here}")),
            "a directory",
        ),
        (
            channel(&format!("type: webhook, url_file: {fifo}")),
            "a FIFO",
        ),
        (
            channel(&format!("type: webhook, url_file: {not_pem}")),
            "not a URL",
        ),
        (hook(&format!("ca_file: {missing}")), "ca_file: "),
        (hook(&format!("ca_file: {not_pem}")), "no certificate in it"),
        (hook("ca_file: /dev/zero"), "a device, not a regular file"),
        (
            hook(&format!("bearer_token_file: {empty}")),
            "bearer_token_file: ",
        ),
        (
            hook(&format!(
                "basic_auth: {{username: u, password_file: {here}}}"
            )),
            "password_file: ",
        ),
        (
            kafka(&format!(
                "protocol: SASL_PLAINTEXT, user: u, password_file: {missing}"
            )),
            "password_file",
        ),
        (
            remote(&format!("bearer_token_file: {missing}")),
            "bearer_token_file: ",
        ),
        (
            remote(&format!("ca_file: {not_pem}")),
            "no certificate in it",
        ),
        (
            neo4j(&format!("password_file: {missing}")),
            "neo4j_metrics.password_file: ",
        ),
        (
            neo4j(&format!("password: x, ca_file: {empty}")),
            "no certificate in it",
        ),
        (neo4j("password: x, uri: '?'"), "no host in the address"),
        (
            format!("performance_monitor: {{}}\nlogging: {{file: {here}}}\n"),
            "logging.file: cannot open",
        ),
        (
            "performance_monitor: {application: {statsd: {listen: 'udp://127.0.0.1:1'}}}\n".into(),
            "not an address with a port",
        ),
        (
            format!("performance_monitor: {{prometheus: {{control: {{token_file: {fifo}}}}}}}\n"),
            "x.yaml:1:58: performance_monitor.prometheus.control.token_file: cannot read ",
        ),
        (
            format!("performance_monitor:\n  prometheus:\n    web_config_file: {missing}\n"),
            "x.yaml:3:22: performance_monitor.prometheus.web_config_file: cannot read ",
        ),
        (
            format!("performance_monitor:\n  prometheus:\n    web_config_file: {unknown_user}\n"),
            "web.yml:2:6: roles.a: no user \"a\"",
        ),
    ];
    let file = at("x.yaml");
    for (yaml, expected) in &cases {
        std::fs::write(&file, yaml).unwrap();
        let output = bellwether(&["check", &file]);
        let said = text(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(1),
            "{yaml}: {}",
            text(&output.stdout)
        );
        assert!(said.contains(expected), "{yaml}: {said}");
    }
    // What is switched off is not looked at.
    std::fs::write(&file, hook(&format!("enabled: false, ca_file: {missing}"))).unwrap();
    assert_eq!(bellwether(&["check", &file]).status.code(), Some(0));
    for (flags, expected) in [
        (
            ["--web.config.file", missing.as_str()],
            "--web.config.file: cannot read ",
        ),
        (["--web.config.file", fifo.as_str()], "a FIFO"),
        (
            ["--web.listen-address", "nonsense"],
            "expected ADDRESS:PORT",
        ),
        (
            ["--web.listen-address", "a b:9091"],
            "not an address or a host name",
        ),
    ] {
        let output = bellwether(&["check", &file, flags[0], flags[1]]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{flags:?}");
        assert!(said.contains(expected), "{flags:?}: {said}");
    }
}

#[test]
fn what_fails_cheaply_comes_before_anything_is_written() {
    let folder = TempDir::new().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let file = folder.path().join("x.yaml");
    std::fs::write(&file, queue_rule("{type: log}")).unwrap();
    let state = folder.path().join("state");
    let output = Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .args([
            "run",
            "--web.listen-address",
            &address,
            "--config",
            file.to_str().unwrap(),
        ])
        .env("STATE_DIRECTORY", &state)
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("address already in use"), "{said}");
    assert!(!said.contains("WARN") && !state.exists(), "{said}");
}

#[test]
fn an_export_names_the_history_that_it_reads() {
    let folder = TempDir::new().unwrap();
    let (empty, file) = (folder.path().join("empty"), folder.path().join("out.om"));
    std::fs::create_dir(&empty).unwrap();
    let (empty, file) = (empty.to_str().unwrap(), file.to_str().unwrap());
    let output = bellwether(&["export", "--history", empty, "--file", file]);
    assert_eq!(
        text(&output.stderr),
        format!(
            "no samples in this time range in {empty}; hint: there are no series at all\n\
             exported 0 samples of 0 series from {empty} to {file}\n"
        )
    );
}

#[test]
fn files_of_http_access_are_errors_of_their_setting_at_the_start() {
    let folder = TempDir::new().unwrap();
    let (file, state) = (folder.path().join("x.yaml"), folder.path().join("state"));
    let missing = folder.path().join("missing");
    let yaml = format!(
        "performance_monitor:\n  prometheus:\n    port: {}\n    control: {{token_file: {}}}\n",
        free_port(),
        missing.display()
    );
    std::fs::write(&file, yaml).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .args(["run", "--config", file.to_str().unwrap()])
        .env("STATE_DIRECTORY", &state)
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let expected = format!(
        "{}:4:27: performance_monitor.prometheus.control.token_file: cannot read {}: No such file",
        file.display(),
        missing.display()
    );
    assert!(said.contains(&expected), "{said}");
    assert!(said.contains("\n  hint: ") && !state.exists(), "{said}");
}

#[test]
fn an_environment_variable_that_is_not_text_is_named_as_such() {
    use std::os::unix::ffi::OsStrExt;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("x.yaml");
    std::fs::write(
        &file,
        "performance_monitor: {collection_interval: '${ODD}'}\n",
    )
    .unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .args(["check", file.to_str().unwrap()])
        .env("ODD", std::ffi::OsStr::from_bytes(b"3\xff"))
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert!(
        said.contains("environment variable ODD is not UTF-8 text"),
        "{said}"
    );
}
