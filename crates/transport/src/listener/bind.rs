//! Taking an address to listen on, TCP or a unix socket. A socket file that nobody answers is a dead gateway's and is
//! replaced; one that somebody answers is never taken away.

use std::{
    fmt, io,
    net::SocketAddr,
    os::unix::{fs::FileTypeExt, net::UnixStream as Probe},
    path::{Path, PathBuf},
    str::FromStr,
};

use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use crate::{address::Peer, wire::Wire};

/// For so many who were not accepted yet a listener asks for places. What the system gives is `net.core.somaxconn`.
pub const BACKLOG: u16 = u16::MAX;

/// Where to listen: `127.0.0.1:8080`, `[::]:8080` or `unix:/run/gateway.sock`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddr {
    /// An address and a port; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A path.
    Unix(PathBuf),
}

/// Not an address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an address such as 127.0.0.1:8080, [::]:8080 or unix:/run/gateway.sock")]
pub struct NotAListenAddr;

/// Why an address could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum BindFault {
    /// The path is that of something else.
    #[error("{0} is there already and is no socket")]
    NotASocket(PathBuf),
    /// Another process listens there.
    #[error("another process listens on {0}: stop it, or listen elsewhere")]
    Taken(ListenAddr),
    /// What the system said.
    #[error("cannot listen on {0}: {1}")]
    Io(ListenAddr, io::Error),
}

/// A listening socket that somebody else has opened.
#[derive(Debug)]
pub enum Inherited {
    /// Of the network.
    Tcp(std::net::TcpListener),
    /// Of the file system.
    Unix(std::os::unix::net::UnixListener),
}

/// A bound address.
#[derive(Debug)]
pub struct Listener(Bound);

#[derive(Debug)]
enum Bound {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
    /// Whoever opened it sees to its file.
    Lent(UnixListener),
}

/// The file of a unix socket, which goes when its listener goes.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Takes an address. To be called inside a runtime.
    pub fn bind(address: &ListenAddr) -> Result<Self, BindFault> {
        let fault = |error: io::Error| match error.kind() {
            io::ErrorKind::AddrInUse => BindFault::Taken(address.clone()),
            _ => BindFault::Io(address.clone(), error),
        };
        match address {
            ListenAddr::Tcp(address) => tcp(*address).map(Bound::Tcp).map_err(fault),
            ListenAddr::Unix(path) => {
                clear_stale(path, address)?;
                let listener = UnixListener::bind(path).map_err(fault)?;
                Ok(Bound::Unix(listener, SocketFile(path.clone())))
            }
        }
        .map(Self)
    }

    /// Takes over a socket that listens already. To be called inside a runtime.
    pub fn inherit(socket: Inherited) -> io::Result<Self> {
        match socket {
            Inherited::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener).map(Bound::Tcp)
            }
            Inherited::Unix(listener) => {
                listener.set_nonblocking(true)?;
                UnixListener::from_std(listener).map(Bound::Lent)
            }
        }
        .map(Self)
    }

    /// The address, with the port that the system chose.
    pub fn local_addr(&self) -> io::Result<ListenAddr> {
        match &self.0 {
            Bound::Tcp(listener) => listener.local_addr().map(ListenAddr::Tcp),
            Bound::Unix(_, file) => Ok(ListenAddr::Unix(file.0.clone())),
            Bound::Lent(listener) => {
                let path = listener.local_addr()?.as_pathname().map(Path::to_owned);
                Ok(ListenAddr::Unix(path.unwrap_or_default()))
            }
        }
    }

    pub(super) async fn accept(&self) -> io::Result<(Wire, Peer)> {
        match &self.0 {
            Bound::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Small frames go out at once; a socket that died meanwhile is found out by its first read.
                let _ = stream.set_nodelay(true);
                Ok((Wire::Tcp(stream), Peer::Ip(peer)))
            }
            Bound::Unix(listener, _) | Bound::Lent(listener) => {
                Ok((Wire::Unix(listener.accept().await?.0), Peer::Unix))
            }
        }
    }
}

fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG.into())?;
    TcpListener::from_std(socket.into())
}

fn clear_stale(path: &Path, address: &ListenAddr) -> Result<(), BindFault> {
    let fault = |error| BindFault::Io(address.clone(), error);
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(fault(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(BindFault::NotASocket(path.to_owned())),
        Ok(_) => {}
    }
    match Probe::connect(path) {
        Ok(_) => Err(BindFault::Taken(address.clone())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path).map_err(fault),
        Err(error) => Err(fault(error)),
    }
}

impl ListenAddr {
    /// The address of the network, where it is one.
    pub const fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

impl FromStr for ListenAddr {
    type Err = NotAListenAddr;

    fn from_str(text: &str) -> Result<Self, NotAListenAddr> {
        match text.strip_prefix("unix:") {
            Some("") => Err(NotAListenAddr),
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Tcp).map_err(|_| NotAListenAddr),
        }
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => fmt::Display::fmt(address, f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for text in ["127.0.0.1:8080", "[::]:8080", "unix:/run/gateway.sock"] {
            assert_eq!(text.parse::<ListenAddr>().unwrap().to_string(), text);
        }
        for text in ["", "8080", "localhost:8080", "127.0.0.1", "unix:", "tcp:127.0.0.1:80"] {
            assert_eq!(text.parse::<ListenAddr>(), Err(NotAListenAddr), "{text}");
        }
        assert_eq!("unix:/x".parse::<ListenAddr>().unwrap().socket_addr(), None);
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_said_to_be() {
        let first = Listener::bind(&"127.0.0.1:0".parse().unwrap()).unwrap();
        let address = first.local_addr().unwrap();
        assert_ne!(address.socket_addr().unwrap().port(), 0);
        assert!(matches!(Listener::bind(&address), Err(BindFault::Taken(_))));
        let elsewhere = Listener::bind(&"192.0.2.1:0".parse().unwrap());
        assert!(matches!(elsewhere, Err(BindFault::Io(..))));
    }

    #[tokio::test]
    async fn a_dead_socket_file_is_replaced_and_a_living_one_is_not() {
        let path = std::env::temp_dir().join(format!("gateway-bind-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let address = ListenAddr::Unix(path.clone());
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "a listener that died leaves its file");
        let first = Listener::bind(&address).unwrap();
        assert_eq!(first.local_addr().unwrap(), address);
        assert!(matches!(Listener::bind(&address), Err(BindFault::Taken(_))));
        drop(first);
        assert!(!path.exists(), "a listener that ends takes its file along");
        std::fs::write(&path, "precious").unwrap();
        let fault = Listener::bind(&address).unwrap_err();
        assert!(matches!(&fault, BindFault::NotASocket(_)) && path.exists(), "{fault}");
        std::fs::remove_file(&path).unwrap();
        let nowhere = ListenAddr::Unix("/nonexistent-folder/x.sock".into());
        assert!(matches!(Listener::bind(&nowhere), Err(BindFault::Io(..))));
    }
}
