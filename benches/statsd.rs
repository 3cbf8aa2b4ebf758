//! `StatsD` lines per CPU second, beside `statsd_exporter`.
//!
//! `cargo bench --bench statsd`. Both run as processes of their own, get the same packets and are
//! charged by the kernel's account of their CPU time, so neither the sender nor the number of
//! cores matters. The peer is looked for in `$STATSD_EXPORTER`, on the path and where
//! `go install github.com/prometheus/statsd_exporter@latest` puts it.

#![allow(missing_docs, clippy::expect_used, clippy::print_stdout)]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const LINES: u64 = 1_000_000;
/// Bytes that fit the usual Ethernet frame; clients send packets of this size.
const PACKET: usize = 1432;

const OURS: &str = "
performance_monitor:
  enabled_collectors: [application]
  application_metrics:
    - {name: api_request_count, type: counter, labels: [endpoint, method, status]}
    - {name: api_request_duration, type: histogram, labels: [endpoint, method, status]}
    - {name: queue_length, type: gauge, labels: [queue_name]}
    - {name: mapped_duration, type: histogram, labels: [endpoint, method]}
  application:
    statsd:
      listen: 127.0.0.1:{udp}
      mappings: [{match: api.*.*.time, metric: mapped_duration, labels: {endpoint: $1, method: $2}}]
  prometheus: {host: 127.0.0.1, port: {http}}
";

const THEIRS: &str = "
defaults: {observer_type: histogram}
mappings:
  - {match: api.*.*.time, name: mapped_duration, labels: {endpoint: $1, method: $2}}
";

/// Makes the line of a number.
type Line = fn(u64) -> String;

/// One of the two sides, running.
struct Side {
    process: Child,
    udp: u16,
    http: u16,
    /// Its own count of lines, as /metrics names it.
    counter: &'static str,
}

impl Drop for Side {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Side {
    fn ours(folder: &Path) -> Self {
        let (udp, http) = ports();
        let file = folder.join("ours.yaml");
        let yaml = OURS
            .replace("{udp}", &udp.to_string())
            .replace("{http}", &http.to_string());
        fs::write(&file, yaml).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
        command
            .arg("run")
            .arg("--config")
            .arg(file)
            .env("STATE_DIRECTORY", folder);
        Self::spawn(command, udp, http, "bellwether_statsd_lines_total")
    }

    fn theirs(program: &Path, folder: &Path) -> Self {
        let (udp, http) = ports();
        let file = folder.join("theirs.yaml");
        fs::write(&file, THEIRS).expect("a file");
        let mut command = Command::new(program);
        command
            .arg(format!("--statsd.listen-udp=127.0.0.1:{udp}"))
            .arg("--statsd.listen-tcp=")
            .arg("--statsd.read-buffer=4194304")
            .arg(format!("--statsd.mapping-config={}", file.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{http}"));
        Self::spawn(command, udp, http, "statsd_exporter_lines_total")
    }

    fn spawn(mut command: Command, udp: u16, http: u16, counter: &'static str) -> Self {
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let side = Self {
            process: process.expect("a program that starts"),
            udp,
            http,
            counter,
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        while side.lines().is_none() {
            assert!(
                Instant::now() < deadline,
                "{:?} does not answer",
                command.get_program()
            );
            sleep(Duration::from_millis(20));
        }
        side
    }

    /// Lines it says it took; a counter that is not there yet is 0.
    fn lines(&self) -> Option<u64> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.http)).ok()?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").ok()?;
        let mut exposition = String::new();
        stream.read_to_string(&mut exposition).ok()?;
        let found = exposition
            .lines()
            .find(|line| line.starts_with(self.counter));
        let value = found.and_then(|line| line.rsplit_once(' '));
        Some(
            value
                .and_then(|(_, value)| value.parse::<f64>().ok())
                .unwrap_or(0.0) as u64,
        )
    }

    /// Its CPU time so far, in seconds: utime and stime, in ticks of 10 ms.
    fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()));
        let stat = stat.expect("a process that lives");
        let (_, fields) = stat.rsplit_once(')').expect("the kernel's form");
        let fields = fields.split_whitespace().skip(11).take(2);
        fields
            .map(|ticks| ticks.parse::<f64>().expect("a number") / 100.0)
            .sum()
    }

    /// Lines taken per CPU second, and which part of the lines sent was taken.
    fn run(&self, packets: &[Vec<u8>]) -> (f64, f64) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect(("127.0.0.1", self.udp)).expect("a loopback");
        let (lines, cpu) = (self.lines().unwrap_or(0), self.cpu());
        let sent: usize = packets.iter().map(|packet| count(packet)).sum();
        for (index, packet) in packets.iter().enumerate() {
            socket.send(packet).ok();
            // Leaves the receiver time, so that few packets are lost.
            if index % 64 == 63 {
                sleep(Duration::from_millis(1));
            }
        }
        let taken = self.settled() - lines;
        (
            taken as f64 / (self.cpu() - cpu),
            taken as f64 / sent as f64,
        )
    }

    /// The count of lines once it stays the same.
    fn settled(&self) -> u64 {
        let mut last = None;
        loop {
            sleep(Duration::from_millis(300));
            let lines = self.lines();
            if lines == last {
                return lines.unwrap_or(0);
            }
            last = lines;
        }
    }
}

fn count(packet: &[u8]) -> usize {
    packet.split(|byte| *byte == b'\n').count()
}

/// A free UDP and a free TCP port.
fn ports() -> (u16, u16) {
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let udp = udp.local_addr().expect("an address").port();
    (udp, tcp.local_addr().expect("an address").port())
}

fn tagged(index: u64) -> String {
    let (endpoint, value) = (index / 3 % 100, index % 500);
    match index % 3 {
        0 => format!("api_request_count:1|c|#endpoint:/api/{endpoint},method:GET,status:200"),
        1 => format!(
            "api_request_duration:{value}|ms|#endpoint:/api/{endpoint},method:GET,status:200"
        ),
        _ => format!("queue_length:{value}|g|#queue_name:queue{endpoint}"),
    }
}

fn dotted(index: u64) -> String {
    format!("api.users{}.get.time:{}|ms", index % 100, index % 500)
}

/// `lines` lines in packets of at most `size` bytes, but at least one line.
fn packets(lines: u64, size: usize, line: Line) -> Vec<Vec<u8>> {
    let mut packets = vec![Vec::new()];
    for index in 0..lines {
        let line = line(index);
        let last = packets.len() - 1;
        if !packets[last].is_empty() && packets[last].len() + 1 + line.len() > size {
            packets.push(line.into_bytes());
        } else {
            if !packets[last].is_empty() {
                packets[last].push(b'\n');
            }
            packets[last].extend_from_slice(line.as_bytes());
        }
    }
    packets
}

fn peer() -> Option<PathBuf> {
    let named = std::env::var_os("STATSD_EXPORTER").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let gopath = std::env::var_os("GOPATH").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join("go"));
    let folders = std::env::split_paths(&path).collect::<Vec<_>>().into_iter();
    let go = gopath
        .into_iter()
        .chain(home)
        .map(|folder| folder.join("bin"));
    let found = folders
        .chain(go)
        .map(|folder| folder.join("statsd_exporter"));
    named.into_iter().chain(found).find(|file| file.is_file())
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let ours = Side::ours(folder.path());
    let theirs = peer().map(|program| Side::theirs(&program, folder.path()));
    if theirs.is_none() {
        println!(
            "statsd_exporter is not here, so there are no ratios; hint: \
             go install github.com/prometheus/statsd_exporter@latest"
        );
    }
    let cases: [(&str, u64, usize, Line); 3] = [
        ("tags, full packets", LINES, PACKET, tagged),
        ("mapped names, full packets", LINES, PACKET, dotted),
        ("tags, one line a packet", LINES / 5, 1, tagged),
    ];
    for (name, lines, size, line) in cases {
        let packets = packets(lines, size, line);
        let (rate, taken) = ours.run(&packets);
        println!(
            "{name}: bellwether {rate:.0} lines per CPU second ({:.0} % taken)",
            taken * 100.0
        );
        if let Some(theirs) = &theirs {
            let (peer, taken) = theirs.run(&packets);
            let taken = taken * 100.0;
            println!("{name}: statsd_exporter {peer:.0} lines per CPU second ({taken:.0} % taken)");
            println!("{name}: ratio {:.1}", rate / peer);
        }
    }
}
