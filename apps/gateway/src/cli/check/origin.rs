//! The line of the configuration behind a refusal: the one that an operator would change, were the refusal wrong.

use std::{fs, net::IpAddr};

use gateway_domain::{Code, Detail, Refusal, Token};

use crate::config::{Config, Loaded, Place};

/// The line in words: its place, its text, and its key; none where no line of a configuration is behind it.
pub(super) fn of(
    loaded: &Loaded,
    refusal: &Refusal,
    endpoint: &str,
    address: Option<IpAddr>,
    token: &Token,
) -> Option<String> {
    let key = key_behind(&loaded.config, refusal, endpoint, address, token)?;
    let Some((file, line)) = loaded.line_of(&key) else {
        return Some(match loaded.place_of(&key) {
            Place::Environment(name) => format!("environment {name}  {key}"),
            Place::Flag => format!("command line  {key}"),
            // A place in the file that is no line of its own is the head of the file: nothing there says it.
            Place::File { .. } | Place::Shipped => format!("as shipped  {key}"),
        });
    };
    // A configuration holds no secrets, so a line of it can be shown.
    let text = fs::read_to_string(&file).ok();
    let text = text.as_ref().and_then(|text| text.lines().nth(line.saturating_sub(1))).unwrap_or_default();
    Some(format!("{}:{line}  {}  ({key})", file.display(), text.trim()))
}

fn key_behind(
    config: &Config,
    refusal: &Refusal,
    endpoint: &str,
    address: Option<IpAddr>,
    token: &Token,
) -> Option<String> {
    let door = |name: &str| {
        let (key, _) = config.doors().into_iter().find(|(_, own)| own.path.as_str() == endpoint)?;
        Some(format!("{key}.{name}"))
    };
    match refusal.code {
        Code::NotFound => Some("endpoints".into()),
        Code::OriginNotAllowed => door("origins"),
        Code::RoleMismatch => door("roles"),
        Code::AuthRequired => Some("auth.token_sources".into()),
        Code::TokenExpired => Some("auth.exp_leeway".into()),
        Code::TokenInvalid => match refusal.detail? {
            Detail::TooLong => Some("auth.max_token".into()),
            Detail::Audience => Some("auth.audience".into()),
            Detail::NotYetValid => Some("auth.leeway".into()),
            Detail::ClaimMissing => Some("auth.claims".into()),
            Detail::Algorithm => key(config, token, "algorithm"),
            Detail::Issuer => key(config, token, "issuer"),
            Detail::Signature => key(config, token, ""),
            Detail::UnknownKey => Some("auth.keys".into()),
            // These no configuration allows.
            Detail::Malformed | Detail::Crit => None,
        },
        Code::AuthError => {
            let at = config.auth.keys.iter().position(|key| key.jwks_url.is_some())?;
            Some(format!("auth.keys[{at}].jwks_url"))
        }
        Code::Banned => {
            let meant = |ban: &crate::config::Ban| match &refusal.user {
                Some(user) => ban.user.as_ref() == Some(user),
                None => {
                    ban.address.zip(address).is_some_and(|(network, address)| network.contains(address.to_canonical()))
                }
            };
            config.bans.iter().position(meant).map(|at| format!("bans[{at}]"))
        }
        // What counts (rates, seats) is counted by a running gateway alone, and the rest no line can change.
        _ => None,
    }
}

/// A line of the key that the token names; the keys as a whole where it names none of them.
fn key(config: &Config, token: &Token, name: &str) -> Option<String> {
    let inspected = gateway_auth::inspect(token).ok();
    let kid = inspected.as_ref().and_then(|inspected| inspected.header.get("kid")?.as_str());
    let named = |key: &crate::config::Key| key.kid.as_ref().is_some_and(|own| Some(own.as_str()) == kid);
    let keys = &config.auth.keys;
    let at = keys.iter().position(named).or((keys.len() == 1).then_some(0));
    Some(match (at, name) {
        (None, _) => "auth.keys".into(),
        (Some(at), "") => format!("auth.keys[{at}]"),
        (Some(at), name) => format!("auth.keys[{at}].{name}"),
    })
}
