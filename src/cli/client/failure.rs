//! Errors of a connection: the address, its origin, the request, the likely cause and its fix.

use std::fmt;
use std::io;

use bellwether_http::error_chain;
use rustls::{AlertDescription, CertificateError, InvalidMessage};

use super::address::{Address, Origin};
use super::{Answer, Request};

/// Failed request, formatted for a person.
#[derive(Debug)]
pub(in crate::cli) struct Failure {
    /// Address and reason.
    problem: String,
    /// Reason without the address, for a table that has it elsewhere.
    brief: String,
    /// Request, origin of the address, and what else was tried.
    tried: String,
    hint: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.problem)?;
        if !self.tried.is_empty() {
            write!(out, "\n  tried: {}", self.tried)?;
        }
        write!(out, "\n  hint: {}", self.hint)
    }
}

impl std::error::Error for Failure {}

impl Failure {
    /// Creates the failure of a request that `place` did not answer.
    pub(in crate::cli) fn unanswered(
        place: &str,
        reason: String,
        tried: String,
        hint: String,
    ) -> Self {
        Self {
            problem: format!("no answer from {place}: {reason}"),
            brief: reason,
            tried,
            hint,
        }
    }

    /// Returns the address and the reason, in one line.
    pub(in crate::cli) fn problem(&self) -> &str {
        &self.problem
    }

    /// Returns the reason without the address, in one line.
    pub(in crate::cli) fn brief(&self) -> &str {
        &self.brief
    }

    /// Returns the failure of a request that the server wants a password for. `user` is the one
    /// that was sent.
    pub(super) fn unauthorized(
        address: &Address,
        request: &Request<'_>,
        user: Option<&str>,
    ) -> Self {
        let place = address.shown();
        let file = match &address.web_config_file {
            Some(file) => file.display().to_string(),
            None => "the web configuration file of the server".to_owned(),
        };
        let (brief, hint) = match user {
            None => (
                "wants a user and a password".to_owned(),
                format!(
                    "--user NAME --password-file FILE; basic_auth_users in {file} has the names"
                ),
            ),
            Some(user) => (
                format!("rejected the user {user:?} or the password"),
                format!("compare them with basic_auth_users in {file}"),
            ),
        };
        Self {
            problem: format!("{place} {brief}"),
            brief,
            tried: tried(address, request),
            hint,
        }
    }
}

/// Likely cause of a request without an answer.
#[derive(Debug, PartialEq)]
enum Cause {
    Refused,
    TimedOut,
    UnknownName,
    Unreachable(String),
    /// The certificate is of an unknown authority, or self-signed.
    Untrusted,
    /// The certificate is for these names.
    OtherName(Vec<String>),
    NotValidNow(&'static str),
    OtherCertificate(String),
    ClientCertificate,
    /// TLS was spoken to a server without it.
    NoTls,
    OtherTls(String),
    /// HTTP was spoken to a server that may want TLS.
    NoHttp,
    Closed(String),
    Other(String),
}

/// Returns the failure of a request without an answer.
pub(super) fn unanswered(
    address: &Address,
    request: &Request<'_>,
    error: reqwest::Error,
) -> Failure {
    let error = error.without_url();
    let cause = match error.is_timeout() {
        true => Cause::TimedOut,
        false => cause(&error),
    };
    let (reason, hint) = described(&cause, address, request);
    Failure::unanswered(&address.shown(), reason, tried(address, request), hint)
}

/// Formats the request and the origin of the address.
fn tried(address: &Address, request: &Request<'_>) -> String {
    let path = request.path.split('?').next().unwrap_or_default();
    let mut text = format!("{} {path}, address from {}", request.method, address.origin);
    if let Origin::Configuration { search, .. } = &address.origin {
        text += &format!("; {search}");
        for line in search.unreadable() {
            text += &format!("\n  {line}");
        }
    }
    text
}

/// Finds the cause in an error and its sources.
fn cause(error: &(dyn std::error::Error + 'static)) -> Cause {
    let chain = error_chain(error);
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(cause) = typed_cause(error) {
            return cause;
        }
        next = error.source();
    }
    if chain.contains("dns error") {
        Cause::UnknownName
    } else if chain.contains("invalid HTTP") {
        Cause::NoHttp
    } else if chain.contains("closed before message completed") {
        Cause::Closed("the connection was closed".to_owned())
    } else {
        Cause::Other(chain)
    }
}

fn typed_cause(error: &(dyn std::error::Error + 'static)) -> Option<Cause> {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(tls_cause(error));
    }
    let error = error.downcast_ref::<io::Error>()?;
    if let Some(inner) = error.get_ref() {
        return typed_cause(inner);
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Some(Cause::Refused),
        io::ErrorKind::TimedOut => Some(Cause::TimedOut),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            Some(Cause::Unreachable(error.kind().to_string()))
        }
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => Some(Cause::Closed(error.kind().to_string())),
        _ => None,
    }
}

fn tls_cause(error: &rustls::Error) -> Cause {
    use CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet,
        NotValidYetContext, UnknownIssuer,
    };
    match error {
        rustls::Error::InvalidCertificate(reason) => match reason {
            // rustls has no other reason for a certificate that is its own authority.
            UnknownIssuer => Cause::Untrusted,
            CertificateError::Other(other)
                if format!("{other:?}").contains("CaUsedAsEndEntity") =>
            {
                Cause::Untrusted
            }
            NotValidForName => Cause::OtherName(Vec::new()),
            NotValidForNameContext { presented, .. } => {
                // Each is as `DnsName("monitor.example")`.
                let name = |text: &String| {
                    let quoted = text.split('"').nth(1);
                    quoted.unwrap_or(text).to_owned()
                };
                Cause::OtherName(presented.iter().map(name).collect())
            }
            Expired | ExpiredContext { .. } => Cause::NotValidNow("has expired"),
            NotValidYet | NotValidYetContext { .. } => Cause::NotValidNow("is not valid yet"),
            other => Cause::OtherCertificate(other.to_string()),
        },
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => Cause::NoTls,
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            Cause::ClientCertificate
        }
        other => Cause::OtherTls(other.to_string()),
    }
}

/// Returns the reason and the fix for a cause.
fn described(cause: &Cause, address: &Address, request: &Request<'_>) -> (String, String) {
    let port = address.port();
    let other_url = match address.origin {
        Origin::Variable => "BELLWETHER_URL",
        _ => "--url",
    };
    match cause {
        Cause::Refused => (
            "connection refused".to_owned(),
            refused_hint(&address.origin, other_url),
        ),
        Cause::TimedOut => (
            format!("timed out after {} s", request.timeout.as_secs()),
            match &address.origin {
                Origin::Agent { pid, .. } => {
                    format!("the process {pid} runs but does not answer; its log may say why")
                }
                _ => format!(
                    "is the address right, and does a firewall drop connections to port {port}?"
                ),
            },
        ),
        Cause::UnknownName => (
            "the host name is not known".to_owned(),
            format!("check the spelling in {other_url}, or give the IP address"),
        ),
        Cause::Unreachable(reason) => (
            reason.clone(),
            "this host has no route to that address; is it right?".to_owned(),
        ),
        Cause::Untrusted => (
            "its certificate is self-signed or of an unknown authority".to_owned(),
            format!(
                "--ca-file FILE with the certificate of the authority or, if it is self-signed, of the server{}",
                address
                    .web_config_file
                    .as_deref()
                    .map_or_else(String::new, |file| format!(
                        " (cert_file in {})",
                        file.display()
                    ))
            ),
        ),
        Cause::OtherName(names) if names.is_empty() => (
            "its certificate is for another name".to_owned(),
            format!("give {other_url} the name in the certificate"),
        ),
        Cause::OtherName(names) => (
            format!("its certificate is for {}", names.join(", ")),
            format!("give {other_url} a name that the certificate has"),
        ),
        Cause::NotValidNow(reason) => (
            format!("its certificate {reason}"),
            "renew it, or correct the clock of this host".to_owned(),
        ),
        Cause::OtherCertificate(reason) => (
            format!("its certificate is not accepted: {reason}"),
            "compare --ca-file with the certificate of the server".to_owned(),
        ),
        Cause::ClientCertificate => (
            "the server wants a client certificate".to_owned(),
            "commands have none: configure prometheus.control.socket and run them on that host"
                .to_owned(),
        ),
        Cause::NoTls => (
            "TLS failed: the server answers without TLS".to_owned(),
            format!("http:// in {other_url}"),
        ),
        Cause::OtherTls(reason) => (
            format!("TLS failed: {reason}"),
            format!("http:// in {other_url} if the server has no TLS"),
        ),
        Cause::NoHttp => (
            "it does not answer in HTTP".to_owned(),
            format!(
                "https:// in {other_url} if the server has TLS; another service may use port {port}"
            ),
        ),
        Cause::Closed(reason) if !address.is_tls() => (
            reason.clone(),
            format!(
                "https:// in {other_url} if the server has TLS; another service may use port {port}"
            ),
        ),
        Cause::Closed(reason) => (
            reason.clone(),
            format!(
                "http:// in {other_url} if the server has no TLS; another service may use port {port}"
            ),
        ),
        Cause::Other(reason) => (
            reason.clone(),
            format!("is it running? {other_url} names another address"),
        ),
    }
}

fn refused_hint(origin: &Origin, other_url: &str) -> String {
    match origin {
        Origin::Flag | Origin::Variable => format!(
            "nothing listens there: is it running? on that host `systemctl status bellwether` says so; else \
             correct host and port in {other_url}"
        ),
        Origin::Agent { pid, .. } => {
            format!("the process {pid} runs but does not listen; its log may say why")
        }
        Origin::Configuration { .. } => {
            "nothing listens there: is it running? `systemctl start bellwether` or `bellwether run` starts it; \
             --url names another address"
                .to_owned()
        }
    }
}

/// Returns the failure of a request that something else than a Bellwether answered.
pub(super) fn foreign(answer: &Answer, path: &str) -> Failure {
    let Answer {
        status,
        body,
        place,
        server,
    } = answer;
    let server = server.as_deref().map(|name| format!(", server {name}"));
    let tls = *status == 400 && body.contains("HTTPS");
    let hint = match status {
        400 if tls => "https:// in --url: the server has TLS".to_owned(),
        502..=504 => "a proxy answers, and the agent behind it does not: is it running?".to_owned(),
        _ => {
            "another service listens there, or a proxy leads elsewhere; check host and port. Port \
              9091 is also that of Prometheus's Pushgateway"
                .to_owned()
        }
    };
    let brief = format!(
        "answers, but not as a Bellwether: {status} to {path}{}",
        server.unwrap_or_default()
    );
    Failure {
        problem: format!("{place} {brief}"),
        brief,
        tried: String::new(),
        hint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(url: &str, cause: &Cause) -> String {
        let address = Address::parse(url, Origin::Flag).unwrap();
        let request = Request::get("/api/v1/summary?a=b");
        let (reason, hint) = described(cause, &address, &request);
        let tried = tried(&address, &request);
        Failure::unanswered(&address.shown(), reason, tried, hint).to_string()
    }

    #[test]
    fn each_cause_has_its_own_fix() {
        let certificate = |reason| tls_cause(&rustls::Error::InvalidCertificate(reason));
        let cases = [
            (Cause::Refused, "connection refused", "is it running?"),
            (Cause::TimedOut, "timed out after 10 s", "a firewall"),
            (Cause::UnknownName, "name is not known", "the spelling"),
            (
                certificate(CertificateError::UnknownIssuer),
                "is self-signed or of an unknown authority",
                "--ca-file FILE",
            ),
            (
                certificate(CertificateError::NotValidForName),
                "for another name",
                "the name in the certificate",
            ),
            (
                certificate(CertificateError::Expired),
                "has expired",
                "renew it",
            ),
            (
                tls_cause(&rustls::Error::InvalidMessage(
                    InvalidMessage::InvalidContentType,
                )),
                "without TLS",
                "http:// in --url",
            ),
            (
                tls_cause(&rustls::Error::AlertReceived(
                    AlertDescription::CertificateRequired,
                )),
                "client certificate",
                "control.socket",
            ),
        ];
        for (cause, reason, hint) in cases {
            let text = failure("https://u:secret@h:1", &cause);
            let lines: Vec<_> = text.lines().collect();
            assert!(
                lines[0].starts_with("no answer from https://h:1: ") && lines[0].contains(reason),
                "{text}"
            );
            assert_eq!(lines[1], "  tried: GET /api/v1/summary, address from --url");
            assert!(
                lines[2].starts_with("  hint: ") && lines[2].contains(hint),
                "{text}"
            );
            assert!(!text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn the_cause_is_found_in_wrapped_errors() {
        let tls = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, tls));
        assert_eq!(cause(&wrapped), Cause::Untrusted);
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(cause(&io::Error::other(refused)), Cause::Refused);
        let odd = io::Error::other("odd");
        assert_eq!(cause(&odd), Cause::Other("odd".to_owned()));
    }

    #[test]
    fn another_service_is_told_from_a_proxy_without_its_agent() {
        let of = |status, body: &str| {
            let answer = Answer {
                status,
                body: body.to_owned(),
                place: "http://h:9091".to_owned(),
                server: Some("nginx".to_owned()),
            };
            foreign(&answer, "/api/v1/summary").to_string()
        };
        assert!(of(404, "no").contains("404 to /api/v1/summary, server nginx"));
        assert!(of(404, "no").contains("another service"));
        assert!(of(502, "").contains("a proxy answers"));
        assert!(of(400, "sent an HTTP request to an HTTPS server").contains("https:// in --url"));
    }
}
