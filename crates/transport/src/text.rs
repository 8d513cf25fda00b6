//! A text on its way out: made once, shared by everybody who is told.

use std::fmt;

use bytes::Bytes;

/// UTF-8 by construction; a clone shares the bytes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Text(Bytes);

impl Text {
    /// Its length in bytes.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing in it.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text. It is checked anew, so this is for the rare look inside.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<Text> for Bytes {
    fn from(text: Text) -> Self {
        text.0
    }
}

#[cfg(feature = "net")]
impl From<crate::Utf8Bytes> for Text {
    fn from(text: crate::Utf8Bytes) -> Self {
        Self(text.into())
    }
}

// What is said to a client is nobody else's business.
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_shared_and_never_shown() {
        let text = Text::from("grüße".to_owned());
        let other = text.clone();
        assert_eq!((text.len(), text.as_str(), text.is_empty()), (7, "grüße", false));
        assert_eq!(Bytes::from(text).as_ptr(), Bytes::from(other.clone()).as_ptr());
        assert_eq!(format!("{other:?}"), "Text(7 bytes)");
        assert_eq!(Text::from("x").as_str(), "x");
    }
}
