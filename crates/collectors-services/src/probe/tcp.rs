//! Probes over TCP: a connection, TLS at once or later, and a dialogue.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bellwether_collector::EntryContext;
use bellwether_core::is_label_name;
use bellwether_schema::{Constraint, Literal, Spanned, section};
use memchr::memchr;
use regex::bytes::{Captures, Regex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::connect::{Stream, Tls, connect, resolve};
use super::http::patterns;
use super::report::{EXPECT_INFO, FAILED_BY_BYTES, FAILED_BY_REGEX, Report};
use crate::dns::host_and_port;

section! {
    /// Steps of a TCP probe after the connection.
    pub struct TcpProbe {
        /// If true, TLS begins at once.
        pub tls: bool = false,
        /// Dialogue: in each step a line or bytes are expected, a text is sent, and TLS begins, all of it or a part,
        /// in this order.
        pub query_response: Vec<QueryResponse> = Vec::new(),
    }
}

section! {
    /// Step of a dialogue.
    #[constraints = [Constraint::AtMostOne(&["send", "send_bytes"])]]
    pub struct QueryResponse {
        /// Regular expression that a line has to match. Lines before it are skipped.
        pub expect: Option<Spanned<Literal>> = None,
        /// Labels of the series `probe_expect_info`. `${1}` is a group of `expect`.
        pub labels: BTreeMap<String, Spanned<Literal>> = BTreeMap::new(),
        /// Text that the next bytes have to be.
        pub expect_bytes: Option<Literal> = None,
        /// Text that is sent, with a line feed behind it. `${1}` is a group of `expect`.
        pub send: Option<Literal> = None,
        /// Bytes in Base64 that are sent, with nothing behind them.
        pub send_bytes: Option<Spanned<Literal>> = None,
        /// If true, TLS begins (StartTLS).
        pub starttls: Spanned<bool> = Spanned::nowhere(false),
    }
}

/// A TCP probe, checked.
pub(super) struct TcpPlan {
    tls: bool,
    steps: Vec<Step>,
}

struct Step {
    expect: Option<Regex>,
    labels: Vec<(String, String)>,
    expect_bytes: Option<Vec<u8>>,
    send: Option<Message>,
    starttls: bool,
}

/// Bytes that a step sends.
enum Message {
    /// A text, with references to the groups of `expect`.
    Line(String),
    Bytes(Vec<u8>),
}

impl TcpProbe {
    pub(super) fn plan(&self, context: &mut EntryContext<'_>) -> Option<TcpPlan> {
        let mut encrypted = self.tls;
        for step in &self.query_response {
            step.check(context);
            if step.starttls.value && encrypted {
                context
                    .problems
                    .error(&step.starttls.at, "TLS begins twice")
                    .hint("keep one of `tls: true` and one `starttls: true`");
            }
            encrypted |= step.starttls.value;
        }
        let steps = self.query_response.iter().map(|step| step.plan(context));
        Some(TcpPlan {
            tls: self.tls,
            steps: steps.collect(),
        })
    }
}

impl QueryResponse {
    fn check(&self, context: &mut EntryContext<'_>) {
        for (label, text) in &self.labels {
            if !is_label_name(label) {
                context
                    .problems
                    .error(&text.at, format!("not a label name: {label:?}"))
                    .hint("letters, digits and underscores, not starting with a digit or __");
            } else if matches!(label.as_str(), "instance" | "job") {
                context
                    .problems
                    .error(&text.at, format!("the target has a label {label}"))
                    .hint("take another name");
            } else if self.expect.is_none() {
                context
                    .problems
                    .error(&text.at, "labels without `expect`")
                    .hint("their texts are parts of the line that `expect` matches");
            }
        }
    }

    /// Returns what is sent, and reports what cannot be.
    fn message(&self, context: &mut EntryContext<'_>) -> Option<Message> {
        let Some(bytes) = &self.send_bytes else {
            return self.send.as_ref().map(|text| Message::Line(text.0.clone()));
        };
        if self.send.is_some() {
            context
                .problems
                .error(&bytes.at, "both `send` and `send_bytes`")
                .hint("keep one; another step can send the other");
        }
        let decoded = BASE64_STANDARD.decode(bytes.value.0.trim());
        if let Err(error) = &decoded {
            context
                .problems
                .error(&bytes.at, format!("not Base64: {error}"))
                .hint("such as AAAACATSFi8=, which asks PostgreSQL for TLS");
        }
        decoded.ok().map(Message::Bytes)
    }

    fn plan(&self, context: &mut EntryContext<'_>) -> Step {
        let labels = self.labels.iter();
        let bytes = self.expect_bytes.as_ref();
        Step {
            expect: patterns(self.expect.as_slice(), context).into_iter().next(),
            labels: labels
                .map(|(label, text)| (label.clone(), text.value.0.clone()))
                .collect(),
            expect_bytes: bytes.map(|text| text.0.clone().into_bytes()),
            send: self.message(context),
            starttls: self.starttls.value,
        }
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
        let mut dialogue = Dialogue {
            stream: match self.tls {
                true => Box::new(tls.encrypt(host, stream, None, report).await?),
                false => Box::new(stream),
            },
            received: Vec::new(),
            limit,
        };
        for step in &self.steps {
            let message = dialogue.expect(step, report).await?;
            dialogue.send(message).await?;
            if step.starttls {
                dialogue = dialogue.encrypted(host, tls, report).await?;
            }
        }
        Ok(())
    }
}

/// A connection, and what was received behind what was expected.
struct Dialogue {
    stream: Box<dyn Stream>,
    received: Vec<u8>,
    /// Maximum number of bytes that a step receives.
    limit: u64,
}

impl Dialogue {
    /// Waits for what a step expects, and returns the bytes that it sends.
    async fn expect(
        &mut self,
        step: &Step,
        report: &mut Report,
    ) -> Result<Option<Vec<u8>>, String> {
        let mut message = step.message(None);
        if let Some(pattern) = &step.expect {
            // Until the line is there, the ones that came were others.
            report.set(&FAILED_BY_REGEX, 1.0);
            let line = self.line(pattern).await?;
            report.set(&FAILED_BY_REGEX, 0.0);
            if let Some(captures) = pattern.captures(&line) {
                message = step.message(Some(&captures));
                step.report(&captures, report);
            }
        }
        if let Some(bytes) = &step.expect_bytes {
            report.set(&FAILED_BY_BYTES, 1.0);
            self.bytes(bytes).await?;
            report.set(&FAILED_BY_BYTES, 0.0);
        }
        Ok(message)
    }

    async fn send(&mut self, message: Option<Vec<u8>>) -> Result<(), String> {
        let sent = self.stream.write_all(&message.unwrap_or_default()).await;
        sent.map_err(|error| error.to_string())
    }

    /// Begins TLS. What was received before is forgotten: it could come from anybody on the way.
    async fn encrypted(self, host: &str, tls: &Tls, report: &mut Report) -> Result<Self, String> {
        let stream = tls.encrypt(host, self.stream, None, report).await?;
        Ok(Self {
            stream: Box::new(stream),
            received: Vec::new(),
            limit: self.limit,
        })
    }

    /// Reads lines up to one that matches, and returns it.
    async fn line(&mut self, pattern: &Regex) -> Result<Vec<u8>, String> {
        let missing = || format!("no line matches {:?}", pattern.as_str());
        let mut total = 0;
        loop {
            if let Some(line) = self.received_line(pattern) {
                return Ok(line);
            }
            match self.stream.read_buf(&mut self.received).await {
                Ok(0) if pattern.is_match(&self.received) && !self.received.is_empty() => {
                    return Ok(std::mem::take(&mut self.received));
                }
                Ok(0) => return Err(format!("closed: {}", missing())),
                Ok(length) => total += length as u64,
                Err(error) => return Err(format!("{error}: {}", missing())),
            }
            if total > self.limit {
                return Err(format!("{} in more than limits.bytes", missing()));
            }
        }
    }

    /// Takes the lines up to one that matches, which it returns, or all that are whole.
    fn received_line(&mut self, pattern: &Regex) -> Option<Vec<u8>> {
        let mut start = 0;
        let mut matching = None;
        while let Some(length) = memchr(b'\n', &self.received[start..]) {
            let line = self.received[start..start + length].trim_ascii_end();
            start += length + 1;
            if pattern.is_match(line) {
                matching = Some(line.to_vec());
                break;
            }
        }
        self.received.drain(..start);
        matching
    }

    /// Reads as many bytes as `expected` has, and compares them.
    async fn bytes(&mut self, expected: &[u8]) -> Result<(), String> {
        while self.received.len() < expected.len() {
            match self.stream.read_buf(&mut self.received).await {
                Ok(0) => return Err("closed before the expected bytes".into()),
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        let rest = self.received.split_off(expected.len());
        let received = std::mem::replace(&mut self.received, rest);
        match received == expected {
            true => Ok(()),
            false => Err(format!(
                "other bytes than expected: {}",
                received.escape_ascii()
            )),
        }
    }
}

impl Step {
    /// Returns the bytes that are sent, with groups of the line that `expect` matched.
    fn message(&self, captures: Option<&Captures<'_>>) -> Option<Vec<u8>> {
        match self.send.as_ref()? {
            Message::Bytes(bytes) => Some(bytes.clone()),
            Message::Line(text) => {
                let mut line = match captures {
                    Some(captures) => expanded(text, captures),
                    None => text.clone().into_bytes(),
                };
                line.push(b'\n');
                Some(line)
            }
        }
    }

    /// Reports the parts of the line that the labels name.
    fn report(&self, captures: &Captures<'_>, report: &mut Report) {
        if self.labels.is_empty() {
            return;
        }
        let labels = self.labels.iter().map(|(label, template)| {
            let text = expanded(template, captures);
            (label.clone(), String::from_utf8_lossy(&text).into_owned())
        });
        report.set_with(&EXPECT_INFO, labels.collect(), 1.0);
    }
}

fn expanded(template: &str, captures: &Captures<'_>) -> Vec<u8> {
    let mut text = Vec::new();
    captures.expand(template.as_bytes(), &mut text);
    text
}
