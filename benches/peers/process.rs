//! A process with a page: how fast it answers, what it costs.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running process; killed when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    started_in: Duration,
}

impl Process {
    /// Starts what `command` makes for an address, and waits for its first page.
    pub(crate) fn start(folder: &Path, command: impl FnOnce(&str) -> Command) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("address");
        drop(listener);
        let mut command = command(&address.to_string());
        command.current_dir(folder).env("STATE_DIRECTORY", folder.join("state"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let begun = Instant::now();
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut process = Self { child, address, started_in: Duration::ZERO };
        while exchange(address, "GET", "/metrics", "").is_none_or(|(status, _)| status != 200) {
            assert!(begun.elapsed() < Duration::from_secs(60), "no page: {command:?}");
            std::thread::sleep(Duration::from_micros(500));
        }
        process.started_in = begun.elapsed();
        process
    }

    /// Milliseconds from the start to the first page.
    pub(crate) fn started_in(&self) -> f64 {
        millis(self.started_in)
    }

    /// Milliseconds until a whole page was read.
    pub(crate) fn scrape(&self) -> f64 {
        let begun = Instant::now();
        let (status, page) = exchange(self.address, "GET", "/metrics", "").expect("a page");
        let took = millis(begun.elapsed());
        assert!(status == 200 && !page.is_empty(), "{status}");
        took
    }

    /// POSTs JSON and returns the answer.
    pub(crate) fn post(&self, path: &str, body: &str) -> String {
        let (status, answer) = exchange(self.address, "POST", path, body).expect("an answer");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// The first value on the page of a metric.
    pub(crate) fn figure(&self, metric: &str) -> f64 {
        let (_, page) = exchange(self.address, "GET", "/metrics", "").expect("a page");
        let page = String::from_utf8_lossy(&page).into_owned();
        let line = page.lines().find(|line| line.starts_with(metric));
        let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
        value.unwrap_or_else(|| panic!("no {metric} on the page"))
    }

    /// Processor time so far, user and system.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("stat");
        // The name stands in brackets and may hold anything; fields are counted after it.
        let fields: Vec<&str> =
            stat.rsplit(')').next().expect("fields").split_whitespace().collect();
        let ticks = |field: usize| fields[field].parse::<u64>().expect("ticks");
        Duration::from_millis((ticks(11) + ticks(12)) * 1000 / procfs::ticks_per_second())
    }

    /// A line of `/proc/PID/status` in MiB.
    pub(crate) fn memory(&self, key: &str) -> f64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("status");
        let line = status.lines().find(|line| line.starts_with(key)).expect("line");
        let kib: f64 = line.split_whitespace().nth(1).expect("number").parse().expect("number");
        kib / 1024.0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a tool is on the path.
pub(crate) fn installed(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The middle one, p50.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// One HTTP request over a connection of its own, as plain text without compression.
fn exchange(address: SocketAddr, method: &str, path: &str, body: &str) -> Option<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).ok()?;
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.0\r\nhost: {address}\r\naccept: text/plain;version=0.0.4\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()?;
    let mut reader = BufReader::with_capacity(1 << 16, stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let status = line.split(' ').nth(1)?.parse().ok()?;
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).ok()?;
    }
    let mut page = Vec::new();
    reader.read_to_end(&mut page).ok()?;
    Some((status, page))
}
