//! What is said here to whomever it is for, wherever they are.
//!
//! It is heard by being carried around, here too; whoever said it learns that it is on its way, and where it wants to know,
//! to how many it was told. What could not be carried in time never will be: then it is told to those who are here, and
//! called that, or refused.

use std::{sync::Arc, time::Duration};

use gateway_domain::{
    ConnectionId, Now, Tick,
    link::{Act, Answer, Hearer, NodeId, Ticket},
    target::Target,
};
use tokio::sync::oneshot;

use super::cut_off;
use crate::{
    clock,
    cluster::{Letter, Link, WhenAway},
    hub::{
        Class, Hub, Post, Posted,
        books::Books,
        delivery::{Offsets, Outcome, Reach, Report, Scope},
    },
};

/// After so long nothing more is awaited of a post.
const LONGEST: Duration = Duration::from_secs(3);
/// And so long nodes have to tell to how many they told it.
const COUNTING: Duration = Duration::from_millis(1500);

/// Something that was said here and is on its way.
#[derive(Debug)]
pub(super) struct Said {
    since: Tick,
    done: Option<oneshot::Sender<Outcome>>,
    /// Those who were told already: webhooks are told where it was said.
    count: usize,
    is_counted: bool,
    /// How often it is heard by all nodes together, once that is known,
    hearings: Option<u32>,
    /// and how many of these were told of.
    answered: u32,
    /// It will be heard here, too, and has not been handed out yet.
    awaits_own: bool,
    was_heard: bool,
    /// What it was, for whoever has to be told by this node alone.
    again: Option<Again>,
}

#[derive(Debug)]
struct Again {
    text: String,
    targets: Vec<Target>,
    class: Class,
    sender: Option<ConnectionId>,
}

impl Said {
    fn is_done(&self) -> bool {
        let is_counted = |hearings| !self.is_counted || self.answered >= hearings;
        !self.awaits_own && self.hearings.is_some_and(is_counted)
    }

    fn ends(self, scope: Scope) {
        if let Some(done) = self.done {
            // Whoever said it may be gone.
            let _ = done.send(Ok(Reach { count: self.count, scope }));
        }
    }
}

impl Hub {
    /// Says something over the link; none where nobody at another node can be meant.
    pub(in crate::hub) fn post_abroad(
        self: &Arc<Self>,
        books: &mut Books,
        link: &Arc<Link>,
        post: &Post<'_>,
        now: Now,
    ) -> Option<Posted> {
        let posting = self.posting(books, post)?;
        let awaits_own = posting.channels.iter().any(|channel| books.linked.followed.contains(channel));
        let sender = post.sender.and_then(|id| books.registry.get(id));
        let hooks = self.webhooks.hear(post.targets, &post.text, post.trace, sender.map(Arc::as_ref), now);
        let again = || Again {
            text: post.text.clone(),
            targets: post.targets.iter().filter(|target| !matches!(target, Target::Webhook(_))).cloned().collect(),
            class: post.class,
            sender: post.sender,
        };
        let again = (link.when_away() == WhenAway::FailOpenLocal).then(again);
        let (done, underway) = oneshot::channel();
        let said = Said {
            since: now.tick,
            done: Some(done),
            count: hooks,
            is_counted: post.counted,
            hearings: None,
            answered: 0,
            awaits_own,
            was_heard: false,
            again,
        };
        let hub = Arc::clone(self);
        // The answer waits for the lock that is held here.
        match link.then(Act::Post(posting), move |ticket, answer| hub.posted(ticket, &answer)) {
            Some(ticket) => {
                link.counts.posted();
                books.linked.said.insert(ticket, said);
            }
            None => self.say_alone(books, link, said, now),
        }
        Some(Posted::Underway(underway))
    }

    /// The link has answered for something that was said.
    fn posted(self: &Arc<Self>, ticket: Ticket, answer: &Answer) {
        let mut books = self.books.lock();
        let books = &mut *books;
        let Some(said) = books.linked.said.get_mut(&ticket) else { return };
        if let Some(link) = &self.link {
            link.answered_after(clock::now().tick.since(said.since));
        }
        match answer {
            Answer::Posted { hearings } => {
                said.hearings = Some(*hearings);
                // Whoever lent it an ear here has gone meanwhile.
                said.awaits_own &= *hearings > 0;
                self.ends_if_done(books, ticket);
            }
            _ if said.was_heard => {
                // It came around, whatever the link knows of it.
                said.hearings = Some(said.answered);
                self.ends_if_done(books, ticket);
            }
            _ => self.never_carried(books, ticket, clock::now()),
        }
    }

    /// Something that was said here was heard here.
    pub(super) fn comes_around(books: &mut Books, ticket: Ticket) {
        if let Some(said) = books.linked.said.get_mut(&ticket) {
            said.was_heard = true;
        }
    }

    /// A node has told it to so many; this one is among them.
    pub(super) fn counted(&self, books: &mut Books, ticket: Ticket, from: &NodeId, (hearings, count): (u32, usize)) {
        let Some(said) = books.linked.said.get_mut(&ticket) else { return };
        if self.link.as_ref().is_some_and(|link| link.node() == from) {
            said.awaits_own = false;
        }
        said.answered += hearings;
        said.count += count;
        self.ends_if_done(books, ticket);
    }

    fn ends_if_done(&self, books: &mut Books, ticket: Ticket) {
        if books.linked.said.get(&ticket).is_some_and(Said::is_done)
            && let Some(said) = books.linked.said.remove(&ticket)
        {
            said.ends(Scope::Cluster);
        }
    }

    fn never_carried(self: &Arc<Self>, books: &mut Books, ticket: Ticket, now: Now) {
        let Some(link) = self.link.clone() else { return };
        if let Some(said) = books.linked.said.remove(&ticket) {
            self.say_alone(books, &link, said, now);
        }
    }

    /// It cannot be carried: it is told here alone, or refused.
    fn say_alone(self: &Arc<Self>, books: &mut Books, link: &Link, mut said: Said, now: Now) {
        link.fell_back();
        let Some(again) = said.again.take() else {
            if let Some(done) = said.done {
                let _ = done.send(Err(Box::new(cut_off())));
            }
            return;
        };
        self.part_rooms(books, &again.targets);
        let Again { text, targets, class, sender } = again;
        let post = Post { sender, counted: said.is_counted, ..Post::new(text, &targets, class) };
        let report = Report::Poster { done: said.done.take(), scope: Scope::Node, before: said.count };
        self.tell(books, post, Offsets::Own, report, now);
    }

    /// Tells whoever said something to how many it was told here.
    pub(in crate::hub) fn report(&self, books: &mut Books, report: Report, count: usize) {
        match report {
            Report::Nobody => {}
            Report::Poster { done, scope, before } => {
                if let Some(done) = done {
                    // Whoever posted it may be gone.
                    let _ = done.send(Ok(Reach { count: count + before, scope }));
                }
            }
            Report::Node { node, ticket, hearings } => {
                let Some(link) = &self.link else { return };
                if link.node() == &node {
                    self.counted(books, ticket, &node, (hearings, count));
                } else {
                    link.tell(Hearer::Node(node), &Letter::Counted { ticket: ticket.0, hearings, count });
                }
            }
        }
    }

    /// Ends what has waited too long, each second.
    pub(super) fn end_long_said(self: &Arc<Self>, books: &mut Books, now: Now) {
        let late = |said: &Said| now.tick.since(said.since) >= if said.hearings.is_some() { COUNTING } else { LONGEST };
        let late: Vec<_> = books.linked.said.iter().filter(|(_, said)| late(said)).map(|(ticket, _)| *ticket).collect();
        for ticket in late {
            let is_carried =
                books.linked.said.get(&ticket).is_some_and(|said| said.hearings.is_some() || said.was_heard);
            if is_carried {
                if let Some(said) = books.linked.said.remove(&ticket) {
                    said.ends(Scope::Cluster);
                }
            } else {
                self.never_carried(books, ticket, now);
            }
        }
    }
}
