//! The part of a packet before its JSON: `KIND[ATTACHMENTS-][NAMESPACE,][ACK]`, read once from left to right.

use super::{Fault, PacketLimits};

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Connect,
    Disconnect,
    Event,
    Ack,
    ConnectError,
    BinaryEvent,
    BinaryAck,
}

/// The head of a packet, and the text behind it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub(super) kind: Kind,
    /// 0 where the kind has none.
    pub(super) attachments: usize,
    pub(super) namespace: &'a str,
    pub(super) ack: Option<u64>,
    pub(super) rest: &'a str,
}

impl<'a> Head<'a> {
    pub(super) fn parse(text: &'a str, limits: &PacketLimits) -> Result<Self, Fault> {
        if text.len() > limits.bytes {
            return Err(Fault::TooLong(limits.bytes));
        }
        let mut chars = text.chars();
        let kind = match chars.next().ok_or(Fault::Empty)? {
            '0' => Kind::Connect,
            '1' => Kind::Disconnect,
            '2' => Kind::Event,
            '3' => Kind::Ack,
            '4' => Kind::ConnectError,
            '5' => Kind::BinaryEvent,
            '6' => Kind::BinaryAck,
            _ => return Err(Fault::UnknownKind),
        };
        let rest = chars.as_str();
        let (attachments, rest) = match kind {
            Kind::BinaryEvent | Kind::BinaryAck => announced(rest, limits)?,
            _ => (0, rest),
        };
        let (namespace, rest) = namespace(rest, limits)?;
        let (ack, rest) = ack(rest, limits)?;
        Ok(Self { kind, attachments, namespace, ack, rest })
    }
}

fn announced<'a>(text: &'a str, limits: &PacketLimits) -> Result<(usize, &'a str), Fault> {
    let (digits, rest) = digits(text);
    let rest = rest.strip_prefix('-').filter(|_| !digits.is_empty()).ok_or(Fault::Attachments)?;
    // A number too large for its type is too large for the limit.
    match digits.parse().unwrap_or(usize::MAX) {
        0 => Err(Fault::NoAttachments),
        count if count > limits.attachments => Err(Fault::TooManyAttachments(limits.attachments)),
        count => Ok((count, rest)),
    }
}

/// A namespace begins with a slash and ends at a comma, or with the packet. There is no way to write a comma in one.
fn namespace<'a>(text: &'a str, limits: &PacketLimits) -> Result<(&'a str, &'a str), Fault> {
    if !text.starts_with('/') {
        return Ok(("/", text));
    }
    let (name, rest) = text.split_once(',').unwrap_or((text, ""));
    if name.len() > limits.namespace || name.chars().any(char::is_control) {
        return Err(Fault::Namespace(limits.namespace));
    }
    Ok((name, rest))
}

fn ack<'a>(text: &'a str, limits: &PacketLimits) -> Result<(Option<u64>, &'a str), Fault> {
    let (digits, rest) = digits(text);
    if digits.is_empty() {
        return Ok((None, rest));
    }
    let fault = Fault::AckId(limits.ack_digits);
    let number = Some(digits).filter(|digits| digits.len() <= limits.ack_digits).and_then(|digits| digits.parse().ok());
    Ok((Some(number.ok_or(fault)?), rest))
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}
