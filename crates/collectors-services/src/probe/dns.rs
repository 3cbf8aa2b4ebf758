//! Probes of DNS servers.

use std::net::{IpAddr, SocketAddr};

use bellwether_collector::EntryContext;
use bellwether_schema::{Literal, Spanned, section, string_enum};
use regex::bytes::Regex;
use tokio::time::Instant;

use super::connect::{note_protocol, resolve};
use super::http::patterns;
use super::report::{
    DNS_ADDITIONAL, DNS_ANSWERS, DNS_AUTHORITY, DNS_DURATION, DNS_SUCCEEDED, FAILED_BY_REGEX,
    Report,
};
use crate::dns::host_and_port;
use crate::dns::{Question, RecordType, ask_tcp, ask_udp, code_name, is_name};

string_enum! {
    /// Transports of DNS.
    pub enum Transport {
        /// Datagrams.
        Udp = "udp",
        /// A connection.
        Tcp = "tcp",
    }
}

section! {
    /// Query of a DNS probe, and the answer that it expects.
    pub struct DnsProbe {
        /// Full name that is asked for.
        pub query_name: Spanned<String>,
        /// Type of the records.
        pub query_type: RecordType = RecordType::A,
        /// Transport.
        pub transport_protocol: Transport = Transport::Udp,
        /// If true, the server shall ask others.
        pub recursion_desired: bool = true,
        /// Expected response codes.
        pub valid_rcodes: Vec<String> = vec!["NOERROR".into()],
        /// Expected records in the answer.
        pub validate_answer_rrs: ExpectedRecords = ExpectedRecords::default(),
    }
}

section! {
    /// Expected records, compared with lines such as `example.org.	60	IN	A	192.0.2.1`.
    pub struct ExpectedRecords {
        /// Regular expressions. The probe fails if a record matches one of them.
        pub fail_if_matches_regexp: Vec<Spanned<Literal>> = Vec::new(),
        /// Regular expressions. The probe fails if there is a record that does not match all of them, or none.
        pub fail_if_not_matches_regexp: Vec<Spanned<Literal>> = Vec::new(),
    }
}

/// A DNS probe, checked.
pub(super) struct DnsPlan {
    settings: DnsProbe,
    fail_if_matches: Vec<Regex>,
    fail_if_not_matches: Vec<Regex>,
}

impl DnsProbe {
    pub(super) fn plan(&self, context: &mut EntryContext<'_>) -> Option<DnsPlan> {
        if !is_name(&self.query_name) {
            let message = format!("not a DNS name: {:?}", self.query_name.value);
            context.problems.error(&self.query_name.at, message);
        }
        let expected = &self.validate_answer_rrs;
        Some(DnsPlan {
            settings: self.clone(),
            fail_if_matches: patterns(&expected.fail_if_matches_regexp, context),
            fail_if_not_matches: patterns(&expected.fail_if_not_matches_regexp, context),
        })
    }
}

/// Returns host and port of a server; the port is 53 if there is none.
pub(super) fn server(target: &str) -> Option<(String, u16)> {
    if let Ok(address) = target.parse::<IpAddr>() {
        return Some((address.to_string(), 53));
    }
    match host_and_port(target) {
        Some((host, port)) => Some((host.to_owned(), port)),
        None => bellwether_schema::is_host_name(target).then(|| (target.to_owned(), 53)),
    }
}

impl DnsPlan {
    pub(super) async fn run(&self, target: &str, report: &mut Report) -> Result<(), String> {
        report.set(&DNS_SUCCEEDED, 0.0);
        report.set(&FAILED_BY_REGEX, 0.0);
        let (host, port) = server(target).ok_or("not a server")?;
        let (addresses, resolved) = resolve(&host, port, report).await?;
        report.add_phase(&DNS_DURATION, "resolve", resolved);
        let question = Question {
            name: &self.settings.query_name,
            kind: self.settings.query_type,
            recursion: self.settings.recursion_desired,
        };
        let address: SocketAddr = addresses[0];
        note_protocol(address, report);
        let started = Instant::now();
        let answer = match self.settings.transport_protocol {
            Transport::Udp => ask_udp(address, &question).await,
            Transport::Tcp => ask_tcp(address, &question).await,
        };
        report.add_phase(&DNS_DURATION, "request", started.elapsed());
        let answer = answer.map_err(|error| format!("{address}: {error}"))?;
        report.set(&DNS_SUCCEEDED, 1.0);
        report.set(&DNS_ANSWERS, answer.answers.len() as f64);
        report.set(&DNS_AUTHORITY, answer.authority as f64);
        report.set(&DNS_ADDITIONAL, answer.additional as f64);
        let code = code_name(answer.code);
        if !self.settings.valid_rcodes.contains(&code) {
            return Err(format!("answered {code}"));
        }
        let records: Vec<String> = answer.answers.iter().map(ToString::to_string).collect();
        let result = self.evaluate(&records);
        report.set(&FAILED_BY_REGEX, f64::from(u8::from(result.is_err())));
        result
    }

    fn evaluate(&self, records: &[String]) -> Result<(), String> {
        for record in records {
            let line = record.as_bytes();
            if let Some(pattern) = self.fail_if_matches.iter().find(|it| it.is_match(line)) {
                return Err(format!("{record:?} matches {:?}", pattern.as_str()));
            }
            if let Some(pattern) = self
                .fail_if_not_matches
                .iter()
                .find(|it| !it.is_match(line))
            {
                return Err(format!("{record:?} does not match {:?}", pattern.as_str()));
            }
        }
        match records.is_empty() && !self.fail_if_not_matches.is_empty() {
            true => Err("no record in the answer".into()),
            false => Ok(()),
        }
    }
}
