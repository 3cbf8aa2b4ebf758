//! Probes over TCP: a connection, TLS, and a dialogue.

use bellwether_schema::{Literal, Spanned, section};
use regex::bytes::{Captures, Regex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::connect::{Stream, Tls, connect, resolve};
use super::report::{FAILED_BY_REGEX, Report};
use crate::EntryContext;
use crate::dns::host_and_port;

section! {
    /// Steps of a TCP probe after the connection.
    pub struct TcpProbe {
        /// If true, TLS begins at once.
        pub tls: bool = false,
        /// Dialogue: in each step a line is expected, a text is sent, or both in this order.
        pub query_response: Vec<QueryResponse> = Vec::new(),
    }
}

section! {
    /// Step of a dialogue.
    pub struct QueryResponse {
        /// Regular expression that a line has to match. Lines before it are skipped.
        pub expect: Option<Spanned<Literal>> = None,
        /// Text that is sent, with a line feed behind it. `${1}` is a group of `expect`.
        pub send: Option<Literal> = None,
    }
}

/// A TCP probe, checked.
pub(super) struct TcpPlan {
    tls: bool,
    steps: Vec<Step>,
}

struct Step {
    expect: Option<Regex>,
    send: Option<String>,
}

impl TcpProbe {
    pub(super) fn plan(&self, context: &mut EntryContext<'_>) -> Option<TcpPlan> {
        let steps = self.query_response.iter().map(|step| {
            let expect = step.expect.as_slice();
            Step {
                expect: super::http::patterns(expect, context).into_iter().next(),
                send: step.send.as_ref().map(|text| text.0.clone()),
            }
        });
        Some(TcpPlan {
            tls: self.tls,
            steps: steps.collect(),
        })
    }
}

impl TcpPlan {
    pub(super) async fn run(
        &self,
        target: &str,
        tls: &Tls,
        limit: u64,
        report: &mut Report,
    ) -> Result<(), String> {
        let (host, port) = host_and_port(target).ok_or("not HOST:PORT")?;
        report.set(&FAILED_BY_REGEX, 0.0);
        let (addresses, _) = resolve(host, port, report).await?;
        let stream = connect(&addresses, report).await?;
        let mut stream: Box<dyn Stream> = match self.tls {
            true => Box::new(tls.encrypt(host, stream, report).await?),
            false => Box::new(stream),
        };
        // Until the dialogue is over, the lines that came were not those that are expected.
        let expects = self.steps.iter().any(|step| step.expect.is_some());
        report.set(&FAILED_BY_REGEX, f64::from(u8::from(expects)));
        let mut received = Vec::new();
        for step in &self.steps {
            let mut text = step.send.clone().unwrap_or_default().into_bytes();
            if let Some(pattern) = &step.expect {
                let line = expect(pattern, &mut stream, &mut received, limit).await?;
                if let (Some(template), Some(captures)) = (&step.send, pattern.captures(&line)) {
                    text = expanded(template, &captures);
                }
            }
            if step.send.is_some() {
                text.push(b'\n');
                let sent = stream.write_all(&text).await;
                sent.map_err(|error| error.to_string())?;
            }
        }
        report.set(&FAILED_BY_REGEX, 0.0);
        Ok(())
    }
}

fn expanded(template: &str, captures: &Captures<'_>) -> Vec<u8> {
    let mut text = Vec::new();
    captures.expand(template.as_bytes(), &mut text);
    text
}

/// Reads lines up to one that matches, and returns it. `received` has what came behind the last line.
async fn expect(
    pattern: &Regex,
    stream: &mut Box<dyn Stream>,
    received: &mut Vec<u8>,
    limit: u64,
) -> Result<Vec<u8>, String> {
    let mut total = 0;
    loop {
        while let Some(end) = received.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = received.drain(..=end).collect();
            let line = line.trim_ascii_end();
            if pattern.is_match(line) {
                return Ok(line.to_vec());
            }
        }
        let missing = || format!("no line matches {:?}", pattern.as_str());
        match stream.read_buf(received).await {
            Ok(0) if pattern.is_match(received) && !received.is_empty() => {
                return Ok(std::mem::take(received));
            }
            Ok(0) => return Err(format!("closed: {}", missing())),
            Ok(length) => total += length as u64,
            Err(error) => return Err(format!("{error}: {}", missing())),
        }
        if total > limit {
            return Err(format!("{} in more than limits.bytes", missing()));
        }
    }
}
