//! Whose request it is. One source is read, and only where a trusted proxy wrote it: from the right, hop by hop, to
//! the first address that no trusted proxy has. What a client wrote further left can never choose the answer.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use gateway_domain::{Code, Refusal, network::Network};
use http::{HeaderMap, HeaderName, header};

/// Hops that are followed; a longer chain of proxies is none.
const MOST_HOPS: usize = 32;

/// Who is at the other end of the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A socket of the network.
    Ip(SocketAddr),
    /// A process of this machine, by a unix socket.
    Unix,
}

/// Where the client's address is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressRule {
    /// The other end of the socket is the client.
    #[default]
    Peer,
    /// The header `X-Forwarded-For`.
    XForwardedFor,
    /// The header `Forwarded` (RFC 7239).
    Forwarded,
    /// The PROXY protocol's header, before the first byte of the client.
    ProxyProtocol,
}

/// The rule, and whom it believes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressLaw {
    rule: AddressRule,
    trusted: Vec<Network>,
    trusts_unix: bool,
}

/// The client's address, as limits, bans and the audit know it: a v4 address in v6 clothes is the v4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientAddress {
    /// An address of the network.
    Ip(IpAddr),
    /// A process of this machine.
    Local,
}

impl AddressLaw {
    /// A rule and the proxies that it believes.
    pub fn new(rule: AddressRule, trusted: Vec<Network>, trusts_unix: bool) -> Self {
        Self { rule, trusted, trusts_unix }
    }

    /// The rule.
    pub const fn rule(&self) -> AddressRule {
        self.rule
    }

    /// The proxies that are believed.
    pub fn trusted(&self) -> &[Network] {
        &self.trusted
    }

    /// Whether the peer is a proxy that is believed.
    pub fn trusts(&self, peer: &Peer) -> bool {
        match peer {
            Peer::Ip(address) => self.trusts_address(address.ip()),
            Peer::Unix => self.trusts_unix,
        }
    }

    /// Whether an address is that of a trusted proxy.
    pub fn trusts_address(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// Whose request it is. `proxied` is what the PROXY protocol's header said.
    ///
    /// A hop that is no address ends the walk at the nearest trusted hop: limits then fall on the proxy, never on
    /// whom an attacker chose.
    pub fn client(&self, peer: &Peer, headers: &HeaderMap, proxied: Option<IpAddr>) -> Result<ClientAddress, Refusal> {
        let nearest = ClientAddress::of(peer);
        if !self.trusts(peer) {
            return Ok(nearest);
        }
        match self.rule {
            AddressRule::Peer => Ok(nearest),
            AddressRule::ProxyProtocol => Ok(proxied.map_or(nearest, ClientAddress::ip)),
            AddressRule::XForwardedFor => self.walk(nearest, headers, &X_FORWARDED_FOR, node),
            AddressRule::Forwarded => self.walk(nearest, headers, &header::FORWARDED, forwarded_for),
        }
    }

    fn walk(
        &self,
        nearest: ClientAddress,
        headers: &HeaderMap,
        name: &HeaderName,
        address_of: fn(&str) -> Option<IpAddr>,
    ) -> Result<ClientAddress, Refusal> {
        let mut last = nearest;
        let mut hops = 0;
        // The lines are one list; the last of them was written last.
        for line in headers.get_all(name).iter().rev() {
            let mut rest = Some(line.as_bytes());
            while let Some(hops_left) = rest {
                hops += 1;
                if hops > MOST_HOPS {
                    return Err(Refusal::new(Code::InvalidRequest, "the request passed too many proxies"));
                }
                let (left, hop) = split_last(hops_left, name == header::FORWARDED);
                rest = left;
                let Some(address) = std::str::from_utf8(hop).ok().and_then(|hop| address_of(hop.trim())) else {
                    return Ok(last);
                };
                last = ClientAddress::ip(address);
                if !self.trusts_address(address) {
                    return Ok(last);
                }
            }
        }
        Ok(last)
    }
}

impl ClientAddress {
    /// A network address, in its canonical form.
    pub fn ip(address: IpAddr) -> Self {
        Self::Ip(address.to_canonical())
    }

    fn of(peer: &Peer) -> Self {
        match peer {
            Peer::Ip(address) => Self::ip(address.ip()),
            Peer::Unix => Self::Local,
        }
    }

    /// The network address, where it is one.
    pub const fn as_ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Local => None,
        }
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => fmt::Display::fmt(address, f),
            Self::Local => f.write_str("local"),
        }
    }
}

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Whether a proxy, or somebody who plays one, has touched the request.
pub fn has_forwarding_headers(headers: &HeaderMap) -> bool {
    const OTHERS: [&str; 7] =
        ["forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip", "x-original-host"];
    headers.keys().any(|name| name.as_str().starts_with("x-forwarded") || OTHERS.contains(&name.as_str()))
}

/// The last element of a list, and what stands before its comma. Quotes are counted from the right, so that a quote
/// which a client left open cannot swallow what a proxy wrote behind it.
fn split_last(list: &[u8], quotes: bool) -> (Option<&[u8]>, &[u8]) {
    let mut quoted = false;
    let comma = list.iter().rposition(|byte| {
        quoted ^= quotes && *byte == b'"';
        *byte == b',' && !quoted
    });
    match comma.and_then(|at| list.split_at_checked(at)) {
        Some((left, rest)) => (Some(left), rest.strip_prefix(b",").unwrap_or(rest)),
        None => (None, list),
    }
}

/// The one `for` of a Forwarded element.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    if element.contains('\\') {
        return None;
    }
    let mut nodes = element.split(';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value.trim())
    });
    let node_text = nodes.next()?;
    if nodes.next().is_some() {
        return None;
    }
    match node_text.strip_prefix('"') {
        // Only a quoted value may have colons and brackets.
        Some(quoted) => quoted.strip_suffix('"').filter(|text| text.starts_with('[') || !is_v6(text)).and_then(node),
        None => node_text.parse().ok().filter(IpAddr::is_ipv4),
    }
}

fn is_v6(text: &str) -> bool {
    text.parse::<Ipv6Addr>().is_ok()
}

/// An address with or without a port, in brackets or not.
fn node(text: &str) -> Option<IpAddr> {
    if let Some(inner) = text.strip_prefix('[') {
        let (address, port) = inner.split_once(']')?;
        let has_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return has_port.then(|| address.parse::<Ipv6Addr>().ok()).flatten().map(IpAddr::V6);
    }
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (address, port) = text.split_once(':')?;
    is_port(port).then(|| address.parse().ok()).flatten().map(IpAddr::V4)
}

fn is_port(text: &str) -> bool {
    (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests;
