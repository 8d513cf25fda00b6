//! The policy in force, for whoever operates the gateway: every value that holds, and what follows from them.

use std::fmt::Write as _;

use super::{Endpoint, Events, HookEvent, Join, Loaded, RejectWith, RoomRule, Route, Webhook, value::Label};

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
    say(match (&config.console.enabled, &config.admin.listen) {
        (true, Some(_)) => "The console is at /console, on the listener of the API.",
        (true, None) => {
            "The console is at /console on server.listen: whoever reaches that sees its page for logging in."
        }
        (false, _) => "There is no console.",
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
    for namespace in &config.socketio.namespaces {
        say(&format!("Socket.IO at {}, {}", config.socketio.path, door(&namespace.as_endpoint())));
    }
    if config.routes.is_empty() {
        say("No routes: whatever clients send goes nowhere.");
    }
    for (at, each) in config.routes.iter().enumerate() {
        say(&route(at, each));
    }
    if config.rooms.rules.is_empty() {
        say("No rules of rooms: nobody may subscribe to any.");
    }
    for rule in &config.rooms.rules {
        say(&room(rule));
    }
    if config.events.strict || !config.events.schemas.is_empty() {
        say(&events(&config.events));
    }
    for hook in &config.webhooks {
        say(&webhook(hook));
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
    let named = |each: Vec<String>, none: &str| if each.is_empty() { none.to_owned() } else { each.join(", ") };
    let roles = named(endpoint.roles.iter().map(ToString::to_string).collect(), "any authenticated user");
    let pages = named(endpoint.origins.iter().map(ToString::to_string).collect(), "no browser");
    let refuses = match endpoint.reject_with {
        RejectWith::Http => "an HTTP status",
        RejectWith::CloseCode => "a close code",
    };
    format!("{}: {roles}; pages: {pages}; refuses by {refuses}.", endpoint.path)
}

/// A route in a sentence.
fn route(at: usize, route: &Route) -> String {
    let mut text = format!("routes[{at}]: {} from {} to {}", list(&route.types), list(&route.from), list(&route.to));
    if let Some(permission) = &route.permission {
        let _ = write!(text, "; needs {permission}");
    }
    if let Some(wait) = route.reply_timeout {
        let _ = write!(text, "; answered within {wait}");
    }
    if let Some(renamed) = &route.renamed {
        let _ = write!(text, "; sent on as {renamed}");
    }
    if route.priority {
        text.push_str("; goes through over the limit");
    }
    text + "."
}

/// What may be published, in a sentence.
fn events(events: &Events) -> String {
    let kinds: Vec<_> = events.schemas.keys().map(|kind| kind.as_str()).collect();
    let rest = if events.strict { "other types are refused" } else { "other types are not looked at" };
    match kinds.as_slice() {
        [] => format!("events: no schemas; {rest}."),
        kinds => format!("events with a schema: {}; {rest}.", kinds.join(", ")),
    }
}

/// A webhook in a sentence.
fn webhook(hook: &Webhook) -> String {
    let told = hook.events.iter().map(|event| match event {
        HookEvent::Connect => "who comes",
        HookEvent::Disconnect => "who goes",
        HookEvent::Message => "messages",
    });
    format!("webhook:{} is told: {}.", hook.name, told.collect::<Vec<_>>().join(", "))
}

/// A rule in a sentence.
fn room(rule: &RoomRule) -> String {
    let who = match rule.join.as_slice() {
        [] => "nobody".to_owned(),
        entries => entries.iter().map(member).collect::<Vec<_>>().join(", or "),
    };
    format!("rooms {}: {who} may subscribe.", rule.pattern)
}

/// Who an entry fits.
fn member(join: &Join) -> String {
    let Join { role, permission, user, agent, plan } = join;
    let keys = [
        role.as_ref().map(|role| format!("role {role}")),
        permission.as_ref().map(|permission| format!("permission {permission}")),
        user.as_ref().map(|user| format!("user {user}")),
        agent.as_ref().map(|agent| format!("agent {agent}")),
        plan.as_ref().map(|plan| format!("plan {plan}")),
    ];
    let keys: Vec<_> = keys.into_iter().flatten().collect();
    if keys.is_empty() { "everybody".to_owned() } else { keys.join(" with ") }
}

fn list(texts: &[Label]) -> String {
    texts.iter().map(Label::as_str).collect::<Vec<_>>().join(", ")
}
