//! Channels are followed and left on the connection that hears, as many at once as come one after the other.

use gateway_domain::link::{Act, Channel};

use super::{
    super::link::{Link, Session},
    Work,
};

/// The most channels that are followed at once.
const FOLLOWED_TOGETHER: usize = 512;

impl Link {
    /// Follows, or unfollows, as many as come one after the other.
    pub(super) fn follow_together(&mut self, session: &Session, work: &mut Work) {
        let Some(first) = work.to_follow.front() else { return };
        let comes = matches!(first.order.act, Act::Follow(_));
        let mut names = Vec::new();
        while let Some(errand) = work.to_follow.pop_front() {
            match &errand.order.act {
                Act::Follow(channel) | Act::Unfollow(channel)
                    if matches!(errand.order.act, Act::Follow(_)) == comes && names.len() < FOLLOWED_TOGETHER =>
                {
                    // Each node hears what means everybody anyway.
                    if *channel != Channel::Every || comes {
                        names.push(self.keys.channel(channel));
                    }
                    work.followed.push(errand);
                }
                _ => {
                    work.to_follow.push_front(errand);
                    break;
                }
            }
        }
        let mut ears = session.ears.clone();
        work.following = Some(Box::pin(async move {
            match (names.is_empty(), comes) {
                (true, _) => Ok(()),
                (false, true) => ears.subscribe(&names).await,
                (false, false) => ears.unsubscribe(&names).await,
            }
        }));
    }
}
