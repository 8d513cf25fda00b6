//! The sense of what clients of an endpoint call things, and of the rooms that they are put into.

use gateway_domain::{envelope::GATEWAY_TYPES, template::RoomTemplate, vocabulary::Vocabulary};

use super::{
    super::{Config, Endpoint, Handler, fault::below, shape::nearest},
    Complaints, repeated, sentence,
};

pub(super) fn check(config: &Config, complaints: &mut Complaints) {
    for (line, endpoint) in config.doors() {
        match endpoint.handler {
            Handler::Routes => routed(config, &endpoint, &line, complaints),
            Handler::Echo => echoed(&endpoint, &line, complaints),
        }
    }
}

fn routed(config: &Config, endpoint: &Endpoint, line: &str, complaints: &mut Complaints) {
    for fault in Vocabulary::compile(&endpoint.vocabulary_spec()).err().unwrap_or_default() {
        let name = fault.key.strip_prefix("names.");
        let key = match name {
            // A name may have dots of its own.
            Some(name) => below(&below(line, "names"), name),
            None => format!("{line}.{}", fault.key),
        };
        let meant = name.filter(|name| !GATEWAY_TYPES.contains(name));
        let remedy = match meant.and_then(|name| nearest(name, GATEWAY_TYPES.into_iter())) {
            Some(near) => format!("Did you mean `{near}`?"),
            None => sentence(&fault.remedy),
        };
        complaints.fault(key, format!("this name {}", fault.what), remedy);
    }
    for (at, room) in endpoint.join.iter().enumerate() {
        if let Err(flaw) = RoomTemplate::parse(room.as_str()) {
            complaints.fault(format!("{line}.join[{at}]"), flaw.what, sentence(&flaw.remedy));
        }
    }
    for (again, _) in repeated(&endpoint.join) {
        complaints.warn(format!("{line}.join[{again}]"), "this room is listed twice", "Remove one");
    }
    let outbox = config.limits.outbox.bytes;
    if endpoint.max_message > outbox {
        let what = format!(
            "a message of {} is taken here, and no outbox holds more than {outbox} (limits.outbox.bytes)",
            endpoint.max_message
        );
        complaints.warn(format!("{line}.max_message"), what, "Make it smaller, or the outbox larger");
    }
}

/// Where messages come back unchanged, none of the gateway's own words is ever said.
fn echoed(endpoint: &Endpoint, line: &str, complaints: &mut Complaints) {
    let idle = [
        ("names", !endpoint.names.is_empty()),
        ("envelope", !endpoint.envelope.is_native()),
        ("heartbeat_message", endpoint.heartbeat_message),
        ("join", !endpoint.join.is_empty()),
    ];
    for (name, _) in idle.into_iter().filter(|(_, given)| *given) {
        let what = "this does nothing where messages come back unchanged (handler = \"echo\")";
        complaints.warn(format!("{line}.{name}"), what, "Remove it, or set handler = \"routes\"");
    }
}
