//! The lease of this node, kept by beats: what a beat says of the others, the loop that it closes, and the rooms that live on by it.

use std::time::Duration;

use gateway_domain::{
    Tick,
    link::{Arrival, Channel, Health, NodeId},
};
use redis::Value;

use super::{
    super::{
        errand::millis,
        fault::Fault,
        link::{End, Link, Session},
        reply,
    },
    Job, Work,
};

/// A followed room is kept alive this often; it would be forgotten after a day.
const ROOMS_TOUCHED_IN: u32 = 6 * 3600;

impl Link {
    /// The lease is renewed; what else is there to be done for the others?
    pub(super) async fn beaten(&mut self, session: &mut Session, work: &mut Work, answer: &Value) -> Result<(), End> {
        let now = (self.now)().tick;
        let Some((word, [count, mark, clock, here, over, lost, back])) = reply::told(answer) else {
            return Err(End::Broken(match reply::told(answer) {
                Some(("replica", _)) => Fault::Replica { server: session.address.to_string() },
                _ => Fault::LeaseOver,
            }));
        };
        debug_assert_eq!(word, "beat");
        if let (Some(count), Some(mark)) = (reply::number(count), reply::text(mark)) {
            work.is_another |= count != session.generation.0;
            session.generation = (count, mark.to_owned());
            self.comes_to(session.generation.clone());
        }
        if let Some(clock) = reply::number(clock) {
            // Each reading is too low by as long as its answer took; one that is higher is nearer. Clocks drift, too.
            let measured = clock - millis(now.since_origin()) - 1;
            if measured > session.clock || now.since(work.measured) > Duration::from_secs(10) {
                (session.clock, work.measured) = (measured, now);
            }
        }
        let read = |list| reply::texts(list).filter_map(NodeId::parse);
        let all: Vec<NodeId> = read(here).chain(read(over)).collect();
        work.settling.hear(&all, &self.awaited, &read(back).collect::<Vec<_>>(), &self.node);
        let mut nodes: Vec<NodeId> = read(here).collect();
        nodes.sort();
        if nodes != self.nodes {
            self.nodes.clone_from(&nodes);
            self.tell(Arrival::Nodes(nodes)).await;
        }
        if now.since(work.last_beat) > self.settings.beat() * 3 {
            work.steady = now;
        }
        work.last_beat = now;
        // After a time in which Redis itself did not answer every lease looks as if it were over. Who beats all the
        // while gives the others as long as a lease to say that they are here.
        if now.since(work.steady) >= self.settings.written_lease() {
            for node in reply::texts(over).chain(reply::texts(lost)).filter_map(NodeId::parse) {
                if node != self.node && !work.to_reap.contains(&node) {
                    work.to_reap.push_back(node);
                }
            }
        }
        Ok(())
    }

    /// What it sent to itself came back: the loop is closed.
    pub(super) async fn heard_itself(&mut self, work: &mut Work, (number, heard): (u64, Tick)) {
        let (sent_number, sent) = work.probe;
        if number != sent_number {
            return;
        }
        self.proven = heard;
        if work.is_another || !work.settling.is_over((self.now)().tick) {
            return;
        }
        if !work.is_told {
            work.is_told = true;
            self.is_away = false;
            if self.was_up {
                tracing::info!("the link to the other gateways is back");
                self.tell(Arrival::Back).await;
            }
            self.was_up = true;
        }
        self.tell(Arrival::Health(Health::Up(heard.since(sent)))).await;
        for found in std::mem::take(&mut self.found) {
            self.tell(found).await;
        }
    }

    /// Keeps the rooms alive that are followed here, some with each beat.
    pub(super) fn touch_rooms(&self, work: &mut Work, pipeline: &mut redis::Pipeline, jobs: &mut Vec<Job>) {
        if work.to_touch.is_empty() {
            let rooms = self.memory.follows().iter().filter_map(|channel| match channel {
                Channel::Room(room) => Some(room.clone()),
                Channel::Agent(_) | Channel::Role(_) | Channel::Endpoint(_) | Channel::Every => None,
            });
            work.to_touch = rooms.collect();
        }
        let beats = f64::from(ROOMS_TOUCHED_IN) / self.settings.beat().as_secs_f64();
        let share = (self.memory.follows().len() as f64 / beats).ceil() as usize;
        for room in work.to_touch.drain(..share.min(work.to_touch.len())) {
            pipeline.cmd("PEXPIRE").arg(self.keys.room(&room)).arg(86_400_000);
            jobs.push(Job::Aside);
        }
    }
}
