//! A JSON object as it is written: into one text, names and texts escaped where they must be, values as they are.

use uuid::Uuid;

/// An object that is not closed yet. Whoever writes gives each name once.
pub(crate) struct Object(String);

impl Object {
    /// Begins an object of about that many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        let mut text = String::with_capacity(bytes);
        text.push('{');
        Self(text)
    }

    /// A member of a client's own, whose value is JSON already.
    pub(crate) fn member(&mut self, name: &str, value: &str) {
        self.separate();
        self.quoted(name);
        self.0.push(':');
        self.0.push_str(value);
    }

    /// A member of the gateway's, whose value is JSON already.
    pub(crate) fn json(&mut self, name: &'static str, value: &str) {
        self.name(name);
        self.0.push_str(value);
    }

    /// A member of the gateway's, whose value is a text.
    pub(crate) fn text(&mut self, name: &'static str, value: &str) {
        self.name(name);
        self.quoted(value);
    }

    /// A member of the gateway's, whose value is a UUID.
    pub(crate) fn uuid(&mut self, name: &'static str, value: Uuid) {
        self.name(name);
        self.0.push('"');
        self.0.push_str(value.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
        self.0.push('"');
    }

    /// The text of the object, closed.
    pub(crate) fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }

    /// A name that stands in the program: nothing in it has to be escaped.
    fn name(&mut self, name: &'static str) {
        self.separate();
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
    }

    fn separate(&mut self) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
    }

    fn quoted(&mut self, text: &str) {
        self.0.push('"');
        // Looked through to the end, without a branch for each byte: as a rule nothing is found.
        if text.bytes().fold(false, |found, byte| found | must_be_escaped(byte)) {
            text.chars().for_each(|char| self.escaped(char));
        } else {
            self.0.push_str(text);
        }
        self.0.push('"');
    }

    fn escaped(&mut self, char: char) {
        match char {
            '"' => self.0.push_str("\\\""),
            '\\' => self.0.push_str("\\\\"),
            '\n' => self.0.push_str("\\n"),
            control @ '\0'..='\x1f' => self.0.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => self.0.push(other),
        }
    }
}

fn must_be_escaped(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..=0x1f)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_object_has_commas_between_its_members_only() {
        assert_eq!(Object::with_capacity(0).finish(), "{}");
        let mut object = Object::with_capacity(64);
        object.text("a", "x");
        object.json("b", "[1]");
        object.uuid("c", Uuid::from_u128(1));
        assert_eq!(object.finish(), r#"{"a":"x","b":[1],"c":"00000000-0000-0000-0000-000000000001"}"#);
    }

    proptest! {
        #[test]
        fn whatever_text_it_is_it_is_read_back(name in any::<String>(), value in any::<String>()) {
            let (mut named, mut said) = (Object::with_capacity(0), Object::with_capacity(0));
            named.member(&name, "[1]");
            said.text("t", &value);
            let read = |object: Object| serde_json::from_str::<serde_json::Value>(&object.finish()).unwrap();
            prop_assert_eq!(read(named), serde_json::json!({name: [1]}));
            prop_assert_eq!(read(said), serde_json::json!({"t": value}));
        }

        #[test]
        fn every_control_character_is_escaped(text in "[\\x00-\\x1f\"\\\\a]{0,40}") {
            let mut object = Object::with_capacity(0);
            object.text("t", &text);
            let read: serde_json::Value = serde_json::from_str(&object.finish()).unwrap();
            prop_assert_eq!(read, serde_json::json!({"t": text}));
        }
    }
}
