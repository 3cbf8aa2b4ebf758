//! Networks in CIDR notation. Pure.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Address and prefix length: `10.0.0.0/8`. An address alone is a network of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Returns the networks of this host alone.
    #[must_use]
    pub fn loopback() -> Vec<Network> {
        vec![
            Network {
                address: IpAddr::from([127, 0, 0, 0]),
                prefix: 8,
            },
            Network {
                address: IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1_u16]),
                prefix: 128,
            },
        ]
    }

    /// Returns true if `address` is in the network. An IPv4-mapped IPv6 address counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (bits, width) = self::bits(address.to_canonical());
        let (own, own_width) = self::bits(self.address);
        width == own_width && masked(bits, self.prefix, width) == own
    }
}

/// Returns the address as a number, and its width in bits.
fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

fn masked(bits: u128, prefix: u8, width: u8) -> u128 {
    let host = u32::from(width - prefix);
    bits.checked_shr(host)
        .and_then(|bits| bits.checked_shl(host))
        .unwrap_or(0)
}

/// Error of a text that is not a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    #[error("invalid address")]
    Address,
    /// The prefix length is not a number up to the width of the address.
    #[error("the prefix length must be 0 to {width}")]
    Prefix { width: u8 },
    #[error("bits set beyond the prefix; did you mean {meant}?")]
    HostBits { meant: Network },
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Address)?;
        let address = address.to_canonical();
        let (bits, width) = self::bits(address);
        let prefix = match prefix {
            None => width,
            Some(prefix) => prefix
                .parse::<u8>()
                .ok()
                .filter(|prefix| *prefix <= width)
                .ok_or(NetworkError::Prefix { width })?,
        };
        let network = masked(bits, prefix, width);
        if network != bits {
            let address = match width {
                32 => IpAddr::from((network as u32).to_be_bytes()),
                _ => IpAddr::from(network.to_be_bytes()),
            };
            let meant = Self { address, prefix };
            return Err(NetworkError::HostBits { meant });
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn membership() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.168.4.0/22", "192.168.7.255", "192.168.8.0"),
            ("192.168.1.7", "192.168.1.7", "192.168.1.6"),
            ("0.0.0.0/0", "255.1.2.3", "::1"),
            ("::/0", "fe80::1", "127.0.0.1"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("::1/128", "::1", "::2"),
            ("127.0.0.0/8", "::ffff:127.0.0.1", "::ffff:128.0.0.1"),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert!(
                parsed.contains(inside.parse().unwrap()),
                "{network} {inside}"
            );
            assert!(
                !parsed.contains(outside.parse().unwrap()),
                "{network} {outside}"
            );
        }
    }

    #[test]
    fn invalid_networks_are_errors() {
        for text in [
            "",
            "a",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/-1",
            "10.0.0.0/",
            "10.0.0.1/8",
            "10/8",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        let error = "10.1.2.3/16".parse::<Network>().unwrap_err().to_string();
        assert!(error.ends_with("did you mean 10.1.0.0/16?"), "{error}");
    }
}
