//! Listening sockets that whoever started the process has opened and hands over, as systemd does: they outlive the process,
//! so that nobody who connects between two of them is refused.

use anyhow::{Context, Result, bail, ensure};
use gateway_transport::Inherited;
use listenfd::ListenFd;

use crate::cli::Environment;

/// The listeners that there can be, by the names that sockets are handed over under.
const NAMES: [&str; 2] = ["server", "admin"];

/// What was handed over, by the listener that it is for.
#[derive(Debug, Default)]
pub struct Sockets {
    server: Option<Inherited>,
    admin: Option<Inherited>,
}

impl Sockets {
    /// The sockets that the environment tells of; none is the rule.
    pub fn handed_over(environment: &Environment) -> Result<Self> {
        let told = |name: &str| environment.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
        if told("LISTEN_FDS").is_none() {
            return Ok(Self::default());
        }
        let mut handed = ListenFd::from_env();
        ensure!(handed.len() <= NAMES.len(), "LISTEN_FDS: {} sockets, and there are two listeners", handed.len());
        let names: Vec<_> = told("LISTEN_FDNAMES").unwrap_or_default().split(':').collect();
        let mut sockets = Self::default();
        for at in 0..handed.len() {
            let name = listener(&names, at)?;
            let socket =
                taken(&mut handed, at).with_context(|| format!("the socket for `{name}` that was handed over"))?;
            let place = if name == "admin" { &mut sockets.admin } else { &mut sockets.server };
            ensure!(place.is_none(), "LISTEN_FDNAMES: two sockets for `{name}`, and one is wanted");
            *place = socket;
        }
        Ok(sockets)
    }

    /// The socket of `server.listen`, where one was handed over.
    pub const fn server(&mut self) -> Option<Inherited> {
        self.server.take()
    }

    /// The socket of `admin.listen`.
    pub const fn admin(&mut self) -> Option<Inherited> {
        self.admin.take()
    }

    /// Whether one is left that no listener is for.
    pub const fn is_empty(&self) -> bool {
        self.server.is_none() && self.admin.is_none()
    }
}

/// Which listener a socket is for: by its name, or by its place where none has a name of ours.
fn listener(names: &[&str], at: usize) -> Result<&'static str> {
    let known = |name: &str| NAMES.into_iter().find(|own| *own == name);
    let by_name = names.get(at).and_then(|name| known(name));
    if by_name.is_none() && names.iter().any(|name| known(name).is_some()) {
        bail!(
            "LISTEN_FDNAMES: `{}` is none of a listener's names, which are `server` and `admin`: set FileDescriptorName",
            names.get(at).unwrap_or(&"")
        );
    }
    by_name.or_else(|| NAMES.get(at).copied()).context("more sockets than listeners")
}

fn taken(handed: &mut ListenFd, at: usize) -> Result<Option<Inherited>> {
    if let Ok(Some(listener)) = handed.take_tcp_listener(at) {
        return Ok(Some(Inherited::Tcp(listener)));
    }
    let unix = handed.take_unix_listener(at).context("is no listening socket, of TCP or of the file system")?;
    Ok(unix.map(Inherited::Unix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_for_the_listener_of_its_name_or_of_its_place() {
        let found = |names: &[&str]| (0..names.len()).map(|at| listener(names, at).ok()).collect::<Vec<_>>();
        assert_eq!(found(&["admin", "server"]), [Some("admin"), Some("server")]);
        assert_eq!(found(&["gateway.socket", "gateway.socket"]), [Some("server"), Some("admin")]);
        assert_eq!(found(&["unknown"]), [Some("server")]);
        assert_eq!(listener(&[""], 1).ok(), Some("admin"), "no names at all");
        assert_eq!(found(&["server", "console"]), [Some("server"), None]);
    }
}
