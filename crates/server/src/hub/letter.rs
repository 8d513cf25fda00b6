//! One text for many readers: encoded once in the gateway's own language, and at most once more for each other
//! vocabulary among those who read it.

use std::sync::Arc;

use gateway_domain::vocabulary::Vocabulary;
use gateway_transport::Text;

/// A text on its way to its readers.
#[derive(Debug)]
pub struct Letter {
    native: Text,
    is_reply: bool,
    written: Vec<(Arc<Vocabulary>, Option<Text>)>,
}

impl Letter {
    /// A letter in the gateway's own language.
    pub fn new(native: impl Into<Text>) -> Self {
        Self { native: native.into(), is_reply: false, written: Vec::new() }
    }

    /// A reply, which may keep a type of its own wherever it is read.
    pub fn reply(native: impl Into<Text>) -> Self {
        Self { is_reply: true, ..Self::new(native) }
    }

    /// The letter as those read it who speak like that; nothing where it is withheld from them.
    pub fn in_words_of(&mut self, vocabulary: &Arc<Vocabulary>) -> Option<Text> {
        if vocabulary.is_native() {
            return Some(self.native.clone());
        }
        if let Some((_, text)) = self.written.iter().find(|(known, _)| Arc::ptr_eq(known, vocabulary)) {
            return text.clone();
        }
        let native = self.native.as_str();
        let text = if self.is_reply { vocabulary.write_reply(native) } else { vocabulary.write(native) };
        let text = text.map(Text::from);
        self.written.push((Arc::clone(vocabulary), text.clone()));
        text
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.native.len()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.native.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_domain::vocabulary::VocabularySpec;

    #[test]
    fn each_vocabulary_is_written_once() {
        let names = [("ping".to_owned(), "PING".to_owned())].into();
        let loud = Arc::new(Vocabulary::compile(&VocabularySpec { names, ..Default::default() }).unwrap());
        let native = Arc::new(Vocabulary::native());
        let mut letter = Letter::new(r#"{"type":"ping"}"#);
        assert_eq!(letter.in_words_of(&native).unwrap().as_str(), r#"{"type":"ping"}"#);
        let one = letter.in_words_of(&loud).unwrap();
        let other = letter.in_words_of(&loud).unwrap();
        assert_eq!(one.as_str(), r#"{"type":"PING"}"#);
        let place = |text: Text| bytes::Bytes::from(text).as_ptr();
        assert_eq!(place(one), place(other), "the same bytes go to all of them");
        assert_eq!((letter.len(), letter.is_empty()), (15, false));
    }

    #[test]
    fn a_type_that_means_something_of_the_gateways_there_is_withheld_unless_it_is_a_reply() {
        let names = [("reply".to_owned(), "DONE".to_owned())].into();
        let vocabulary = Arc::new(Vocabulary::compile(&VocabularySpec { names, ..Default::default() }).unwrap());
        let text = r#"{"type":"DONE","from":{}}"#;
        assert!(Letter::new(text).in_words_of(&vocabulary).is_none());
        assert!(Letter::reply(text).in_words_of(&vocabulary).is_some());
    }
}
