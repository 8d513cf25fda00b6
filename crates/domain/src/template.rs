//! Targets with placeholders: `agent:{payload.agentId}`, parsed once, filled for every message.
//!
//! What comes from outside never changes the structure of a target. A value is put into a name, the name is not read
//! again, and a value that could be taken for more than itself (`*`, a `:` before the end, a control character) fits
//! nowhere. A template with a value that is absent or does not fit has no target.

pub(crate) mod braces;
mod source;

use std::borrow::Cow;

use crate::{
    envelope::Message,
    flaw::Flaw,
    name::{Role, Room},
    sender::Sender,
    target::{FORMS, Kind, Parts, Target},
};
use braces::Piece;
use source::Source;

/// A target with placeholders.
#[derive(Clone, Debug)]
pub struct TargetTemplate {
    text: Box<str>,
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Fixed(Target),
    Filled { kind: Kind, name: Template, role: Option<Role> },
}

impl TargetTemplate {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        let form = match Parts::of(text).map_err(|_| no_target(text))? {
            Parts::Sender => Form::Fixed(Target::Sender),
            Parts::Named { kind, name, role } => Form::new(kind, name, role)?,
        };
        Ok(Self { text: text.into(), form })
    }

    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The target for that message; none where a placeholder has no value that fits.
    pub fn target(&self, sender: &Sender<'_>, message: &Message<'_>) -> Option<Target> {
        match &self.form {
            Form::Fixed(target) => Some(target.clone()),
            Form::Filled { kind, name, role } => kind.target(&name.fill(sender, Some(message))?, role.clone()).ok(),
        }
    }

    /// The target, where it is the same for every message.
    pub fn fixed(&self) -> Option<&Target> {
        match &self.form {
            Form::Fixed(target) => Some(target),
            Form::Filled { .. } => None,
        }
    }

    /// Whether every message has a target by it.
    pub(crate) fn is_certain(&self) -> bool {
        match &self.form {
            Form::Fixed(_) => true,
            Form::Filled { kind, name, role } => {
                name.pieces.iter().all(Part::is_certain) && kind.target(&name.stand_in(), role.clone()).is_ok()
            }
        }
    }

    /// What kind of target it makes; none: the sender.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match &self.form {
            Form::Fixed(target) => target.kind(),
            Form::Filled { kind, .. } => Some(*kind),
        }
    }

    /// The role that it names, where it names one.
    pub(crate) fn role(&self) -> Option<&Role> {
        match &self.form {
            Form::Fixed(Target::Role(role)) => Some(role),
            Form::Fixed(Target::User { role, .. }) | Form::Filled { role, .. } => role.as_ref(),
            Form::Fixed(_) => None,
        }
    }
}

impl Form {
    fn new(kind: Kind, text: &str, role: Option<&str>) -> Result<Self, Flaw> {
        let role = role.map(fixed_role).transpose()?;
        let misfit = |fault: &dyn std::fmt::Display| {
            Flaw::new(format!("no target can come of this: {fault}"), "shorten or correct what stands beside the colon")
        };
        if kind != Kind::User && text.contains("?role=") {
            let what = format!("`?role=` narrows only `user:`, not `{}:`", kind.word());
            return Err(Flaw::new(what, "take it out, or send to `user:ID?role=ROLE`"));
        }
        // The path of an endpoint has braces of its own, where it has parameters.
        if kind == Kind::Endpoint {
            return Ok(Self::Fixed(kind.target(text, None).map_err(|fault| misfit(&fault))?));
        }
        let name = Template::parse(text)?;
        if text.contains('*') {
            let remedy = "name one, or take the room or the role that they all have: `room:NAME`, `role:ROLE`";
            return Err(Flaw::new(format!("`{}:` takes one name, not a pattern with `*`", kind.word()), remedy));
        }
        if name.is_literal() {
            return Ok(Self::Fixed(kind.target(text, role).map_err(|fault| misfit(&fault))?));
        }
        match kind {
            Kind::Webhook => Err(Flaw::new(
                "which webhook is told is not for a message to say",
                "write the name of one, without placeholders",
            )),
            Kind::Connection if name.pieces.len() > 1 => Err(Flaw::new(
                "text beside a placeholder makes no UUID of a connection",
                "write `connection:{...}` with nothing beside the placeholder",
            )),
            Kind::Connection => Ok(Self::Filled { kind, name, role }),
            _ => {
                kind.target(&name.stand_in(), role.clone()).map_err(|fault| misfit(&fault))?;
                Ok(Self::Filled { kind, name, role })
            }
        }
    }
}

fn no_target(text: &str) -> Flaw {
    let word = text.split(':').next().unwrap_or_default();
    let near = Flaw::nearest(word, Kind::ALL.into_iter().map(Kind::word).chain(["sender"]));
    let remedy = match near {
        Some("sender") => "did you mean `sender`, with nothing behind it?".to_owned(),
        Some(near) => format!("did you mean `{near}:` and a name?"),
        None => format!("write one of {FORMS}"),
    };
    Flaw::new(format!("`{text}` is no target"), remedy)
}

fn fixed_role(text: &str) -> Result<Role, Flaw> {
    if text.contains(['{', '}']) {
        return Err(Flaw::new(
            "the role behind `?role=` is not for a message to say",
            "write the name of a role there",
        ));
    }
    Role::parse(text)
        .map_err(|fault| Flaw::new(format!("the role behind `?role=` {fault}"), "write the name of a role there"))
}

/// A room with placeholders of the sender only: where a connection is put by itself, before it says anything.
#[derive(Clone, Debug)]
pub struct RoomTemplate {
    text: Box<str>,
    name: Template,
}

impl RoomTemplate {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        let name = Template::parse(text)?;
        if name.pieces.iter().any(Part::is_of_message) {
            let remedy = "take one of `{sender.userId}`, `{sender.agentId}`, `{sender.connectionId}`, `{sender.plan}`, \
                          `{sender.role}`, `{sender.claims.PATH}`";
            return Err(Flaw::new(format!("there is no message yet that `{text}` could be filled from"), remedy));
        }
        Room::parse(&name.stand_in())
            .map_err(|fault| Flaw::new(format!("the room `{text}` {fault}"), "write a name of 1 to 640 bytes"))?;
        Ok(Self { text: text.into(), name })
    }

    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The room of that sender; none where a placeholder has no value that fits.
    pub fn room(&self, sender: &Sender<'_>) -> Option<Room> {
        Room::parse(&self.name.fill(sender, None)?).ok()
    }
}

/// A text with placeholders.
#[derive(Clone, Debug)]
struct Template {
    pieces: Box<[Part]>,
}

#[derive(Clone, Debug)]
enum Part {
    Literal(Box<str>),
    Value(Source),
}

impl Template {
    fn parse(text: &str) -> Result<Self, Flaw> {
        let pieces = braces::pieces(text)?.into_iter().map(|piece| match piece {
            Piece::Literal(text) => Ok(Part::Literal(text.into())),
            Piece::Name(name) => Source::parse(name).map(Part::Value),
        });
        Ok(Self { pieces: pieces.collect::<Result<_, _>>()? })
    }

    fn is_literal(&self) -> bool {
        self.pieces.iter().all(|piece| matches!(piece, Part::Literal(_)))
    }

    fn fill<'a>(&'a self, sender: &Sender<'a>, message: Option<&'a Message<'_>>) -> Option<Cow<'a, str>> {
        if let [Part::Value(source)] = &*self.pieces {
            return source.value(sender, message, true);
        }
        let mut filled = String::with_capacity(64);
        let last = self.pieces.len().saturating_sub(1);
        for (index, piece) in self.pieces.iter().enumerate() {
            match piece {
                Part::Literal(text) => filled.push_str(text),
                Part::Value(source) => filled.push_str(&source.value(sender, message, index == last)?),
            }
        }
        Some(Cow::Owned(filled))
    }

    /// The shortest text that can come of it, but for a connection's id, which always has its length.
    fn stand_in(&self) -> String {
        let pieces = self.pieces.iter().map(|piece| match piece {
            Part::Literal(text) => text,
            Part::Value(Source::Connection) => "00000000-0000-0000-0000-000000000000",
            Part::Value(_) => "0",
        });
        pieces.collect()
    }
}

impl Part {
    fn is_certain(&self) -> bool {
        // Nothing else is always there and always fits: even a user's id may have a `*`.
        matches!(self, Self::Literal(_) | Self::Value(Source::Connection))
    }

    fn is_of_message(&self) -> bool {
        matches!(self, Self::Value(source) if source.is_of_message())
    }
}

#[cfg(test)]
mod tests;
