//! What a gateway on this machine says of its own health: asked over TCP, TLS or the file system, within a short time
//! and a small answer.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use anyhow::{Result, anyhow};
use futures_util::StreamExt;
use reqwest::{Client, redirect::Policy};
use serde_json::Value;

use crate::{config::value::ListenAddress, fetch::reason};

/// A gateway that lives answers sooner.
const PATIENCE: Duration = Duration::from_secs(3);
/// No answer to such a question is longer.
const MOST_BYTES: usize = 16 << 10;

/// Where a gateway is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// At an address that somebody named.
    Url(String),
    /// At a port of this machine.
    Port {
        /// With the port, as a URL has it.
        host: String,
        /// Whether it speaks TLS.
        tls: bool,
    },
    /// At a socket in the file system.
    Socket {
        /// Its file.
        path: PathBuf,
        /// Whether it speaks TLS.
        tls: bool,
    },
}

/// What it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Vitals {
    /// The status of the answer.
    pub(super) status: u16,
    /// `ok`, `degraded` or `draining`.
    pub(super) said: String,
    /// Whether that is good news.
    pub(super) is_well: bool,
}

impl Place {
    /// Where one is asked that listens there; none where nobody can know the port.
    pub(super) fn of(listen: &ListenAddress, tls: bool) -> Option<Self> {
        match listen {
            ListenAddress::Unix(path) => Some(Self::Socket { path: path.clone(), tls }),
            ListenAddress::Tcp(address) if address.port() == 0 => None,
            ListenAddress::Tcp(address) => {
                let ip = match address.ip() {
                    IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
                    IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
                    named => named,
                };
                Some(Self::Port { host: std::net::SocketAddr::new(ip, address.port()).to_string(), tls })
            }
        }
    }

    /// Asks it.
    pub(super) async fn ask(&self, path: &str) -> Result<Vitals> {
        let client = Client::builder().redirect(Policy::none()).no_proxy().timeout(PATIENCE);
        let scheme = |tls: bool| if tls { "https" } else { "http" };
        let (client, url) = match self {
            Self::Url(url) => (client, url.clone()),
            // Its certificate is for the name that clients know; what is asked here is no secret, and nothing is shown.
            Self::Port { host, tls } => {
                (client.danger_accept_invalid_certs(*tls), format!("{}://{host}", scheme(*tls)))
            }
            Self::Socket { path, tls } => {
                let client = client.danger_accept_invalid_certs(*tls).unix_socket(path.clone());
                (client, format!("{}://localhost", scheme(*tls)))
            }
        };
        let answer = client.build()?.get(format!("{url}{path}")).send().await;
        let answer =
            answer.map_err(|fault| anyhow!("no gateway answers at {self} ({})", reason(&fault.without_url())))?;
        let status = answer.status();
        let mut body = Vec::new();
        let mut chunks = answer.bytes_stream();
        while let Some(Ok(chunk)) = chunks.next().await {
            body.extend_from_slice(&chunk);
            if body.len() > MOST_BYTES {
                break;
            }
        }
        let said = serde_json::from_slice::<Value>(&body).unwrap_or_default();
        let said = said.get("status").and_then(Value::as_str).unwrap_or("nothing that a gateway says");
        let is_well = status.is_success() && matches!(said, "ok" | "degraded");
        Ok(Vitals { status: status.as_u16(), said: super::page::printable(said).into_owned(), is_well })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url(url) => f.write_str(url),
            Self::Port { host, .. } => f.write_str(host),
            Self::Socket { path, .. } => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(listen: &str) -> Option<String> {
        let listen = crate::config::value::Value::read(crate::config::value::Scalar::Text(listen)).unwrap();
        Place::of(&listen, false).map(|place| place.to_string())
    }

    #[test]
    fn a_listener_for_everybody_is_asked_on_this_machine() {
        assert_eq!(of("0.0.0.0:8080").unwrap(), "127.0.0.1:8080");
        assert_eq!(of("[::]:8080").unwrap(), "[::1]:8080");
        assert_eq!(of("192.0.2.7:8080").unwrap(), "192.0.2.7:8080");
        assert_eq!(of("unix:/run/gateway.sock").unwrap(), "unix:/run/gateway.sock");
        assert_eq!(of("127.0.0.1:0"), None);
    }
}
