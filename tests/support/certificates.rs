//! Certificates for servers with TLS.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// Files of an authority, and of a server on 127.0.0.1 that it vouches for.
pub struct Certificates {
    pub authority: String,
    pub certificate: String,
    pub key: String,
}

impl Certificates {
    pub fn write(folder: &Path, name: &str) -> Self {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        let written = |file: &str, pem: String| {
            let path = folder.join(format!("{name}-{file}.pem"));
            fs::write(&path, pem).unwrap();
            path.display().to_string()
        };
        Self {
            authority: written("ca", authority.pem()),
            certificate: written("cert", certificate.pem()),
            key: written("key", key.serialize_pem()),
        }
    }

    /// A server's certificate that is its own authority, as `openssl req -x509` makes it.
    pub fn self_signed(folder: &Path) -> Self {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (certificate_file, key_file) = (folder.join("own.pem"), folder.join("own-key.pem"));
        fs::write(&certificate_file, certificate.pem()).unwrap();
        fs::write(&key_file, key.serialize_pem()).unwrap();
        let certificate = certificate_file.display().to_string();
        Self {
            authority: certificate.clone(),
            certificate,
            key: key_file.display().to_string(),
        }
    }
}
