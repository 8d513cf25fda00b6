//! `auth.refresh` in a live connection: judged beside the loop, taken in it.

use std::{num::NonZeroU32, ops::ControlFlow, sync::Arc, time::Duration};

use gateway_domain::{Code, Now, Refusal, envelope::Message, plan::Rate};
use governor::{RateLimiter, clock::Clock};

use super::{Connection, line::Line};
use crate::{
    audit::Event,
    house::House,
    hub::Ending,
    limits::{Bucket, HouseClock, quota},
    refresh::{Credential, Refreshed, refresh},
};

const TEN: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// Refreshing has a quota of its own: ten a minute for a connection.
#[derive(Default)]
pub(super) struct RefreshQuota(Option<Box<Bucket>>);

/// What a refresh gives, and the policy by which that was found.
pub(super) struct Judged {
    refreshed: Refreshed,
    by: Arc<House>,
}

impl RefreshQuota {
    fn admit(&mut self) -> Result<(), Refusal> {
        let bucket = self.0.get_or_insert_with(|| {
            let rate = Rate::new(TEN, Duration::from_secs(60));
            Box::new(RateLimiter::direct_with_clock(quota(rate, TEN), HouseClock))
        });
        bucket.check().map_err(|until| {
            let wait = until.wait_time_from(HouseClock.now());
            Refusal::new(Code::RateLimited, "too many refreshes").retry_after(wait)
        })
    }
}

impl<L: Line> Connection<L> {
    pub(super) fn on_refresh(&mut self, message: &Message<'_>, now: Now) {
        let id = message.id.as_deref();
        let credential = self.refresh_quota.admit().and_then(|()| match self.refreshing {
            Some(_) => {
                Err(Refusal::new(Code::RateLimited, "a refresh is under way").retry_after(Duration::from_secs(1)))
            }
            None => Credential::read(message),
        });
        match credential {
            Ok(credential) => {
                let (house, occupant) = (Arc::clone(&self.house), Arc::clone(&self.occupant));
                let refreshing = async move {
                    // The door as it is now, which may ask for more than when the connection came.
                    let endpoint = house.door_of(&occupant).unwrap_or(&occupant.endpoint);
                    let (gate, issuing) = (&house.gate, house.issuing.as_ref());
                    let refreshed = refresh(gate, issuing, endpoint, occupant.standing(), credential, now).await?;
                    Ok(Judged { refreshed, by: Arc::clone(&house) })
                };
                self.refreshing = Some((id.map(Into::into), Box::pin(refreshing)));
            }
            Err(refusal) => self.say_error(id, &refusal),
        }
    }

    pub(super) fn refreshed(
        &mut self,
        (id, outcome): (Option<Box<str>>, Result<Judged, Refusal>),
        now: Now,
    ) -> ControlFlow<Ending> {
        let id = id.as_deref();
        match outcome {
            Ok(judged) => {
                let Judged { refreshed, by } = judged;
                let principal = Arc::clone(&refreshed.standing.principal);
                self.take_standing(id, &refreshed, now);
                if by.is_past()
                    && let Err(refusal) = self.come_under_policy(&by, now)
                {
                    return ControlFlow::Break(Ending::Ours(refusal));
                }
                // A ban or a revocation that came meanwhile has met the old token, or is met here.
                if let Err(refusal) = self.house.gate.still_welcome(&principal, &self.occupant.address, now) {
                    return ControlFlow::Break(Ending::Ours(refusal));
                }
                // Behind the word that it was taken: which rooms are left by it.
                self.house.hub.judge_again(&self.occupant);
            }
            Err(refusal) => {
                let occupant = Arc::clone(&self.occupant);
                self.house.audit.event_of(Event::TokenRefused, &refusal, &occupant.subject(), now);
                if matches!(refusal.code, Code::Banned | Code::TokenRevoked) {
                    return ControlFlow::Break(Ending::Ours(refusal));
                }
                self.say_error(id, &refusal);
            }
        }
        ControlFlow::Continue(())
    }

    fn take_standing(&mut self, id: Option<&str>, refreshed: &Refreshed, now: Now) {
        let principal = Arc::clone(&refreshed.standing.principal);
        self.session.refresh(principal.expires_at);
        self.occupant.restand(refreshed.standing.clone());
        self.from = None;
        let reason = format!("a new token, until {}", principal.expires_at);
        self.house.audit.event(Event::TokenRefreshed, &self.occupant.subject(), reason, now);
        self.say("auth.refreshed", id, &refreshed.payload());
    }
}
