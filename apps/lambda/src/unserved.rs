//! What a configuration may have that this front does not serve: said when it starts, so that nobody wonders later.

use gateway_domain::target::Target;
use gateway_server::House;

/// What of that house is not served here, each with its place.
pub fn of(house: &House) -> Vec<String> {
    let mut remarks = Vec::new();
    for route in house.routes.iter() {
        let place = format!("routes[{}]", route.index());
        if route.reply_timeout().is_some() {
            remarks.push(format!("{place}: requests are not carried; who asks reads TARGET_OFFLINE"));
        }
        for to in route.to() {
            if let Some(word) = KINDS.iter().find(|word| to.starts_with(*word)) {
                remarks.push(format!(
                    "{place}: nothing is carried to `{word}...`; use rooms, which an endpoint can `join`"
                ));
            }
        }
    }
    if house.issuing.is_some() {
        remarks.push("auth.issuer: no tokens are issued, and no refresh tokens taken".into());
    }
    remarks
}

const KINDS: [&str; 3] = ["role:", "endpoint:", "webhook:"];

/// Why nothing is carried to that target; none, where something is.
pub const fn why_not(target: &Target) -> Option<&'static str> {
    match target {
        Target::Role(_) | Target::Endpoint(_) => {
            Some("is not carried behind API Gateway: name a room, which an endpoint can `join` by itself")
        }
        Target::Webhook(_) => Some("is not told from behind API Gateway: let the backend read the queue itself"),
        Target::User { .. }
        | Target::Agent(_)
        | Target::Connection(_)
        | Target::Room(_)
        | Target::Sender
        | Target::Subscribe(_) => None,
    }
}
