//! Who calls the API, how often, and in a role that may.

use gateway_domain::{Code, Refusal, UserId};

use super::{Call, Site};
use crate::{
    caller::{ADMIN, Known, known},
    clock,
    ledger::banned,
};

/// What a call needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Role `service`, or `admin`.
    Service,
    /// Role `admin`.
    Admin,
}

/// A caller who may.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) user: UserId,
    /// `admin`, or else `service`.
    pub(super) role: &'static str,
}

impl Site {
    /// Whether the caller may, and who it is.
    pub(super) async fn caller(&self, call: &Call, need: Need) -> Result<Caller, Refusal> {
        let now = clock::now();
        if let Some(ban) = self.house.ledger.ban_on(&call.address, now) {
            return Err(banned(&ban));
        }
        let Known { user, role, key } =
            known(&self.house, &call.headers, now).await.map_err(|refusal| self.after_failure(call, refusal))?;
        self.house.calls.call_of(&user, key).map_err(|refusal| refusal.of_user(&user))?;
        let admitted = match need {
            Need::Service => role,
            Need::Admin => role.filter(|role| *role == ADMIN),
        };
        if let Some(role) = admitted {
            call.info.ticket.admit();
            return Ok(Caller { user, role });
        }
        let wanted = if need == Need::Admin { "`admin`" } else { "`service` or `admin`" };
        Err(Refusal::new(Code::Forbidden, format!("this call needs the role {wanted}")).of_user(&user))
    }

    /// Guessing costs: failures count as handshakes of the address, and end in 429.
    fn after_failure(&self, call: &Call, refusal: Refusal) -> Refusal {
        let knock = call.address.as_ip().map_or(Ok(()), |ip| self.house.handshakes.knock_from(ip));
        knock.err().unwrap_or(refusal)
    }
}
