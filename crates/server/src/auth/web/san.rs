//! Subject alternative names of a certificate, as text.
//!
//! Reads just enough DER to find that one extension. Pure; certificates come from strangers, so
//! every length is checked and anything unexpected ends the reading.

use std::net::IpAddr;

/// DER of the object identifier 2.5.29.17, without tag and length.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
const OCTET_STRING: u8 = 0x04;
/// Tag of the field `extensions` of a certificate, `[3]`.
const EXTENSIONS: u8 = 0xa3;
const EMAIL: u8 = 0x81;
const DNS: u8 = 0x82;
const URI: u8 = 0x86;
const IP: u8 = 0x87;

/// Returns the names of a DER certificate; empty if it has none or is malformed.
pub(super) fn names(certificate: &[u8]) -> Vec<String> {
    alternative_names(certificate).unwrap_or_default()
}

fn alternative_names(certificate: &[u8]) -> Option<Vec<String>> {
    let signed = Der(certificate).find(SEQUENCE)?;
    let to_be_signed = Der(signed).find(SEQUENCE)?;
    let extensions = Der(Der(to_be_signed).find(EXTENSIONS)?).find(SEQUENCE)?;
    for (_, extension) in Der(extensions) {
        if Der(extension).find(OBJECT_IDENTIFIER) == Some(SUBJECT_ALT_NAME) {
            let names = Der(Der(extension).find(OCTET_STRING)?).find(SEQUENCE)?;
            return Some(
                Der(names)
                    .filter_map(|(tag, name)| text(tag, name))
                    .collect(),
            );
        }
    }
    None
}

fn text(tag: u8, name: &[u8]) -> Option<String> {
    match tag {
        EMAIL | DNS | URI => std::str::from_utf8(name).ok().map(str::to_owned),
        IP => {
            let address = <[u8; 4]>::try_from(name)
                .map(IpAddr::from)
                .or_else(|_| <[u8; 16]>::try_from(name).map(IpAddr::from));
            address.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

/// Iterator over DER values: tag and content of each.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// Content of the first value with `tag`.
    fn find(mut self, tag: u8) -> Option<&'a [u8]> {
        <Self as Iterator>::find(&mut self, |(next, _)| *next == tag).map(|(_, content)| content)
    }
}

impl<'a> Iterator for Der<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let [tag, length, rest @ ..] = self.0 else {
            return None;
        };
        let (length, rest) = match length {
            0..=0x7f => (usize::from(*length), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
                (
                    bytes
                        .iter()
                        .fold(0, |all, byte| all << 8 | usize::from(*byte)),
                    rest,
                )
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, content))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn certificate(sans: Vec<SanType>) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = sans;
        params
            .self_signed(&KeyPair::generate().unwrap())
            .unwrap()
            .der()
            .to_vec()
    }

    #[test]
    fn all_forms_are_read() {
        let der = certificate(vec![
            SanType::DnsName("scraper.example".try_into().unwrap()),
            SanType::Rfc822Name("ops@example.org".try_into().unwrap()),
            SanType::URI("spiffe://example.org/prometheus".try_into().unwrap()),
            SanType::IpAddress("10.1.2.3".parse().unwrap()),
            SanType::IpAddress("fd00::1".parse().unwrap()),
        ]);
        let expected = [
            "scraper.example",
            "ops@example.org",
            "spiffe://example.org/prometheus",
            "10.1.2.3",
            "fd00::1",
        ];
        assert_eq!(names(&der), expected);
        assert_eq!(names(&certificate(vec![])), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn strangers_do_no_harm(cut in 0_usize..2000, at in 0_usize..2000, byte: u8, noise: Vec<u8>) {
            let mut der = certificate(vec![SanType::DnsName("a.example".try_into().unwrap())]);
            der.truncate(cut.min(der.len()));
            if let Some(place) = der.get_mut(at) {
                *place = byte;
            }
            names(&der);
            prop_assert!(names(&noise).len() <= noise.len());
        }
    }
}
