//! The one table of what can go wrong between a client and the gateway: a stable name, an HTTP status, a close
//! code, and what the client should do. Every wire reads this table; none has a code of its own.

use std::{borrow::Cow, fmt, time::Duration};

use serde::{Serialize, Serializer};

use crate::{plan::Rate, time::Timestamp};

/// What a refused client does best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Advice {
    /// Get a new token, then come back.
    Refresh,
    /// Come back later.
    Wait,
    /// Do not come back by itself.
    Stop,
}

impl Advice {
    /// Every advice.
    pub const ALL: &[Self] = &[Self::Refresh, Self::Wait, Self::Stop];

    /// The name on every wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refresh => "refresh",
            Self::Wait => "wait",
            Self::Stop => "stop",
        }
    }
}

macro_rules! codes {
    ($($code:ident $name:literal $http:tt $close:tt $then:tt $doc:literal;)*) => {
        /// The stable name of a refusal, of a close, or of an error in a live connection.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $doc] $code,)*
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$code),*];

            /// The name on every wire.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$code => $name,)* }
            }

            /// The status of an HTTP answer; none where the code only ever ends or reaches a live connection.
            pub const fn http_status(self) -> Option<u16> {
                match self { $(Self::$code => codes!(@number $http),)* }
            }

            /// The code of a WebSocket close frame; none where the connection stays, or never was.
            pub const fn close_code(self) -> Option<u16> {
                match self { $(Self::$code => codes!(@number $close),)* }
            }

            /// What the client should do; none where there is nothing to come back to.
            pub const fn advice(self) -> Option<Advice> {
                match self { $(Self::$code => codes!(@advice $then),)* }
            }

            /// When it happens, in a few words.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$code => $doc,)* }
            }
        }
    };
    (@number -) => { None };
    (@number $number:literal) => { Some($number) };
    (@advice -) => { None };
    (@advice $advice:ident) => { Some(Advice::$advice) };
}

codes! {
    AuthRequired "AUTH_REQUIRED" 401 4001 Stop "no token was sent";
    TokenInvalid "TOKEN_INVALID" 401 4002 Stop "the token was judged and found wrong";
    TokenExpired "TOKEN_EXPIRED" 401 4003 Refresh "the token's time is over";
    TokenRevoked "TOKEN_REVOKED" 401 4009 Stop "the token, or all of the user's up to a time, were revoked";
    AuthError "AUTH_ERROR" 503 4000 Wait "the check itself could not be done";
    RoleMismatch "ROLE_MISMATCH" 403 4006 Stop "the token's roles do not open this endpoint";
    OriginNotAllowed "ORIGIN_NOT_ALLOWED" 403 4008 Stop "the page's origin is not on the endpoint's list";
    Banned "BANNED" 403 4007 Stop "the address or the user is banned";
    RateLimited "RATE_LIMITED" 429 4004 Wait "too many handshakes or messages";
    ConnectionLimit "CONNECTION_LIMIT" 429 4005 Wait "the user's seats are taken";
    NodeFull "NODE_FULL" 503 4017 Wait "the node's connections are used up";
    Draining "DRAINING" 503 1012 Wait "the node is leaving";
    SlowConsumer "SLOW_CONSUMER" - 4010 Wait "the client does not read what it is sent";
    HeartbeatTimeout "HEARTBEAT_TIMEOUT" - 4012 Wait "nothing was heard in time";
    Disconnected "DISCONNECTED" - 4011 Stop "an administrator closed the connection";
    Replaced "REPLACED" - 4013 Stop "another connection took this agent's place";
    AgentIdTaken "AGENT_ID_TAKEN" 409 4014 Stop "the agent id belongs to another user's live connection";
    Evicted "EVICTED" - 4015 Stop "a newer connection of the same user took the seat";
    PolicyChanged "POLICY_CHANGED" - 4016 Refresh "a new configuration no longer admits this connection";
    IdleTimeout "IDLE_TIMEOUT" - 4018 Wait "no message came in the time allowed";
    BadUpgrade "BAD_UPGRADE" 400 - Stop "not a proper WebSocket request";
    UpgradeRequired "UPGRADE_REQUIRED" 426 - Stop "this address speaks WebSocket only";
    ProtocolError "PROTOCOL_ERROR" 400 1002 Stop "the WebSocket protocol was broken";
    UnsupportedData "UNSUPPORTED_DATA" 415 1003 Stop "this kind of data is not taken here";
    InvalidUtf8 "INVALID_UTF8" 400 1007 Stop "text that is not UTF-8";
    MessageTooBig "MESSAGE_TOO_BIG" 413 1009 Stop "larger than allowed";
    Internal "INTERNAL" 500 1011 Wait "a fault of the gateway";
    Forbidden "FORBIDDEN" 403 - - "not permitted to this caller";
    InvalidMessage "INVALID_MESSAGE" 400 - - "the message has not the form, or no route takes it";
    NotAsked "NOT_ASKED" 400 - - "a reply to no open request";
    AmbiguousReply "AMBIGUOUS_REPLY" 400 - - "several open requests have that id";
    IdentityChanged "IDENTITY_CHANGED" 403 - - "a refresh may not change who is connected";
    RefreshUnsupported "REFRESH_UNSUPPORTED" 400 - - "this gateway issues no refresh tokens";
    LimitExceeded "LIMIT_EXCEEDED" 400 - - "a count is used up";
    TargetOffline "TARGET_OFFLINE" 404 - - "the receiver is not connected; nothing was delivered";
    TargetLost "TARGET_LOST" 502 - - "the receiver left before it answered; the outcome is unknown";
    ReplyTimeout "REPLY_TIMEOUT" 504 - - "no answer in time";
    NotFound "NOT_FOUND" 404 - - "there is nothing of that name";
    MethodNotAllowed "METHOD_NOT_ALLOWED" 405 - - "the address does not take this method";
    Conflict "CONFLICT" 409 - - "it contradicts what is there";
    InvalidRequest "INVALID_REQUEST" 400 - - "the request has not the form";
    SchemaMismatch "SCHEMA_MISMATCH" 422 - - "the payload does not fit its schema";
}

impl Code {
    /// Whether it is one of the ways in which authentication itself fails.
    pub const fn is_authentication(self) -> bool {
        matches!(
            self,
            Self::AuthRequired | Self::TokenInvalid | Self::TokenExpired | Self::TokenRevoked | Self::AuthError
        )
    }

    /// The code of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// In what way a token is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// It has not the form of a signed token, or its credential was not sent in the proper form.
    Malformed,
    /// The signature does not fit.
    Signature,
    /// No key of that id, or none that fits.
    UnknownKey,
    /// Not the algorithm of the key; `none` among them.
    Algorithm,
    /// Not the issuer that the key demands.
    Issuer,
    /// Not an audience of this gateway.
    Audience,
    /// Its `nbf` or `iat` lies ahead.
    NotYetValid,
    /// A claim that must be there is not, or has not the form.
    ClaimMissing,
    /// Its `crit` names what this gateway does not know.
    Crit,
    /// Longer than any token may be.
    TooLong,
}

impl Detail {
    /// Every detail.
    pub const ALL: &[Self] = &[
        Self::Malformed,
        Self::Signature,
        Self::UnknownKey,
        Self::Algorithm,
        Self::Issuer,
        Self::Audience,
        Self::NotYetValid,
        Self::ClaimMissing,
        Self::Crit,
        Self::TooLong,
    ];

    /// The name on every wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Signature => "signature",
            Self::UnknownKey => "unknown_key",
            Self::Algorithm => "algorithm",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::NotYetValid => "not_yet_valid",
            Self::ClaimMissing => "claim_missing",
            Self::Crit => "crit",
            Self::TooLong => "too_long",
        }
    }
}

/// A refusal as a value: it becomes a status, a close frame or a message only at the edge of a wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which.
    pub code: Code,
    /// In what way, for an invalid token.
    pub detail: Option<Detail>,
    /// What the client may read.
    pub message: Cow<'static, str>,
    /// What only the operator reads, in the audit: never a credential.
    pub cause: Option<String>,
    /// When it makes sense to try again.
    pub retry_after: Option<Duration>,
    /// The limit that was met, where it was one of rate or count.
    pub limit: Option<LimitMet>,
    /// Whom the token named, once that is known.
    pub user: Option<crate::UserId>,
}

/// The limit behind a 429, as its headers tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitMet {
    /// So many...
    pub limit: u32,
    /// ...in this time; none for a count of what is held at once.
    pub period: Option<Duration>,
}

impl From<Rate> for LimitMet {
    fn from(rate: Rate) -> Self {
        Self { limit: rate.count.get(), period: Some(rate.period) }
    }
}

impl Refusal {
    /// A refusal with a sentence for the client.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: None, message: message.into(), cause: None, retry_after: None, limit: None, user: None }
    }

    /// A refusal that says of itself what the table says of its code.
    pub fn plain(code: Code) -> Self {
        Self::new(code, code.meaning())
    }

    /// An invalid token, and in what way.
    pub fn invalid_token(detail: Detail, message: impl Into<Cow<'static, str>>) -> Self {
        Self { detail: Some(detail), ..Self::new(Code::TokenInvalid, message) }
    }

    /// A token whose time was over at that moment.
    pub fn expired(deadline: Timestamp) -> Self {
        Self::new(Code::TokenExpired, format!("the token expired at {deadline}"))
    }

    /// With what only the operator reads.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// With a time after which to try again.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// With the limit that was met.
    #[must_use]
    pub fn limit(mut self, limit: impl Into<LimitMet>) -> Self {
        self.limit = Some(limit.into());
        self
    }

    /// With the user whom the token named.
    #[must_use]
    pub fn of_user(mut self, user: &crate::UserId) -> Self {
        self.user = Some(user.clone());
        self
    }

    /// The wait in whole seconds, rounded up, at least one: as every wire tells it.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after.map(|wait| (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1))
    }

    /// The sentence for the operator: the cause where there is one, else what the client read.
    pub fn reason(&self) -> &str {
        self.cause.as_deref().unwrap_or(&self.message)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.detail {
            Some(detail) => write!(f, "{} ({}): {}", self.code, detail.name(), self.message),
            None => write!(f, "{}: {}", self.code, self.message),
        }
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_and_own_close_codes_are_unique() {
        let names: HashSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        let closes: Vec<_> = Code::ALL.iter().filter_map(|code| code.close_code()).collect();
        assert_eq!(closes.iter().collect::<HashSet<_>>().len(), closes.len());
        for code in Code::ALL {
            assert_eq!(Code::by_name(code.name()), Some(*code));
            assert_eq!(serde_json::to_string(code).unwrap(), format!("\"{}\"", code.name()));
            assert!(!code.meaning().is_empty());
        }
        assert_eq!(Code::by_name("NO_SUCH"), None);
    }

    #[test]
    fn the_codes_that_clients_rely_on() {
        for (code, http, close, advice) in [
            (Code::AuthRequired, Some(401), Some(4001), Some(Advice::Stop)),
            (Code::TokenInvalid, Some(401), Some(4002), Some(Advice::Stop)),
            (Code::TokenExpired, Some(401), Some(4003), Some(Advice::Refresh)),
            (Code::AuthError, Some(503), Some(4000), Some(Advice::Wait)),
            (Code::Draining, Some(503), Some(1012), Some(Advice::Wait)),
            (Code::SlowConsumer, None, Some(4010), Some(Advice::Wait)),
            (Code::Forbidden, Some(403), None, None),
            (Code::Internal, Some(500), Some(1011), Some(Advice::Wait)),
        ] {
            assert_eq!((code.http_status(), code.close_code(), code.advice()), (http, close, advice), "{code}");
        }
        assert!(Code::AuthError.is_authentication() && !Code::Banned.is_authentication());
        assert_eq!(serde_json::to_string(&Advice::Refresh).unwrap(), "\"refresh\"");
    }

    #[test]
    fn details_are_named_as_they_are_serialised() {
        for detail in Detail::ALL {
            assert_eq!(serde_json::to_string(detail).unwrap(), format!("\"{}\"", detail.name()));
        }
        for advice in Advice::ALL {
            assert_eq!(serde_json::to_string(advice).unwrap(), format!("\"{}\"", advice.name()));
        }
    }

    #[test]
    fn a_wait_is_told_in_whole_seconds_rounded_up() {
        let wait = |millis| Refusal::plain(Code::RateLimited).retry_after(Duration::from_millis(millis));
        for (millis, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (59_999, 60)] {
            assert_eq!(wait(millis).retry_after_seconds(), Some(seconds));
        }
        assert_eq!(Refusal::plain(Code::Banned).retry_after_seconds(), None);
    }

    #[test]
    fn the_operator_reads_the_cause_and_the_client_the_message() {
        let refusal = Refusal::invalid_token(Detail::Signature, "the signature does not fit")
            .because("key `main`")
            .of_user(&"ann".parse().unwrap())
            .limit(LimitMet { limit: 1, period: None });
        assert_eq!(refusal.reason(), "key `main`");
        assert_eq!(refusal.to_string(), "TOKEN_INVALID (signature): the signature does not fit");
        assert_eq!(Refusal::plain(Code::Banned).reason(), "the address or the user is banned");
        let expired = Refusal::expired(Timestamp::from_seconds(0));
        assert_eq!(expired.to_string(), "TOKEN_EXPIRED: the token expired at 1970-01-01T00:00:00.000Z");
    }
}
