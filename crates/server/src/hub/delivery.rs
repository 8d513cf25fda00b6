//! Carrying a text to everybody whom its targets mean, each once. Webhooks have queues of their own.
//!
//! A post to a few is done at once, under the lock. A post to many is carried in passes of so many members, one post
//! after the other, and the lock is free between the passes, so that nobody waits for the whole of it. Whoever posts
//! into a room whose last post is still on its way waits behind it: in a room, all hear everything in one order.
//!
//! In a room with a history those who subscribed get the text with the room and its offset there, once for each such
//! room; everybody else gets the text itself, once for the whole post.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::Hash,
    sync::Arc,
};

use gateway_domain::{
    Code, ConnectionId, Now, Refusal, Role, Room, UserId, registry::Registry, relay, rooms::Rooms, target::Target,
};
use gateway_transport::Text;
use tokio::{sync::oneshot, task::yield_now};

use super::{Hub, Letter, Occupant, books::Books, outbox::Class, outgoing::Scratch};

/// So many members are told in one hold of the lock.
const PASS: usize = 256;
/// The most bytes of posts that are on their way to many.
const MOST_UNDER_WAY: usize = 64 << 20;
/// So many posts are put into outboxes before what waits there is written to the last of them.
const JOINED: usize = 8;
const USER_ROOM: &str = "user:";

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
}

/// How far a post has come.
#[derive(Debug)]
pub enum Posted {
    /// It was put into so many outboxes and queues of webhooks.
    Done(usize),
    /// It is on its way; the number comes when it is done. What its sender posts next is told behind it; whatever else it
    /// says must wait for that.
    Underway(oneshot::Receiver<usize>),
}

/// Those whom one target means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Group {
    Room(Room),
    Role(Role),
    Endpoint(Box<str>),
    Narrowed(UserId, Role),
    One(ConnectionId),
}

/// Posts on their way to many, in their order.
#[derive(Debug, Default)]
pub(super) struct Dispatch {
    jobs: VecDeque<Job>,
    /// How many of them go to each group.
    busy: HashMap<Group, usize>,
    /// How many of them each sender has said: what it says next is told behind them.
    senders: HashMap<ConnectionId, usize>,
    bytes: usize,
    is_carried: bool,
}

#[derive(Debug)]
struct Job {
    letter: Letter,
    class: Class,
    sender: Option<ConnectionId>,
    passes: VecDeque<Pass>,
    told: Told,
    groups: Vec<Group>,
    done: Option<oneshot::Sender<usize>>,
}

#[derive(Debug)]
struct Pass {
    group: Group,
    part: Part,
    /// Of the post in its room: who came later has it from the history, or came too late.
    sequence: u64,
    /// For those who subscribed to a room with a history.
    placed: Option<Letter>,
    cursor: Option<ConnectionId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Everybody,
    Subscribers,
    Others,
}

/// Who has it already, where several targets may mean one connection.
#[derive(Debug, Default)]
struct Told {
    count: usize,
    seen: Option<HashSet<ConnectionId>>,
}

impl Hub {
    /// Says something to everybody whom the targets mean.
    pub fn post(self: &Arc<Self>, post: Post<'_>, now: Now) -> Result<Posted, Refusal> {
        let mut books = self.books.lock();
        self.post_in(&mut books, post, now)
    }

    pub(super) fn post_in(self: &Arc<Self>, books: &mut Books, post: Post<'_>, now: Now) -> Result<Posted, Refusal> {
        let mut groups: Vec<Group> = Vec::with_capacity(post.targets.len());
        for group in post.targets.iter().filter_map(|target| books.group(target, post.sender)) {
            // Whatever is named twice, under two names perhaps, is meant once.
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        let size: usize = groups.iter().map(|group| books.size(group)).sum();
        let waits = size > PASS
            || groups.iter().any(|group| books.dispatch.busy.contains_key(group))
            || post.sender.is_some_and(|sender| books.dispatch.senders.contains_key(&sender));
        if waits && books.dispatch.bytes + post.text.len() > MOST_UNDER_WAY {
            self.metrics.dropped(1);
            let why = "more is being told to large rooms than can be carried: try again in a moment";
            return Err(Refusal::new(Code::LimitExceeded, why).retry_after(std::time::Duration::from_secs(1)));
        }
        let mut job = self.job(books, post, groups, now);
        if !waits {
            job.carry(self, &books.registry, &books.rooms, usize::MAX);
            return Ok(Posted::Done(job.told.count));
        }
        let (done, underway) = oneshot::channel();
        job.done = Some(done);
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
        Ok(Posted::Underway(underway))
    }

    /// Gives the post its place in each of its rooms, and lays out the passes.
    fn job(&self, books: &mut Books, post: Post<'_>, groups: Vec<Group>, now: Now) -> Job {
        let several = groups.len() > 1;
        let (mut subscribers, mut others) = (VecDeque::new(), VecDeque::new());
        for group in &groups {
            let (mut sequence, mut placed) = (0, None);
            if let Group::Room(room) = group {
                let law = self.rules.laws.law(room);
                let posted = books.rooms.post(room, law, now.tick, |offset| {
                    let text = Text::from(relay::in_room(&post.text, room, offset));
                    let bytes = text.len();
                    (text, bytes)
                });
                sequence = posted.sequence;
                placed = posted.kept.map(|(_, text)| Letter::new(text));
            }
            let pass = |part, placed| Pass { group: group.clone(), part, sequence, placed, cursor: None };
            if several && placed.is_some() {
                subscribers.push_back(pass(Part::Subscribers, placed));
                others.push_back(pass(Part::Others, None));
            } else {
                others.push_back(pass(Part::Everybody, placed));
            }
        }
        subscribers.append(&mut others);
        let sender = post.sender.and_then(|id| books.registry.get(id));
        let hooks = self.webhooks.hear(post.targets, &post.text, sender.map(Arc::as_ref), now);
        let told = Told { count: hooks, seen: several.then(HashSet::new) };
        let letter = Letter::new(post.text);
        Job { letter, class: post.class, sender: post.sender, passes: subscribers, told, groups, done: None }
    }

    /// Tells the next so many of the first job.
    fn carry_on(&self, books: &mut Books) -> Carried {
        let Some(mut job) = books.dispatch.jobs.pop_front() else { return Carried::Nothing };
        if job.carry(self, &books.registry, &books.rooms, PASS) {
            books.dispatch.end(job);
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
        let mut found: Vec<(ConnectionId, Arc<Occupant>)> = Vec::new();
        for group in targets.iter().filter_map(|target| books.group(target, sender)) {
            let mut pass = Pass { group, part: Part::Everybody, sequence: u64::MAX, placed: None, cursor: None };
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
    fn group(&self, target: &Target, sender: Option<ConnectionId>) -> Option<Group> {
        match target {
            Target::User { user, role: None } => Room::parse(&format!("{USER_ROOM}{user}")).ok().map(Group::Room),
            Target::User { user, role: Some(role) } => Some(Group::Narrowed(user.clone(), role.clone())),
            // Whoever names itself is not told: that is what `sender` is for.
            Target::Agent(agent) => {
                let live = self.registry.agent(agent).map(|(id, _)| id);
                live.filter(|id| Some(*id) != sender).map(Group::One)
            }
            Target::Connection(id) => Some(*id).filter(|id| Some(*id) != sender).map(Group::One),
            Target::Room(room) => Some(Group::Room(room.clone())),
            Target::Role(role) => Some(Group::Role(role.clone())),
            Target::Endpoint(path) => Some(Group::Endpoint(path.clone())),
            Target::Sender => sender.map(Group::One),
            // No connection is told by these.
            Target::Webhook(_) | Target::Subscribe(_) => None,
        }
    }

    fn size(&self, group: &Group) -> usize {
        match group {
            Group::Room(room) => {
                let hearing = user_of(room).map_or(0, |user| self.registry.hearing(&user).count());
                self.rooms.size(room) + hearing
            }
            Group::Role(role) => self.registry.count_of_role(role),
            Group::Endpoint(path) => self.registry.count_of_endpoint(path),
            Group::Narrowed(user, _) => self.registry.of_user(user).count(),
            Group::One(_) => 1,
        }
    }
}

/// Whose room that is: everybody's own is joined by itself.
pub(super) fn user_of(room: &Room) -> Option<UserId> {
    room.as_str().strip_prefix(USER_ROOM).and_then(|user| user.parse().ok())
}

impl Dispatch {
    fn put(&mut self, job: Job) {
        self.bytes += job.letter.len();
        for group in &job.groups {
            *self.busy.entry(group.clone()).or_default() += 1;
        }
        if let Some(sender) = job.sender {
            *self.senders.entry(sender).or_default() += 1;
        }
        self.jobs.push_back(job);
    }

    fn end(&mut self, job: Job) {
        self.bytes -= job.letter.len();
        job.groups.iter().for_each(|group| one_less(&mut self.busy, group));
        if let Some(sender) = &job.sender {
            one_less(&mut self.senders, sender);
        }
        if let Some(done) = job.done {
            // Whoever posted it may be gone.
            let _ = done.send(job.told.count);
        }
    }
}

fn one_less<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

impl Job {
    /// Tells at most so many; whether that was all.
    fn carry(&mut self, hub: &Hub, registry: &Registry<Arc<Occupant>>, rooms: &Rooms<Text>, mut most: usize) -> bool {
        while let Some(pass) = self.passes.front_mut() {
            let to_one_self = matches!(pass.group, Group::One(id) if Some(id) == self.sender);
            let Reached { members, looked_at, is_over } = pass.next(registry, rooms, most);
            most = most.saturating_sub(looked_at);
            for (id, here, subscribed) in members {
                if Some(id) == self.sender && !to_one_self {
                    continue;
                }
                let is_new = self.told.note(id);
                let was_told = match &mut pass.placed {
                    Some(placed) if subscribed => hub.say(here, placed, self.class),
                    _ => is_new && hub.say(here, &mut self.letter, self.class),
                };
                self.told.count += usize::from(is_new && was_told);
            }
            if is_over {
                self.passes.pop_front();
            }
            if most == 0 {
                break;
            }
        }
        self.passes.is_empty()
    }
}

impl Told {
    /// Whether this connection is met for the first time.
    fn note(&mut self, id: ConnectionId) -> bool {
        self.seen.as_mut().is_none_or(|seen| seen.insert(id))
    }
}

/// Those whom a pass comes to next: each, and whether it asked for the room.
type Members<'a> = Vec<(ConnectionId, &'a Arc<Occupant>, bool)>;

struct Reached<'a> {
    members: Members<'a>,
    /// Those among whom they were found: looking takes time, too.
    looked_at: usize,
    is_over: bool,
}

impl<'a> Reached<'a> {
    /// All that there were.
    fn all(members: Members<'a>) -> Self {
        Self { looked_at: members.len(), members, is_over: true }
    }
}

impl Pass {
    /// The next so many of the group, and whether these were the last.
    fn next<'a>(&mut self, registry: &'a Registry<Arc<Occupant>>, rooms: &Rooms<Text>, most: usize) -> Reached<'a> {
        let plain = |(id, here): (ConnectionId, &'a Arc<Occupant>)| (id, here, false);
        let members: Members<'a> = match &self.group {
            Group::Room(room) => {
                let part = self.part;
                let meant = |subscribed| match part {
                    Part::Everybody => true,
                    Part::Subscribers => subscribed,
                    Part::Others => !subscribed,
                };
                let mut last = None;
                let mut seen = 0;
                let mut members: Members<'a> = Vec::new();
                for (id, member) in rooms.members(room, self.cursor, self.sequence).take(most) {
                    last = Some(id);
                    seen += 1;
                    if let (true, Some(here)) = (meant(member.subscribed), registry.get(id)) {
                        members.push((id, here, member.subscribed));
                    }
                }
                if seen == most {
                    self.cursor = last;
                    return Reached { members, looked_at: seen, is_over: false };
                }
                // Those who hear what is said to their user without having asked for it.
                if let Some(user) = user_of(room).filter(|_| part != Part::Subscribers) {
                    let hearing = registry.hearing(&user).filter(|(id, _)| !rooms.is_member(room, *id));
                    members.extend(hearing.map(plain));
                }
                return Reached { members, looked_at: seen, is_over: true };
            }
            Group::Role(role) => registry.of_role(role, self.cursor).take(most).map(plain).collect(),
            Group::Endpoint(path) => registry.of_endpoint(path, self.cursor).take(most).map(plain).collect(),
            Group::Narrowed(user, role) => {
                let own = registry.of_user(user).filter(|here| here.stands(|s| s.role.as_ref() == Some(role)));
                return Reached::all(own.map(|here| (here.id, here, false)).collect());
            }
            Group::One(id) => {
                return Reached::all(registry.get(*id).map(|here| (*id, here, false)).into_iter().collect());
            }
        };
        self.cursor = members.last().map(|(id, ..)| *id);
        Reached { looked_at: members.len(), is_over: members.len() < most, members }
    }
}
