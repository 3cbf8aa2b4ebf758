//! Access to the address of gRPC: TLS, certificates of clients, a token.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwether_core::Failure;
use bellwether_files as files;
use bellwether_http::read_secret;
use bellwether_schema::{Diagnostic, Secret, Spanned, section};
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::request::header;

section! {
    /// TLS of the address of gRPC. Files are read again at each collection.
    pub struct GrpcTls {
        /// PEM file with the certificate, and those between it and its authority.
        pub cert_file: PathBuf,
        /// PEM file with the key.
        pub key_file: PathBuf,
        /// PEM file with the authorities of clients, which need a certificate of one of them. By default they need none.
        pub client_ca_file: Option<PathBuf> = None,
    }
}

/// Settings of the access.
#[derive(Clone, Debug, Default)]
pub(super) struct AccessSettings {
    pub(super) tls: Option<GrpcTls>,
    pub(super) token_file: Option<PathBuf>,
}

/// Content of the files of the settings.
#[derive(Default, PartialEq)]
struct Files {
    token: Option<Secret>,
    certificate: Vec<u8>,
    key: Vec<u8>,
    authorities: Vec<u8>,
}

/// Access as the files have it.
pub(super) struct Access {
    files: Files,
    /// `None`: without TLS.
    pub(super) tls: Option<Arc<ServerConfig>>,
}

impl AccessSettings {
    /// Warns of an address that other hosts reach: anybody may push, or a token can be read on the way.
    pub(super) fn warn(&self, listen: &Spanned<String>, warnings: &mut Vec<Diagnostic>) {
        let address = listen.parse::<SocketAddr>();
        if !address.is_ok_and(|address| !address.ip().is_loopback()) {
            return;
        }
        let asks_clients = self
            .tls
            .as_ref()
            .is_some_and(|tls| tls.client_ca_file.is_some());
        let (message, hint) = match (&self.token_file, &self.tls) {
            (None, _) if !asks_clients => (
                "there is no login on this address: whoever reaches it may push",
                "set `grpc_bearer_token_file` or `grpc_tls.client_ca_file`, or listen on 127.0.0.1",
            ),
            (Some(_), None) => (
                "the token is sent to this address without encryption",
                "set `grpc_tls`, or listen on 127.0.0.1",
            ),
            _ => return,
        };
        warnings.push(Diagnostic {
            location: listen.at.clone(),
            message: message.into(),
            help: Some(hint.into()),
        });
    }

    /// Reads the files. Returns `before` if they are the same as for it. Blocks.
    ///
    /// # Errors
    /// A file cannot be read, or has not what it should.
    pub(super) fn read(&self, before: Option<Arc<Access>>) -> Result<Arc<Access>, Failure> {
        let files = self.files()?;
        if let Some(before) = before.filter(|before| before.files == files) {
            return Ok(before);
        }
        let tls = match &self.tls {
            Some(tls) => Some(Arc::new(config(tls, &files)?)),
            None => None,
        };
        Ok(Arc::new(Access { files, tls }))
    }

    fn files(&self) -> Result<Files, Failure> {
        let token = self.token_file.as_deref().map(token).transpose()?;
        let Some(tls) = &self.tls else {
            return Ok(Files {
                token,
                ..Files::default()
            });
        };
        let authorities = tls.client_ca_file.as_deref().map(bytes).transpose()?;
        Ok(Files {
            token,
            certificate: bytes(&tls.cert_file)?,
            key: bytes(&tls.key_file)?,
            authorities: authorities.unwrap_or_default(),
        })
    }
}

impl Access {
    /// Returns whether a request with these headers may push.
    pub(super) fn allows(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.files.token else {
            return true;
        };
        let sent = header(headers, &AUTHORIZATION).split_once(' ');
        sent.is_some_and(|(scheme, sent)| {
            scheme.eq_ignore_ascii_case("bearer") && token.matches(sent.trim())
        })
    }
}

fn token(path: &Path) -> Result<Secret, Failure> {
    let token = read_secret(path).map_err(|error| Failure::new("io", error.to_string()))?;
    match token.expose().trim().is_empty() {
        true => {
            let message = format!("{} contains no token", path.display());
            Err(Failure::new("settings", message))
        }
        false => Ok(Secret::new(token.expose().trim())),
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    files::read(path, files::SMALL).map_err(|error| {
        let message = format!("cannot read {}: {error}", path.display());
        Failure::new("io", message)
    })
}

fn config(settings: &GrpcTls, files: &Files) -> Result<ServerConfig, Failure> {
    let invalid = |path: &Path, error: &dyn std::fmt::Display| {
        Failure::new("settings", format!("{}: {error}", path.display()))
    };
    let chain = certificates(&settings.cert_file, &files.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&files.key)
        .map_err(|error| invalid(&settings.key_file, &error))?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| invalid(&settings.cert_file, &error))?;
    let builder = match &settings.client_ca_file {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates(path, &files.authorities)? {
                roots
                    .add(authority)
                    .map_err(|error| invalid(path, &error))?;
            }
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| invalid(path, &error))?)
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| invalid(&settings.key_file, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// Reads the certificates of a file; there is at least one.
fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let message = match certificates {
        Ok(certificates) if !certificates.is_empty() => return Ok(certificates),
        Ok(_) => "no certificate in it".to_owned(),
        Err(error) => format!("not a certificate in PEM: {error}"),
    };
    Err(Failure::new(
        "settings",
        format!("{}: {message}", path.display()),
    ))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn access(token: Option<&str>) -> Access {
        let files = Files {
            token: token.map(Secret::new),
            ..Files::default()
        };
        Access { files, tls: None }
    }

    #[test]
    fn a_request_needs_the_token_if_there_is_one() {
        let with = |value: &'static str| {
            HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))])
        };
        assert!(access(None).allows(&HeaderMap::new()));
        for (headers, allowed) in [
            (HeaderMap::new(), false),
            (with("Bearer right"), true),
            (with("bearer  right"), true),
            (with("Bearer wrong"), false),
            (with("Bearer "), false),
            (with("Basic right"), false),
            (with("right"), false),
        ] {
            assert_eq!(
                access(Some("right")).allows(&headers),
                allowed,
                "{headers:?}"
            );
        }
    }

    #[test]
    fn files_that_change_are_read_again_and_bad_ones_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let settings = AccessSettings {
            tls: None,
            token_file: Some(path.clone()),
        };
        let error = |settings: &AccessSettings| settings.read(None).err().unwrap().detail;
        assert!(error(&settings).starts_with("cannot read "));
        std::fs::write(&path, " \n").unwrap();
        assert!(error(&settings).ends_with("token contains no token"));
        std::fs::write(&path, "first\n").unwrap();
        let first = settings.read(None).ok().unwrap();
        let same = settings.read(Some(first.clone())).ok().unwrap();
        assert!(Arc::ptr_eq(&first, &same));
        std::fs::write(&path, "second\n").unwrap();
        let second = settings.read(Some(first)).ok().unwrap();
        assert_eq!(second.files.token, Some(Secret::new("second")));
        let encrypted = AccessSettings {
            tls: Some(GrpcTls {
                cert_file: path.clone(),
                key_file: path,
                client_ca_file: None,
            }),
            token_file: None,
        };
        assert!(error(&encrypted).ends_with("token: no certificate in it"));
    }
}
