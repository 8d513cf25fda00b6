//! What a node has to know to hand a text out: it goes with the text, and is not remembered.

use gateway_domain::{
    ConnectionId, RequestId, Room,
    link::{Channel, NodeId, Posting},
    target::Target,
    trace::Trace,
};
use serde::{Deserialize, Serialize};
use tracing::field::display;

use crate::{
    cluster::{POST_PATIENCE, told},
    hub::{Class, Hub, Post, books::Books},
};

/// The head of a post.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Head {
    /// Whom it means.
    to: Vec<String>,
    /// It is what somebody must know.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    control: bool,
    /// Who says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sender: Option<ConnectionId>,
    /// Each node tells to how many.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) counted: bool,
    /// The trace that it belongs to.
    #[serde(default, with = "told", skip_serializing_if = "Option::is_none")]
    pub(super) traceparent: Option<Trace>,
    /// The call that says it.
    #[serde(default, with = "told", skip_serializing_if = "Option::is_none")]
    pub(super) request: Option<RequestId>,
}

impl Head {
    /// Whom it means. What a newer release means by a target that is not known here is nobody here.
    pub(super) fn targets(&self) -> Vec<Target> {
        self.to.iter().filter_map(|target| target.parse().ok()).collect()
    }

    /// Says in the log what came, where it can be followed to whoever said it.
    pub(super) fn is_noted(&self, from: &NodeId) {
        if self.traceparent.is_some() || self.request.is_some() {
            let (request, trace) = (self.request.map(display), self.traceparent.map(|trace| display(trace.id)));
            tracing::debug!(node = %from, requestId = request, traceId = trace, "said at another node");
        }
    }

    pub(super) const fn class(&self) -> Class {
        if self.control { Class::Control } else { Class::Event }
    }
}

impl Hub {
    /// The order that carries a post; none where nobody at another node can be meant.
    pub(super) fn posting(&self, books: &Books, post: &Post<'_>) -> Option<Posting> {
        let mut channels: Vec<Channel> = Vec::with_capacity(post.targets.len());
        for channel in post.targets.iter().filter_map(channel) {
            if !channels.contains(&channel) {
                channels.push(channel);
            }
        }
        if channels.is_empty() {
            return None;
        }
        if let (true, Some(sender)) = (post.targets.contains(&Target::Sender), post.sender) {
            // What comes back to the sender comes with the rest: at its own node its user's room is always heard.
            let user = books.registry.get(sender).map(|here| here.user());
            let own = user.and_then(|user| Room::parse(&format!("user:{user}")).ok());
            let own = own.map(Channel::Room).filter(|own| !channels.contains(own));
            channels.extend(own);
        }
        let remembered = post.targets.iter().filter_map(room).filter_map(|room| {
            let bounds = books.laws.law(&room).history?;
            Some((room, bounds))
        });
        let mut remembered: Vec<_> = remembered.collect();
        remembered.sort_by(|(one, _), (other, _)| one.cmp(other));
        remembered.dedup_by(|(one, _), (other, _)| one == other);
        let head = Head {
            to: post.targets.iter().filter(|target| !is_hook(target)).map(ToString::to_string).collect(),
            control: post.class == Class::Control,
            sender: post.sender,
            counted: post.counted,
            traceparent: post.trace,
            request: post.request,
        };
        let head = serde_json::to_string(&head).unwrap_or_default();
        Some(Posting { channels, remembered, head, text: post.text.clone(), patience: POST_PATIENCE })
    }
}

/// Where a target is heard.
pub(super) fn channel(target: &Target) -> Option<Channel> {
    match target {
        Target::User { user, .. } => Room::parse(&format!("user:{user}")).ok().map(Channel::Room),
        Target::Agent(agent) => Some(Channel::Agent(agent.clone())),
        Target::Connection(_) => Some(Channel::Every),
        Target::Room(room) => Some(Channel::Room(room.clone())),
        Target::Role(role) => Some(Channel::Role(role.clone())),
        Target::Endpoint(path) => Some(Channel::Endpoint(path.clone())),
        Target::Sender | Target::Webhook(_) | Target::Subscribe(_) => None,
    }
}

/// The room that a target means as one.
pub(super) fn room(target: &Target) -> Option<Room> {
    match target {
        Target::User { user, role: None } => Room::parse(&format!("user:{user}")).ok(),
        Target::Room(room) => Some(room.clone()),
        Target::User { .. }
        | Target::Agent(_)
        | Target::Connection(_)
        | Target::Role(_)
        | Target::Endpoint(_)
        | Target::Sender
        | Target::Webhook(_)
        | Target::Subscribe(_) => None,
    }
}

const fn is_hook(target: &Target) -> bool {
    matches!(target, Target::Webhook(_) | Target::Subscribe(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn read(text: &str) -> Head {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_head_of_an_older_release_has_no_trace_and_one_of_ours_brings_it() {
        let older = read(r#"{"to":["room:x"],"counted":true}"#);
        assert_eq!((older.traceparent, older.request, older.counted), (None, None, true));
        assert_eq!(serde_json::to_string(&older).unwrap(), r#"{"to":["room:x"],"counted":true}"#, "as it came");
        let request: RequestId = "793c698b-51e6-4dfc-9cba-8a7b440f155d".parse().unwrap();
        let ours = Head { traceparent: TRACE.parse().ok(), request: Some(request), ..older };
        let ours = read(&serde_json::to_string(&ours).unwrap());
        assert_eq!(
            (ours.traceparent.map(|trace| trace.to_string()).as_deref(), ours.request),
            (Some(TRACE), Some(request))
        );
    }

    #[test]
    fn what_is_no_trace_here_is_none_and_takes_nothing_along() {
        for other in [r#""nonsense""#, "7", "null", r#"{"trace":1}"#, r#"["00"]"#] {
            let head = read(&format!(r#"{{"to":["room:x"],"traceparent":{other},"request":{other},"mood":"good"}}"#));
            assert_eq!((head.traceparent, head.request, head.targets().len()), (None, None, 1), "{other}");
        }
    }
}
