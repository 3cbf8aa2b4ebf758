//! Content negotiation: exposition format and content coding of a response.
//!
//! Pure functions over header values. Malformed members of a list are skipped, as RFC 9110 lets a
//! recipient do.

use bellwether_exposition::Format;
use hyper::HeaderMap;
use hyper::header::{ACCEPT, ACCEPT_ENCODING};

/// Content coding of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Not compressed.
    Identity,
    /// gzip, RFC 1952.
    Gzip,
    /// Zstandard, RFC 8878.
    Zstd,
}

impl Coding {
    /// Codings of a body that is compressed when it is sent.
    pub const ALL: &[Self] = &[Self::Identity, Self::Gzip, Self::Zstd];

    /// Value of `Content-Encoding`; none for identity.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }
}

/// Returns the exposition format that the client prefers.
#[must_use]
pub(crate) fn exposition_format(headers: &HeaderMap) -> Format {
    let values: Vec<&str> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    Format::negotiate(&values.join(","))
}

/// Returns which of the content codings `served` to use, or none if the client accepts none of them (406).
/// Of equal preferences zstd goes before gzip before none: smaller at less CPU.
#[must_use]
pub fn coding(headers: &HeaderMap, served: &[Coding]) -> Option<Coding> {
    if !headers.contains_key(ACCEPT_ENCODING) {
        return Some(Coding::Identity);
    }
    let (mut zstd, mut gzip, mut identity, mut any) = (None, None, None, None);
    for (name, quality) in members(headers) {
        let slot = match name {
            "*" => &mut any,
            name if name.eq_ignore_ascii_case("zstd") => &mut zstd,
            name if name.eq_ignore_ascii_case("gzip") => &mut gzip,
            name if name.eq_ignore_ascii_case("x-gzip") => &mut gzip,
            name if name.eq_ignore_ascii_case("identity") => &mut identity,
            _ => continue,
        };
        *slot = Some(quality);
    }
    // `*` stands for gzip, which every client that sends it can read, and for identity. An
    // unnamed identity is acceptable, but any coding that was named is wanted more.
    let wanted = [
        (zstd.unwrap_or(0), Coding::Zstd),
        (gzip.or(any).unwrap_or(0), Coding::Gzip),
        (
            identity.unwrap_or(if any == Some(0) { 0 } else { 1 }),
            Coding::Identity,
        ),
    ];
    let mut best = None;
    for (quality, coding) in wanted
        .into_iter()
        .filter(|(_, coding)| served.contains(coding))
    {
        if quality > best.map_or(0, |(quality, _)| quality) {
            best = Some((quality, coding));
        }
    }
    best.map(|(_, coding)| coding)
}

/// Codings in `Accept-Encoding`, with their quality in thousandths.
fn members(headers: &HeaderMap) -> impl Iterator<Item = (&str, u16)> {
    headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(member)
}

fn member(text: &str) -> Option<(&str, u16)> {
    let (name, parameters) = text.split_once(';').unwrap_or((text, ""));
    let quality = parameters.split(';').find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    Some((name.trim(), quality.map_or(Some(1000), thousandths)?))
}

/// Parses a `qvalue` of RFC 9110: 0 to 1 with at most three decimals.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction = format!("{decimals:0<3}").parse::<u16>().ok()?;
    match (whole, fraction) {
        ("0", _) => Some(fraction),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    fn header(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn codings() {
        for (accept, expected) in [
            ("gzip", Some(Coding::Gzip)),
            ("GZIP;Q=1.0", Some(Coding::Gzip)),
            ("x-gzip", Some(Coding::Gzip)),
            ("zstd", Some(Coding::Zstd)),
            ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
            ("gzip;q=1.0, zstd;q=0.9", Some(Coding::Gzip)),
            ("gzip;q=0.001", Some(Coding::Gzip)),
            ("deflate, br", Some(Coding::Identity)),
            ("", Some(Coding::Identity)),
            ("identity", Some(Coding::Identity)),
            ("gzip;q=0.5, identity;q=0.8", Some(Coding::Identity)),
            ("gzip;q=0", Some(Coding::Identity)),
            ("gzip, identity;q=0", Some(Coding::Gzip)),
            ("*", Some(Coding::Gzip)),
            ("*;q=0.5, gzip;q=0", Some(Coding::Identity)),
            ("*;q=0, zstd", Some(Coding::Zstd)),
            ("*;q=0", None),
            ("identity;q=0", None),
            ("identity;q=0, br", None),
            ("gzip;q=2", Some(Coding::Identity)),
            ("gzip;q=0.1234", Some(Coding::Identity)),
        ] {
            assert_eq!(
                coding(&header(ACCEPT_ENCODING, accept), Coding::ALL),
                expected,
                "{accept}"
            );
        }
        assert_eq!(
            coding(&HeaderMap::new(), Coding::ALL),
            Some(Coding::Identity)
        );
    }

    #[test]
    fn only_served_codings_are_chosen() {
        let served = [Coding::Identity, Coding::Gzip];
        for (accept, expected) in [
            ("gzip, deflate, br, zstd", Some(Coding::Gzip)),
            ("zstd", Some(Coding::Identity)),
            ("zstd, identity;q=0", None),
        ] {
            let headers = header(ACCEPT_ENCODING, accept);
            assert_eq!(coding(&headers, &served), expected, "{accept}");
        }
    }
}
