//! `bellwether top` in a real terminal, that of tmux.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::running_agent::web_config;
use crate::support::agent::Agent;
use crate::support::{free_port, poll};
use crate::{queue_rule, set_queue};

const DEADLINE: Duration = Duration::from_secs(60);

/// A tmux server with one window; it ends when dropped.
struct Tmux {
    name: String,
}

impl Tmux {
    /// Runs `command` in a window of `width` by `height`.
    fn start(width: u16, height: u16, command: &str) -> Self {
        let tmux = Self {
            name: format!("bellwether-{}-{}", std::process::id(), free_port()),
        };
        let (width, height) = (width.to_string(), height.to_string());
        let size = ["-x", width.as_str(), "-y", height.as_str()];
        let arguments = [&["new-session", "-d"][..], &size, &[command]].concat();
        let output = tmux.call(&arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{error}");
        tmux
    }

    fn call(&self, arguments: &[&str]) -> Output {
        Command::new("tmux")
            .args(["-L", &self.name, "-f", "/dev/null"])
            .args(arguments)
            .env("LANG", "C.UTF-8")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .output()
            .expect("tmux is needed: apt-get install tmux")
    }

    fn keys(&self, keys: &[&str]) {
        let arguments = [&["send-keys"][..], keys].concat();
        assert!(self.call(&arguments).status.success());
    }

    fn text(&self) -> String {
        let output = self.call(&["capture-pane", "-p"]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until all of `words` are on the screen, and returns it.
    fn wait_for(&self, words: &[&str]) -> String {
        poll(
            &format!("{words:?} on the screen:\n{}", self.text()),
            DEADLINE,
            || Some(self.text()).filter(|text| words.iter().all(|word| text.contains(word))),
        )
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.call(&["kill-server"]);
    }
}

/// An agent on a port that it has again after a restart.
struct Steady {
    folder: TempDir,
    address: String,
}

impl Steady {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let yaml = queue_rule("{type: log}");
        std::fs::write(folder.path().join("bellwether.yaml"), yaml).unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        Self { folder, address }
    }

    fn start(&self) -> Agent {
        Agent::start_with(self.folder.path(), &["--web.listen-address", &self.address])
    }
}

#[test]
fn keys_resize_and_a_restart_of_the_agent() {
    let steady = Steady::new();
    let agent = steady.start();
    set_queue(&agent, "orders", 50.0);
    let program = env!("CARGO_BIN_EXE_bellwether");
    // What follows shows that the screen is as before.
    let command = format!(
        "echo before; {program} top --url {} --interval 1s; echo \"ended with $?\"; cat",
        steady.address
    );
    let tmux = Tmux::start(100, 24, &command);
    tmux.wait_for(&["1 firing", "backlog", "live"]);

    tmux.keys(&["3", "Enter"]);
    tmux.wait_for(&["fingerprint", "threshold"]);
    tmux.keys(&["a"]);
    tmux.wait_for(&["acknowledge", "comment"]);
    tmux.keys(&["-l", "draining"]);
    tmux.keys(&["Enter"]);
    tmux.wait_for(&["acked"]);
    let (_, alerts) = agent.get("/api/v1/alerts");
    assert!(alerts.contains("\"acknowledgedBy\""), "{alerts}");

    tmux.keys(&["s"]);
    tmux.wait_for(&["silence", "2h"]);
    tmux.keys(&["Enter"]);
    poll("a silence", DEADLINE, || {
        let (_, silences) = agent.get("/api/v1/silences");
        silences.contains("alertname=\\\"backlog\\\"").then_some(())
    });

    tmux.call(&["resize-window", "-x", "40", "-y", "15"]);
    tmux.keys(&["1"]);
    let small = tmux.wait_for(&["1 over", "backlog"]);
    assert!(
        small.lines().all(|line| line.chars().count() <= 40),
        "{small}"
    );
    tmux.call(&["resize-window", "-x", "20", "-y", "4"]);
    tmux.wait_for(&["firing"]);
    tmux.call(&["resize-window", "-x", "100", "-y", "24"]);
    tmux.wait_for(&["overview", "collectors"]);

    agent.kill();
    // The last data stay.
    tmux.wait_for(&["no answer from", "backlog"]);
    let agent = steady.start();
    poll("an answer again", DEADLINE, || {
        (!tmux.text().contains("no answer from")).then_some(())
    });
    tmux.keys(&["q"]);
    tmux.wait_for(&["before", "ended with 0"]);
    drop(agent);
}

#[test]
fn what_happens_is_shown_at_once() {
    let steady = Steady::new();
    let agent = steady.start();
    set_queue(&agent, "orders", 5.0);
    // Nothing is asked for again within the test.
    let command = format!(
        "{} top --url {} --interval 1h",
        env!("CARGO_BIN_EXE_bellwether"),
        steady.address
    );
    let tmux = Tmux::start(120, 24, &command);
    tmux.wait_for(&["live", "0 firing", "nothing is firing"]);
    tmux.keys(&["2"]);
    tmux.wait_for(&["queue_length{queue_name=\"orders\"}", " 5  "]);
    set_queue(&agent, "orders", 77.0);
    tmux.wait_for(&[" 77  "]);
    set_queue(&agent, "mail", 3.0);
    tmux.wait_for(&["queue_length{queue_name=\"mail\"}", " 3  "]);
    tmux.wait_for(&["backlog", "is firing: 77 wait in orders", "1 firing"]);
    set_queue(&agent, "orders", 1.0);
    tmux.wait_for(&["backlog", "is resolved", "0 firing"]);
}

/// Starts a proxy before `agent` that passes each request on over a connection of its own, and opens no WebSocket.
fn proxy_without_websockets(agent: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || pass_on(client, agent));
        }
    });
    address
}

fn pass_on(mut client: TcpStream, agent: SocketAddr) -> io::Result<()> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(char::from(byte[0]));
    }
    if head.to_ascii_lowercase().contains("upgrade: websocket") {
        let answer = "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        return client.write_all(answer.as_bytes());
    }
    let mut server = TcpStream::connect(agent)?;
    let head = head.replacen("\r\n\r\n", "\r\nconnection: close\r\n\r\n", 1);
    server.write_all(head.as_bytes())?;
    io::copy(&mut server, &mut client).map(drop)
}

#[test]
fn behind_a_proxy_without_websockets_it_polls_and_says_so() {
    let steady = Steady::new();
    let agent = steady.start();
    set_queue(&agent, "orders", 5.0);
    let command = format!(
        "{} top --url {} --interval 1s",
        env!("CARGO_BIN_EXE_bellwether"),
        proxy_without_websockets(agent.address())
    );
    let tmux = Tmux::start(120, 24, &command);
    tmux.wait_for(&[
        "polled every 1s",
        "not live: 403 Forbidden",
        "nothing is firing",
    ]);
    set_queue(&agent, "orders", 50.0);
    tmux.wait_for(&["1 firing", "backlog"]);
    tmux.keys(&["2"]);
    tmux.wait_for(&["queue_length{queue_name=\"orders\"}", " 50  "]);
}

#[test]
fn live_data_come_over_tls_with_a_password_and_over_the_socket() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    web_config(folder.path(), "127.0.0.1");
    std::fs::write(path("password"), "sesame").unwrap();
    let socket = format!("control: {{socket: {{path: {}}}}}", path("socket"));
    let yaml = queue_rule("{type: log}").replace(
        "    metric_prefix: test\n",
        &format!("    metric_prefix: test\n    {socket}\n"),
    );
    std::fs::write(path("bellwether.yaml"), yaml).unwrap();
    let listen = format!("127.0.0.1:{}", free_port());
    let web = path("web.yml");
    let arguments = ["--web.listen-address", &listen, "--web.config.file", &web];
    let _agent = Agent::start_with(folder.path(), &arguments);
    let program = env!("CARGO_BIN_EXE_bellwether");
    let [ca, password, config] = ["server.pem", "password", "bellwether.yaml"].map(path);
    for target in [
        format!("--url https://{listen} --ca-file {ca} --user admin --password-file {password}"),
        // Without a password: the socket needs none.
        format!("--config {config}"),
    ] {
        let tmux = Tmux::start(
            120,
            24,
            &format!("{program} top --interval 1h {target}; cat"),
        );
        tmux.wait_for(&["live", "nothing is firing"]);
    }
}

#[test]
fn a_pipe_gets_one_screen() {
    let steady = Steady::new();
    let agent = steady.start();
    set_queue(&agent, "orders", 50.0);
    poll("the alert fires", DEADLINE, || {
        let (_, alerts) = agent.get("/api/v1/alerts");
        alerts.contains("\"firing\"").then_some(())
    });
    let top = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_bellwether"))
            .args(["top", "--url", &steady.address])
            .args(arguments)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (
            output.status.code(),
            text,
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (code, text, _) = top(&[]);
    assert_eq!(code, Some(0));
    assert!(
        text.contains("1 firing") && text.contains("backlog"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "{text}");
    let (_, metrics, _) = top(&["--view", "metrics", "--ascii"]);
    assert!(
        metrics.is_ascii() && metrics.contains("queue_length"),
        "{metrics}"
    );
    let (code, _, error) = top(&["--view", "nothing"]);
    assert!(
        code == Some(2) && error.contains("overview, metrics"),
        "{error}"
    );
    agent.kill();
    let (code, _, error) = top(&[]);
    assert!(code == Some(1) && error.contains("no answer"), "{error}");
}
