//! Patterns of room names: `agent:{id}`.
//!
//! A `{name}` stands for one character or more, none of them a `:` unless it ends the pattern. Where the text behind it
//! comes several times, it ends at the first from which the rest still matches: one room, one reading.

use crate::{
    flaw::Flaw,
    template::braces::{self, Piece},
};

const MOST_BYTES: usize = 640;
/// Stands for a value in a room that another pattern is tried on: no room has it.
const STAND_IN: char = '\u{1}';

/// A pattern.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    text: Box<str>,
    parts: Box<[Part]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    Name(Box<str>),
}

/// What the names of a pattern stand for in a room.
pub(super) type Captures<'p, 'r> = Vec<(&'p str, &'r str)>;

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, Flaw> {
        let shape = "write the name of a room, with names in braces for what differs: `agent:{id}`";
        if text.is_empty() {
            return Err(Flaw::new("the pattern is empty", shape));
        }
        if text.len() > MOST_BYTES {
            return Err(Flaw::new(format!("the pattern is longer than {MOST_BYTES} bytes"), shape));
        }
        if text.chars().any(char::is_control) {
            return Err(Flaw::new("the pattern has a control character", shape));
        }
        if text.contains('*') {
            return Err(Flaw::new(format!("`*` in `{text}` would stand for itself only"), shape));
        }
        let parts: Vec<_> = parts(text)?;
        for (index, part) in parts.iter().enumerate() {
            let Part::Name(name) = part else { continue };
            let mut before = parts.iter().take(index);
            if before.clone().any(|other| other == part) {
                let what = format!("`{{{name}}}` comes twice in `{text}`");
                return Err(Flaw::new(what, "give each place a name of its own"));
            }
            if before.next_back().is_some_and(|part| matches!(part, Part::Name(_))) {
                let what = format!("in `{text}` nothing parts `{{{name}}}` from the name before it");
                return Err(Flaw::new(what, "put a `:` or another text between them"));
            }
        }
        Ok(Self { text: text.into(), parts: parts.into() })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Name(name) => Some(&**name),
            Part::Literal(_) => None,
        })
    }

    /// What its names stand for in that room; none where it does not match. It costs no more than reading the room.
    pub(super) fn matches<'p, 'r>(&'p self, room: &'r str) -> Option<Captures<'p, 'r>> {
        let mut captures = Vec::new();
        let mut parts = self.parts.iter();
        let mut rest = room;
        // What the pattern ends with is taken off first, so that from the front the nearest place is the right one.
        if let Some(Part::Literal(end)) = self.parts.last()
            && self.parts.len() > 1
        {
            rest = rest.strip_suffix(&**end)?;
            parts.next_back();
        }
        while let Some(part) = parts.next() {
            match part {
                Part::Literal(text) => rest = rest.strip_prefix(&**text)?,
                Part::Name(name) => {
                    let (value, behind) = match parts.next() {
                        Some(Part::Literal(text)) => nearest(rest, text)?,
                        // Two names never follow each other, so this is the end.
                        _ => (rest, ""),
                    };
                    let ends_pattern = parts.as_slice().is_empty()
                        && matches!(self.parts.last(), Some(Part::Name(last)) if last == name);
                    if value.is_empty() || (value.contains(':') && !ends_pattern) {
                        return None;
                    }
                    captures.push((&**name, value));
                    rest = behind;
                }
            }
        }
        rest.is_empty().then_some(captures)
    }

    /// Whether it matches every room that the other matches.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let room: String = other
            .parts
            .iter()
            .map(|part| match part {
                Part::Literal(text) => text.to_string(),
                Part::Name(_) => STAND_IN.to_string(),
            })
            .collect();
        self.matches(&room).is_some()
    }
}

/// One character or more before that text, and what comes behind it.
fn nearest<'r>(rest: &'r str, text: &str) -> Option<(&'r str, &'r str)> {
    let first = rest.chars().next()?.len_utf8();
    let at = first + rest.get(first..)?.find(text)?;
    Some((rest.get(..at)?, rest.get(at + text.len()..)?))
}

fn parts(text: &str) -> Result<Vec<Part>, Flaw> {
    let pieces = braces::pieces(text)?.into_iter().map(|piece| match piece {
        Piece::Literal(text) => Part::Literal(text.into()),
        Piece::Name(name) => Part::Name(name.into()),
    });
    Ok(pieces.collect())
}

/// A user's or an agent's id, with names of the pattern in it.
#[derive(Clone, Debug)]
pub(super) struct Wanted(Box<[Part]>);

impl Wanted {
    pub(super) fn parse(text: &str, pattern: Option<&Pattern>) -> Result<Self, Flaw> {
        if text.is_empty() {
            return Err(Flaw::new(
                "the id is empty, so nobody has it",
                "write an id, or a name of the pattern: `{id}`",
            ));
        }
        let parts = parts(text)?;
        if let Some(pattern) = pattern {
            for part in &parts {
                let Part::Name(name) = part else { continue };
                if !pattern.names().any(|known| known == &**name) {
                    let mut flaw = Flaw::unknown("name in this pattern that is called", name, pattern.names());
                    if pattern.names().next().is_none() {
                        flaw.remedy = format!("put `{{{name}}}` into `match`, or write an id here");
                    }
                    return Err(flaw);
                }
            }
        }
        Ok(Self(parts.into()))
    }

    /// Whether that id is the one that is wanted in a room with those values.
    pub(super) fn is(&self, id: &str, captures: &Captures<'_, '_>) -> bool {
        let rest = self.0.iter().try_fold(id, |rest, part| match part {
            Part::Literal(text) => rest.strip_prefix(&**text),
            Part::Name(name) => rest.strip_prefix(captures.iter().find(|(known, _)| *known == &**name)?.1),
        });
        rest == Some("")
    }
}
