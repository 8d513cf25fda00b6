//! The policy in force, for whoever operates the gateway: every value that holds, and what follows from them.

use std::fmt::Write as _;

use super::{Endpoint, Loaded, RejectWith};

pub(super) fn policy(loaded: &Loaded, open_files: Option<u64>) -> String {
    let config = &loaded.config;
    let mut text = String::new();
    let source = match &loaded.origin {
        Some(file) => file.display().to_string(),
        None => "no file".to_owned(),
    };
    let mut say = |line: &str| {
        text.push_str("# ");
        text.push_str(line);
        text.push('\n');
    };
    say(&format!("The policy in force, from: {source}; laid over what ships, under the environment and the flags."));
    let connections = config.limits.connections;
    say(&match open_files.map(|files| (files, connections.in_force(files))) {
        Some((files, Some(most))) => format!("limits.connections: {most} at once, where {files} files may be open."),
        Some((_, None)) => "limits.connections: as many as come.".to_owned(),
        None => format!("limits.connections: {connections}."),
    });
    say(match &config.admin.listen {
        Some(_) => "The API and the metrics are on a listener of their own.",
        None => "The API and the metrics are on server.listen, beside the endpoints.",
    });
    say(match &config.state.file {
        Some(_) => "Bans, revocations and refresh families survive a restart.",
        None => "Bans, revocations and refresh families are in memory, and gone with the process.",
    });
    say(match &config.auth.issuer {
        Some(_) => "This gateway issues tokens.",
        None => "This gateway issues no tokens.",
    });
    for endpoint in &config.endpoints {
        say(&door(endpoint));
    }
    text.push('\n');
    match toml_edit::ser::to_string_pretty(config) {
        Ok(toml) => text.push_str(&toml),
        Err(fault) => {
            let _ = writeln!(text, "# The rest cannot be shown: {fault}");
        }
    }
    text
}

/// A door in a sentence.
fn door(endpoint: &Endpoint) -> String {
    let list = |each: Vec<String>, none: &str| if each.is_empty() { none.to_owned() } else { each.join(", ") };
    let roles = list(endpoint.roles.iter().map(ToString::to_string).collect(), "any authenticated user");
    let pages = list(endpoint.origins.iter().map(ToString::to_string).collect(), "no browser");
    let refuses = match endpoint.reject_with {
        RejectWith::Http => "an HTTP status",
        RejectWith::CloseCode => "a close code",
    };
    format!("{}: {roles}; pages: {pages}; refuses by {refuses}.", endpoint.path)
}
