//! TLS of the server: its certificate, and the verification of client certificates.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bellwether_files as files;
use bellwether_schema::{Diagnostics, Secret, SourceLocation, Spanned};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, CipherSuite, DigitallySignedStruct, DistinguishedName, Error, NamedGroup,
    OtherError, RootCertStore, ServerConfig, SignatureScheme, SupportedProtocolVersion, version,
};

use super::san;
use super::settings::{ClientAuth, Curve, Suite, TlsServer, Version};

/// Builds the configuration of TLS. None if it has errors, which are added to `problems`.
pub(super) fn build(
    tls: &Spanned<TlsServer>,
    http2: bool,
    directory: &Path,
    problems: &mut Diagnostics,
) -> Option<Arc<ServerConfig>> {
    let files = Files {
        directory,
        of: &tls.at,
    };
    let chain = files.pem("cert", tls.cert_file.as_ref(), tls.cert.as_ref(), problems);
    let key = files.pem("key", tls.key_file.as_ref(), tls.key.as_ref(), problems);
    let clients = clients(tls, &files, problems);
    let (chain, chain_at) = chain?;
    let (key, key_at) = key?;
    let clients = clients?;
    let chain = certificates(&chain, &chain_at, problems)?;
    let key = match PrivateKeyDer::from_pem_slice(&key) {
        Ok(key) => key,
        Err(error) => {
            problems
                .error(&key_at, format!("no usable private key: {error}"))
                .hint("a PEM file with an unencrypted PKCS#8, RSA or EC key");
            return None;
        }
    };
    let versions = versions(tls, problems)?;
    let provider = Arc::new(provider(tls));
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)
        .map_err(|error| problems.error(&tls.cipher_suites.at, error.to_string()))
        .ok()?
        .with_client_cert_verifier(clients.with(provider))
        .with_single_cert(chain, key)
        .map_err(|error| {
            problems.error(
                &key_at,
                format!("certificate and key do not match: {error}"),
            )
        });
    let mut config = config.ok()?;
    config.ignore_client_order = tls.prefer_server_cipher_suites;
    if http2 {
        config.alpn_protocols.push(b"h2".to_vec());
    }
    config.alpn_protocols.push(b"http/1.1".to_vec());
    Some(Arc::new(config))
}

/// Reader of PEM from files and from the configuration.
struct Files<'a> {
    directory: &'a Path,
    /// Location of the section, for errors about missing keys.
    of: &'a SourceLocation,
}

impl Files<'_> {
    /// Reads PEM text from `<key>_file` or `<key>`, exactly one of which must be there.
    fn pem(
        &self,
        key: &str,
        file: Option<&Spanned<std::path::PathBuf>>,
        inline: Option<&Spanned<Secret>>,
        problems: &mut Diagnostics,
    ) -> Option<(Vec<u8>, SourceLocation)> {
        let inline = inline.filter(|text| !text.expose().is_empty());
        match (file, inline) {
            (Some(_), Some(text)) => {
                problems
                    .error(&text.at, format!("both {key}_file and {key}"))
                    .hint("keep one");
                None
            }
            (None, None) => {
                problems.error(self.of, format!("missing one of {key}_file and {key}"));
                None
            }
            (None, Some(text)) => Some((text.expose().as_bytes().to_vec(), text.at.clone())),
            (Some(file), None) => self
                .read(file, problems)
                .map(|text| (text, file.at.clone())),
        }
    }

    fn read(
        &self,
        file: &Spanned<std::path::PathBuf>,
        problems: &mut Diagnostics,
    ) -> Option<Vec<u8>> {
        let path = self.directory.join(&file.value);
        files::read(&path, files::SMALL)
            .map_err(|error: io::Error| {
                problems
                    .error(&file.at, format!("cannot read {}: {error}", path.display()))
                    .hint(
                        "name a file that this user may read; a relative path begins at the directory of this \
                         file",
                    );
            })
            .ok()
    }
}

fn certificates(
    pem: &[u8],
    at: &SourceLocation,
    problems: &mut Diagnostics,
) -> Option<Vec<CertificateDer<'static>>> {
    match CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>() {
        Ok(chain) if !chain.is_empty() => Some(chain),
        Ok(_) => {
            problems
                .error(at, "no certificate in it")
                .hint("PEM, -----BEGIN CERTIFICATE-----");
            None
        }
        Err(error) => {
            problems.error(at, format!("not a PEM certificate: {error}"));
            None
        }
    }
}

fn versions(
    tls: &TlsServer,
    problems: &mut Diagnostics,
) -> Option<Vec<&'static SupportedProtocolVersion>> {
    match (tls.min_version, *tls.max_version) {
        (Version::Tls12, Version::Tls12) => Some(vec![&version::TLS12]),
        (Version::Tls12, Version::Tls13) => Some(vec![&version::TLS13, &version::TLS12]),
        (Version::Tls13, Version::Tls13) => Some(vec![&version::TLS13]),
        (Version::Tls13, Version::Tls12) => {
            problems.error(&tls.max_version.at, "max_version is below min_version");
            None
        }
    }
}

/// Cipher suites and curves that the configuration allows, in its order.
fn provider(tls: &TlsServer) -> CryptoProvider {
    let mut provider = ring::default_provider();
    if !tls.cipher_suites.is_empty() {
        let all = std::mem::take(&mut provider.cipher_suites);
        let fixed = all.iter().filter(|suite| suite.tls13().is_some());
        let listed = tls.cipher_suites.iter().filter_map(|listed| {
            all.iter()
                .find(|suite| suite.tls13().is_none() && suite.suite() == name(*listed))
        });
        provider.cipher_suites = fixed.chain(listed).copied().collect();
    }
    if !tls.curve_preferences.is_empty() {
        let all = std::mem::take(&mut provider.kx_groups);
        let curves = tls.curve_preferences.iter().map(|curve| match curve {
            Curve::X25519 => NamedGroup::X25519,
            Curve::P256 => NamedGroup::secp256r1,
            Curve::P384 => NamedGroup::secp384r1,
        });
        provider.kx_groups = curves
            .filter_map(|curve| {
                all.iter()
                    .find(|group: &&&dyn SupportedKxGroup| group.name() == curve)
            })
            .copied()
            .collect();
    }
    provider
}

fn name(suite: Suite) -> CipherSuite {
    match suite {
        Suite::EcdsaAes128 => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        Suite::EcdsaAes256 => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        Suite::EcdsaChacha => CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        Suite::RsaAes128 => CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        Suite::RsaAes256 => CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        Suite::RsaChacha => CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        Suite::Aes128 => CipherSuite::TLS13_AES_128_GCM_SHA256,
        Suite::Aes256 => CipherSuite::TLS13_AES_256_GCM_SHA384,
        Suite::Chacha => CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    }
}

/// Settings of the verification of client certificates.
struct Clients {
    auth: ClientAuth,
    roots: Option<Arc<RootCertStore>>,
    /// Allowed names; empty for any.
    allowed: Vec<String>,
}

fn clients(tls: &TlsServer, files: &Files<'_>, problems: &mut Diagnostics) -> Option<Clients> {
    let auth = *tls.client_auth_type;
    let verifies = matches!(
        auth,
        ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify
    );
    let named = tls.client_ca_file.is_some() || tls.client_ca.is_some();
    if named && auth == ClientAuth::None {
        let at = tls
            .client_ca_file
            .as_ref()
            .map_or(files.of, |file| &file.at);
        problems
            .error(at, "client authorities without client_auth_type")
            .hint("client_auth_type: RequireAndVerifyClientCert");
        return None;
    }
    if !verifies && tls.client_allowed_sans.is_some() {
        // A name in a certificate that is not verified is worth nothing.
        problems
            .error(
                &tls.client_auth_type.at,
                "client_allowed_sans needs verified certificates",
            )
            .hint("client_auth_type: RequireAndVerifyClientCert");
        return None;
    }
    // Without authorities there is nothing to verify by, so no certificate is asked for. Go would
    // take those of the system, which sign web servers, not scrapers.
    let roots = if named || auth == ClientAuth::RequireAndVerify {
        let (file, inline) = (tls.client_ca_file.as_ref(), tls.client_ca.as_ref());
        let (pem, at) = files.pem("client_ca", file, inline, problems)?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&pem, &at, problems)? {
            if let Err(error) = roots.add(certificate) {
                problems.error(&at, format!("not usable as an authority: {error}"));
                return None;
            }
        }
        Some(Arc::new(roots))
    } else {
        None
    };
    let allowed = tls
        .client_allowed_sans
        .as_ref()
        .map(|names| names.value.clone());
    Some(Clients {
        auth,
        roots,
        allowed: allowed.unwrap_or_default(),
    })
}

impl Clients {
    fn with(self, provider: Arc<CryptoProvider>) -> Arc<dyn ClientCertVerifier> {
        let inner = self.roots.and_then(|roots| {
            WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
                .build()
                .ok()
        });
        match (self.auth, inner) {
            (ClientAuth::None, _) | (ClientAuth::VerifyIfGiven, None) => {
                WebPkiClientVerifier::no_client_auth()
            }
            (auth, inner) => Arc::new(ClientPolicy {
                auth,
                inner,
                allowed: self.allowed,
                provider,
            }),
        }
    }
}

/// Go's client policies on top of rustls' verification.
#[derive(Debug)]
struct ClientPolicy {
    auth: ClientAuth,
    /// None if certificates are requested but not verified.
    inner: Option<Arc<dyn ClientCertVerifier>>,
    allowed: Vec<String>,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for ClientPolicy {
    fn client_auth_mandatory(&self) -> bool {
        matches!(
            self.auth,
            ClientAuth::RequireAny | ClientAuth::RequireAndVerify
        )
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner
            .as_ref()
            .map_or(&[], |inner| inner.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(inner) = &self.inner {
            inner.verify_client_cert(certificate, intermediates, now)?;
        }
        if !self.allowed.is_empty() {
            let names = san::names(certificate);
            if !names.iter().any(|name| self.allowed.contains(name)) {
                return Err(
                    CertificateError::Other(OtherError(Arc::new(io::Error::other(
                        "no allowed subject alternative name",
                    ))))
                    .into(),
                );
            }
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
