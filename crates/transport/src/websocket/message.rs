//! A message under way: its bytes as they come in, its text checked as far as it has come.

use bytes::Bytes;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::{Inbound, SocketFault};

/// A message of which the last byte has not come.
pub(super) struct Message {
    is_text: bool,
    bytes: Vec<u8>,
    /// So many of the bytes are known to be whole characters.
    valid: usize,
    /// What its frames took on the wire, heads included.
    pub(super) spent: usize,
}

impl Message {
    pub(super) fn new(is_text: bool) -> Self {
        Self { is_text, bytes: Vec::new(), valid: 0, spent: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes a masked piece. Memory grows with what has come, never with what was declared.
    pub(super) fn extend(&mut self, masked: &[u8], mask: &mut [u8; 4]) -> Result<(), SocketFault> {
        unmask_into(&mut self.bytes, masked, mask);
        if self.is_text {
            let unchecked = self.bytes.get(self.valid..).unwrap_or_default();
            self.valid += match std::str::from_utf8(unchecked) {
                Ok(text) => text.len(),
                // A character may go on in the next piece.
                Err(cut) if cut.error_len().is_none() => cut.valid_up_to(),
                Err(_) => return Err(SocketFault::InvalidUtf8),
            };
        }
        Ok(())
    }

    pub(super) fn complete(self) -> Result<Inbound, SocketFault> {
        complete(self.is_text, self.bytes)
    }
}

/// A message that came in one piece, as most do.
pub(super) fn whole(is_text: bool, masked: &[u8], mask: &mut [u8; 4]) -> Result<Inbound, SocketFault> {
    let mut bytes = Vec::with_capacity(masked.len());
    unmask_into(&mut bytes, masked, mask);
    complete(is_text, bytes)
}

fn complete(is_text: bool, bytes: Vec<u8>) -> Result<Inbound, SocketFault> {
    let bytes = Bytes::from(bytes);
    if is_text {
        Utf8Bytes::try_from(bytes).map(Inbound::Text).map_err(|_| SocketFault::InvalidUtf8)
    } else {
        Ok(Inbound::Binary(bytes))
    }
}

/// Appends what a masked piece says, and turns the mask to where the next piece begins.
pub(super) fn unmask_into(bytes: &mut Vec<u8>, masked: &[u8], mask: &mut [u8; 4]) {
    let start = bytes.len();
    bytes.extend_from_slice(masked);
    let [a, b, c, d] = *mask;
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.get_mut(start..).unwrap_or_default().as_chunks_mut::<8>();
    for chunk in words {
        *chunk = (u64::from_ne_bytes(*chunk) ^ word).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
    mask.rotate_left(masked.len() % 4);
}
