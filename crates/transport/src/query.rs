//! The query of a request, parsed once: decoded once, bounded, and a parameter that comes twice is never guessed at.

use std::fmt;

use gateway_domain::{Code, Refusal};

const MOST_PARAMETERS: usize = 32;
const MOST_BYTES: usize = 16 * 1024;

/// The parameters behind the `?`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(Box<str>, Box<str>)>);

impl Query {
    /// Parses what stands behind the `?`: pairs with `&` between, `%xx` and `+` decoded.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        if text.len() > MOST_BYTES {
            return Err(invalid("the query is longer than 16 KiB"));
        }
        let mut pairs = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            if pairs.len() == MOST_PARAMETERS {
                return Err(invalid("the query has more than 32 parameters"));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((decoded(name)?, decoded(value)?));
        }
        Ok(Self(pairs))
    }

    /// The query of a URI, where it has one.
    pub fn of(uri: &http::Uri) -> Result<Self, Refusal> {
        Self::parse(uri.query().unwrap_or_default())
    }

    /// The value of a parameter; one that comes twice is refused.
    pub fn get(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut values = self.0.iter().filter(|(own, _)| **own == *name).map(|(_, value)| &**value);
        let first = values.next();
        match values.next() {
            // The name is the asker's own word, not the client's.
            Some(_) => Err(Refusal::new(Code::InvalidRequest, format!("the query parameter `{name}` is repeated"))),
            None => Ok(first),
        }
    }
}

impl fmt::Debug for Query {
    // A value may be a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

fn invalid(message: &'static str) -> Refusal {
    Refusal::new(Code::InvalidRequest, message)
}

fn decoded(text: &str) -> Result<Box<str>, Refusal> {
    // As a rule there is nothing to decode: a token has none of these.
    if !text.bytes().fold(false, |found, byte| found | matches!(byte, b'+' | b'%')) {
        return Ok(text.into());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (high, low) = (rest.next().and_then(nibble), rest.next().and_then(nibble));
                high.zip(low)
                    .map(|(high, low)| high << 4 | low)
                    .ok_or_else(|| invalid("the query has a bad % escape"))?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map(Into::into).map_err(|_| invalid("the query is not UTF-8"))
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(text: &str) -> Refusal {
        Query::parse(text).unwrap_err()
    }

    #[test]
    fn a_parameter_is_decoded_exactly_once() {
        let query = Query::parse("a=1&&b=%2541+%c3%A9&c&d=x=y").unwrap();
        assert_eq!(query.get("a").unwrap(), Some("1"));
        assert_eq!(query.get("b").unwrap(), Some("%41 é"));
        assert_eq!(query.get("c").unwrap(), Some(""));
        assert_eq!(query.get("d").unwrap(), Some("x=y"));
        assert_eq!(query.get("e").unwrap(), None);
        let uri: http::Uri = "/ws?token=abc".parse().unwrap();
        assert_eq!(Query::of(&uri).unwrap().get("token").unwrap(), Some("abc"));
        assert_eq!(Query::of(&"/ws".parse().unwrap()).unwrap(), Query::default());
    }

    #[test]
    fn a_repeated_parameter_is_refused_when_it_is_asked_for() {
        let query = Query::parse("token=a&%74oken=b&c=1").unwrap();
        let refusal = query.get("token").unwrap_err();
        assert_eq!((refusal.code, refusal.message.contains("`token`")), (Code::InvalidRequest, true));
        assert_eq!(query.get("c").unwrap(), Some("1"));
    }

    #[test]
    fn what_cannot_be_decoded_or_is_too_much_is_refused() {
        for text in ["a=%", "a=%4", "a=%zz", "%+1=a", "a=%ff", "%c3"] {
            assert_eq!(refused(text).code, Code::InvalidRequest, "{text}");
        }
        assert!(Query::parse(&"a=1&".repeat(32)).is_ok());
        assert!(refused(&"a=1&".repeat(33)).message.contains("32"));
        assert!(refused(&"a".repeat(16 * 1024 + 1)).message.contains("16 KiB"));
    }

    #[test]
    fn a_value_is_never_printed() {
        let query = Query::parse("token=secret").unwrap();
        assert_eq!(format!("{query:?}"), "[\"token\"]");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}") {
            let _ = Query::parse(&text);
        }

        #[test]
        fn what_was_encoded_comes_back(value in ".{0,50}") {
            let encoded: String = value.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let query = Query::parse(&format!("v={encoded}")).unwrap();
            prop_assert_eq!(query.get("v").unwrap(), Some(value.as_str()));
        }
    }
}
