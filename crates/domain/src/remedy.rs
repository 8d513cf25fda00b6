//! What to do about a refusal: for whoever wrote the client, and for whoever runs the gateway. One row for each code,
//! which the command line and the console both tell.

use crate::Code;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// What the client does best.
    pub client: &'static str,
    /// What the operator looks at.
    pub operator: &'static str,
}

/// What to do about a code.
pub const fn remedy(code: Code) -> Remedy {
    let (client, operator) = match code {
        Code::AuthRequired => (
            "send a token: ?token=..., or the header Authorization: Bearer ...",
            "see auth.token_sources for where a token is looked for; a proxy may strip the header or the query",
        ),
        Code::TokenInvalid => (
            "get another token; the same one is refused again",
            "compare the token (gateway token inspect) with auth.keys, auth.audience and auth.claims; the detail says which",
        ),
        Code::TokenExpired => (
            "get a new token and come back at once",
            "nothing, unless clocks differ (auth.exp_leeway) or tokens live too short (auth.issuer.access_ttl)",
        ),
        Code::TokenRevoked => (
            "sign in again",
            "somebody revoked it: GET /api/v1/audit?event=revoked; a token issued after the revocation comes in",
        ),
        Code::AuthError => (
            "come back after the wait that the answer names",
            "the keys are out of reach: see that jwks_url answers from this host, and what the log says of it",
        ),
        Code::RoleMismatch => (
            "connect to the endpoint of your role, or get a token with the right one",
            "compare the endpoint's roles with the token's, and with the roles that its key may grant",
        ),
        Code::OriginNotAllowed => (
            "open the page from an address that the gateway lists",
            "add the page's origin to the endpoint's origins, exactly as the browser sends it",
        ),
        Code::Banned => (
            "do not come back by itself",
            "see GET /api/v1/bans and [[bans]]; a ban by itself comes from limits.auto_ban",
        ),
        Code::RateLimited => (
            "wait as long as the answer says, then come back, with a growing delay",
            "see limits.handshakes_per_ip, limits.handshakes_per_user and the plan's messages; behind a proxy see server.client_address",
        ),
        Code::ConnectionLimit => (
            "close a connection, or wait and come back",
            "see the plan's connections and on_connection_limit; GET /api/v1/users/ID shows who sits there",
        ),
        Code::NodeFull => {
            ("wait and come back", "raise limits.connections or the limit of open files, or add a gateway")
        }
        Code::Draining => {
            ("come back after the wait: another gateway answers", "nothing: this one is leaving, as it was told")
        }
        Code::SlowConsumer => ("read faster, then come back", "see how much that client is sent; its outbox was full"),
        Code::HeartbeatTimeout => (
            "come back; answer pings, which most libraries do by themselves",
            "see heartbeat and heartbeat_timeout, and whether a proxy cuts silent connections",
        ),
        Code::Disconnected => ("do not come back by itself", "an administrator did it: GET /api/v1/audit?event=kicked"),
        Code::Replaced => (
            "do not come back by itself: another connection has this agent's place",
            "see that an agent runs only once",
        ),
        Code::AgentIdTaken => ("choose an agent id of your own", "two users claim one agent id: see auth.claims.agent"),
        Code::Evicted => (
            "do not come back by itself: a newer connection took the seat",
            "see the plan's connections and on_connection_limit",
        ),
        Code::PolicyChanged => {
            ("get a new token and come back", "the new configuration no longer admits this connection")
        }
        Code::IdleTimeout => ("come back when there is something to say", "see the endpoint's idle_timeout"),
        Code::BadUpgrade => (
            "use a WebSocket library; this was no proper WebSocket request",
            "see that the proxy passes Connection, Upgrade and the Sec-WebSocket headers on",
        ),
        Code::UpgradeRequired => (
            "connect by WebSocket; this address answers nothing else",
            "see that the proxy passes the headers Connection and Upgrade on",
        ),
        Code::ProtocolError => {
            ("mend the client: it broke the WebSocket protocol", "nothing, unless a proxy changes frames")
        }
        Code::UnsupportedData => {
            ("send text messages with JSON", "nothing; an endpoint with handler = \"echo\" takes all")
        }
        Code::InvalidUtf8 => ("send text in UTF-8", "nothing"),
        Code::MessageTooBig => ("send less in one message", "see the endpoint's max_message"),
        Code::Internal => {
            ("come back after the wait", "a fault of the gateway: look into its log at that time, and report it")
        }
        Code::Forbidden => {
            ("do not ask again with these rights", "give the caller the role or the permission that the reason names")
        }
        Code::InvalidMessage => {
            ("mend the message: its form, or its type", "see that a route takes messages of this type from this role")
        }
        Code::NotAsked => {
            ("answer only open requests, and each once", "nothing, unless answers come too late: see reply_timeout")
        }
        Code::AmbiguousReply => ("answer with the requestId as replyTo", "nothing"),
        Code::IdentityChanged => {
            ("connect anew to be somebody else", "nothing; a refresh never changes who is connected")
        }
        Code::RefreshUnsupported => (
            "send an access token instead of a refresh token",
            "switch on [auth.issuer] where this gateway should issue tokens",
        ),
        Code::LimitExceeded => ("use less of what the message names", "see [limits] and the plan"),
        Code::TargetOffline => (
            "try again when the receiver is there; nothing was delivered",
            "see GET /api/v1/connections for who is there",
        ),
        Code::TargetLost => {
            ("ask what became of it before it is sent again: the outcome is unknown", "see why the receiver left")
        }
        Code::ReplyTimeout => {
            ("ask what became of it before it is sent again: the outcome is unknown", "see the route's reply_timeout")
        }
        Code::NotFound => ("see that the address is right", "see that the path is one of [[endpoints]] or of the API"),
        Code::MethodNotAllowed => ("use the method that the answer's Allow names", "nothing"),
        Code::Conflict => ("do not send another thing under the same id", "nothing"),
        Code::InvalidRequest => ("mend the request as the details say", "nothing"),
        Code::SchemaMismatch => ("mend the payload as the details say", "see that the schema is the one that is meant"),
    };
    Remedy { client, operator }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_something_for_both() {
        for code in Code::ALL {
            let remedy = remedy(*code);
            assert!(!remedy.client.is_empty() && !remedy.operator.is_empty(), "{code}");
        }
    }
}
