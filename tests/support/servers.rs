//! Real servers for tests: started by the scripts of `tests/servers` on free ports, with a data
//! directory of their own below `target/tmp`, and stopped when dropped.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{free_port, poll};

/// Password of the user `neo4j` of every test server.
pub const PASSWORD: &str = "test-password";

/// A real Neo4j or Kafka.
pub struct Server {
    script: &'static str,
    port: u16,
    data: PathBuf,
    options: Vec<String>,
}

impl Server {
    /// A Neo4j community server: Bolt on [`Server::port`], user `neo4j`, password [`PASSWORD`].
    pub fn neo4j() -> Self {
        Self::new("neo4j", &["--password", PASSWORD])
    }

    /// The same with the procedures `apoc.monitor.*`.
    pub fn neo4j_with_monitor() -> Self {
        need("jar", "a JDK");
        Self::new("neo4j", &["--password", PASSWORD, "--monitor"])
    }

    /// A Kafka broker on [`Server::port`] that makes topics as they are used.
    pub fn kafka() -> Self {
        let controller = free_port().to_string();
        Self::new("kafka", &["--controller-port", &controller])
    }

    /// The same, which makes no topic by itself.
    pub fn kafka_without_topics() -> Self {
        let controller = free_port().to_string();
        Self::new(
            "kafka",
            &["--controller-port", &controller, "--no-auto-topics"],
        )
    }

    /// A Kafka broker that also speaks SASL_SSL on `sasl`, with key and certificates of `keystore`:
    /// user `user`, password [`PASSWORD`].
    pub fn kafka_with_sasl(sasl: u16, keystore: &Path) -> Self {
        let (controller, sasl) = (free_port().to_string(), sasl.to_string());
        let keystore = keystore.to_string_lossy();
        Self::new(
            "kafka",
            &[
                "--controller-port",
                &controller,
                "--sasl-port",
                &sasl,
                "--keystore",
                &keystore,
            ],
        )
    }

    /// The same, for clients with a certificate of an authority in `truststore`.
    pub fn kafka_with_client_certificates(sasl: u16, keystore: &Path, truststore: &str) -> Self {
        let (controller, sasl) = (free_port().to_string(), sasl.to_string());
        let keystore = keystore.to_string_lossy();
        Self::new(
            "kafka",
            &[
                "--controller-port",
                &controller,
                "--sasl-port",
                &sasl,
                "--keystore",
                &keystore,
                "--truststore",
                truststore,
            ],
        )
    }

    /// A second broker of the cluster of [`Server::kafka`].
    pub fn kafka_beside(first: &Self) -> Self {
        let [_, controller, ..] = first.options.as_slice() else {
            panic!("a server with a controller");
        };
        Self::new("kafka", &["--join", controller])
    }

    fn new(script: &'static str, options: &[&str]) -> Self {
        need("java", "Java 17 or newer");
        need("mvn", "Maven");
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{script}-{}-{number}", std::process::id());
        let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let server = Self {
            script,
            port: free_port(),
            data,
            options,
        };
        server.start();
        server
    }

    /// Its port on 127.0.0.1; the same after each start.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its data directory, with its output and its logs.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Starts it, again after [`Server::stop`] or [`Server::kill`], and waits until it answers.
    pub fn start(&self) {
        let output = self.run("start");
        assert!(output.status.success(), "{}", output_text(&output));
    }

    /// Stops it in order.
    pub fn stop(&self) {
        let output = self.run("stop");
        assert!(output.status.success(), "{}", output_text(&output));
    }

    /// Sends it a signal by name: `STOP` makes it hang, `CONT` go on.
    pub fn signal(&self, name: &str) {
        let pid = self.pid().expect("a running server").to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(
            sent.expect("the command kill").success(),
            "{}: {name} to {pid}",
            self.script
        );
    }

    /// Ends it with SIGKILL and waits until its port is closed.
    pub fn kill(&self) {
        self.signal("KILL");
        poll("the port is closed", Duration::from_secs(10), || {
            TcpStream::connect(self.address()).err()
        });
    }

    /// The pid of the server, as its script wrote it, while it is that of this server.
    pub fn pid(&self) -> Option<u32> {
        let pid: u32 = fs::read_to_string(self.data.join("pid"))
            .ok()?
            .trim()
            .parse()
            .ok()?;
        let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let data = format!("{}/", self.data.display());
        String::from_utf8_lossy(&command)
            .contains(&data)
            .then_some(pid)
    }

    fn run(&self, command: &str) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/servers")
            .join(self.script);
        Command::new(&script)
            .arg(command)
            .args(["--port", &self.port.to_string()])
            .arg("--data")
            .arg(&self.data)
            .args(&self.options)
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", script.display()))
    }
}

impl Drop for Server {
    /// Ends it at once: nobody reads its data again. A failed test keeps the directory.
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.data);
        }
    }
}

/// Ends the test in one line where a tool is not there.
pub fn need(tool: &str, package: &str) {
    let found = there(tool);
    assert!(
        found,
        "{tool} is missing: install {package} to run the tests against real servers"
    );
}

/// Returns whether a tool is installed.
pub fn there(tool: &str) -> bool {
    std::env::var_os("JAVA_HOME")
        .map(|home| PathBuf::from(home).join("bin"))
        .into_iter()
        .chain(
            std::env::var_os("PATH")
                .iter()
                .flat_map(std::env::split_paths),
        )
        .any(|folder| folder.join(tool).is_file())
}

fn output_text(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&text).trim().to_owned()
}
