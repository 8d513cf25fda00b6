//! Where the gateway listens, and whose word it takes about where a client is.

use std::{fmt, net::SocketAddr, path::PathBuf};

use gateway_domain::network::Network;

use super::{Scalar, Unfit, Value, through_serde};

/// A place to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// An address and a port; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl ListenAddress {
    /// That port of this machine alone.
    pub const fn loopback(port: u16) -> Self {
        Self::Tcp(SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), port))
    }

    /// Whether nobody but this machine gets there.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// Whether two listeners would stand in each other's way.
    pub fn collides(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp(a), Self::Tcp(b)) => {
                let everywhere = a.ip().is_unspecified() || b.ip().is_unspecified();
                a.port() == b.port() && a.port() != 0 && (a.ip() == b.ip() || everywhere)
            }
            (Self::Unix(a), Self::Unix(b)) => a == b,
            (Self::Tcp(_), Self::Unix(_)) | (Self::Unix(_), Self::Tcp(_)) => false,
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Value for ListenAddress {
    const KIND: &'static str = "listen address";
    const WANTED: &'static str = "an IP address with a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\", or a socket, such as \"unix:/run/gateway.sock\"";

    fn read(scalar: Scalar<'_>) -> Result<Self, Unfit> {
        let Scalar::Text(text) = scalar else { return Err(Unfit::not::<Self>(scalar)) };
        match text.strip_prefix("unix:") {
            // The longest name that a socket can have, with its end.
            Some(path) if (1..108).contains(&path.len()) && !path.contains('\0') => Ok(Self::Unix(path.into())),
            Some(_) => Err(Unfit::not::<Self>(scalar)),
            None => text.parse().map(Self::Tcp).map_err(|_| Unfit::not::<Self>(scalar)),
        }
    }
}

/// Whose forwarding headers are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustedProxy {
    /// Proxies at these addresses.
    Network(Network),
    /// Whoever connects through a unix socket.
    Unix,
}

impl fmt::Display for TrustedProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

impl Value for TrustedProxy {
    const KIND: &'static str = "trusted proxy";
    const WANTED: &'static str = "the proxies' own addresses, such as \"10.0.0.0/8\", or \"unix\"";

    fn read(scalar: Scalar<'_>) -> Result<Self, Unfit> {
        match scalar {
            Scalar::Text("unix") => Ok(Self::Unix),
            Scalar::Text(text) => {
                let network: Network =
                    text.parse().map_err(|fault| Unfit::new(format!("{fault}"), format!("Write {}", Self::WANTED)))?;
                if network.prefix() == 0 {
                    return Err(Unfit::new(
                        format!("`{network}` trusts everybody, so that any client can choose its own address"),
                        format!("Write {}", Self::WANTED),
                    ));
                }
                Ok(Self::Network(network))
            }
            Scalar::Integer(_) | Scalar::Float(_) | Scalar::Boolean(_) => Err(Unfit::not::<Self>(scalar)),
        }
    }
}

through_serde!(ListenAddress, TrustedProxy);

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(text: &str) -> ListenAddress {
        ListenAddress::read(Scalar::Text(text)).unwrap()
    }

    #[test]
    fn listen_addresses_are_read_and_written() {
        for (text, local) in [
            ("127.0.0.1:8080", true),
            ("[::1]:0", true),
            ("0.0.0.0:8080", false),
            ("[::ffff:127.0.0.1]:1", true),
            ("unix:/run/gateway.sock", true),
        ] {
            assert_eq!((listen(text).to_string(), listen(text).is_local()), (text.to_owned(), local));
        }
        for text in ["localhost:8080", ":8080", "8080", "127.0.0.1", "unix:", "127.0.0.1:99999"] {
            assert!(ListenAddress::read(Scalar::Text(text)).is_err(), "{text}");
        }
        assert!(ListenAddress::read(Scalar::Text(&format!("unix:/{}", "x".repeat(107)))).is_err());
    }

    #[test]
    fn two_listeners_collide_on_one_port_of_one_address() {
        for (a, b, collide) in [
            ("127.0.0.1:1", "127.0.0.1:1", true),
            ("0.0.0.0:1", "127.0.0.1:1", true),
            ("127.0.0.1:1", "127.0.0.2:1", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
            ("unix:/a", "unix:/a", true),
            ("unix:/a", "unix:/b", false),
            ("unix:/a", "127.0.0.1:1", false),
        ] {
            assert_eq!(listen(a).collides(&listen(b)), collide, "{a} {b}");
        }
    }

    #[test]
    fn nobody_can_trust_everybody() {
        for text in ["0.0.0.0/0", "::/0"] {
            let unfit = TrustedProxy::read(Scalar::Text(text)).unwrap_err();
            assert!(unfit.what.contains("trusts everybody"), "{unfit}");
        }
        for text in ["10.0.0.0/8", "::1", "unix"] {
            assert_eq!(TrustedProxy::read(Scalar::Text(text)).unwrap().to_string(), text);
        }
        assert!(TrustedProxy::read(Scalar::Text("10.0.0.1/8")).unwrap_err().what.contains("write 10.0.0.0/8"));
        assert!(TrustedProxy::read(Scalar::Text("proxy")).is_err());
    }
}
