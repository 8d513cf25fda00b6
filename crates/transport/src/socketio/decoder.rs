//! The messages of one client, in their order, to whole packets. While one waits for its attachments, only bytes may
//! come; what is kept grows with what has come, never with what was announced.

use bytes::Bytes;

use super::{Fault, Packet, PacketLimits};

/// Reads one client. After a fault, nothing more should be read of that client.
#[derive(Debug)]
pub struct Decoder {
    limits: PacketLimits,
    waiting: Option<Waiting>,
}

/// A packet whose attachments have not all come.
#[derive(Debug)]
struct Waiting {
    packet: Packet<'static>,
    missing: usize,
    /// What may still come.
    bytes: usize,
}

impl Decoder {
    /// Nothing has come yet.
    pub fn new(limits: PacketLimits) -> Self {
        Self { limits, waiting: None }
    }

    /// Takes the text of a message: a packet, or nothing where attachments are still to come. Text while a packet is
    /// under way is a fault.
    pub fn text<'a>(&mut self, text: &'a str) -> Result<Option<Packet<'a>>, Fault> {
        if self.waiting.take().is_some() {
            return Err(Fault::Interrupted);
        }
        let (packet, missing) = Packet::parse(text, &self.limits)?;
        if missing == 0 {
            return Ok(Some(packet));
        }
        let bytes = self.limits.bytes.saturating_sub(text.len());
        self.waiting = Some(Waiting { packet: packet.into_owned(), missing, bytes });
        Ok(None)
    }

    /// Takes the bytes of a message: a packet, if they were its last attachment.
    pub fn binary(&mut self, bytes: Bytes) -> Result<Option<Packet<'static>>, Fault> {
        let mut waiting = self.waiting.take().ok_or(Fault::Unannounced)?;
        waiting.bytes = waiting.bytes.checked_sub(bytes.len()).ok_or(Fault::TooLong(self.limits.bytes))?;
        waiting.missing = waiting.missing.saturating_sub(1);
        waiting.packet.attach(bytes);
        if waiting.missing == 0 {
            return Ok(Some(waiting.packet));
        }
        self.waiting = Some(waiting);
        Ok(None)
    }

    /// Whether a packet waits for attachments.
    pub fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }
}
