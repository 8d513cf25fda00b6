//! What nodes publish for each other: one line of fields with a tab between them, and then the texts as they are.
//!
//! The law: the first field has the version and the kind. What begins with another version is not understood; a kind that
//! this release does not know, neither. Both are left alone and counted, so that two releases can run side by side.
//!
//! ```text
//! 1P <node> <ticket> <bytes of the head> <n> <n channels> {<room> <epoch> <offset>}...\n<head><text>
//! 1T <node>\n<letter>                       a letter
//! 1W <node> <book> <0|1> <until or nothing> <bytes of the key>\n<key><value>
//! 1N <node>\n                               that node is lost
//! 1D\n<connection>                          that connection's agent is elsewhere
//! 1B\n<number>                              a probe, to oneself
//! ```

use std::fmt::Write as _;

use gateway_domain::{
    Room, Timestamp,
    history::{Epoch, Position},
    link::{Book, Channel, NodeId, Ticket},
};

use super::keys;

/// What was published.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told<'a> {
    Post {
        node: &'a str,
        ticket: Ticket,
        /// Which channels, by the last part of their names.
        channels: Vec<&'a str>,
        places: Vec<(Room, Position)>,
        head: &'a str,
        text: &'a str,
    },
    Letter {
        node: &'a str,
        letter: &'a str,
    },
    Written {
        node: &'a str,
        book: Book,
        key: &'a str,
        value: Option<&'a str>,
        until: Option<Timestamp>,
    },
    Lost {
        node: &'a str,
    },
    Displaced {
        connection: &'a str,
    },
    Probe(u64),
}

/// Why something was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strange {
    /// It is of another release.
    Unknown,
    /// It is not as it should be.
    Broken,
}

/// How a post begins; the script puts the places, the head and the text behind it.
pub(crate) fn post_begins(node: &NodeId, ticket: Ticket, head: &str, channels: &[Channel]) -> String {
    let mut line = format!("{}P\t{node}\t{}\t{}\t{}", keys::VERSION, ticket.0, head.len(), channels.len());
    for channel in channels {
        let _ = write!(line, "\t{}", keys::tag(channel));
    }
    line
}

/// A letter.
pub(crate) fn letter(node: &NodeId, letter: &str) -> String {
    format!("{}T\t{node}\n{letter}", keys::VERSION)
}

/// A value that was written, or taken out.
pub(crate) fn written(node: &NodeId, book: Book, key: &str, value: Option<&str>, until: Option<Timestamp>) -> String {
    let name = match book {
        Book::Bans => "bans",
        Book::Revocations => "revocations",
        Book::Families => "families",
        Book::Once => "once",
        Book::Gone => "gone",
    };
    let (is_there, text) = (u8::from(value.is_some()), value.unwrap_or_default());
    let until = until.map(|until| until.millis().to_string()).unwrap_or_default();
    format!("{}W\t{node}\t{name}\t{is_there}\t{until}\t{}\n{key}{text}", keys::VERSION, key.len())
}

/// That a node is lost.
pub(crate) fn lost(node: &NodeId) -> String {
    format!("{}N\t{node}\n", keys::VERSION)
}

/// How it begins that a connection is displaced; the connection follows.
pub(crate) fn displaced_begins() -> String {
    format!("{}D\n", keys::VERSION)
}

/// A probe.
pub(crate) fn probe(number: u64) -> String {
    format!("{}B\n{number}", keys::VERSION)
}

/// Reads what was published.
pub(crate) fn read(told: &str) -> Result<Told<'_>, Strange> {
    let (line, body) = told.split_once('\n').ok_or(Strange::Unknown)?;
    let mut fields = line.split('\t');
    let kind = fields.next().unwrap_or_default();
    // The version is this one's: a constant, so that no text is made to compare with.
    const { assert!(keys::VERSION == 1) };
    match kind {
        "1P" => post(fields, body).ok_or(Strange::Broken),
        "1T" => Ok(Told::Letter { node: fields.next().ok_or(Strange::Broken)?, letter: body }),
        "1W" => written_fields(fields, body).ok_or(Strange::Broken),
        "1N" => Ok(Told::Lost { node: fields.next().ok_or(Strange::Broken)? }),
        "1D" => Ok(Told::Displaced { connection: body }),
        "1B" => body.parse().map(Told::Probe).map_err(|_| Strange::Broken),
        _ => Err(Strange::Unknown),
    }
}

fn post<'a>(mut fields: impl Iterator<Item = &'a str>, body: &'a str) -> Option<Told<'a>> {
    let node = fields.next()?;
    let ticket = Ticket(fields.next()?.parse().ok()?);
    let head_bytes: usize = fields.next()?.parse().ok()?;
    let count: usize = fields.next()?.parse().ok()?;
    let mut channels = Vec::with_capacity(count.min(16));
    for _ in 0..count {
        channels.push(fields.next()?);
    }
    let mut places = Vec::new();
    while let Some(room) = fields.next() {
        let epoch = Epoch::parse(fields.next()?).ok()?;
        let offset = fields.next()?.parse().ok()?;
        places.push((Room::parse(room).ok()?, Position { epoch, offset }));
    }
    let (head, text) = body.split_at_checked(head_bytes)?;
    Some(Told::Post { node, ticket, channels, places, head, text })
}

fn written_fields<'a>(mut fields: impl Iterator<Item = &'a str>, body: &'a str) -> Option<Told<'a>> {
    let node = fields.next()?;
    let book = match fields.next()? {
        "bans" => Book::Bans,
        "revocations" => Book::Revocations,
        _ => return None,
    };
    let is_there = fields.next()? == "1";
    let until = fields.next()?.parse().ok().map(Timestamp::from_millis);
    let key_bytes: usize = fields.next()?.parse().ok()?;
    let (key, value) = body.split_at_checked(key_bytes)?;
    Some(Told::Written { node, book, key, value: is_there.then_some(value), until })
}

#[cfg(test)]
mod tests {
    use gateway_domain::name::NodeName;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let node = NodeId::new(&NodeName::parse("a\u{e9}").unwrap(), Uuid::nil());
        let channels = [Channel::Room(Room::parse("x}y").unwrap()), Channel::Every];
        let head = "{\"h\":\"\u{fc}\n\"}";
        let told = format!("{}\tx}}y\te-1\t7\n{head}text\n\t", post_begins(&node, Ticket(9), head, &channels));
        let position = Position { epoch: Epoch::parse("e-1").unwrap(), offset: 7 };
        let post = Told::Post {
            node: node.as_str(),
            ticket: Ticket(9),
            channels: vec!["{room:x}y}", "{every}"],
            places: vec![(Room::parse("x}y").unwrap(), position)],
            head,
            text: "text\n\t",
        };
        assert_eq!(read(&told), Ok(post));
        let told = letter(&node, "a\nb");
        assert_eq!(read(&told), Ok(Told::Letter { node: node.as_str(), letter: "a\nb" }));
        for (value, until) in [(None, None), (Some(""), None), (Some("v\u{fc}"), Some(Timestamp::from_millis(7)))] {
            let told = written(&node, Book::Bans, "k\n\u{fc}", value, until);
            let expected = Told::Written { node: node.as_str(), book: Book::Bans, key: "k\n\u{fc}", value, until };
            assert_eq!(read(&told), Ok(expected));
        }
        assert_eq!(read(&lost(&node)), Ok(Told::Lost { node: node.as_str() }));
        let told = displaced_begins() + "c";
        assert_eq!(read(&told), Ok(Told::Displaced { connection: "c" }));
        assert_eq!(read(&probe(u64::MAX)), Ok(Told::Probe(u64::MAX)));
    }

    #[test]
    fn what_is_strange_is_told_apart_from_what_is_broken() {
        for unknown in ["", "1P", "2P\ta#b\t1\t0\t0\n", "1Z\n", "\n"] {
            assert_eq!(read(unknown), Err(Strange::Unknown), "{unknown:?}");
        }
        for broken in [
            "1P\ta\t1\t9\t0\nx",
            "1P\ta\tx\t0\t0\n",
            "1P\ta\t1\t0\t2\t{every}\n",
            "1W\ta\tother\t1\t\t0\n",
            "1B\nx",
            "1P\ta\t1\t1\t0\n\u{fc}",
            "1P\ta\t1\t0\t0\troom\tepoch\n",
        ] {
            assert_eq!(read(broken), Err(Strange::Broken), "{broken:?}");
        }
    }
}
