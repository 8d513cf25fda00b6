//! Which channels this node hears: those by which somebody here is meant, and for a while longer, so that whoever comes
//! and goes does not set the link going each time.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use gateway_domain::{
    Now, Room, Tick,
    link::{Act, Answer, Channel},
};
use tokio::sync::oneshot;

use crate::{
    cluster::{Link, PATIENCE},
    hub::{Hub, books::Books},
};

/// So long a channel is heard that nobody needs any more.
const LINGER: Duration = Duration::from_secs(5);

/// Channels that this node hears, or is about to.
#[derive(Debug, Default)]
pub(super) struct Followed {
    channels: HashMap<Channel, Following>,
    /// Those that nobody needed, since when.
    idle: VecDeque<(Tick, Channel)>,
}

#[derive(Debug)]
struct Following {
    /// How many here need it.
    claims: usize,
    state: State,
    idle_since: Tick,
}

#[derive(Debug)]
enum State {
    /// The link follows it, or remembers to.
    Given,
    /// The link was asked, and these wait for its answer.
    Asked(Vec<oneshot::Sender<bool>>),
}

/// Whether a channel is heard.
#[derive(Debug)]
pub(in crate::hub) enum Hearing {
    Already,
    Soon(oneshot::Receiver<bool>),
}

impl Hearing {
    /// Waits until the channel is heard; whether it is.
    pub(in crate::hub) async fn begins(self) -> bool {
        match self {
            Self::Already => true,
            Self::Soon(begun) => matches!(tokio::time::timeout(PATIENCE, begun).await, Ok(Ok(true))),
        }
    }
}

impl Followed {
    pub(super) fn contains(&self, channel: &Channel) -> bool {
        self.channels.contains_key(channel)
    }

    /// Every room that is followed.
    pub(super) fn rooms(&self) -> impl Iterator<Item = &Room> {
        self.channels.keys().filter_map(|channel| match channel {
            Channel::Room(room) => Some(room),
            Channel::Agent(_) | Channel::Role(_) | Channel::Endpoint(_) | Channel::Every => None,
        })
    }

    /// Nobody needs it any more, or one less does.
    fn release(&mut self, channel: &Channel, now: Tick) {
        let Some(following) = self.channels.get_mut(channel) else { return };
        following.claims = following.claims.saturating_sub(1);
        if following.claims == 0 {
            following.idle_since = now;
            self.idle.push_back((now, channel.clone()));
        }
    }

    /// The next that nobody has needed for long enough: it is heard no more.
    fn let_go(&mut self, now: Tick) -> Option<Channel> {
        while self.idle.front().is_some_and(|(since, _)| now.since(*since) >= LINGER) {
            let (since, channel) = self.idle.pop_front()?;
            let is_over = self.channels.get(&channel).is_some_and(|own| own.claims == 0 && own.idle_since == since);
            if is_over {
                self.channels.remove(&channel);
                return Some(channel);
            }
        }
        None
    }
}

impl Hub {
    /// Somebody here needs a channel.
    pub(in crate::hub) fn claim(self: &Arc<Self>, books: &mut Books, link: &Link, channel: &Channel) -> Hearing {
        if let Some(following) = books.linked.followed.channels.get_mut(channel) {
            following.claims += 1;
            return match &mut following.state {
                State::Given => Hearing::Already,
                State::Asked(waiting) => wait(waiting),
            };
        }
        let mut waiting = Vec::new();
        let hearing = wait(&mut waiting);
        let following = Following { claims: 1, state: State::Asked(waiting), idle_since: Tick::ZERO };
        books.linked.followed.channels.insert(channel.clone(), following);
        let (hub, followed) = (Arc::clone(self), channel.clone());
        let next = move |_, answer: Answer| hub.followed(&followed, matches!(answer, Answer::Done));
        link.must_then(Act::Follow(channel.clone()), next);
        hearing
    }

    /// Somebody here needs it no more.
    pub(in crate::hub) fn release(&self, books: &mut Books, channel: &Channel, now: Now) {
        books.linked.followed.release(channel, now.tick);
    }

    fn followed(&self, channel: &Channel, is_heard: bool) {
        let mut books = self.books.lock();
        let Some(following) = books.linked.followed.channels.get_mut(channel) else { return };
        if let State::Asked(waiting) = std::mem::replace(&mut following.state, State::Given) {
            // Whoever waited may have gone.
            waiting.into_iter().for_each(|waits| _ = waits.send(is_heard));
        }
    }

    /// Lets channels go that nobody has needed for a while, and with them what their rooms remember here.
    pub(super) fn unfollow_idle(&self, books: &mut Books, link: &Link, now: Now) {
        while let Some(channel) = books.linked.followed.let_go(now.tick) {
            if let Channel::Room(room) = &channel {
                books.rooms.let_go(room);
                books.linked.apart.remove(room);
            }
            link.must(Act::Unfollow(channel));
        }
    }
}

fn wait(waiting: &mut Vec<oneshot::Sender<bool>>) -> Hearing {
    let (tells, told) = oneshot::channel();
    waiting.push(tells);
    Hearing::Soon(told)
}
