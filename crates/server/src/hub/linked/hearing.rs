//! What other nodes tell this one, done in the order in which it comes.

use std::sync::Arc;

use gateway_domain::{
    Now, RequestId, Room,
    link::{Hearer, NodeId, Ticket},
    rooms::Present,
};

use super::{
    coming::{Waits, Way},
    gather::Said,
};
use crate::{
    cluster::{Found, Letter, Link, Question, ended},
    hub::{Hub, agents::Online},
};

impl Hub {
    /// Does what a letter says; what is asked of the house is handed back, for whoever knows.
    pub(crate) fn hears(self: &Arc<Self>, from: &NodeId, letter: Letter, now: Now) -> Option<(RequestId, Question)> {
        let link = self.link.as_ref()?;
        match letter {
            Letter::End { user, connection, agent, code, asked } => {
                let waits = asked.map(|asked| Waits::There(from.clone(), asked));
                let way = self.give_way((&user, connection, agent.as_ref()), &ended(&code), waits, now);
                if let (Way::Free, Some(asked)) = (way, asked) {
                    // Behind what was said of it.
                    self.replies(link, from, Letter::Done { asked }, now);
                }
            }
            Letter::Done { asked } => self.answers(asked, from.clone(), Said::Done),
            Letter::Probe { connections } => connections.into_iter().for_each(|connection| self.probe(connection)),
            Letter::Counted { ticket, hearings, count } => {
                self.counted(&mut self.books.lock(), Ticket(ticket), from, (hearings, count));
            }
            Letter::Present { room, member, came } => self.hears_of_presence(&room, &member, came),
            Letter::Seek { seek, targets, asker } => {
                let offers = self.offers(&targets, asker);
                self.replies(link, from, Letter::Offers { seek, offers }, now);
            }
            Letter::Offers { seek, offers } => self.answers(seek, from.clone(), Said::Offers(offers)),
            Letter::Ask(ask) => {
                if let Some(unasked) = self.asked_from(from, *ask, now) {
                    self.replies(link, from, unasked, now);
                }
            }
            Letter::Unasked { request } => self.unasked_there(request, from),
            Letter::Replied { request, more, text } => self.replied_there(request, from, more, text, now),
            Letter::Lost { request } => self.lost_there(request, from),
            Letter::Cancel { request } => self.cancelled_there(request, from, false),
            Letter::Orphaned { request } => self.cancelled_there(request, from, true),
            Letter::Over { request } => self.over_there(request, from),
            Letter::Gather { asked, question } => return Some((asked, *question)),
            Letter::Gathered { asked, found } => self.answers(asked, from.clone(), Said::Found(found)),
        }
        None
    }

    /// Tells a node something; what is for this one is done at once.
    pub(crate) fn replies(self: &Arc<Self>, link: &Link, to: &NodeId, letter: Letter, now: Now) {
        if to == link.node() {
            self.hears(to, letter, now);
        } else {
            link.tell(Hearer::Node(to.clone()), &letter);
        }
    }

    /// Answers what was asked of all nodes.
    pub(crate) fn replies_found(self: &Arc<Self>, to: &NodeId, asked: RequestId, found: Found, now: Now) {
        if let Some(link) = &self.link {
            self.replies(link, to, Letter::Gathered { asked, found: Box::new(found) }, now);
        }
    }

    fn hears_of_presence(&self, room: &Room, member: &Present, came: bool) {
        let kind = if came { "presence.joined" } else { "presence.left" };
        self.announce(&self.books.lock(), kind, room, member);
    }

    /// The agents that are here, as their followers at other nodes read it.
    pub(crate) fn online_here(&self, now: Now) -> Found {
        let books = self.books.lock();
        let all = books.online_with(Vec::new(), now);
        let entry = |online: &Online| Some((String::new(), serde_json::value::to_raw_value(online).ok()?));
        Found { total: all.len(), entries: all.iter().filter_map(entry).collect(), ..Found::default() }
    }

    /// The agents of all nodes, as far as they answer.
    pub(super) async fn online_everywhere(self: &Arc<Self>, link: &Arc<Link>) -> Vec<Online> {
        let gathered = self.gather(link, Question::Online).await;
        let found = gathered.found.into_iter().flat_map(|(_, found)| found.entries);
        found.filter_map(|(_, online)| serde_json::from_str(online.get()).ok()).collect()
    }
}
