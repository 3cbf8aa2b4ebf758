//! Trusted certificates of a `ca_file`: authorities, and self-signed server certificates.
//!
//! `openssl req -x509` makes a certificate that calls itself an authority. WebPKI rejects it as a server's own
//! (`CaUsedAsEndEntity`); OpenSSL and curl accept it where it is trusted itself, and so does this module.

use std::path::Path;
use std::sync::Arc;

use bellwether_files as files;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use rustls_platform_verifier::Verifier;

use super::error::HttpError;

/// Verifies servers against the certificates of a PEM file, and against nothing else.
#[derive(Debug)]
struct FileVerifier {
    authorities: Arc<WebPkiServerVerifier>,
    trusted: Vec<CertificateDer<'static>>,
}

/// Creates a TLS configuration that trusts only the certificates in `pem`.
///
/// # Errors
/// `pem` has no certificate, or an invalid one.
pub fn client_config(pem: &[u8]) -> Result<ClientConfig, HttpError> {
    let trusted: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| HttpError::Certificate(format!("not a certificate in PEM: {error}")))?;
    if trusted.is_empty() {
        return Err(HttpError::Certificate("no certificate in it".to_owned()));
    }
    let mut roots = RootCertStore::empty();
    for certificate in &trusted {
        roots.add(certificate.clone())?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let authorities =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build()?;
    let verifier = Arc::new(FileVerifier {
        authorities,
        trusted,
    });
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = builder
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Creates a TLS configuration that trusts only the certificates of a PEM file. Blocks.
///
/// # Errors
/// The file cannot be read, or has no certificate or an invalid one.
pub fn read_client_config(path: &Path) -> Result<ClientConfig, HttpError> {
    let pem =
        files::read(path, files::SMALL).map_err(|error| HttpError::in_ca_file(path, error))?;
    client_config(&pem).map_err(|error| HttpError::in_ca_file(path, error))
}

/// Creates a TLS configuration that trusts the certificate authorities of the system.
///
/// # Errors
/// The system has no certificates.
pub fn system_config() -> Result<ClientConfig, HttpError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new(provider.clone())?;
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let verifier = Arc::new(verifier);
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

impl ServerCertVerifier for FileVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            self.authorities
                .verify_server_cert(certificate, intermediates, name, ocsp, now);
        match verified {
            // WebPKI checks the validity period first, so only its use as an authority is left to reject.
            Err(Error::InvalidCertificate(CertificateError::Other(_)))
                if self.trusted.contains(certificate) =>
            {
                verify_name(certificate, name)
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

/// Checks the name of a certificate that is trusted itself. One without any `subjectAltName` is bound to no name,
/// and good for each.
fn verify_name(
    certificate: &CertificateDer<'_>,
    name: &ServerName<'_>,
) -> Result<ServerCertVerified, Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    match rustls::client::verify_server_name(&parsed, name) {
        Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            presented,
            ..
        })) if presented.is_empty() => Ok(ServerCertVerified::assertion()),
        verified => verified.map(|()| ServerCertVerified::assertion()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    use super::*;

    /// A self-signed certificate for `names`, an authority as `openssl req -x509` makes it, valid from 2020 on.
    fn self_signed(names: &[&str], until: i32) -> (CertificateDer<'static>, String) {
        let names = names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>();
        let mut params = CertificateParams::new(names).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        (certificate.der().clone(), certificate.pem())
    }

    fn verified(
        certificate: &CertificateDer<'_>,
        pem: &str,
        name: &str,
    ) -> Result<ServerCertVerified, Error> {
        let trusted: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
            .map(Result::unwrap)
            .collect();
        let mut roots = RootCertStore::empty();
        trusted
            .iter()
            .for_each(|one| roots.add(one.clone()).unwrap());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = FileVerifier {
            authorities: authorities.build().unwrap(),
            trusted,
        };
        let name = ServerName::try_from(name.to_owned()).unwrap();
        // 2026-01-01.
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_767_225_600));
        verifier.verify_server_cert(certificate, &[], &name, &[], now)
    }

    #[test]
    fn a_self_signed_certificate_is_trusted_where_the_file_holds_it() {
        let (certificate, pem) = self_signed(&["localhost"], 2030);
        assert!(verified(&certificate, &pem, "localhost").is_ok());
        let wrong_name = verified(&certificate, &pem, "example.org");
        assert!(
            matches!(
                wrong_name,
                Err(Error::InvalidCertificate(
                    CertificateError::NotValidForNameContext { .. }
                ))
            ),
            "{wrong_name:?}"
        );
        let (_, other) = self_signed(&["localhost"], 2030);
        assert!(verified(&certificate, &other, "localhost").is_err());
        let (expired, pem) = self_signed(&["localhost"], 2021);
        assert!(matches!(
            verified(&expired, &pem, "localhost"),
            Err(Error::InvalidCertificate(
                CertificateError::ExpiredContext { .. }
            ))
        ));
        let (nameless, pem) = self_signed(&[], 2030);
        assert!(verified(&nameless, &pem, "localhost").is_ok());
    }

    #[test]
    fn a_file_without_a_certificate_is_an_error() {
        for (pem, reason) in [
            ("", "no certificate"),
            ("-----BEGIN CERTIFICATE-----\n", "PEM"),
        ] {
            let error = client_config(pem.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
    }
}
