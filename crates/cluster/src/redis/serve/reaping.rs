//! What hung on a node is given back: on one that is lost, by all who are left, and on this one when it takes its leave.

use gateway_domain::{
    AgentId, Room, Timestamp,
    link::{Answer, Arrival, NodeId},
};
use redis::Value;

use super::{
    super::{
        errand::millis,
        link::{End, Link, Session},
        reply,
        scripts::Script,
        wire,
    },
    Work,
};

/// How much is given back by one step.
const GIVEN_BACK: usize = 128;

impl Link {
    pub(super) fn reaping(&self, session: &Session, node: &NodeId, leaves: bool) -> redis::Cmd {
        let keys = &self.keys;
        let names = [keys.nodes(), keys.lost(), keys.held(node), keys.places(node), keys.notes(node), keys.settled()];
        let mut command = session.scripts.run(Script::Reap, &names);
        command
            .arg(node.as_str())
            .arg(GIVEN_BACK)
            .arg(millis(self.settings.written_lease()))
            .arg(keys.to_all())
            .arg(if leaves { String::new() } else { wire::lost(node) })
            .arg(keys.start())
            .arg(self.node.name());
        command
    }

    pub(super) async fn given_back(&self, work: &mut Work, node: NodeId, answer: &Value) {
        let Some((word, [seen, agents, members, notes])) = reply::told(answer) else { return };
        let last_seen = Timestamp::from_millis(reply::number(seen).unwrap_or(0));
        for agent in reply::texts(agents).filter_map(|agent| AgentId::parse(agent).ok()) {
            self.tell(Arrival::AgentLost { agent, last_seen }).await;
        }
        for note in reply::texts(notes) {
            self.tell(Arrival::SeatLost { note: note.to_owned() }).await;
        }
        for (room, member) in reply::pairs(members) {
            if let Ok(room) = Room::parse(room) {
                self.tell(Arrival::MemberLost { room, member: member.to_owned() }).await;
            }
        }
        if word == "more" {
            work.to_reap.push_back(node);
        }
    }

    /// Gives everything back, and ends.
    pub(super) async fn leave(&mut self, session: &mut Session) -> Result<End, End> {
        loop {
            let mut pipeline = redis::pipe();
            pipeline.add_command(self.reaping(session, &self.node, true));
            let answers = self.ask(session, &pipeline).await?;
            if !matches!(answers.first().and_then(reply::told), Some(("more", _))) {
                break;
            }
        }
        let mut answer = Answer::Done;
        for errand in std::mem::take(&mut self.waiting) {
            self.answer(errand.order.ticket, std::mem::replace(&mut answer, Answer::Away)).await;
        }
        Ok(End::Left)
    }
}
