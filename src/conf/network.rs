//! Networks of addresses, as access lists name them: `192.168.0.0/16`, `::1`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// All addresses whose first bits are the same. IPv4 addresses in the clothes of IPv6
/// (`::ffff:192.0.2.1`, as a socket for both families shows them) are IPv4 addresses here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    bits: u8,
}

/// Why a text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotNetwork {
    /// There is no address in it.
    Address,
    /// What follows the slash is no number of bits that such an address has.
    Bits,
    /// The address has bits beyond those that count; this is the network it lies in.
    Beyond(Network),
}

impl Network {
    /// Reads an address, or an address, a slash and a number of bits.
    pub(super) fn parse(text: &str) -> Result<Self, NotNetwork> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotNetwork::Address)?;
        let whole = length(address);
        let bits = match bits {
            None => whole,
            // `+8` and `08` are numbers for Rust, and no prefix lengths.
            Some(text) if text.len() > 1 && text.starts_with('0') => return Err(NotNetwork::Bits),
            Some(text) if !text.bytes().all(|b| b.is_ascii_digit()) => {
                return Err(NotNetwork::Bits);
            }
            Some(text) => text.parse().map_err(|_| NotNetwork::Bits)?,
        };
        if bits > whole {
            return Err(NotNetwork::Bits);
        }
        let (address, bits) = match (address.to_canonical(), bits.checked_sub(96)) {
            (IpAddr::V4(v4), Some(bits)) if address.is_ipv6() => (IpAddr::V4(v4), bits),
            _ => (address, bits),
        };
        let network = Self { first: cut(address, bits), bits };
        if network.first == address { Ok(network) } else { Err(NotNetwork::Beyond(network)) }
    }

    /// Whether an address lies in it.
    pub fn contains(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && cut(address, self.bits) == self.first
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bits == length(self.first) {
            self.first.fmt(f)
        } else {
            write!(f, "{}/{}", self.first, self.bits)
        }
    }
}

/// The bits of an address.
fn length(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// An address with all but its first `bits` bits zero.
fn cut(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_are_networks_or_not() {
        for (text, want) in [
            ("192.168.0.0/16", Ok("192.168.0.0/16")),
            ("127.0.0.1", Ok("127.0.0.1")),
            ("127.0.0.1/32", Ok("127.0.0.1")),
            ("0.0.0.0/0", Ok("0.0.0.0/0")),
            ("::/0", Ok("::/0")),
            ("::1", Ok("::1")),
            ("2001:DB8::/32", Ok("2001:db8::/32")),
            ("::ffff:192.0.2.0/120", Ok("192.0.2.0/24")),
            ("::ffff:192.0.2.1", Ok("192.0.2.1")),
            (
                "::ffff:0:0/95",
                Err(NotNetwork::Beyond(Network { first: "::fffe:0:0".parse().unwrap(), bits: 95 })),
            ),
            (
                "192.168.1.1/16",
                Err(NotNetwork::Beyond(Network {
                    first: "192.168.0.0".parse().unwrap(),
                    bits: 16,
                })),
            ),
            (
                "::ffff:192.0.2.1/120",
                Err(NotNetwork::Beyond(Network { first: "192.0.2.0".parse().unwrap(), bits: 24 })),
            ),
            ("1.2.3.4/33", Err(NotNetwork::Bits)),
            ("::/129", Err(NotNetwork::Bits)),
            ("1.2.3.4/", Err(NotNetwork::Bits)),
            ("1.2.3.4/+8", Err(NotNetwork::Bits)),
            ("1.2.3.0/024", Err(NotNetwork::Bits)),
            ("1.2.3.4/999", Err(NotNetwork::Bits)),
            ("10.0.0.0/255.0.0.0", Err(NotNetwork::Bits)),
            ("1.2.3", Err(NotNetwork::Address)),
            ("010.0.0.1", Err(NotNetwork::Address)),
            ("[::1]", Err(NotNetwork::Address)),
            ("1.2.3.4:80", Err(NotNetwork::Address)),
            ("fe80::1%eth0", Err(NotNetwork::Address)),
            ("localhost", Err(NotNetwork::Address)),
            ("", Err(NotNetwork::Address)),
            ("/8", Err(NotNetwork::Address)),
        ] {
            assert_eq!(
                Network::parse(text).map(|n| n.to_string()),
                want.map(str::to_owned),
                "{text:?}"
            );
        }
    }

    #[test]
    fn addresses_lie_in_them() {
        for (network, inside, outside) in [
            ("192.168.0.0/16", "192.168.255.1", "192.169.0.0"),
            ("192.168.0.0/16", "::ffff:192.168.0.1", "::192.168.0.1"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::/0", "2001:db8::1", "::ffff:192.0.2.1"),
            ("2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"),
            ("::1", "::1", "127.0.0.1"),
        ] {
            let network = Network::parse(network).unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{network} {inside}");
            assert!(!network.contains(outside.parse().unwrap()), "{network} {outside}");
        }
    }

    proptest! {
        /// An address lies in every network that is cut out of it, and in none that differs from it
        /// in a bit that counts.
        #[test]
        fn bits_decide(address: u128, bits in 0u8..=128, other in 0u8..128) {
            let whole = IpAddr::V6(Ipv6Addr::from_bits(address));
            prop_assume!(whole.to_canonical().is_ipv6());
            let network = Network { first: cut(whole, bits), bits };
            prop_assert!(network.contains(whole));
            let changed = IpAddr::V6(Ipv6Addr::from_bits(address ^ 1 << (127 - other)));
            prop_assume!(changed.to_canonical().is_ipv6());
            prop_assert_eq!(network.contains(changed), other >= bits);
        }

        #[test]
        fn what_is_shown_is_read(address: u32, bits in 0u8..=32) {
            let network = Network { first: cut(IpAddr::V4(Ipv4Addr::from_bits(address)), bits), bits };
            prop_assert_eq!(Network::parse(&network.to_string()), Ok(network));
        }

        #[test]
        fn nothing_panics(text in "[0-9a-f:./]{0,40}") {
            if let Ok(network) = Network::parse(&text) {
                prop_assert_eq!(Network::parse(&network.to_string()), Ok(network));
            }
        }
    }
}
