//! A text with names in braces, taken apart.

use crate::flaw::Flaw;

/// A piece of such a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Stands for itself, and is not empty.
    Literal(&'a str),
    /// The name in a pair of braces, not empty.
    Name(&'a str),
}

/// The pieces in their order.
pub(crate) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, Flaw> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (literal, from) = rest.split_at(at);
        let inner = from.strip_prefix('{').ok_or_else(|| {
            Flaw::new(format!("a `}}` in `{text}` closes nothing"), "put a `{` before it, or take it out")
        })?;
        let (name, behind) = inner
            .split_once('}')
            .filter(|(name, _)| !name.contains('{'))
            .ok_or_else(|| Flaw::new(format!("a `{{` in `{text}` is not closed"), "put a `}` behind the name"))?;
        if name.is_empty() {
            return Err(Flaw::new(
                format!("the braces in `{text}` are empty"),
                "put a name between them, or take them out",
            ));
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        pieces.push(Piece::Name(name));
        rest = behind;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_names_come_in_their_order() {
        use Piece::{Literal, Name};
        assert_eq!(pieces("").unwrap(), []);
        assert_eq!(pieces("a:{b}{c}:d").unwrap(), [Literal("a:"), Name("b"), Name("c"), Literal(":d")]);
    }

    #[test]
    fn braces_that_do_not_pair_are_refused() {
        for (text, what) in
            [("a}", "closes nothing"), ("{a", "not closed"), ("{a{b}", "not closed"), ("x{}", "are empty")]
        {
            let flaw = pieces(text).unwrap_err();
            assert!(flaw.what.contains(what) && !flaw.remedy.is_empty(), "{text}: {flaw}");
        }
    }
}
