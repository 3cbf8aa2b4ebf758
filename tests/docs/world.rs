//! The world that the pages describe: an agent with eight days of history, queues, channels, and the files by their names.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use crate::lines;
use crate::pages::root;
use crate::placeholders::ids;
use crate::support::agent::Agent;
use crate::support::sink::{Sink, status};
use crate::support::{free_port, poll};

/// Value of a series in each minute.
type Values<'a> = &'a dyn Fn(u64) -> f64;

/// Configuration of the agent that runs unless a page starts another.
const WORLD: &str = "agent.yaml";

/// Files that pages name and do not show.
const FILES: [(&str, &str); 4] = [
    (WORLD, include_str!("world/agent.yaml")),
    ("strict.yaml", include_str!("world/strict.yaml")),
    ("calm.yaml", include_str!("world/calm.yaml")),
    (".curlrc", "silent\nshow-error\nfail-with-body\n"),
];

/// Secrets of config/examples/oncall.yaml.
const SECRETS: [&str; 5] = [
    "slack-url",
    "pagerduty-key",
    "pagerduty-lead-key",
    "mail-password",
    "watchdog-url",
];

/// Output of a command, errors included, as the page would show it.
pub struct Outcome {
    /// Lines.
    pub text: String,
    /// True if it exited with 0 and gave no hint that there is no data.
    pub is_good: bool,
}

/// Everything that commands of one page work with.
pub struct World {
    folder: TempDir,
    agent: Option<RunningAgent>,
    /// Receiver of the channels and of remote systems.
    receiver: Sink,
    /// Receiver of the channel that rejects, and its status.
    rejecting: (Sink, Arc<AtomicU16>),
    statsd: u16,
    /// Ids of the page, and those of this run.
    ids: BTreeMap<String, String>,
}

struct RunningAgent {
    agent: Agent,
    folder: PathBuf,
}

impl World {
    /// Files and receivers; the agent starts with the first command.
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        // Copies: a command of a page may write into them.
        let copied = Command::new("cp")
            .arg("-r")
            .args(["config", "deploy", "grafana"].map(|name| root().join(name)))
            .arg(folder.path())
            .status();
        assert!(copied.unwrap().success());
        let examples = ["oncall.yaml", "oncall.test.yaml"];
        for name in examples {
            fs::copy(
                root().join("config/examples").join(name),
                folder.path().join(name),
            )
            .unwrap();
        }
        fs::create_dir(folder.path().join("secrets")).unwrap();
        let completions = [
            ".local/share/bash-completion/completions",
            ".zfunc",
            ".config/fish/completions",
        ];
        for home in completions {
            fs::create_dir_all(folder.path().join(home)).unwrap();
        }
        for name in SECRETS {
            let secret = folder.path().join("secrets").join(name);
            fs::write(secret, "https://service.example/secret").unwrap();
        }
        let code = Arc::new(AtomicU16::new(400));
        let answer = code.clone();
        let world = Self {
            folder,
            agent: None,
            receiver: Sink::start(|_| status(200)),
            rejecting: (
                Sink::start(move |_| status(answer.load(Ordering::SeqCst))),
                code,
            ),
            statsd: free_port(),
            ids: BTreeMap::new(),
        };
        for (name, text) in FILES {
            world.write(name, text);
        }
        world
    }

    /// Writes a file that a page shows.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), self.to_here(text)).unwrap();
    }

    /// Runs a command line of a page.
    pub fn run(&mut self, line: &str) -> Outcome {
        let words = lines::commands(line).swap_remove(0);
        if words[..2.min(words.len())] == ["bellwether", "run"] {
            let config = words.iter().skip_while(|word| *word != "--config").nth(1);
            self.start_agent(config.expect("a configuration"));
            return Outcome {
                text: String::new(),
                is_good: true,
            };
        }
        if self.agent.is_none() {
            self.start_agent(WORLD);
        }
        self.shell(&self.to_here(line))
    }

    fn shell(&self, line: &str) -> Outcome {
        let running = self.agent.as_ref().unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_bellwether"));
        let search = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{search}", program.parent().unwrap().display());
        let output = Command::new("sh")
            .args(["-c", &format!("exec 2>&1\n{line}")])
            .current_dir(self.folder.path())
            .env("PATH", path)
            .env("HOME", self.folder.path())
            .env("CURL_HOME", self.folder.path())
            .env("USER", "ada")
            .env_remove("SUDO_USER")
            .env("SECRETS", self.folder.path().join("secrets"))
            .env("BELLWETHER_CONFIG", running.folder.join("bellwether.yaml"))
            .env("STATE_DIRECTORY", running.folder.join("state"))
            .env_remove("BELLWETHER_URL")
            .env_remove("RUNTIME_DIRECTORY")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let is_empty = text.contains("\"result\":[]") || text.contains("hint: ");
        Outcome {
            is_good: output.status.success() && !is_empty,
            text: self.to_page(text.trim_end()),
        }
    }

    /// Starts an agent with a file of the page, in place of the one before.
    fn start_agent(&mut self, config: &str) {
        self.agent = None;
        let folder = self
            .folder
            .path()
            .join(format!("agent-{}", config.replace('/', "-")));
        fs::create_dir(&folder).unwrap();
        symlink(
            self.folder.path().join(config),
            folder.join("bellwether.yaml"),
        )
        .unwrap();
        if config == WORLD {
            import_history(&folder);
        }
        let agent = Agent::start_with(&folder, &["--web.listen-address", "127.0.0.1:0"]);
        self.agent = Some(RunningAgent { agent, folder });
    }

    /// Brings about what a command of a page is about to show.
    pub fn before(&mut self, page: &str, command: &str) {
        let is = |start: &str| page == "docs/alerting.md" && command.starts_with(start);
        if is("bellwether alerts  ") {
            self.record("queue_length", "orders", 80);
            self.wait_for("event=rejected&channel=lead", "\"rejected\"");
        } else if is("bellwether explain backlog") {
            self.wait_for("event=muted", "\"muted\"");
        } else if is("bellwether alerts --history --rule") {
            self.record("queue_length", "orders", 1);
            self.wait_for(
                "event=delivered&channel=pager&state=resolved",
                "\"delivered\"",
            );
        } else if is("bellwether dead-letters resend") {
            self.rejecting.1.store(200, Ordering::SeqCst);
        } else if is("bellwether dead-letters discard") {
            self.wait_for("event=delivered&channel=lead", "\"delivered\"");
        } else if command.starts_with("promtool tsdb dump") {
            // A Prometheus always has it.
            fs::create_dir_all(self.folder.path().join("data/wal")).unwrap();
        } else if is("bellwether notify-test lead") {
            self.rejecting.1.store(400, Ordering::SeqCst);
        }
    }

    fn record(&mut self, metric: &str, queue: &str, value: u32) {
        if self.agent.is_none() {
            self.start_agent(WORLD);
        }
        let body = format!(
            r#"[{{"metric":"{metric}","labels":{{"queue_name":"{queue}"}},"set":{value}}}]"#
        );
        let (status, answer) = self
            .agent
            .as_ref()
            .unwrap()
            .agent
            .post("/api/v1/record", &body);
        assert_eq!(status, 200, "{answer}");
    }

    fn wait_for(&self, filter: &str, text: &str) {
        let path = format!("/api/v1/alerts/history?{filter}");
        poll(filter, Duration::from_secs(60), || {
            let (_, records) = self.agent.as_ref().unwrap().agent.get(&path);
            records.contains(text).then_some(())
        });
    }

    /// Remembers which ids of this run are those of the page.
    pub fn learn(&mut self, shown: &str, printed: &str) {
        if shown.contains("...") {
            return;
        }
        for (page, here) in ids(shown).into_iter().zip(ids(printed)) {
            self.ids.insert(page.to_owned(), here.to_owned());
            // Commands also take the beginning of an id.
            if let (Some((page, _)), Some((here, _))) = (page.split_once('-'), here.split_once('-'))
            {
                self.ids.insert(page.to_owned(), here.to_owned());
            }
        }
    }

    /// Addresses of the pages and those of this run.
    fn addresses(&self) -> Vec<(&'static str, String)> {
        let mut addresses = vec![
            ("localhost:9095", self.receiver.address().to_string()),
            ("victoria:8428", self.receiver.address().to_string()),
            ("localhost:18931", self.rejecting.0.address().to_string()),
        ];
        if let Some(running) = &self.agent {
            addresses.insert(0, ("localhost:9091", running.agent.address().to_string()));
        }
        addresses
    }

    fn to_here(&self, text: &str) -> String {
        let mut text = text.replace("/etc/bellwether/", "config/");
        text = text.replace("127.0.0.1 8125", &format!("127.0.0.1 {}", self.statsd));
        text = text.replace("127.0.0.1:8125", &format!("127.0.0.1:{}", self.statsd));
        text = text.replace("target/release/bellwether", "bellwether");
        text = text.replace("sudo bellwether", "bellwether");
        // As root it would write into /etc.
        if text == "bellwether init" {
            text += " --output bellwether.yaml";
        }
        for (page, here) in self.addresses() {
            text = text.replace(page, &here);
        }
        // The longest first: an id before its beginning.
        for (page, here) in self.ids.iter().rev() {
            text = text.replace(page, here);
        }
        if text.contains(" ID") || text.contains("=ID") || text.contains("/ID") {
            text = text.replace("ID", &self.newest_silence());
        }
        text
    }

    fn to_page(&self, text: &str) -> String {
        let folder = format!("{}/", self.folder.path().display());
        let mut text = text.replace(&folder, "");
        for (page, here) in self.addresses() {
            text = text.replace(&here, page);
        }
        for (page, here) in self.ids.iter().rev() {
            text = text.replace(here, page);
        }
        text
    }

    /// Id of the silence that was made last.
    fn newest_silence(&self) -> String {
        let (_, list) = self.agent.as_ref().unwrap().agent.get("/api/v1/silences");
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        let silences = list["data"]
            .as_array()
            .or_else(|| list["data"]["silences"].as_array());
        let silences = silences.expect("a list of silences");
        let newest = silences
            .iter()
            .max_by_key(|silence| silence["startsAt"].as_str());
        newest
            .and_then(|silence| silence["id"].as_str())
            .expect("a silence")
            .to_owned()
    }
}

/// Imports before the agent starts: a running one sees imported samples only after a while.
fn import_history(agent: &Path) {
    let directory = agent.join("state/history");
    fs::create_dir_all(&directory).unwrap();
    let file = agent.join("history.om");
    fs::write(&file, history()).unwrap();
    let import = Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .arg("import")
        .arg(file)
        .arg("--history")
        .arg(directory)
        .output()
        .unwrap();
    assert!(
        import.status.success(),
        "{}",
        String::from_utf8_lossy(&import.stderr)
    );
}

/// Eight days, a sample each minute, up to now: a daily wave with one spike of six minutes and short ones, a load that is as high as usual at the end,
/// a queue that follows the CPU by four minutes, and a disk that fills in the last six hours.
fn history() -> String {
    const MINUTES: u64 = 8 * 1440;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
        / 60
        * 60;
    let noise = |minute: u64| (minute * 7919 % 1009) as f64 / 1009.0;
    let cpu = |minute: u64| {
        let wave = (minute as f64 / 1440.0 * std::f64::consts::TAU).sin();
        let usual = 45.0 + 25.0 * wave + 8.0 * noise(minute / 5) + noise(minute);
        let spike = MINUTES - 4000;
        let short = minute % 1440 == 700;
        if (spike..spike + 6).contains(&minute) || short {
            81.2
        } else {
            usual.min(79.0)
        }
    };
    let disk = |minute: u64| {
        70.0 + minute.saturating_sub(MINUTES - 360) as f64 * 0.05 * 0.83 + noise(minute) * 0.05
    };
    let load = |minute: u64| match minute {
        now if now + 15 > MINUTES => 8.41,
        before => 1.0 + cpu(before) / 8.0 + noise(before * 3),
    };
    let queue = |minute: u64| (cpu(minute.saturating_sub(4)) / 10.0).round();
    let series: [(&str, &str, Values<'_>); 6] = [
        ("cpu_percent", "", &cpu),
        ("cpu_count", "", &|_| 1.0),
        ("load_average_1m", "", &load),
        ("disk_usage_percent", "{mount_point=\"/data\"}", &disk),
        ("queue_length", "{queue_name=\"mail\"}", &queue),
        ("network_bytes_recv", "{interface=\"eth0\"}", &|minute| {
            minute as f64 * 6e4
        }),
    ];
    let mut text = String::new();
    for (name, labels, value) in series {
        writeln!(text, "# TYPE multi_agent_system_{name} gauge").unwrap();
        for minute in 0..=MINUTES {
            let at = now - (MINUTES - minute) * 60;
            writeln!(
                text,
                "multi_agent_system_{name}{labels} {} {at}",
                value(minute)
            )
            .unwrap();
        }
    }
    text + "# EOF\n"
}
