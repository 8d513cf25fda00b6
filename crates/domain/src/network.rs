//! Addresses and blocks of addresses (CIDR), v4 and v6; a v4 address in v6 clothes is the v4 address.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A block of addresses; a single address is the block of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    base: IpAddr,
    prefix: u8,
}

/// Why a text names no block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkFault {
    /// The part before the slash.
    #[error("`{0}` is not an IP address")]
    Address(String),
    /// The part behind the slash.
    #[error("`/{0}` is not a prefix length of this kind of address")]
    Prefix(String),
    /// An address inside a block where the block's own was meant.
    #[error("{0} has bits set beyond its prefix: write {1}")]
    HostBits(String, Network),
}

impl Network {
    /// The block of that many leading bits around an address; more bits than there are mean the address itself.
    pub fn around(address: IpAddr, prefix: u8) -> Self {
        let address = address.to_canonical();
        let prefix = prefix.min(width(address));
        Self { base: masked(address, prefix), prefix }
    }

    /// Whether the address lies in the block.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        width(address) == width(self.base) && masked(address, self.prefix) == self.base
    }

    /// Whether every address of `other` lies in this block.
    pub fn covers(&self, other: &Self) -> bool {
        self.prefix <= other.prefix && self.contains(other.base)
    }

    /// Whether the blocks share an address.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.covers(other) || other.covers(self)
    }

    /// The number of leading bits that its addresses share.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// What one customer of a network usually holds: the address in v4, its /64 in v6.
    pub fn of_customer(address: IpAddr) -> Self {
        Self::around(address, if address.to_canonical().is_ipv6() { 64 } else { 32 })
    }
}

const fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)).into()),
        IpAddr::V6(v6) => {
            IpAddr::V6((v6.to_bits() & u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)).into())
        }
    }
}

impl FromStr for Network {
    type Err = NetworkFault;

    fn from_str(text: &str) -> Result<Self, NetworkFault> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let parsed: IpAddr = address.parse().map_err(|_| NetworkFault::Address(address.into()))?;
        let Some(prefix) = prefix else { return Ok(Self::around(parsed, 128)) };
        let bits = prefix.bytes().all(|byte| byte.is_ascii_digit()).then(|| prefix.parse::<u8>().ok()).flatten();
        let bits = bits.filter(|bits| *bits <= width(parsed)).ok_or_else(|| NetworkFault::Prefix(prefix.into()))?;
        // A block of mapped addresses counts from the v6 end.
        let shift = width(parsed) - width(parsed.to_canonical());
        let bits = bits.checked_sub(shift).ok_or_else(|| NetworkFault::Prefix(prefix.into()))?;
        let network = Self::around(parsed, bits);
        if network.base != parsed.to_canonical() {
            return Err(NetworkFault::HostBits(text.into(), network));
        }
        Ok(network)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == width(self.base) {
            write!(f, "{}", self.base)
        } else {
            write!(f, "{}/{}", self.base, self.prefix)
        }
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn a_block_holds_its_addresses_and_no_others() {
        let block = network("203.0.113.0/24");
        assert!(block.contains("203.0.113.255".parse().unwrap()));
        assert!(block.contains("::ffff:203.0.113.7".parse().unwrap()), "mapped addresses are the v4 address");
        assert!(!block.contains("203.0.114.0".parse().unwrap()));
        assert!(!block.contains("2001:db8::1".parse().unwrap()));
        assert!(network("0.0.0.0/0").contains("9.9.9.9".parse().unwrap()));
        assert!(!network("0.0.0.0/0").contains("2001:db8::1".parse().unwrap()));
        assert!(network("::/0").contains("2001:db8::1".parse().unwrap()));
        assert_eq!(network("::ffff:10.0.0.0/104"), network("10.0.0.0/8"));
    }

    #[test]
    fn a_fault_names_what_is_wrong() {
        assert_eq!("x/8".parse::<Network>(), Err(NetworkFault::Address("x".into())));
        for text in ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "::ffff:10.0.0.0/8"] {
            assert!(matches!(text.parse::<Network>(), Err(NetworkFault::Prefix(_))), "{text}");
        }
        let fault = "10.0.0.1/8".parse::<Network>().unwrap_err();
        assert_eq!(fault.to_string(), "10.0.0.1/8 has bits set beyond its prefix: write 10.0.0.0/8");
    }

    #[test]
    fn blocks_compare() {
        assert!(network("10.0.0.0/8").covers(&network("10.1.0.0/16")));
        assert!(!network("10.1.0.0/16").covers(&network("10.0.0.0/8")));
        assert!(network("10.1.0.0/16").overlaps(&network("10.0.0.0/8")));
        assert!(!network("10.0.0.0/8").overlaps(&network("11.0.0.0/8")));
        assert_eq!(network("10.0.0.0/8").prefix(), 8);
    }

    #[test]
    fn a_customer_is_an_address_or_a_slash_64() {
        assert_eq!(Network::of_customer("::ffff:1.2.3.4".parse().unwrap()).to_string(), "1.2.3.4");
        assert_eq!(Network::of_customer("2001:db8::1:2:3:4".parse().unwrap()).to_string(), "2001:db8::/64");
    }

    proptest! {
        #[test]
        fn a_block_survives_being_written(bits: u128, prefix in 0u8..=128, v4: bool) {
            let address = if v4 { IpAddr::V4((bits as u32).into()) } else { IpAddr::V6(bits.into()) };
            let block = Network::around(address, prefix);
            prop_assert!(block.contains(address));
            prop_assert_eq!(block.to_string().parse::<Network>().unwrap(), block);
            let json = serde_json::to_string(&block).unwrap();
            prop_assert_eq!(serde_json::from_str::<Network>(&json).unwrap(), block);
        }
    }
}
