//! A session: orders go out together as they come, the lease is kept, and what hung on nodes that are gone is given back.
//!
//! The law: one write of commands is under way at a time, and all that waits goes with the next, so that orders are done
//! in their order and a busy node makes fewer and larger writes. Following goes its own way, on the connection that hears.

mod following;
mod lease;
mod reaping;

use std::{collections::VecDeque, pin::Pin, time::Duration};

use gateway_domain::{
    Room, Tick,
    link::{Act, Answer, Arrival, NodeId},
};
use redis::Value;
use tokio::time::MissedTickBehavior;

use super::{
    dial::Wire,
    errand::{self, Errand, Outcome, millis},
    fault::Fault,
    link::{End, Link, Session},
    scripts::{Script, Scripts},
    settings::Address,
    settling::Settling,
    wire,
};

/// The most commands that go out together, and the most bytes of texts.
const TOGETHER: (usize, usize) = (256, 512 * 1024);
/// How long sums of what was spent are kept.
pub(super) const SPENT_FOR: Duration = Duration::from_secs(600);
/// The most keys of which it is known what was spent.
const SPENT_KEYS: usize = 65_536;
/// How often Sentinels are asked who the master is.
const ASK_SENTINELS: Duration = Duration::from_secs(3);

type Flight<T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send>>;

/// A command that is under way, or will be.
enum Job {
    Errand(Errand),
    Beat,
    Reap(NodeId),
    /// Whose answer does not matter.
    Aside,
}

/// What one session does at a time.
struct Work {
    commands: Option<Flight<Vec<Value>>>,
    jobs: Vec<Job>,
    following: Option<Flight<()>>,
    followed: Vec<Errand>,
    to_follow: VecDeque<Errand>,
    asking: Option<Flight<Address>>,
    asked: Tick,
    beat_is_due: bool,
    /// The number of the probe that is under way, and when it was sent.
    probe: (u64, Tick),
    last_beat: Tick,
    /// Since when beats were never late.
    steady: Tick,
    to_reap: VecDeque<NodeId>,
    /// Claims of seats that wait until it is known how many seats each user has.
    unsettled: VecDeque<Errand>,
    to_touch: VecDeque<Room>,
    scripts_are_gone: bool,
    is_told: bool,
    /// The data is another since this session began: what this node holds has to be put back there.
    is_another: bool,
    settling: Settling,
    measured: Tick,
}

impl Link {
    /// Serves the house over these connections until they break.
    pub(super) async fn serve(&mut self, mut session: Session) -> End {
        self.comes_to(session.generation.clone());
        // What is ordered from here on is done behind what is put back, and not passed over.
        self.is_connected = true;
        if let Err(end) = self.restore(&mut session).await {
            self.is_connected = false;
            return end;
        }
        let now = (self.now)().tick;
        let mut work = Work {
            commands: None,
            jobs: Vec::new(),
            following: None,
            followed: Vec::new(),
            to_follow: VecDeque::new(),
            asking: None,
            asked: now,
            beat_is_due: true,
            probe: (0, now),
            last_beat: now,
            steady: now,
            to_reap: VecDeque::new(),
            unsettled: VecDeque::new(),
            to_touch: VecDeque::new(),
            scripts_are_gone: false,
            is_told: false,
            is_another: false,
            settling: Settling::begin(session.opened, session.age, &self.settings),
            measured: now,
        };
        let end = match self.work(&mut session, &mut work).await {
            Ok(end) | Err(end) => end,
        };
        self.is_connected = false;
        // Nothing more is heard from here on: what came back came back.
        drop((session.ears, work.commands, work.following));
        let errands = work.jobs.into_iter().filter_map(|job| match job {
            Job::Errand(errand) => Some(errand),
            Job::Beat | Job::Reap(_) | Job::Aside => None,
        });
        let errands = errands.chain(work.followed).chain(work.to_follow).chain(work.unsettled).collect();
        self.doubt(errands, &session.hearing).await;
        end
    }

    async fn work(&mut self, session: &mut Session, work: &mut Work) -> Result<End, End> {
        let hearing = session.hearing.clone();
        let mut beats = tokio::time::interval(self.settings.beat());
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut look = tokio::time::interval(Duration::from_millis(50));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if let Some(fault) = hearing.fault() {
                return Err(End::Broken(fault));
            }
            if let Some(probe) = hearing.probe() {
                self.heard_itself(work, probe).await;
            }
            if work.commands.is_none() {
                if work.scripts_are_gone {
                    self.ask(session, &Scripts::loading()).await?;
                    work.scripts_are_gone = false;
                }
                if std::mem::take(&mut work.is_another) {
                    self.restore(session).await?;
                    work.settling = Settling::begin((self.now)().tick, Duration::ZERO, &self.settings);
                    work.beat_is_due = true;
                }
                if matches!(self.waiting.front(), Some(Errand { order, .. }) if matches!(order.act, Act::Leave)) {
                    return self.leave(session).await;
                }
                self.send_together(session, work).await;
            }
            if work.following.is_none() {
                self.follow_together(session, work);
            }
            self.ask_sentinels(work);
            let room = self.waiting.len() + work.unsettled.len() < self.settings.orders;
            tokio::select! {
                biased;
                () = hearing.rung() => {}
                answers = under_way(&mut work.commands) => {
                    work.commands = None;
                    self.settle(session, work, answers.map_err(End::Broken)?).await?;
                }
                followed = under_way(&mut work.following) => {
                    work.following = None;
                    followed.map_err(End::Broken)?;
                    for errand in work.followed.drain(..) {
                        self.answer(errand.order.ticket, Answer::Done).await;
                    }
                }
                master = under_way(&mut work.asking) => {
                    work.asking = None;
                    // Sentinels that cannot be asked name nobody else.
                    if master.is_ok_and(|master| master != session.address) {
                        return Err(End::Broken(Fault::Moved));
                    }
                }
                _ = beats.tick() => work.beat_is_due = true,
                _ = look.tick() => {
                    self.look().await;
                    let now = (self.now)().tick;
                    let is_over = work.settling.is_over(now);
                    work.beat_is_due |= !is_over && now.since(work.probe.1) >= self.settings.beat() / 4;
                    if now.since(self.proven.max(session.opened)) > self.settings.patience {
                        return Err(End::Broken(Fault::LoopOpen));
                    }
                }
                order = self.orders.recv(), if room => {
                    let Some(order) = order else { return Ok(End::HouseGone) };
                    self.memory.note(&order.act);
                    self.keep(order);
                    for _ in 1..TOGETHER.0 {
                        let Ok(order) = self.orders.try_recv() else { break };
                        self.memory.note(&order.act);
                        self.keep(order);
                    }
                }
            }
        }
    }

    /// Sends all that waits, in one write.
    async fn send_together(&mut self, session: &mut Session, work: &mut Work) {
        let now = (self.now)().tick;
        let is_settled = work.settling.is_over(now);
        if is_settled {
            self.awaited.clear();
            while let Some(errand) = work.unsettled.pop_back() {
                self.waiting.push_front(Errand { until: now + self.settings.timeout, ..errand });
            }
        }
        let mut pipeline = redis::pipe();
        let mut jobs = Vec::new();
        if work.beat_is_due {
            work.beat_is_due = false;
            self.probes += 1;
            work.probe = (self.probes, now);
            let keys = &self.keys;
            let mut beat =
                session.scripts.run(Script::Beat, &[keys.nodes(), keys.lost(), keys.generation(), keys.settled()]);
            beat.arg(self.node.as_str())
                .arg(millis(self.settings.written_lease()))
                .arg(session.generation.0)
                .arg(keys.to_node(&self.node))
                .arg(wire::probe(self.probes))
                .arg(if is_settled { "" } else { "waits" });
            pipeline.add_command(beat);
            jobs.push(Job::Beat);
            self.touch_rooms(work, &mut pipeline, &mut jobs);
            if let Some(node) = work.to_reap.pop_front() {
                pipeline.add_command(self.reaping(session, &node, false));
                jobs.push(Job::Reap(node));
            }
        } else if let Some(node) = work.to_reap.pop_front() {
            pipeline.add_command(self.reaping(session, &node, false));
            jobs.push(Job::Reap(node));
        }
        let mut bytes = 0;
        while jobs.len() < TOGETHER.0 && bytes < TOGETHER.1 {
            let Some(errand) = self.waiting.pop_front() else { break };
            match &errand.order.act {
                Act::Leave => {
                    self.waiting.push_front(errand);
                    break;
                }
                Act::Follow(_) | Act::Unfollow(_) => work.to_follow.push_back(errand),
                // Whoever wanted it has gone.
                Act::TakeSeat(claim) if !self.memory.is_asked(claim) => {
                    self.answer(errand.order.ticket, Answer::Away).await;
                }
                // Until all have put back what they hold, nobody knows how many seats a user has.
                Act::TakeSeat(_) if !is_settled => work.unsettled.push_back(errand),
                act => {
                    bytes += weight(act);
                    let count = || match act {
                        Act::Enter { room, member } | Act::Exit { room, member } => self.memory.count(room, member),
                        _ => 0,
                    };
                    if let Some(command) = self.desk(session).command(&errand, count) {
                        pipeline.add_command(command);
                        jobs.push(Job::Errand(errand));
                    }
                }
            }
        }
        if !jobs.is_empty() {
            let mut wire: Wire = session.wire.clone();
            work.jobs = jobs;
            work.commands = Some(Box::pin(async move { wire.run(&pipeline).await }));
        }
    }

    /// Takes in the answers of what was sent together.
    async fn settle(&mut self, session: &mut Session, work: &mut Work, answers: Vec<Value>) -> Result<(), End> {
        let jobs = std::mem::take(&mut work.jobs);
        let mut again = Vec::new();
        let mut broken = None;
        for (job, answer) in jobs.into_iter().zip(&answers) {
            if let Value::ServerError(error) = answer {
                let code = error.code();
                match (code, job) {
                    ("NOSCRIPT", job) => {
                        work.scripts_are_gone = true;
                        match job {
                            Job::Errand(errand) => again.push(errand),
                            Job::Beat => work.beat_is_due = true,
                            Job::Reap(node) => work.to_reap.push_front(node),
                            Job::Aside => {}
                        }
                    }
                    // It is no master any more, or not yet: whoever is one can be asked again.
                    (
                        "READONLY" | "LOADING" | "MASTERDOWN" | "NOREPLICAS" | "NOAUTH" | "NOPERM",
                        Job::Errand(errand),
                    ) => {
                        again.push(errand);
                        broken = Some(Fault::of(session.wire.server(), &error.clone().into()));
                    }
                    (_, Job::Errand(errand)) => {
                        tracing::error!(code, said = error.details(), "Redis does not do what the link asks for");
                        self.answer(errand.order.ticket, Answer::Away).await;
                    }
                    (_, Job::Aside) => {}
                    (_, Job::Beat | Job::Reap(_)) => {
                        broken = Some(Fault::of(session.wire.server(), &error.clone().into()));
                    }
                }
                continue;
            }
            match job {
                Job::Errand(errand) => match self.settle_errand(errand, answer).await {
                    None => {}
                    Some((errand, Outcome::Unsettled)) => {
                        work.unsettled.push_back(errand);
                        work.beat_is_due = true;
                    }
                    Some((errand, _)) => {
                        again.push(errand);
                        broken = Some(Fault::LeaseOver);
                    }
                },
                Job::Beat => self.beaten(session, work, answer).await?,
                Job::Reap(node) => self.given_back(work, node, answer).await,
                Job::Aside => {}
            }
        }
        for errand in again.into_iter().rev() {
            self.waiting.push_front(errand);
        }
        broken.map_or(Ok(()), |fault| Err(End::Broken(fault)))
    }

    /// Answers an order; or gives it back where the lease of this node is over, or the data another.
    async fn settle_errand(&mut self, errand: Errand, value: &Value) -> Option<(Errand, Outcome)> {
        let ticket = errand.order.ticket;
        let answer = match errand::outcome(&errand, value, (self.now)().wall) {
            Outcome::Answer(answer) => answer,
            Outcome::Kept(displaced) => {
                if let Some(displaced) = displaced {
                    self.tell(Arrival::Displaced(displaced)).await;
                }
                Answer::Done
            }
            again @ (Outcome::LeaseOver | Outcome::Unsettled) => return Some((errand, again)),
            Outcome::Strange => {
                tracing::error!(order = ?ticket, "Redis answers what makes no sense");
                Answer::Away
            }
        };
        let answer = match (errand.order.act, answer) {
            (Act::TakeSeat(claim), answer) => {
                self.memory.note_seat(&claim, &answer);
                answer
            }
            (Act::Write { book, key, value, until, .. }, Answer::Written(Ok(()))) => {
                if book.is_told() {
                    self.mirror.lock().note(book, &key, value.map(|value| (value, until)));
                }
                Answer::Written(Ok(()))
            }
            (Act::Spend(spent), Answer::Spent(before)) => Answer::Spent(self.spent_by_others(&spent, &before)),
            (_, answer) => answer,
        };
        self.answer(ticket, answer).await;
        None
    }

    fn spent_by_others(&mut self, spent: &[(String, u64)], before: &[u64]) -> Vec<u64> {
        let now = (self.now)().tick;
        if self.spent.len() > SPENT_KEYS {
            self.spent.retain(|_, (_, heard)| now.since(*heard) < SPENT_FOR);
        }
        let each = spent.iter().zip(before).map(|((key, amount), before)| {
            let known = self.spent.insert(key.clone(), (before.saturating_add(*amount), now));
            known.map_or(0, |(known, _)| before.saturating_sub(known))
        });
        each.collect()
    }

    fn ask_sentinels(&self, work: &mut Work) {
        let now = (self.now)().tick;
        if self.has_sentinels() && work.asking.is_none() && now.since(work.asked) > ASK_SENTINELS {
            work.asked = now;
            let dial = self.dial.clone();
            work.asking = Some(Box::pin(async move { dial.master().await }));
        }
    }
}

/// How many bytes of texts an order sends.
fn weight(act: &Act) -> usize {
    match act {
        Act::Post(posting) => posting.head.len() + posting.text.len(),
        Act::Tell { letter, .. } => letter.len(),
        Act::Write { value, .. } => value.as_ref().map_or(0, String::len),
        _ => 0,
    }
}

/// What is under way, where anything is.
async fn under_way<T>(flight: &mut Option<Flight<T>>) -> Result<T, Fault> {
    match flight {
        Some(flight) => flight.await,
        None => std::future::pending().await,
    }
}
