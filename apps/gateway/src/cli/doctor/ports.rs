//! Whether the gateway can listen where it is told to; where somebody does already, whether that is a gateway.

use std::{io::ErrorKind, path::Path};

use gateway_transport::{ListenAddr, Listener, listener::BindFault};
use rustix::fs::{Access, access};
use tokio::runtime::Runtime;

use super::finding::Report;
use crate::{
    cli::vitals::{Place, Vitals},
    config::{Config, value::ListenAddress},
};

/// Looks at each listener. A port is opened as the gateway would open it, and closed at once.
pub(super) fn look(config: &Config, runtime: &Runtime, report: &mut Report) {
    let tls = config.server.tls.is_some();
    for (key, listen) in
        [("server.listen", Some(&config.server.listen)), ("admin.listen", config.admin.listen.as_ref())]
    {
        let Some(listen) = listen else { continue };
        if let Some(vitals) = answered(listen, tls, runtime) {
            running(key, listen, &vitals, report);
            continue;
        }
        match listen {
            ListenAddress::Unix(path) => folder(key, path, report),
            ListenAddress::Tcp(address) => match Listener::bind(&ListenAddr::Tcp(*address)) {
                Ok(_) => report.fine("ports", format!("{key}: {listen} is free")),
                Err(fault) => closed(key, listen, &fault, report),
            },
        }
    }
    if !tls && !config.server.listen.is_local() && config.server.trusted_proxies.is_empty() {
        let what =
            format!("{} is plain, and can be reached from elsewhere: tokens travel in the open", config.server.listen);
        let remedy = "Set server.tls, or put a proxy with TLS in front and name it in server.trusted_proxies";
        report.note("ports", what, remedy);
    }
}

/// What a gateway says that listens there; none where nobody does, or something else.
fn answered(listen: &ListenAddress, tls: bool, runtime: &Runtime) -> Option<Vitals> {
    let vitals = Place::of(listen, tls).and_then(|place| runtime.block_on(place.ask("/readyz")).ok())?;
    ["ok", "degraded", "draining"].contains(&vitals.said.as_str()).then_some(vitals)
}

fn running(key: &str, listen: &ListenAddress, vitals: &Vitals, report: &mut Report) {
    let what = format!("{key}: a gateway answers at {listen}, and says `{}`", vitals.said);
    match vitals.said.as_str() {
        "ok" => report.fine("ports", what),
        "degraded" => report.note("ports", what, "A key set is out of reach: see what is said about keys"),
        _ => report.note("ports", what, "It is leaving: newcomers are refused"),
    }
}

fn closed(key: &str, listen: &ListenAddress, fault: &BindFault, report: &mut Report) {
    let what = format!("{key}: {listen} cannot be opened ({fault})");
    let remedy = match fault {
        BindFault::Taken(_) => "`ss -ltnp` names what listens there",
        BindFault::NotASocket(_) => "Name another file",
        BindFault::Io(_, fault) => match fault.kind() {
            ErrorKind::PermissionDenied => {
                "A port below 1024 needs AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit, or a socket unit in front"
            }
            ErrorKind::AddrNotAvailable => "This machine has no such address: name one of its own, or 0.0.0.0 for all",
            _ => "Choose another address",
        },
    };
    report.change("ports", what, remedy);
}

/// A socket in the file system is not opened, for that would take the place of one that is there.
fn folder(key: &str, path: &Path, report: &mut Report) {
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    match access(folder, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => report.fine("ports", format!("{key}: {} can be made", path.display())),
        Err(fault) => report.change(
            "ports",
            format!("{key}: {} cannot be made ({})", path.display(), std::io::Error::from(fault)),
            format!("Let the gateway's user write to {}: RuntimeDirectory= in the unit does it", folder.display()),
        ),
    }
}
