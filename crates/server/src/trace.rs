//! Traces that others began: read from a header, drawn on with a span of our own, named in the log.

use gateway_domain::trace::{TRACEPARENT, Trace};
use http::{HeaderMap, HeaderValue};
use uuid::Uuid;

/// The trace of a request, with a span of our own in it. Two headers, or one that is none, say nothing.
pub fn of(headers: &HeaderMap) -> Option<Trace> {
    let mut all = headers.get_all(TRACEPARENT).iter();
    let (header, None) = (all.next()?, all.next()) else { return None };
    let trace: Trace = header.to_str().ok()?.trim().parse().ok()?;
    Some(next(trace))
}

/// The same trace, with a span of our own.
pub fn next(trace: Trace) -> Trace {
    // Half of a random id is as random.
    trace.through(Uuid::new_v4().as_u64_pair().1)
}

/// As a header says it.
pub fn header(trace: Trace) -> Option<HeaderValue> {
    HeaderValue::try_from(trace.to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn one_header_is_read_and_drawn_on_and_two_say_nothing() {
        let mut headers = HeaderMap::new();
        assert_eq!(of(&headers), None);
        headers.append(TRACEPARENT, HeaderValue::from_static(ONE));
        let trace = of(&headers).unwrap();
        assert_eq!(trace.id.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_ne!(trace.to_string(), ONE, "the span is our own");
        assert_ne!(next(trace), trace);
        assert_eq!(header(trace).unwrap(), trace.to_string());
        headers.append(TRACEPARENT, HeaderValue::from_static(ONE));
        assert_eq!(of(&headers), None);
    }
}
