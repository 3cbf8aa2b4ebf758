//! A real `bellwether` process with a configuration of its own, on a port of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::poll;

/// A running process; killed when dropped.
pub struct Agent {
    child: Child,
    address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    folder: PathBuf,
}

impl Agent {
    /// Starts with `yaml` in `folder`, which also keeps its state, and waits until it listens.
    pub fn start(folder: &Path, yaml: &str) -> Self {
        fs::write(folder.join("bellwether.yaml"), yaml).unwrap();
        Self::start_with(folder, &["--web.listen-address", "127.0.0.1:0"])
    }

    /// Starts with `yaml` where no file can grow, as on a full disk.
    pub fn start_without_disk(folder: &Path, yaml: &str) -> Self {
        fs::write(folder.join("bellwether.yaml"), yaml).unwrap();
        let mut shell = Command::new("sh");
        // Ignored over exec, so that a write fails instead of ending the process.
        shell.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\""]);
        shell.arg(env!("CARGO_BIN_EXE_bellwether"));
        Self::spawn(shell, folder, &["--web.listen-address", "127.0.0.1:0"])
    }

    /// Starts with `yaml` so that a write over a limit, set later, fails instead of ending it.
    pub fn start_deaf_to_limits(folder: &Path, yaml: &str) -> Self {
        fs::write(folder.join("bellwether.yaml"), yaml).unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
        shell.arg(env!("CARGO_BIN_EXE_bellwether"));
        Self::spawn(shell, folder, &["--web.listen-address", "127.0.0.1:0"])
    }

    /// Starts with the file that is in `folder` and further arguments.
    pub fn start_with(folder: &Path, arguments: &[&str]) -> Self {
        Self::spawn(
            Command::new(env!("CARGO_BIN_EXE_bellwether")),
            folder,
            arguments,
        )
    }

    /// Starts with `yaml` in `folder`, further arguments and variables of the environment.
    pub fn start_as_service(
        folder: &Path,
        yaml: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        fs::write(folder.join("bellwether.yaml"), yaml).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
        command.envs(environment.iter().copied());
        let address = ["--web.listen-address", "127.0.0.1:0"];
        Self::spawn(command, folder, &[&address, arguments].concat())
    }

    /// Starts it with the file that is in `folder`, and kills it `after` a moment, wherever it is
    /// by then.
    pub fn start_and_kill(folder: &Path, after: Duration) {
        let command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
        let mut command = prepared(command, folder, &["--web.listen-address", "127.0.0.1:0"]);
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(after);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn spawn(command: Command, folder: &Path, arguments: &[&str]) -> Self {
        let mut command = prepared(command, folder, arguments);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let sink = log.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                sink.lock().unwrap().push(line);
            }
        });
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        // Whole before it listens, so that the log of one that does not is shown.
        let mut agent = Self {
            child,
            address,
            log,
            folder: folder.to_owned(),
        };
        agent.address = poll("the agent listens", Duration::from_secs(20), || {
            let log = agent.log();
            let line = log
                .iter()
                .find(|line| line.contains("listening address="))?;
            line.split("address=")
                .nth(1)?
                .split_whitespace()
                .next()?
                .trim_matches('"')
                .parse()
                .ok()
        });
        agent
    }

    /// Address of the server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A figure of its memory as the kernel has it, in kB: `VmRSS`, or `VmHWM` for the most so far.
    pub fn memory(&self, figure: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with(figure))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// The lines it logged so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Waits for a logged line that holds all of `words`.
    pub fn wait_for_log(&self, words: &[&str]) -> String {
        poll(
            &format!("a log line with {words:?}"),
            Duration::from_secs(60),
            || {
                self.log()
                    .into_iter()
                    .find(|line| words.iter().all(|word| line.contains(word)))
            },
        )
    }

    /// Waits until the state of the alerts on disk holds `text`: what a restart goes on from.
    pub fn wait_for_saved(&self, text: &str) {
        let path = self.folder.join("state/alerts.json");
        poll(
            &format!("{text} in the state file"),
            Duration::from_secs(60),
            || {
                fs::read_to_string(&path)
                    .ok()
                    .filter(|saved| saved.contains(text))
                    .map(|_| ())
            },
        );
    }

    /// Waits until `count` deliveries are noted on disk: what was handed over right before a kill -9
    /// comes again.
    pub fn wait_for_delivered(&self, count: usize) {
        poll(
            &format!("{count} deliveries on disk"),
            Duration::from_secs(60),
            || {
                let (_, noted) =
                    self.get("/api/v1/alerts/history?event=delivered&channel=webhook&limit=0");
                (noted.matches("\"delivered\"").count() == count).then_some(())
            },
        );
    }

    /// Writes a new configuration; reload it with [`Agent::hup`].
    pub fn write_config(&self, yaml: &str) {
        fs::write(self.folder.join("bellwether.yaml"), yaml).unwrap();
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Kills it without a chance to clean up.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM and waits for the end.
    pub fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::yield_now();
        }
        panic!(
            "still running after SIGTERM; log:\n{}",
            self.log().join("\n")
        );
    }

    /// GETs `path`: status and body.
    pub fn get(&self, path: &str) -> (u16, String) {
        request(self.address, "GET", path, &[], "").expect("an answer")
    }

    /// POSTs a JSON `body`: status and body.
    pub fn post(&self, path: &str, body: &str) -> (u16, String) {
        request(
            self.address,
            "POST",
            path,
            &[("content-type", "application/json")],
            body,
        )
        .expect("an answer")
    }

    /// The value of the first series on /metrics whose line begins with `series`.
    pub fn value(&self, series: &str) -> Option<f64> {
        let (_, exposition) = self.get("/metrics");
        let line = exposition.lines().find(|line| line.starts_with(series))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// Waits until a series has a value that `wanted` accepts.
    pub fn wait_for_value(&self, series: &str, wanted: impl Fn(f64) -> bool) -> f64 {
        poll(
            &format!("a wanted value of {series}"),
            Duration::from_secs(60),
            || self.value(series).filter(|value| wanted(*value)),
        )
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("log of the agent:\n{}", self.log().join("\n"));
        }
    }
}

/// The command that runs the configuration in `folder`.
fn prepared(mut command: Command, folder: &Path, arguments: &[&str]) -> Command {
    command
        .args(["run", "--config"])
        .arg(folder.join("bellwether.yaml"))
        .args(arguments)
        .env("STATE_DIRECTORY", folder.join("state"))
        .env("RUST_BACKTRACE", "1")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

/// One HTTP/1.1 request over a connection of its own.
pub fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> std::io::Result<(u16, String)> {
    use std::io::{Read, Write};
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    let mut head = format!("{method} {path} HTTP/1.0\r\nhost: {address}\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("content-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(head.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let invalid = || std::io::Error::other(format!("no HTTP answer: {answer:?}"));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(invalid)?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .ok_or_else(invalid)?;
    Ok((status, body.to_owned()))
}
