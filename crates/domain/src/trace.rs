//! A trace that goes through the gateway: `traceparent`, as the W3C writes it.
//!
//! Whoever calls may say which trace a call or a message belongs to. What has not the form means nothing: it is ignored,
//! and never a fault. The gateway passes a trace on, with a span of its own where it writes the header itself, and begins
//! none.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

/// The name of the header, and of the member of a message.
pub const TRACEPARENT: &str = "traceparent";
/// Version, trace, span and flags, with dashes between.
const LENGTH: usize = 55;
/// Of the flags only this one is known: whether the caller records.
const SAMPLED: u8 = 1;

/// Which trace.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId([u8; 16]);

/// A trace, and the span in it from which it came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Trace {
    /// Which trace.
    pub id: TraceId,
    span: [u8; 8],
    flags: u8,
}

/// Not a `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a `traceparent` such as 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
pub struct NoTrace;

impl Trace {
    /// The same trace with a span of our own, which the caller drew.
    pub const fn through(self, span: u64) -> Self {
        // No span is zero.
        let span = if span == 0 { 1 } else { span };
        Self { span: span.to_be_bytes(), ..self }
    }
}

impl FromStr for Trace {
    type Err = NoTrace;

    fn from_str(text: &str) -> Result<Self, NoTrace> {
        let (head, more) = text.split_at_checked(LENGTH).ok_or(NoTrace)?;
        let mut parts = head.split('-');
        let mut part = || parts.next().ok_or(NoTrace);
        let ([version], id, span, [flags]) = (hex(part()?)?, hex(part()?)?, hex(part()?)?, hex(part()?)?);
        // A later version may say more, behind one more dash.
        let is_known = version == 0 && more.is_empty();
        let is_later = (1..0xff).contains(&version) && (more.is_empty() || more.starts_with('-'));
        if !(is_known || is_later) || parts.next().is_some() || id == [0; 16] || span == [0; 8] {
            return Err(NoTrace);
        }
        Ok(Self { id: TraceId(id), span, flags: flags & SAMPLED })
    }
}

/// So many bytes, in small letters as the standard wants them.
fn hex<const N: usize>(text: &str) -> Result<[u8; N], NoTrace> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err(NoTrace),
    };
    let mut bytes = [0; N];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return Err(NoTrace);
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Ok(bytes)
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-", self.id)?;
        write_hex(f, &self.span)?;
        write!(f, "-{:02x}", self.flags)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for TraceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OF_THE_STANDARD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_trace_is_read_written_and_passed_on_with_another_span() {
        let trace: Trace = OF_THE_STANDARD.parse().unwrap();
        assert_eq!(trace.to_string(), OF_THE_STANDARD);
        assert_eq!(trace.id.to_string(), "0af7651916cd43dd8448eb211c80319c");
        let through = trace.through(0x1234);
        assert_eq!(through.to_string(), "00-0af7651916cd43dd8448eb211c80319c-0000000000001234-01");
        assert_eq!(trace.through(0).to_string().parse(), Ok(trace.through(1)), "no span is zero");
        assert_eq!(serde_json::to_string(&trace.id).unwrap(), "\"0af7651916cd43dd8448eb211c80319c\"");
    }

    #[test]
    fn flags_that_are_not_known_are_dropped_and_a_later_version_may_say_more() {
        let told = |text: &str| text.parse::<Trace>().map(|trace| trace.to_string());
        let plain = |text: &str| text.replace("-ff", "-01").replacen("01-", "00-", 1);
        let flagged = OF_THE_STANDARD.replace("-01", "-ff");
        assert_eq!(told(&flagged), Ok(plain(&flagged)));
        let later = OF_THE_STANDARD.replacen("00-", "01-", 1);
        assert_eq!(told(&later), Ok(OF_THE_STANDARD.into()));
        assert_eq!(told(&format!("{later}-what-the-future-says")), Ok(OF_THE_STANDARD.into()));
    }

    #[test]
    fn what_has_not_the_form_is_none() {
        let wrong = [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 ",
            " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
            "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
            "00-0af7651916cd43dd-8448eb211c80319c-b7ad6b7169203331-1",
            "00-0af7651916cd43dd8448eb211c8031é-b7ad6b7169203331-01",
        ];
        for text in wrong {
            assert_eq!(text.parse::<Trace>(), Err(NoTrace), "{text:?}");
        }
    }

    proptest! {
        /// Whatever comes: no panic, and what is read is written as it was, but for version and flags.
        #[test]
        fn any_text_is_a_trace_or_none(text in "[0-9a-f-]{50,60}|\\PC{0,80}") {
            if let Ok(trace) = text.parse::<Trace>() {
                prop_assert_eq!(&trace.to_string()[2..53], &text[2..53]);
            }
        }

        #[test]
        fn what_is_written_is_read(id: [u8; 16], span in 1..u64::MAX, sampled: bool) {
            prop_assume!(id != [0; 16]);
            let trace = Trace { id: TraceId(id), span: span.to_be_bytes(), flags: sampled.into() };
            prop_assert_eq!(trace.to_string().parse(), Ok(trace));
        }
    }
}
