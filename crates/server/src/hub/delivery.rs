//! Carrying a text to everybody whom its targets mean, each once. Webhooks have queues of their own.
//!
//! A post to a few is done at once, under the lock. A post to many is carried in passes of so many members, one post
//! after the other, and the lock is free between the passes, so that nobody waits for the whole of it. Whoever posts
//! into a room whose last post is still on its way waits behind it: in a room, all hear everything in one order.
//!
//! In a room with a history those who subscribed get the text with the room and its offset there, once for each such
//! room; everybody else gets the text itself, once for the whole post. A `group` is whom a target means, a `pass` goes
//! through it, so many at a time.

mod dispatch;
mod group;
mod outcome;
mod pass;

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use gateway_domain::{
    Code, ConnectionId, Now, Refusal, RequestId, Room, history::Position, relay, target::Target, trace::Trace,
};
use gateway_transport::Text;
use tokio::{sync::oneshot, task::yield_now};

use super::{Hub, Letter, Occupant, books::Books, outbox::Class, outgoing::Scratch};
pub(super) use dispatch::Dispatch;
use dispatch::{Job, Told};
pub(super) use group::{Group, user_of};
pub(super) use outcome::Report;
pub use outcome::{Outcome, Reach, Scope};
use pass::{Part, Pass};

/// So many members are told in one hold of the lock.
const PASS: usize = 256;
/// So many posts are put into outboxes before what waits there is written to the last of them.
const JOINED: usize = 8;

/// What is said to many.
#[derive(Debug)]
pub struct Post<'a> {
    /// The text, in the gateway's own language.
    pub text: String,
    /// To whom.
    pub targets: &'a [Target],
    /// What a full outbox does with it.
    pub class: Class,
    /// Who says it: it hears itself only where it is a target of its own.
    pub sender: Option<ConnectionId>,
    /// The trace that it belongs to, for webhooks and other nodes.
    pub trace: Option<Trace>,
    /// The call that says it, for the logs of other nodes.
    pub request: Option<RequestId>,
    /// Whether it is to be known to how many it was told.
    pub counted: bool,
}

impl<'a> Post<'a> {
    /// What nobody in particular says, and of which nobody needs to know how far it got.
    #[must_use]
    pub const fn new(text: String, targets: &'a [Target], class: Class) -> Self {
        Self { text, targets, class, sender: None, trace: None, request: None, counted: false }
    }
}

/// How far a post has come.
#[derive(Debug)]
pub enum Posted {
    /// It was put into so many outboxes and queues of webhooks.
    Done(usize),
    /// It is on its way; what came of it comes when it is done. What its sender posts next is told behind it; whatever
    /// else it says must wait for that.
    Underway(oneshot::Receiver<Outcome>),
}

/// Where a post's offsets come from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Offsets<'a> {
    /// The rooms here give them.
    Own,
    /// It got these where all posts are put in order.
    Given(&'a [(Room, Position)]),
}

impl Hub {
    /// Says something to everybody whom the targets mean.
    pub fn post(self: &Arc<Self>, post: Post<'_>, now: Now) -> Result<Posted, Refusal> {
        let mut books = self.books.lock();
        self.post_in(&mut books, post, now)
    }

    pub(super) fn post_in(self: &Arc<Self>, books: &mut Books, post: Post<'_>, now: Now) -> Result<Posted, Refusal> {
        if let Some(link) = &self.link
            && let Some(posted) = self.post_abroad(books, link, &post, now)
        {
            return Ok(posted);
        }
        let groups = books.groups(post.targets, post.sender);
        let waits = books.waits(&groups, post.sender);
        if waits && !books.dispatch.has_room_for(post.text.len()) {
            self.metrics.messages.dropped(1);
            let why = "more is being told to large rooms than can be carried: try again in a moment";
            return Err(Refusal::new(Code::LimitExceeded, why).retry_after(std::time::Duration::from_secs(1)));
        }
        let sender = post.sender.and_then(|id| books.registry.get(id));
        let hooks = self.webhooks.hear(post.targets, &post.text, post.trace, sender.map(Arc::as_ref), now);
        let mut job = self.job(books, post, groups, Offsets::Own, now);
        if !waits {
            job.carry(self, &books.registry, &books.rooms, usize::MAX);
            return Ok(Posted::Done(job.told.count + hooks));
        }
        let (done, underway) = oneshot::channel();
        job.report = Report::Poster { done: Some(done), scope: Scope::Node, before: hooks };
        self.dispatch(books, job);
        Ok(Posted::Underway(underway))
    }

    /// Tells it to those who are here, behind what they are being told; who reports to whom is said.
    pub(super) fn tell(
        self: &Arc<Self>,
        books: &mut Books,
        post: Post<'_>,
        offsets: Offsets<'_>,
        report: Report,
        now: Now,
    ) {
        let groups = books.groups(post.targets, post.sender);
        let waits = books.waits(&groups, post.sender);
        let mut job = self.job(books, post, groups, offsets, now);
        if waits {
            job.report = report;
            self.dispatch(books, job);
        } else {
            job.carry(self, &books.registry, &books.rooms, usize::MAX);
            self.report(books, report, job.told.count);
        }
    }

    /// Puts a post behind those that are on their way.
    fn dispatch(self: &Arc<Self>, books: &mut Books, job: Job) {
        books.dispatch.put(job);
        if !std::mem::replace(&mut books.dispatch.is_carried, true) {
            match tokio::runtime::Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn(carry(Arc::clone(self)))),
                // Outside of a runtime nobody can wait, and nobody need.
                Err(_) => {
                    while self.carry_on(books) != Carried::Nothing {}
                    books.dispatch.is_carried = false;
                }
            }
        }
    }

    /// Gives the post its place in each of its rooms, and lays out the passes.
    fn job(
        self: &Arc<Self>,
        books: &mut Books,
        post: Post<'_>,
        groups: Vec<Group>,
        offsets: Offsets<'_>,
        now: Now,
    ) -> Job {
        let several = groups.len() > 1;
        let (mut subscribers, mut others) = (VecDeque::new(), VecDeque::with_capacity(groups.len()));
        for group in &groups {
            let (mut sequence, mut offset, mut placed) = (0, None, None);
            if let Some(room) = group.room() {
                let law = books.laws.law(room);
                let make = |offset| {
                    let text = Text::from(relay::in_room(&post.text, room, offset));
                    let bytes = text.len();
                    (text, bytes)
                };
                let posted = match offsets {
                    Offsets::Own => books.rooms.post(room, law, now.tick, make),
                    Offsets::Given(given) => {
                        let Some(posted) = self.placed(books, room, given, make, now) else { continue };
                        offset = posted.kept.as_ref().map(|(offset, _)| *offset);
                        posted
                    }
                };
                sequence = posted.sequence;
                placed = posted.kept.and_then(|(_, text)| text).map(Letter::new);
            }
            let pass = |part, placed| Pass { group: group.clone(), part, sequence, offset, placed, cursor: None };
            if several && placed.is_some() {
                subscribers.push_back(pass(Part::Subscribers, placed));
                others.push_back(pass(Part::Others, None));
            } else {
                others.push_back(pass(Part::Everybody, placed));
            }
        }
        if subscribers.is_empty() {
            subscribers = others;
        } else {
            subscribers.append(&mut others);
        }
        let told = Told { count: 0, seen: several.then(HashSet::new) };
        let letter = Letter::new(post.text);
        let (class, sender, report) = (post.class, post.sender, Report::Nobody);
        Job { letter, class, sender, posted: now.tick, passes: subscribers, told, groups, report }
    }

    /// Tells the next so many of the first job.
    fn carry_on(&self, books: &mut Books) -> Carried {
        let Some(mut job) = books.dispatch.jobs.pop_front() else { return Carried::Nothing };
        if job.carry(self, &books.registry, &books.rooms, PASS) {
            let (report, count) = books.dispatch.end(job);
            self.report(books, report, count);
            return Carried::Job;
        }
        books.dispatch.jobs.push_front(job);
        Carried::Part
    }

    /// Those whom the targets mean, the sender not among them: at most so many as one pass tells.
    pub(super) fn candidates(
        &self,
        books: &Books,
        targets: &[Target],
        sender: Option<ConnectionId>,
    ) -> Vec<(ConnectionId, Arc<Occupant>)> {
        let mut found: Vec<(ConnectionId, Arc<Occupant>)> = Vec::with_capacity(targets.len());
        for group in targets.iter().filter_map(|target| books.group(target, sender)) {
            if let (Group::One(id), true) = (&group, targets.len() == 1) {
                // An agent, or a connection: there is nobody to choose from.
                let here = books.registry.get(*id).filter(|here| Some(*id) != sender && here.endpoint.hears());
                found.extend(here.map(|here| (*id, Arc::clone(here))));
                break;
            }
            let mut pass = Pass::over(group);
            for (id, here, _) in pass.next(&books.registry, &books.rooms, PASS).members {
                if found.len() < PASS
                    && Some(id) != sender
                    && here.endpoint.hears()
                    && !found.iter().any(|(known, _)| *known == id)
                {
                    found.push((id, Arc::clone(here)));
                }
            }
        }
        found
    }
}

/// What one pass came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carried {
    Nothing,
    /// There are more to be told of the same post.
    Part,
    /// That post is in every outbox that it goes to.
    Job,
}

/// Puts posts into outboxes while there are any, then writes what waits there; posts that come while it writes join what
/// is still to be written. After so many posts the writing is finished first, so that no outbox fills up by waiting.
async fn carry(hub: Arc<Hub>) {
    let mut scratch = Scratch::default();
    let (mut posts, mut is_helped) = (0, false);
    hub.outgoing.hold();
    loop {
        let carried = if posts < JOINED { hub.carry_on(&mut hub.books.lock()) } else { Carried::Nothing };
        match carried {
            Carried::Part => {}
            Carried::Job => posts += 1,
            Carried::Nothing => {
                if !std::mem::replace(&mut is_helped, true) {
                    hub.outgoing.call_for_help();
                }
                if !hub.outgoing.write_some(&mut scratch) {
                    (posts, is_helped) = (0, false);
                    let mut books = hub.books.lock();
                    if books.dispatch.jobs.is_empty() && hub.outgoing.let_go() {
                        books.dispatch.is_carried = false;
                        return;
                    }
                }
            }
        }
        yield_now().await;
    }
}

impl Books {
    fn groups(&self, targets: &[Target], sender: Option<ConnectionId>) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::with_capacity(targets.len());
        for group in targets.iter().filter_map(|target| self.group(target, sender)) {
            // Whatever is named twice, under two names perhaps, is meant once.
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        groups
    }

    /// Whether a post to these is told behind others, and in passes.
    fn waits(&self, groups: &[Group], sender: Option<ConnectionId>) -> bool {
        groups.iter().map(|group| self.size(group)).sum::<usize>() > PASS
            || groups.iter().any(|group| self.dispatch.goes_to(group))
            || sender.is_some_and(|sender| self.dispatch.comes_from(sender))
    }
}
