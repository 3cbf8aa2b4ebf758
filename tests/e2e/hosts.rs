//! Commands that ask many hosts, and `alerts --watch`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::agent::Agent;
use crate::support::{free_port, poll};
use crate::{queue_rule, set_queue};

const SOON: Duration = Duration::from_secs(60);

/// Two agents, and the address of a third that is down.
struct Fleet {
    folders: [TempDir; 3],
    agents: [Agent; 2],
}

impl Fleet {
    /// Starts the agents and writes `hosts.ini` and `hosts.yaml` to the third folder. The alert of the
    /// first agent fires.
    fn start() -> Self {
        let folders = [(); 3].map(|()| TempDir::new().unwrap());
        let agents =
            [0, 1].map(|at: usize| Agent::start(folders[at].path(), &queue_rule("{type: log}")));
        set_queue(&agents[0], "mail", 42.0);
        agents[0].wait_for_value("bellwether_alerts{state=\"firing\"", |firing| firing == 1.0);
        let down = format!("127.0.0.1:{}", free_port());
        let [first, second] = [&agents[0], &agents[1]].map(|agent| agent.address().to_string());
        let ini = format!(
            "# three\n[web]\nzeta ansible_host={first}\n[db]\nalpha ansible_host={down}\nbeta ansible_host={second}\n"
        );
        let yaml = format!(
            "hosts:\n- {{name: zeta, url: '{first}', groups: [web]}}\n- {{name: beta, url: 'http://{second}'}}\n"
        );
        let at = |name: &str| folders[2].path().join(name);
        std::fs::write(at("hosts.ini"), ini).unwrap();
        std::fs::create_dir(at("bellwether")).unwrap();
        std::fs::write(at("bellwether/hosts.yaml"), yaml).unwrap();
        Self { folders, agents }
    }

    fn folder(&self) -> &Path {
        self.folders[2].path()
    }

    fn run(&self, line: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_bellwether"))
            .args(line.split(' '))
            .current_dir(self.folder())
            .env("XDG_CONFIG_HOME", self.folder())
            .output()
            .unwrap()
    }

    /// Returns the exit status, standard output and standard error of a command.
    fn ask(&self, line: &str) -> (Option<i32>, String, String) {
        let output = self.run(line);
        let [out, err] =
            [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (output.status.code(), out, err)
    }
}

/// First words of the lines.
fn first_words(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.split([' ', ',']).next())
        .collect()
}

#[test]
fn many_hosts_answer_in_their_order_and_one_that_is_down_is_named() {
    let fleet = Fleet::start();
    let summary = "2 of 3 hosts answered; 1 failed: alpha (connection refused)";
    for command in ["status", "health"] {
        let (status, out, err) = fleet.ask(&format!("{command} --hosts hosts.ini"));
        assert_eq!(status, Some(1), "{command}: {out}{err}");
        assert_eq!(
            first_words(&out),
            ["HOST", "zeta", "alpha", "beta"],
            "{out}"
        );
        let down = out.lines().nth(2).unwrap();
        assert!(down.ends_with("connection refused"), "{out}");
        assert_eq!(err, format!("bellwether: {summary}\n"), "{command}");
    }
    let (status, out, err) = fleet.ask("alerts --hosts hosts.ini");
    assert!(status == Some(1) && err.contains(summary), "{err}");
    assert_eq!(first_words(&out), ["HOST", "zeta"], "{out}");
    assert!(out.contains("backlog{queue_name=\"mail\"}"), "{out}");

    // Of the group that is up, by the file of the user.
    let (status, out, err) = fleet.ask("query --group all -o csv vector(7)");
    assert_eq!(
        (status, &*err),
        (Some(0), "2 of 2 hosts answered\n"),
        "{out}"
    );
    assert_eq!(first_words(&out), ["host", "zeta", "beta"], "{out}");
    assert!(
        out.lines().skip(1).all(|line| line.ends_with(",{},7")),
        "{out}"
    );

    let (status, out, _) = fleet.ask("alerts -o json --hosts hosts.ini --group db --group web");
    assert_eq!(status, Some(1));
    let json: Value = serde_json::from_str(&out).unwrap();
    let hosts = json["hosts"].as_array().unwrap();
    let names: Vec<&str> = hosts
        .iter()
        .map(|host| host["host"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["zeta", "alpha", "beta"]);
    assert_eq!(hosts[0]["data"]["alerts"][0]["rule"], "backlog");
    assert!(
        hosts[1]["error"].as_str().unwrap().contains("refused"),
        "{out}"
    );

    let (status, _, err) = fleet.ask("status --group wbe");
    assert_eq!(status, Some(1));
    assert!(err.contains("hint: did you mean \"web\"?"), "{err}");
}

#[test]
fn an_alert_is_silenced_and_acknowledged_on_the_hosts_that_have_it() {
    let fleet = Fleet::start();
    let (status, out, err) = fleet.ask("silence add queue_name=x --for 1h --group all");
    assert_eq!(status, Some(0), "{err}");
    assert_eq!(first_words(&out), ["HOST", "zeta", "beta"], "{out}");
    let id = out
        .lines()
        .nth(2)
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap();
    let (_, out, _) = fleet.ask("silence list --group all -o csv");
    assert!(out.contains("beta,") && out.contains(id), "{out}");
    let (status, out, err) = fleet.ask(&format!("silence expire {id} --group all"));
    assert_eq!(
        (status, first_words(&out)),
        (Some(0), vec!["HOST", "beta"]),
        "{err}"
    );
    let (status, _, err) = fleet.ask("silence expire nothing --group all");
    assert_eq!(status, Some(1));
    assert!(err.contains("no silence nothing"), "{err}");

    let (status, out, err) = fleet.ask("ack backlog --group all --by ada");
    assert_eq!(
        (status, first_words(&out)),
        (Some(0), vec!["HOST", "zeta"]),
        "{err}"
    );
    poll("the acknowledgement", SOON, || {
        fleet
            .ask("alerts --group all")
            .1
            .contains("firing (acknowledged)")
            .then_some(())
    });
    let (status, _, err) = fleet.ask("ack nothing --group all");
    assert!(
        status == Some(1) && err.contains("no alert \"nothing\" fires"),
        "{err}"
    );
}

/// Lines that a process prints.
fn lines_of(child: &mut std::process::Child) -> Receiver<String> {
    let (sender, lines) = channel();
    let out = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            sender.send(line).ok();
        }
    });
    lines
}

fn wait_for(lines: &Receiver<String>, words: &[&str]) {
    loop {
        let line = lines.recv_timeout(SOON);
        let line = line.unwrap_or_else(|_| panic!("no line with {words:?}"));
        if words.iter().all(|word| line.contains(word)) {
            return;
        }
    }
}

#[test]
fn a_watch_survives_the_restart_of_the_agent_and_ends_at_an_interrupt() {
    let folder = TempDir::new().unwrap();
    let address = format!("127.0.0.1:{}", free_port());
    std::fs::write(
        folder.path().join("bellwether.yaml"),
        queue_rule("{type: log}"),
    )
    .unwrap();
    let start = || Agent::start_with(folder.path(), &["--web.listen-address", &address]);
    let agent = start();
    let mut child = Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .args(["alerts", "--watch", "100ms", "--url", &address])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = lines_of(&mut child);
    wait_for(&lines, &["no alert is pending or firing"]);
    agent.kill();
    wait_for(
        &lines,
        &[
            "since ",
            &format!("no answer from http://{address}"),
            "connection refused",
        ],
    );
    wait_for(&lines, &["the last answer, of "]);
    let agent = start();
    set_queue(&agent, "mail", 42.0);
    wait_for(&lines, &["firing", "backlog{queue_name=\"mail\"}"]);
    let interrupt = ["-s", "INT", &child.id().to_string()];
    assert!(
        Command::new("kill")
            .args(interrupt)
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn colours_are_for_terminals_alone_unless_they_are_asked_for() {
    let fleet = Fleet::start();
    let (_, plain, _) = fleet.ask("alerts --group web");
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
    let (_, coloured, _) = fleet.ask("alerts --group web --color always");
    assert!(
        coloured.contains("\u{1b}[31mfiring\u{1b}[0m"),
        "{coloured:?}"
    );
    let (_, help, _) = fleet.ask("--color=always alerts --help");
    assert!(
        help.contains('\u{1b}') && help.contains("Examples:"),
        "{help:?}"
    );
    let url = format!("http://{}", fleet.agents[0].address());
    let (_, json, _) = fleet.ask(&format!("alerts --url {url} -o json --color always"));
    assert!(serde_json::from_str::<Value>(&json).is_ok(), "{json}");
}
