//! The checks by name and in their order, so that a refusal can be explained: which check decided, what came before
//! it and passed, what was never asked.

use gateway_domain::Code;

/// One check of the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// Is there a door at that path.
    Path,
    /// Is it a proper WebSocket request.
    Form,
    /// Is the node staying.
    Draining,
    /// Has the node a seat.
    NodeFull,
    /// Is the address banned.
    AddressBan,
    /// Does the address knock too often.
    AddressRate,
    /// May that page connect.
    Origin,
    /// Is there a token.
    TokenPresent,
    /// Is it valid, and its time not over.
    TokenValid,
    /// Is it revoked.
    Revoked,
    /// Is the user banned.
    UserBan,
    /// Does a role of it open the door.
    Role,
    /// Does the user knock too often.
    UserRate,
    /// Has the user a seat.
    Seat,
}

impl Check {
    /// All, in the order in which they are made.
    pub const ORDER: [Self; 14] = [
        Self::Path,
        Self::Form,
        Self::Draining,
        Self::NodeFull,
        Self::AddressBan,
        Self::AddressRate,
        Self::Origin,
        Self::TokenPresent,
        Self::TokenValid,
        Self::Revoked,
        Self::UserBan,
        Self::Role,
        Self::UserRate,
        Self::Seat,
    ];

    /// What it asks, in a few words.
    pub const fn question(self) -> &'static str {
        match self {
            Self::Path => "is there an endpoint at that path",
            Self::Form => "is it a proper WebSocket request",
            Self::Draining => "is the node staying",
            Self::NodeFull => "has the node a free connection",
            Self::AddressBan => "is the address welcome",
            Self::AddressRate => "does the address keep to the rate of handshakes",
            Self::Origin => "is the page's origin allowed",
            Self::TokenPresent => "is there a token",
            Self::TokenValid => "is the token valid and its time not over",
            Self::Revoked => "is the token not revoked",
            Self::UserBan => "is the user welcome",
            Self::Role => "does one of its roles open the endpoint",
            Self::UserRate => "does the user keep to the rate of handshakes",
            Self::Seat => "has the user a free connection",
        }
    }

    /// The check behind a refusal of a handshake; `user_known` tells the checks before the token from those after it.
    pub const fn behind(code: Code, user_known: bool) -> Option<Self> {
        Some(match code {
            Code::NotFound => Self::Path,
            Code::BadUpgrade | Code::UpgradeRequired | Code::InvalidRequest | Code::MethodNotAllowed => Self::Form,
            Code::Draining => Self::Draining,
            Code::NodeFull => Self::NodeFull,
            Code::Banned if user_known => Self::UserBan,
            Code::Banned => Self::AddressBan,
            Code::RateLimited if user_known => Self::UserRate,
            Code::RateLimited => Self::AddressRate,
            Code::OriginNotAllowed => Self::Origin,
            Code::AuthRequired => Self::TokenPresent,
            Code::TokenInvalid | Code::TokenExpired | Code::AuthError => Self::TokenValid,
            Code::TokenRevoked => Self::Revoked,
            Code::RoleMismatch => Self::Role,
            Code::ConnectionLimit => Self::Seat,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_the_order_of_the_type() {
        assert!(Check::ORDER.is_sorted());
        for code in Code::ALL.iter().filter(|code| code.is_authentication()) {
            assert!(Check::behind(*code, true).is_some());
        }
        assert_eq!(Check::behind(Code::RateLimited, true), Some(Check::UserRate));
        assert_eq!(Check::behind(Code::RateLimited, false), Some(Check::AddressRate));
        assert_eq!(Check::behind(Code::SlowConsumer, true), None);
    }
}
