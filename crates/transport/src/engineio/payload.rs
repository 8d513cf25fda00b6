//! Several packets in one body, as long polling carries them. The body is judged whole (its bytes, its text, the
//! number of its packets) before the first packet is read; each packet is read when it is asked for.

use super::{Fault, Packet};

/// Stands between two packets.
const SEPARATOR: char = '\u{1e}';

/// How large one body may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadLimits {
    /// Its bytes, base64 as it is written.
    pub bytes: usize,
    /// Its packets.
    pub packets: usize,
}

impl Default for PayloadLimits {
    fn default() -> Self {
        Self { bytes: 1 << 20, packets: 64 }
    }
}

/// A body that came in, within its limits.
#[derive(Clone, Copy)]
pub struct Payload<'a>(&'a str);

impl<'a> Payload<'a> {
    /// Judges a body. It has at least one packet, if only an empty one, which is then a fault of its own.
    pub fn parse(body: &'a [u8], limits: PayloadLimits) -> Result<Self, Fault> {
        if body.len() > limits.bytes {
            return Err(Fault::TooLong(limits.bytes));
        }
        let text = std::str::from_utf8(body).map_err(|_| Fault::Utf8)?;
        if text.is_empty() {
            return Err(Fault::Empty);
        }
        if text.split(SEPARATOR).nth(limits.packets).is_some() {
            return Err(Fault::TooMany(limits.packets));
        }
        Ok(Self(text))
    }

    /// The packets in their order.
    pub fn packets(self) -> Packets<'a> {
        Packets(self.0.split(SEPARATOR))
    }
}

/// The packets of a payload. After a fault, the rest should not be read: the session is to end.
#[derive(Clone)]
pub struct Packets<'a>(std::str::Split<'a, char>);

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(Packet::parse_polled)
    }
}

/// A body under way to a client, within its limits. A packet that is too large for any body goes alone.
pub struct PayloadWriter {
    text: String,
    packets: usize,
    limits: PayloadLimits,
}

impl PayloadWriter {
    /// Nothing yet.
    pub fn new(limits: PayloadLimits) -> Self {
        Self { text: String::new(), packets: 0, limits }
    }

    /// Whether there is nothing in it yet.
    pub fn is_empty(&self) -> bool {
        self.packets == 0
    }

    /// Whether a packet of so many bytes may still come in.
    pub fn has_room_for(&self, bytes: usize) -> bool {
        let with_it = self.text.len().saturating_add(SEPARATOR.len_utf8()).saturating_add(bytes);
        self.is_empty() || (self.packets < self.limits.packets && with_it <= self.limits.bytes)
    }

    /// Adds a packet.
    pub fn push(&mut self, packet: &Packet<'_>) {
        self.separate();
        packet.write(&mut self.text);
    }

    /// Adds a packet that is written already, as a shared text is.
    pub fn push_text(&mut self, packet: &str) {
        self.separate();
        self.text.push_str(packet);
    }

    /// The body.
    pub fn into_text(self) -> String {
        self.text
    }

    fn separate(&mut self) {
        if !self.is_empty() {
            self.text.push(SEPARATOR);
        }
        self.packets += 1;
    }
}
