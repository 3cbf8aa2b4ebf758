//! Client of SCRAM (RFC 5802, RFC 7677) with SHA-256 or SHA-512, which sends no password and checks that the server
//! knows it too.

use std::num::NonZeroU32;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bellwether_kafka::SaslMechanism;
use bellwether_schema::Secret;
use ring::{digest, hmac, pbkdf2};

/// Iterations that are accepted: fewer protect the password badly, and more take long. Kafka's own limits are 4,096
/// and 16,384.
const ITERATIONS: std::ops::RangeInclusive<u32> = 4096..=100_000;

/// Header of a client without channel binding.
const HEADER: &str = "n,,";

/// Hash functions of a mechanism.
#[derive(Clone, Copy)]
struct Hash {
    digest: &'static digest::Algorithm,
    hmac: hmac::Algorithm,
    pbkdf2: pbkdf2::Algorithm,
}

const SHA_256: Hash = Hash {
    digest: &digest::SHA256,
    hmac: hmac::HMAC_SHA256,
    pbkdf2: pbkdf2::PBKDF2_HMAC_SHA256,
};

const SHA_512: Hash = Hash {
    digest: &digest::SHA512,
    hmac: hmac::HMAC_SHA512,
    pbkdf2: pbkdf2::PBKDF2_HMAC_SHA512,
};

/// Client that has sent its first message.
pub(super) struct Scram<'a> {
    hash: Hash,
    password: &'a Secret,
    nonce: String,
    /// First message without its header.
    first: String,
}

/// Client that has sent its proof, and waits for that of the server.
pub(super) struct Proven {
    server_key: hmac::Key,
    messages: String,
}

impl<'a> Scram<'a> {
    /// `nonce` is random and has no comma. Returns `None` for a mechanism that is not SCRAM.
    pub(super) fn new(
        mechanism: SaslMechanism,
        user: &str,
        password: &'a Secret,
        nonce: String,
    ) -> Option<Self> {
        let hash = match mechanism {
            SaslMechanism::Plain => return None,
            SaslMechanism::ScramSha256 => SHA_256,
            SaslMechanism::ScramSha512 => SHA_512,
        };
        let user = user.replace('=', "=3D").replace(',', "=2C");
        let first = format!("n={user},r={nonce}");
        Some(Self {
            hash,
            password,
            nonce,
            first,
        })
    }

    /// Returns the first message.
    pub(super) fn first(&self) -> String {
        format!("{HEADER}{}", self.first)
    }

    /// Returns the message with the proof, as an answer to that of the server.
    ///
    /// # Errors
    /// The server's message is invalid, in one sentence.
    pub(super) fn prove(self, challenge: &[u8]) -> Result<(String, Proven), String> {
        let challenge = std::str::from_utf8(challenge).map_err(|error| error.to_string())?;
        let part = |name: char| {
            let mut parts = challenge.split(',');
            parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
        };
        let nonce = part('r').filter(|nonce| nonce.starts_with(&self.nonce));
        let nonce = nonce.ok_or("the broker answered with another nonce")?;
        let salt = part('s').and_then(|salt| BASE64_STANDARD.decode(salt).ok());
        let salt = salt.ok_or("the broker sent no salt")?;
        let iterations = part('i').and_then(|count| count.parse().ok());
        let iterations = iterations
            .filter(|count| ITERATIONS.contains(count))
            .and_then(NonZeroU32::new)
            .ok_or_else(|| {
                format!("the broker wants another number of iterations than {ITERATIONS:?}")
            })?;

        let mut salted = vec![0; self.hash.digest.output_len()];
        let password = self.password.expose().as_bytes();
        pbkdf2::derive(self.hash.pbkdf2, iterations, &salt, password, &mut salted);
        let client_key = self.hash.sign(&salted, "Client Key");
        let stored_key = digest::digest(self.hash.digest, client_key.as_ref());
        let last = format!("c={},r={nonce}", BASE64_STANDARD.encode(HEADER));
        let messages = format!("{},{challenge},{last}", self.first);
        let signature = self.hash.sign(stored_key.as_ref(), &messages);
        let both = client_key.as_ref().iter().zip(signature.as_ref());
        let proof: Vec<u8> = both.map(|(key, signature)| key ^ signature).collect();
        let message = format!("{last},p={}", BASE64_STANDARD.encode(proof));
        let server_key = self.hash.sign(&salted, "Server Key");
        let server_key = hmac::Key::new(self.hash.hmac, server_key.as_ref());
        Ok((
            message,
            Proven {
                server_key,
                messages,
            },
        ))
    }
}

impl Hash {
    fn sign(&self, key: &[u8], text: &str) -> hmac::Tag {
        hmac::sign(&hmac::Key::new(self.hmac, key), text.as_bytes())
    }
}

impl Proven {
    /// Returns whether the server's last message proves that it knows the password.
    pub(super) fn accepts(&self, answer: &[u8]) -> bool {
        let signature = std::str::from_utf8(answer)
            .ok()
            .and_then(|answer| answer.split(',').next()?.strip_prefix("v="))
            .and_then(|signature| BASE64_STANDARD.decode(signature).ok());
        signature.is_some_and(|signature| {
            hmac::verify(&self.server_key, self.messages.as_bytes(), &signature).is_ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";

    fn client(password: &Secret) -> Scram<'_> {
        Scram::new(SaslMechanism::ScramSha256, "user", password, NONCE.into()).unwrap()
    }

    /// The example of RFC 7677.
    #[test]
    fn the_exchange_is_that_of_the_rfc() {
        let password = Secret::new("pencil");
        let client = client(&password);
        assert_eq!(client.first(), format!("n,,n=user,r={NONCE}"));
        let challenge = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (message, proven) = client.prove(challenge.as_bytes()).unwrap();
        assert_eq!(
            message,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert!(proven.accepts(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        for wrong in [
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=",
            "e=other",
            "",
        ] {
            assert!(!proven.accepts(wrong.as_bytes()), "{wrong}");
        }
    }

    #[test]
    fn a_challenge_that_is_weak_or_costly_or_of_another_exchange_is_rejected() {
        let password = Secret::new("pencil");
        for (challenge, expected) in [
            ("r=other,s=AAAA,i=4096", "nonce"),
            ("r=rOprNGfwEbeRWgbNEkqO1,i=4096", "salt"),
            ("r=rOprNGfwEbeRWgbNEkqO1,s=AAAA,i=1", "iterations"),
            ("r=rOprNGfwEbeRWgbNEkqO1,s=AAAA,i=2000000000", "iterations"),
            ("e=unknown-user", "nonce"),
        ] {
            let error = client(&password).prove(challenge.as_bytes()).err().unwrap();
            assert!(error.contains(expected), "{challenge}: {error}");
        }
    }

    #[test]
    fn a_name_cannot_add_parts() {
        let password = Secret::new("p");
        let client = Scram::new(SaslMechanism::ScramSha512, "a,r=b", &password, "n".into());
        assert_eq!(client.unwrap().first(), "n,,n=a=2Cr=3Db,r=n");
    }
}
