//! A fleet in use while faults strike it: publishers, followers and a crowd, and at the end the verdict on everything that any of
//! them was told.

use std::{sync::Arc, time::Duration};

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::{
    ANSWER, Doors, Fleet, SEATS, Traits,
    crowd::Crowd,
    enter,
    follower::Follower,
    ledger::{self, Told},
    publisher::{Publisher, say},
    schedule::{Fault, Place, Step, schedule},
};
use crate::{chance::Chance, eventually, process::stopwatch, runner, tokens::token};

/// How many nodes.
pub const NODES: usize = 3;
/// How many follow, at any node.
pub const FOLLOWERS: usize = 6;
const PUBLISHERS: usize = 3;
const USERS: usize = 3;
/// How long it takes until what a node holds is counted again, from when it says that it is well.
const SETTLES: Duration = Duration::from_secs(2);

/// All of it.
#[derive(Debug)]
pub struct Trial {
    /// The fleet.
    pub fleet: Fleet,
    /// Who follows.
    pub followers: Vec<Follower>,
    crowd: Crowd,
    publishers: Vec<Publisher>,
    /// What has struck so far.
    struck: Vec<Fault>,
    _turn: Turn,
}

/// Who runs now: as many fleets as there are threads of tests, or one that needs the machine for itself.
static TURNS: RwLock<()> = RwLock::const_new(());

#[derive(Debug)]
#[allow(dead_code, reason = "what is held is held until the end")]
enum Turn {
    Beside(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
}

impl Trial {
    /// Begins, and waits until all is in use. Limits hold from the first handshake on, though Redis has no data yet.
    pub async fn begin(seed: u64, traits: Traits) -> Self {
        let turn =
            if traits.has_the_machine { Turn::Alone(TURNS.write().await) } else { Turn::Beside(TURNS.read().await) };
        let fleet = Fleet::of(NODES, traits).await;
        let mut chance = Chance::of(seed);
        let doors = &fleet.doors;
        // At the beginning some at each node.
        let followers = (0..FOLLOWERS)
            .map(|nth| Follower::begin(&format!("follower-{nth}"), Arc::clone(doors), chance.any()))
            .collect();
        let rest = Duration::from_millis(15);
        let publishers =
            (0..PUBLISHERS).map(|nth| Publisher::begin(nth, Arc::clone(doors), chance.any(), rest)).collect();
        let crowd = Crowd::begin(USERS, doors, chance.any());
        let trial = Self { fleet, followers, crowd, publishers, struck: Vec::new(), _turn: turn };
        trial.goes_on().await;
        trial
    }

    /// Each follower hears what was not heard before, or hears again after it was told that it missed some.
    pub async fn goes_on(&self) {
        for (nth, follower) in self.followers.iter().enumerate() {
            let before = follower.account().notes.len();
            eventually(20, &format!("follower {nth} hears something"), async || {
                (follower.account().notes.len() > before + 1).then_some(())
            })
            .await;
        }
    }

    /// Lets everything strike that the seed says, one after the other; and it was that.
    pub async fn takes_all(&mut self, seed: u64, length: Duration, place: Place) {
        let plan = || schedule(seed, length, place, NODES, FOLLOWERS);
        let since = stopwatch();
        for step in plan() {
            runner::say(format_args!("{:>7.3} s: {step:?}", since.elapsed().as_secs_f64()));
            self.takes(&step).await;
        }
        let planned: Vec<Fault> = plan().into_iter().flat_map(|step| step.faults).collect();
        assert_eq!(self.struck, planned, "the seed {seed} says what strikes, whenever it is asked");
    }

    /// Lets one step strike, lifts it, and waits until all is well again.
    pub async fn takes(&mut self, step: &Step) {
        for fault in &step.faults {
            self.strike(*fault);
        }
        tokio::time::sleep(step.lasts).await;
        self.heals(&step.faults).await;
        tokio::time::sleep(step.calm).await;
    }

    /// Strikes.
    pub fn strike(&mut self, fault: Fault) {
        self.struck.push(fault);
        if !fault.leaves_redis() {
            self.crowd.register.rough();
        }
        match fault {
            Fault::Kill(nth) => self.fleet.kill(nth),
            Fault::Freeze(nth) => self.signal(nth, "STOP"),
            Fault::Hold(nth) => self.fleet.cords[nth].hold(),
            Fault::Refuse(nth) => self.fleet.cords[nth].refuse(),
            Fault::Pause => self.fleet.meeting.master().pause(),
            Fault::Restart | Fault::Failover => self.fleet.meeting.kill(),
            Fault::Scatter(count) => self.followers.iter().take(count).for_each(Follower::scatter),
        }
    }

    /// Lifts them, and waits until all nodes are well and limits hold over all of them again.
    pub async fn heals(&mut self, faults: &[Fault]) {
        self.lift(faults).await;
        self.fleet.is_well().await;
        if faults.iter().any(|fault| !fault.leaves_redis()) {
            tokio::time::sleep(SETTLES).await;
            self.crowd.register.calm();
        }
    }

    /// Lifts them. The Sentinels take their time, in which nobody is to stay frozen, and nodes start last: they want to find
    /// a Redis.
    async fn lift(&mut self, faults: &[Fault]) {
        for fault in faults {
            match *fault {
                Fault::Kill(_) | Fault::Scatter(_) | Fault::Failover => {}
                Fault::Freeze(nth) => self.signal(nth, "CONT"),
                Fault::Hold(nth) | Fault::Refuse(nth) => self.fleet.cords[nth].mend(),
                Fault::Pause => self.fleet.meeting.master().resume(),
                Fault::Restart => self.fleet.meeting.go_on(),
            }
        }
        if faults.contains(&Fault::Failover) {
            self.fleet.meeting.is_taken_over().await;
        }
        for fault in faults {
            if let Fault::Kill(nth) = *fault {
                self.fleet.start(nth);
            }
        }
    }

    fn signal(&self, nth: usize, name: &str) {
        if let Some(node) = &self.fleet.nodes[nth] {
            node.signal(name);
        }
    }

    /// Comes to rest: everybody hears a last word, seats are free for whom they are due, and nobody was told a wrong thing.
    pub async fn ends_well(self) {
        let Self { fleet, followers, crowd, publishers, _turn: _held, .. } = self;
        fleet.is_well().await;
        let (mut said, mut faults) = (Vec::new(), Vec::new());
        for publisher in publishers {
            let (told, wrong) = publisher.end().await;
            said.push(told);
            faults.extend(wrong);
        }
        said.push(last_word(&fleet.doors, &followers).await);
        let (welcomed, checked, refused) = crowd.register.counts();
        faults.extend(crowd.end().await);
        seats_are_free(&fleet.doors).await;
        let accounts: Vec<_> = followers.iter().map(Follower::account).collect();
        faults.extend(ledger::faults(&said, &accounts));
        let of = |kind| said.iter().flatten().filter(|told| **told == kind).count();
        runner::say(format_args!(
            "said to all {}, to one node {}, refused {}, unknown {}; breaks {:?}, recovered {:?}; welcomed {welcomed}, \
             limits checked {checked}, refused {refused}",
            of(Told::Cluster),
            of(Told::Node),
            of(Told::Refused),
            of(Told::Nothing),
            accounts.iter().map(ledger::Account::breaks).collect::<Vec<_>>(),
            accounts.iter().map(|account| account.recovered).collect::<Vec<_>>(),
        ));
        assert!(faults.is_empty(), "{} faults: {:#?}", faults.len(), &faults[..faults.len().min(20)]);
        assert!(of(Told::Cluster) > 50 && checked > 5 && refused > 5, "all of it was in use");
    }
}

/// A word that every follower hears; who comes again in that moment hears the next one.
async fn last_word(doors: &Doors, followers: &[Follower]) -> Vec<Told> {
    let (door, by, mut said) = (doors.nth(0).expect("it runs"), PUBLISHERS, Vec::new());
    for _ in 0..20 {
        let told = say(doors, door, by, said.len()).await.expect("it is answered");
        said.push(told);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let heard = |follower: &Follower| follower.has_heard(by, said.len() as u64 - 1);
        if told == Told::Cluster && followers.iter().all(heard) {
            return said;
        }
    }
    let deaf: Vec<usize> = (0..followers.len()).filter(|nth| !followers[*nth].has_heard(by, 19)).collect();
    panic!("these followers do not hear the last word, which was told {:?}: {deaf:?}", said.last());
}

/// Everybody who has none gets as many as are due.
async fn seats_are_free(doors: &Doors) {
    for nth in 0..USERS {
        let token = token(&format!("user-{nth}"), "dashboard");
        let mut held = Vec::new();
        eventually(ANSWER.as_secs(), "all seats are free", async || {
            let door = doors.any(&mut Chance::of(held.len() as u64));
            held.extend(enter(door, "/ws/dashboard", &token).await.ok());
            (held.len() == SEATS).then_some(())
        })
        .await;
        let door = doors.nth(0).expect("it runs");
        assert!(enter(door, "/ws/dashboard", &token).await.is_err(), "and one more is refused");
    }
}
