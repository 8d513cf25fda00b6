//! The sense of listeners, proxies, files, limits and bans.

use std::path::Path;

use super::{
    super::{
        AuditAddress, ClientAddress, Config, Mode,
        value::{FilePath, Limit, TrustedProxy},
    },
    Complaints,
};

pub(super) fn check(config: &Config, mode: Mode, complaints: &mut Complaints) {
    listeners(config, mode, complaints);
    proxies(config, complaints);
    files(config, complaints);
    bans(config, complaints);
}

fn listeners(config: &Config, mode: Mode, complaints: &mut Complaints) {
    let listeners = [("server.listen", Some(&config.server.listen)), ("admin.listen", config.admin.listen.as_ref())];
    for (key, listen) in listeners.into_iter().filter_map(|(key, listen)| Some((key, listen?))) {
        if mode == Mode::Dev && !listen.is_local() {
            let what = format!("dev mode admits whoever has its tokens, and `{listen}` can be reached from elsewhere");
            complaints.fault(key, what, "Listen at 127.0.0.1, or write a configuration file with keys of your own");
        }
    }
    if let Some(admin) = config.admin.listen.as_ref().filter(|admin| admin.collides(&config.server.listen)) {
        let what = format!("`{admin}` is where the endpoints are (server.listen)");
        complaints.fault(
            "admin.listen",
            what,
            "Choose another port, or leave the key out to have both on one listener",
        );
    }
}

fn proxies(config: &Config, complaints: &mut Complaints) {
    let server = &config.server;
    match (server.client_address, server.trusted_proxies.is_empty()) {
        (ClientAddress::Peer, true) => {}
        (ClientAddress::Peer, false) => complaints.warn(
            "server.trusted_proxies",
            "no proxy is asked for a client's address, since `client_address` is \"peer\"",
            "Set server.client_address to what the proxies send, or remove the list",
        ),
        (ClientAddress::XForwardedFor | ClientAddress::Forwarded | ClientAddress::ProxyProtocol, false) => {}
        (ClientAddress::XForwardedFor | ClientAddress::Forwarded | ClientAddress::ProxyProtocol, true) => complaints
            .fault(
                "server.client_address",
                "nobody is trusted to say where a client is: `trusted_proxies` is empty",
                "List the proxies' own addresses: trusted_proxies = [\"10.0.0.0/8\"]",
            ),
    }
}

fn files(config: &Config, complaints: &mut Complaints) {
    let state = config.state.file.as_ref().map(|file| ("state.file", file));
    let audit = config.audit.file.as_ref().map(|file| ("audit.file", file));
    for (key, file) in state.into_iter().chain(audit) {
        let folder = file.as_path().parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            let folder = folder.display();
            complaints.fault(
                key,
                format!("the folder `{folder}` does not exist"),
                format!("Create it with: mkdir -p {folder}"),
            );
        } else if file.as_path().is_dir() {
            complaints.fault(key, format!("`{file}` is a folder"), "Name a file in it");
        }
    }
    if config.state.file.as_ref().map(FilePath::as_path) == config.audit.file.as_ref().map(FilePath::as_path)
        && let Some(file) = &config.audit.file
    {
        complaints.fault("audit.file", format!("`{file}` is the state file, too"), "Give each a file of its own");
    }
    if config.state.file.is_none() && (config.auth.issuer.is_some() || !config.bans.is_empty()) {
        let what = "revocations, bans by the API and refresh tokens are in memory, and gone with the process";
        complaints.warn("state.file", what, "Set state.file = \"state.jsonl\" to keep them");
    }
    if config.audit.address == AuditAddress::Hash && config.limits.auto_ban != Limit::Off {
        let what = "addresses that are banned by themselves cannot be told from hashed lines";
        complaints.warn("audit.address", what, "Use \"prefix\" or \"full\" where somebody must look into bans");
    }
}

fn bans(config: &Config, complaints: &mut Complaints) {
    for (at, ban) in config.bans.iter().enumerate() {
        let key = format!("bans[{at}]");
        match (&ban.address, &ban.user) {
            (None, None) => complaints.fault(key, "this ban is of nobody", "Give it an `address` or a `user`"),
            (Some(_), Some(_)) => {
                complaints.fault(key, "this ban has an address and a user", "Make two of it: one entry for each");
            }
            (None, Some(_)) => {}
            (Some(network), None) => {
                let proxy = config.server.trusted_proxies.iter().any(|proxy| match proxy {
                    TrustedProxy::Network(trusted) => trusted.overlaps(network),
                    TrustedProxy::Unix => false,
                });
                let loopback = ["127.0.0.0/8", "::1"].iter().filter_map(|text| text.parse().ok());
                let who = if proxy { Some("a trusted proxy") } else { None };
                let who =
                    who.or(loopback.into_iter().any(|own| network.overlaps(&own)).then_some("this machine itself"));
                if let Some(who) = who {
                    let what = format!("`{network}` holds {who}");
                    complaints.warn(
                        format!("{key}.address"),
                        what,
                        "Make sure that nobody is locked out who should not be",
                    );
                }
            }
        }
    }
}
