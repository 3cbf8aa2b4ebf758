//! Clients that are slow, huge or senseless; /metrics must answer all the same.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::queue_rule;
use crate::support::agent::{Agent, request};
use crate::support::{free_port, poll};

#[test]
fn two_hundred_slow_clients_do_not_starve_a_scrape() {
    let folder = TempDir::new().unwrap();
    let agent = Agent::start(folder.path(), &queue_rule("{type: log}"));
    let slow: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = TcpStream::connect(agent.address()).unwrap();
            stream
                .write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nx-slow: ")
                .unwrap();
            stream
        })
        .collect();
    for _ in 0..20 {
        let start = Instant::now();
        assert_eq!(agent.get("/metrics").0, 200);
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "starved: {:?}",
            start.elapsed()
        );
    }
    drop(slow);
}

#[test]
fn a_body_of_100_mb_is_rejected_before_it_is_read() {
    let folder = TempDir::new().unwrap();
    let agent = Agent::start(folder.path(), &queue_rule("{type: log}"));
    let before = agent.value("process_resident_memory_bytes").unwrap();
    let mut stream = TcpStream::connect(agent.address()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
        .write_all(
            b"POST /api/v1/record HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
              content-length: 104857600\r\n\r\n",
        )
        .unwrap();
    let chunk = vec![b' '; 1 << 20];
    for _ in 0..100 {
        // The server may close as soon as it has rejected.
        if stream.write_all(&chunk).is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer:?}");
    let after = agent.value("process_resident_memory_bytes").unwrap();
    assert!(after < before + 32e6, "grew from {before} to {after} bytes");
}

#[test]
fn random_bytes_on_the_ports_end_nothing() {
    let folder = TempDir::new().unwrap();
    let port = free_port();
    let statsd =
        format!("  application: {{statsd: {{listen: \"127.0.0.1:{port}\"}}}}\n  prometheus:");
    let yaml = queue_rule("{type: log}").replacen("  prometheus:", &statsd, 1);
    let agent = Agent::start(folder.path(), &yaml);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    for _ in 0..2000 {
        let packet: Vec<u8> = (0..200)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                // Letters that lines are made of come often, so that parsing goes deep.
                if state.is_multiple_of(3) {
                    b":|@#c,\n1gms"[(state >> 8) as usize % 11]
                } else {
                    (state >> 16) as u8
                }
            })
            .collect();
        socket.send_to(&packet, ("127.0.0.1", port)).unwrap();
        if let Ok(mut stream) = TcpStream::connect(agent.address()) {
            let _ = stream.write_all(&packet);
        }
    }
    poll(
        "a good line after all that",
        Duration::from_secs(30),
        || {
            socket
                .send_to(b"jobs:1|c|#queue_name:mail", ("127.0.0.1", port))
                .unwrap();
            agent
                .value("test_jobs{queue_name=\"mail\"")
                .filter(|count| *count >= 1.0)
        },
    );
    let rejected: f64 = agent
        .get("/metrics")
        .1
        .lines()
        .filter(|line| line.starts_with("bellwether_application_records_rejected_total{"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum();
    assert!(rejected > 0.0);
}

#[test]
fn what_changes_state_is_rejected_to_browsers_of_other_sites() {
    let folder = TempDir::new().unwrap();
    let agent = Agent::start(folder.path(), &queue_rule("{type: log}"));
    let headers = [
        ("origin", "https://evil.example"),
        ("content-type", "text/plain"),
    ];
    let body = r#"[{"metric":"queue_length","labels":{"queue_name":"x"},"set":1}]"#;
    for path in ["/api/v1/record", "/-/reload"] {
        let (status, answer) = request(agent.address(), "POST", path, &headers, body).unwrap();
        assert_eq!(status, 403, "{path}: {answer}");
    }
    assert_eq!(agent.value("test_queue_length{queue_name=\"x\""), None);
}
