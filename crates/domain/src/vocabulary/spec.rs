//! A vocabulary as an operator writes it, and what can be wrong with it.

use std::collections::BTreeMap;

use super::Vocabulary;
use crate::envelope::{GATEWAY_TYPES, RESERVED_MEMBERS, is_reserved_type};

const MOST_NAME_BYTES: usize = 128;
/// What means something in every message, whatever the vocabulary.
const FIXED_MEMBERS: [&str; 4] = ["type", "ack", "more", "timestamp"];

/// The words of an endpoint, as they are configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VocabularySpec {
    /// The endpoint's names of the gateway's types, by the gateway's.
    pub names: BTreeMap<String, String>,
    /// The endpoint's name of `id`.
    pub id: Option<String>,
    /// The endpoint's name of `payload`.
    pub payload: Option<String>,
    /// The endpoint's name of `replyTo`; it may be that of `id`.
    pub reply_to: Option<String>,
}

/// What is wrong with a vocabulary.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` {what}: {remedy}")]
pub struct VocabularyFault {
    /// Where: `names.ping`, `envelope.id`.
    pub key: String,
    /// What.
    pub what: String,
    /// What would be right.
    pub remedy: String,
}

pub(super) fn compile(spec: &VocabularySpec) -> Result<Vocabulary, Vec<VocabularyFault>> {
    let mut faults = Vec::new();
    let types = types(&spec.names, &mut faults);
    let envelope = envelope(spec, &mut faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    let [id, payload, reply_to] = envelope;
    let native = types.is_empty() && (id, payload, reply_to) == ("id", "payload", "replyTo");
    Ok(Vocabulary { types, id: id.into(), payload: payload.into(), reply_to: reply_to.into(), native, packets: None })
}

/// The types that are called otherwise.
fn types(names: &BTreeMap<String, String>, faults: &mut Vec<VocabularyFault>) -> Vec<(Box<str>, &'static str)> {
    let mut types: Vec<(Box<str>, &'static str)> = Vec::new();
    for (inner, outer) in names {
        let mut fault = |what: String, remedy: String| {
            faults.push(VocabularyFault { key: format!("names.{inner}"), what, remedy });
        };
        let Some(inner) = GATEWAY_TYPES.iter().find(|known| *known == inner) else {
            fault("is no type of the gateway's".into(), format!("it can be one of {}", GATEWAY_TYPES.join(", ")));
            continue;
        };
        if let Some((what, remedy)) = misshapen(outer) {
            fault(what, remedy);
        } else if let Some((_, other)) = types.iter().find(|(known, _)| **known == **outer) {
            fault(
                format!("is `{outer}`, which is the name of `{other}` here, too"),
                "give each type a name of its own".into(),
            );
        } else if outer == inner {
            // It is called so anyway.
        } else if is_reserved_type(outer) {
            fault(
                format!("is `{outer}`, which already means something of the gateway's"),
                "choose a name that the gateway does not use".into(),
            );
        } else {
            types.push((outer.as_str().into(), inner));
        }
    }
    types
}

/// The names of `id`, `payload` and `replyTo`.
fn envelope<'s>(spec: &'s VocabularySpec, faults: &mut Vec<VocabularyFault>) -> [&'s str; 3] {
    let id = spec.id.as_deref().unwrap_or("id");
    let payload = spec.payload.as_deref().unwrap_or("payload");
    let reply_to = spec.reply_to.as_deref().unwrap_or("replyTo");
    for (key, outer) in [("id", &spec.id), ("payload", &spec.payload), ("reply_to", &spec.reply_to)] {
        let Some(outer) = outer.as_deref() else { continue };
        let mut fault = |what: String, remedy: String| {
            faults.push(VocabularyFault { key: format!("envelope.{key}"), what, remedy });
        };
        if let Some((what, remedy)) = misshapen(outer) {
            fault(what, remedy);
        } else if FIXED_MEMBERS.contains(&outer) || RESERVED_MEMBERS.contains(&outer) {
            fault(
                format!("is `{outer}`, a member that means something else in every message"),
                format!("choose a name other than {}, {}", FIXED_MEMBERS.join(", "), RESERVED_MEMBERS.join(", ")),
            );
        } else if key != "payload" && outer == payload {
            fault(
                format!("is `{outer}`, which is the name of the payload here"),
                "give the two names of their own".into(),
            );
        }
    }
    // Where only the payload was named, the fault is its own.
    if spec
        .payload
        .as_deref()
        .is_some_and(|payload| (payload == id && spec.id.is_none()) || (payload == reply_to && spec.reply_to.is_none()))
    {
        faults.push(VocabularyFault {
            key: "envelope.payload".into(),
            what: format!("is `{payload}`, which is the name of another member here"),
            remedy: "choose another, or rename that one too (`id`, `reply_to`)".into(),
        });
    }
    [id, payload, reply_to]
}

fn misshapen(name: &str) -> Option<(String, String)> {
    let what = if name.is_empty() {
        "is empty".into()
    } else if name.len() > MOST_NAME_BYTES {
        format!("has {} bytes", name.len())
    } else if name.chars().any(char::is_control) {
        "has a control character".into()
    } else {
        return None;
    };
    Some((what, format!("a name has 1 to {MOST_NAME_BYTES} bytes that can be printed")))
}
