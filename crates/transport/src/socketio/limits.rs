//! How large one packet may be, in every direction in which it could grow.

/// The bounds of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketLimits {
    /// The bytes of its text and of all its attachments together.
    pub bytes: usize,
    /// The attachments that it may announce.
    pub attachments: usize,
    /// How deep lists and objects may be in each other; the list around the arguments is the first.
    pub depth: usize,
    /// What belongs to a name, or to an acknowledgement.
    pub arguments: usize,
    /// The bytes of a namespace, its query counted.
    pub namespace: usize,
    /// The bytes of an event's name.
    pub name: usize,
    /// The digits of an acknowledgement's number. Sixteen hold every whole number that JavaScript counts exactly.
    pub ack_digits: usize,
}

impl Default for PacketLimits {
    fn default() -> Self {
        Self { bytes: 1 << 20, attachments: 10, depth: 64, arguments: 16, namespace: 256, name: 256, ack_digits: 16 }
    }
}
