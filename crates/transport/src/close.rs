//! How a WebSocket ends: a code of the one table, and a reason that a client's program can read.

use gateway_domain::{Refusal, RequestId};
use serde::Serialize;

/// A control frame has room for 125 bytes, two of which are the code.
const MOST_REASON: usize = 123;

/// The code and the reason of a close frame, ours or the peer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// The code.
    pub code: u16,
    /// The reason: JSON where it is ours and something went wrong.
    pub reason: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reason {
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<RequestId>,
}

impl CloseFrame {
    /// A code and a reason, which is cut to what a frame can hold.
    pub fn new(code: u16, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        reason.truncate(reason.floor_char_boundary(MOST_REASON));
        Self { code, reason }
    }

    /// Nothing is wrong, and nothing more to say.
    pub fn normal() -> Self {
        Self::new(1000, "")
    }

    /// The close frame of a refusal: its code of the table, and the reason `{"code","retryAfter"?,"requestId"?}`.
    ///
    /// A refusal that the table gives no close code ends no connection by itself. Where it has to, the client's
    /// faults are 1008 (policy) and the gateway's 1011.
    pub fn of(refusal: &Refusal, request_id: Option<RequestId>) -> Self {
        let of_client = refusal.code.http_status().is_some_and(|status| status < 500);
        let code = refusal.code.close_code().unwrap_or(if of_client { 1008 } else { 1011 });
        let mut reason = Reason { code: refusal.code.name(), retry_after: refusal.retry_after_seconds(), request_id };
        let mut text = reason.text();
        if text.len() > MOST_REASON {
            reason.request_id = None;
            text = reason.text();
        }
        Self { code, reason: text }
    }
}

impl Reason {
    fn text(&self) -> String {
        // Two words and a number always serialise.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_domain::Code;
    use std::time::Duration;

    fn request_id() -> RequestId {
        "11111111-2222-3333-4444-555555555555".parse().unwrap()
    }

    #[test]
    fn the_reason_says_code_wait_and_request() {
        let refusal = Refusal::plain(Code::RateLimited).retry_after(Duration::from_millis(1500));
        let frame = CloseFrame::of(&refusal, Some(request_id()));
        assert_eq!(frame.code, 4004);
        assert_eq!(
            frame.reason,
            r#"{"code":"RATE_LIMITED","retryAfter":2,"requestId":"11111111-2222-3333-4444-555555555555"}"#
        );
        assert_eq!(CloseFrame::of(&Refusal::plain(Code::TokenExpired), None).reason, r#"{"code":"TOKEN_EXPIRED"}"#);
    }

    #[test]
    fn every_reason_fits_into_a_frame() {
        for code in Code::ALL {
            let refusal = Refusal::plain(*code).retry_after(Duration::MAX - Duration::from_secs(1));
            let frame = CloseFrame::of(&refusal, Some(request_id()));
            assert!(frame.reason.len() <= MOST_REASON, "{code}: {}", frame.reason.len());
            assert!(frame.reason.contains(code.name()));
            assert!(serde_json::from_str::<serde_json::Value>(&frame.reason).is_ok());
        }
    }

    #[test]
    fn a_refusal_without_a_close_code_is_policy_or_a_fault() {
        let code_of = |code| CloseFrame::of(&Refusal::plain(code), None).code;
        assert_eq!((code_of(Code::Forbidden), code_of(Code::BadUpgrade)), (1008, 1008));
        assert_eq!((code_of(Code::ReplyTimeout), code_of(Code::Internal)), (1011, 1011));
        assert_eq!(CloseFrame::normal(), CloseFrame { code: 1000, reason: String::new() });
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        assert_eq!(CloseFrame::new(4011, "é".repeat(100)).reason, "é".repeat(61));
    }
}
