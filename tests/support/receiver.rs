//! An HTTP receiver of webhooks that keeps what it gets and misbehaves on demand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

/// Behaviour of the receiver.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mood {
    /// 200.
    Good,
    /// This status.
    Status(u16),
    /// Reads the request and never answers.
    Mute,
}

/// A running receiver; `stop` closes its port.
pub struct Receiver {
    address: SocketAddr,
    bodies: Arc<Mutex<Vec<Value>>>,
    attempts: Arc<Mutex<usize>>,
    mood: Arc<Mutex<Mood>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Starts on a free port, or on `port` to come back where another one was.
    pub fn start(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let address = listener.local_addr().unwrap();
        let bodies = Arc::<Mutex<Vec<Value>>>::default();
        let attempts = Arc::<Mutex<usize>>::default();
        let (mood, stopping) = (
            Arc::new(Mutex::new(Mood::Good)),
            Arc::new(AtomicBool::new(false)),
        );
        let thread = {
            let (bodies, attempts, mood, stopping) = (
                bodies.clone(),
                Arc::clone(&attempts),
                mood.clone(),
                stopping.clone(),
            );
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    if stopping.load(Ordering::SeqCst) {
                        return;
                    }
                    let (bodies, attempts, mood) = (bodies.clone(), attempts.clone(), mood.clone());
                    std::thread::spawn(move || serve(stream.unwrap(), &bodies, &attempts, &mood));
                }
            })
        };
        Self {
            address,
            bodies,
            attempts,
            mood,
            stopping,
            thread: Some(thread),
        }
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes how it answers from now on.
    pub fn mood(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Requests so far, rejected ones included.
    pub fn attempts(&self) -> usize {
        *self.attempts.lock().unwrap()
    }

    /// Notifications that it got, as `status alertname labels` lines in order of arrival.
    pub fn taken(&self) -> Vec<String> {
        let bodies = self.bodies.lock().unwrap();
        let alerts = bodies
            .iter()
            .flat_map(|body| body["alerts"].as_array().cloned().unwrap());
        alerts
            .map(|alert| {
                let labels = alert["labels"].as_object().unwrap();
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let rest: Vec<String> = labels
                    .iter()
                    .filter(|(name, _)| {
                        !matches!(name.as_str(), "alertname" | "environment" | "instance")
                    })
                    .map(|(name, value)| format!("{name}={}", text(value)))
                    .collect();
                format!(
                    "{} {} {}",
                    text(&alert["status"]),
                    text(&labels["alertname"]),
                    rest.join(",")
                )
            })
            .collect()
    }

    /// The bodies it took.
    pub fn bodies(&self) -> Vec<Value> {
        self.bodies.lock().unwrap().clone()
    }

    /// Closes the port.
    pub fn stop(mut self) {
        self.close();
    }

    fn close(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.stopping.store(true, Ordering::SeqCst);
            let _ = TcpStream::connect(self.address);
            thread.join().unwrap();
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.close();
    }
}

fn serve(
    stream: TcpStream,
    bodies: &Mutex<Vec<Value>>,
    attempts: &Mutex<usize>,
    mood: &Mutex<Mood>,
) {
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    let mut length = 0;
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    *attempts.lock().unwrap() += 1;
    let status = match *mood.lock().unwrap() {
        Mood::Good => {
            bodies
                .lock()
                .unwrap()
                .push(serde_json::from_slice(&body).unwrap());
            200
        }
        Mood::Status(status) => status,
        Mood::Mute => {
            // Holds the connection until the client gives up.
            let _ = reader.read(&mut [0]);
            return;
        }
    };
    // Closed each time, so that a stopped receiver is gone for good.
    let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let _ = stream.write_all(answer.as_bytes());
}
