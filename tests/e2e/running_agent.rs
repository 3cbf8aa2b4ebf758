//! Commands that find the agent on their host, and the errors of those that do not reach one.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use tempfile::TempDir;

use crate::queue_rule;
use crate::support::agent::Agent;
use crate::support::{free_port, poll};

/// Channel with a variable that only the service has.
const CHANNEL: &str = "{type: webhook, enabled: false, url: '${HOOK_URL}'}";

/// Directories of an agent.
struct Host {
    folder: TempDir,
}

impl Host {
    fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.at(name).to_str().unwrap().to_owned()
    }

    /// Starts an agent in a directory of its own.
    fn start(&self, name: &str, yaml: &str, arguments: &[&str]) -> Agent {
        fs::create_dir_all(self.at(name)).unwrap();
        let environment = [
            ("RUNTIME_DIRECTORY", self.text("run")),
            ("HOOK_URL", "http://127.0.0.1:1/".to_owned()),
        ];
        let environment = environment
            .each_ref()
            .map(|(name, value)| (*name, &**value));
        let agent = Agent::start_as_service(&self.at(name), yaml, arguments, &environment);
        // It listens before it writes its runtime file.
        let file = self.at("run").join(format!("agent-{}.json", agent.pid()));
        poll("the runtime file", Duration::from_secs(30), || {
            file.exists().then_some(())
        });
        agent
    }

    /// Runs a command in a shell that knows the runtime directory and nothing else.
    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_bellwether"))
            .args(arguments)
            .current_dir("/")
            .env("RUNTIME_DIRECTORY", self.at("run"))
            .env_remove("HOOK_URL")
            .output()
            .unwrap()
    }

    fn good(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {error}");
        text(&output.stdout)
    }

    fn error(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        text(&output.stderr)
    }

    /// Waits until an agent has removed stale files.
    fn until_one_runtime_file(&self) {
        poll("one runtime file", Duration::from_secs(30), || {
            (self.runtime_files() == 1).then_some(())
        });
    }

    fn runtime_files(&self) -> usize {
        fs::read_dir(self.at("run")).map_or(0, Iterator::count)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn firing(agent: &Agent) {
    crate::set_queue(agent, "mail", 42.0);
    agent.wait_for_value("bellwether_alerts{state=\"firing\"", |firing| firing == 1.0);
}

#[test]
fn commands_find_the_agent_without_flags() {
    let host = Host::new();
    let agent = host.start("a", &queue_rule(CHANNEL), &[]);
    firing(&agent);
    let config = host.text("a/bellwether.yaml");
    assert!(
        host.good(&["status"])
            .contains(&format!("configuration {config}"))
    );
    assert_eq!(host.good(&["health"]), "healthy and ready\n");
    assert!(host.good(&["alerts"]).contains("backlog"));
    assert!(host.good(&["explain", "backlog"]).contains("backlog: "));
    assert!(host.good(&["query", "test_queue_length"]).contains("42"));
    host.good(&["silence", "add", "a=b", "--for", "1h"]);
    assert!(host.good(&["silence", "list"]).contains("{a=\"b\"}"));
    for command in [
        &["trends", "queue_length"][..],
        &["anomalies", "queue_length"],
        &["bottlenecks"],
        &["dead-letters"],
        &["alerts", "--history"],
    ] {
        host.good(command);
    }

    // The history of the agent, not that of the user who runs the command.
    let exported = host.good(&["export", "--match", "test_queue_length"]);
    assert!(
        exported.contains("test_queue_length{queue_name=\"mail\"} 42"),
        "{exported}"
    );
    fs::write(host.at("old"), "old 1 1700000000\n# EOF\n").unwrap();
    host.good(&["import", &host.text("old")]);
    let blocks = fs::read_dir(host.at("a/state/history")).unwrap();
    let names = blocks.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(names.into_iter().any(|name| name.ends_with(".block")));
    let exported = host.good(&["export", "--match", "old"]);
    assert!(exported.contains("old 1 1700000000"), "{exported}");
    // A command that needs the whole configuration names the variable.
    let error = host.error(&["check", &config]);
    assert!(error.contains("HOOK_URL is not set"), "{error}");
    fs::write(host.at("variables"), "HOOK_URL=http://h/\n").unwrap();
    host.good(&["check", &config, "--env-file", &host.text("variables")]);
    host.good(&[
        "backtest",
        "--config",
        &config,
        "--env-file",
        &host.text("variables"),
    ]);

    host.until_one_runtime_file();
    assert!(agent.stop().success());
    assert_eq!(host.runtime_files(), 0, "a clean stop removes the file");
}

#[test]
fn a_reload_moves_the_address_in_the_runtime_file() {
    let host = Host::new();
    let (first, second) = (free_port(), free_port());
    let yaml = |port: u16| {
        let address = format!("prometheus:\n    host: 127.0.0.1\n    port: {port}");
        queue_rule("").replace("prometheus:", &address)
    };
    fs::create_dir_all(host.at("a")).unwrap();
    fs::write(host.at("a/bellwether.yaml"), yaml(first)).unwrap();
    // Without a runtime directory the file is in the state directory.
    let agent = Agent::start_with(&host.at("a"), &[]);
    let shell = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
        command.env("STATE_DIRECTORY", host.at("a/state"));
        command.args(arguments).output().unwrap()
    };
    assert!(shell(&["health"]).status.success());
    agent.write_config(&yaml(second));
    agent.signal("HUP");
    agent.wait_for_log(&["reloaded"]);
    let file = host.at(&format!("a/state/agent-{}.json", agent.pid()));
    poll("the new port", std::time::Duration::from_secs(30), || {
        let text = fs::read_to_string(&file).ok()?;
        text.contains(&second.to_string()).then_some(())
    });
    assert!(shell(&["health"]).status.success());
    fs::remove_file(&file).unwrap();
    poll("the file again", std::time::Duration::from_secs(60), || {
        file.exists().then_some(())
    });
}

#[test]
fn the_runtime_file_and_status_know_the_files_of_the_configuration() {
    let host = Host::new();
    fs::create_dir_all(host.at("a/conf.d")).unwrap();
    let yaml = format!("include: ['conf.d/*.yaml']\n{}", queue_rule(""));
    let agent = host.start("a", &yaml, &[]);
    let status = host.good(&["status"]);
    assert!(status.contains("bellwether.yaml  hash "), "{status}");
    fs::write(host.at("a/conf.d/mail.yaml"), "logging: {}\n").unwrap();
    agent.signal("HUP");
    agent.wait_for_log(&["reloaded"]);
    let status = host.good(&["status"]);
    assert!(status.contains("  includes 1 file  hash "), "{status}");
    let file = host.at(&format!("run/agent-{}.json", agent.pid()));
    let names = [
        host.text("a/bellwether.yaml"),
        host.text("a/conf.d/mail.yaml"),
    ];
    poll("both files", std::time::Duration::from_secs(30), || {
        let text = fs::read_to_string(&file).ok()?;
        let state: serde_json::Value = serde_json::from_str(&text).ok()?;
        let listed = state["configuration"].as_array()?.iter();
        listed.eq(names.iter()).then_some(())
    });
}

#[test]
fn several_agents_are_listed_and_the_configuration_selects_one() {
    let host = Host::new();
    let yaml = queue_rule("");
    let agents = ["a", "b"].map(|name| host.start(name, &yaml, &[]));
    for command in [&["status"][..], &["export"], &["alerts", "--history"]] {
        let error = host.error(command);
        assert!(error.contains("several agents run on this host"), "{error}");
        for agent in &agents {
            let listed = format!("http://{}  pid {}", agent.address(), agent.pid());
            assert!(error.contains(&listed), "{error}");
        }
    }
    let config = host.text("b/bellwether.yaml");
    let status = host.good(&["status", "--config", &config]);
    assert!(status.contains(&config), "{status}");
    let url = agents[0].address().to_string();
    let status = host.good(&["status", "--url", &url]);
    assert!(status.contains(&host.text("a/bellwether.yaml")), "{status}");

    let [a, b] = agents;
    let pid = b.pid();
    b.kill();
    assert!(
        host.good(&["status"])
            .contains(&host.text("a/bellwether.yaml"))
    );
    assert!(a.stop().success());
    let port = format!(
        "performance_monitor: {{prometheus: {{port: {}}}}}",
        free_port()
    );
    fs::write(host.at("b/bellwether.yaml"), port).unwrap();
    let error = host.error(&["status", "--config", &config]);
    let killed = format!("the one with pid {pid} was killed");
    for words in ["connection refused", &config, &killed, "is it running?"] {
        assert!(error.contains(words), "{words}: {error}");
    }
    // The next agent removes what the killed one left.
    let next = host.start("b", &yaml, &[]);
    host.until_one_runtime_file();
    assert!(next.stop().success());
}

/// Writes a certificate as `openssl req -x509` makes it, and a web configuration with it and a user.
pub fn web_config(folder: &Path, name: &str) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    fs::write(folder.join("server.pem"), certificate.pem()).unwrap();
    fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
    let password = bcrypt::hash("sesame", 4).unwrap();
    let text = format!(
        "tls_server_config: {{cert_file: server.pem, key_file: server.key}}\n\
         basic_auth_users: {{admin: {password}}}\n"
    );
    fs::write(folder.join("web.yml"), text).unwrap();
}

#[test]
fn tls_and_passwords_work_and_what_is_wrong_is_told_apart() {
    let host = Host::new();
    let folder = host.folder.path();
    web_config(folder, "127.0.0.1");
    let web = host.text("web.yml");
    let agent = host.start("a", &queue_rule(""), &["--web.config.file", &web]);
    let [ca, right, wrong] = ["server.pem", "right", "wrong"].map(|name| host.text(name));
    fs::write(&right, "sesame\n").unwrap();
    fs::write(&wrong, "guess\n").unwrap();
    let user = ["--user", "admin", "--password-file", &right];
    let trusted = [&["status", "--ca-file", &ca][..], &user].concat();
    assert!(host.good(&trusted).contains("a/bellwether.yaml"));
    let output = host.run(&[&["status", "--insecure"][..], &user].concat());
    assert!(output.status.success());
    assert!(text(&output.stderr).starts_with("warning: --insecure: "));

    let address = agent.address();
    let https = format!("https://{address}");
    let origin = format!("run/agent-{}.json, pid {}", agent.pid(), agent.pid());
    let other = ["--user", "admin", "--password-file", &wrong];
    let ca_file = ["--ca-file", &*ca];
    let cases = [
        (
            vec!["status"],
            vec![
                "its certificate is self-signed or of an unknown authority",
                &*origin,
                "--ca-file FILE",
            ],
        ),
        (
            [&["status"], &ca_file[..]].concat(),
            vec!["wants a user and a password", &*origin, "--user NAME"],
        ),
        (
            [&["status"], &ca_file[..], &other].concat(),
            vec![
                "rejected the user \"admin\" or the password",
                "basic_auth_users",
            ],
        ),
    ];
    for (arguments, words) in cases {
        let error = host.error(&arguments);
        let all = [words, vec![&*https, "tried: GET /api/v1/summary"]].concat();
        assert!(all.iter().all(|word| error.contains(word)), "{error}");
        assert!(!error.contains("guess"), "{error}");
    }
    let plain = host.error(&["status", "--url", &address.to_string()]);
    assert!(
        plain.contains(&format!("http://{address}")) && plain.contains("https:// in --url"),
        "{plain}"
    );
    assert!(agent.stop().success());
}

#[test]
fn each_failure_of_a_connection_has_its_cause_and_its_fix() {
    let host = Host::new();
    let folder = host.folder.path();
    web_config(folder, "monitor.example");
    let web = host.text("web.yml");
    let plain = host.start("a", &queue_rule(""), &[]);
    let tls = host.start("b", &queue_rule(""), &["--web.config.file", &web]);
    let nobody = format!("127.0.0.1:{}", free_port());
    // Too long for a label of DNS, so that no server is asked.
    let unknown = format!("{}.invalid:9091", "x".repeat(64));
    let other = other_service();
    let url = |scheme: &str, address: SocketAddr| format!("{scheme}://{address}");
    let ca = host.text("server.pem");
    let cases: [(&[&str], [&str; 2]); 5] = [
        (
            &["--url", &nobody],
            ["connection refused\n", "is it running?"],
        ),
        (
            &["--url", &unknown],
            ["the host name is not known", "check the spelling in --url"],
        ),
        (
            &["--url", &url("https", plain.address())],
            ["the server answers without TLS", "http:// in --url"],
        ),
        (
            &["--url", &url("https", tls.address()), "--ca-file", &ca],
            [
                "its certificate is for monitor.example",
                "a name that the certificate has",
            ],
        ),
        (
            &["--url", &url("http", other)],
            [
                "answers, but not as a Bellwether: 404",
                "another service listens there",
            ],
        ),
    ];
    for (flags, words) in cases {
        for command in ["status", "health", "query", "silence"] {
            let arguments = match command {
                "query" => [&["query", "up"], flags].concat(),
                "silence" => [&["silence", "list"], flags].concat(),
                command => [&[command], flags].concat(),
            };
            let error = host.error(&arguments);
            assert!(words.iter().all(|word| error.contains(word)), "{error}");
        }
    }
    let variable = Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .arg("status")
        .env("BELLWETHER_URL", &nobody)
        .output()
        .unwrap();
    let error = text(&variable.stderr);
    assert!(error.contains("address from BELLWETHER_URL"), "{error}");
    drop((plain, tls));
}

/// Starts a service that is healthy in its own way, as a Pushgateway is, and nothing else.
fn other_service() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            let length = stream.read(&mut head).unwrap_or(0);
            let path = String::from_utf8_lossy(&head[..length]).into_owned();
            let status = match path.contains(" /-/") {
                true => "200 OK",
                false => "404 Not Found",
            };
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\nOK");
            stream.write_all(answer.as_bytes()).ok();
        }
    });
    address
}
