//! The judge: what a gateway with this configuration would do, found by what it does it with.

use anyhow::Result;
use gateway_domain::{
    Code,
    envelope::is_reserved_type,
    route::{Route, Routes},
    rules::RoomRules,
    target::Target,
};

use super::{
    cases::{Attempt, Case, Expected},
    person::Person,
};
use crate::config::Loaded;

/// A configuration, ready to judge.
pub(super) struct Judge<'l> {
    loaded: &'l Loaded,
    routes: Routes,
    rules: RoomRules,
}

/// What happens to a message.
enum Outcome<'r> {
    /// It goes there, by that route.
    Goes { route: &'r Route, to: Vec<Target> },
    /// It is the answer to a request, where one is open.
    Answers,
    /// The gateway itself understands it, and no route is asked.
    Own(String),
    /// It is refused.
    Refused(Code, String),
}

impl<'l> Judge<'l> {
    pub(super) fn new(loaded: &'l Loaded) -> Result<Self> {
        Ok(Self { loaded, routes: loaded.config.routes()?, rules: loaded.config.room_rules()? })
    }

    /// Whether a case holds; else what was expected, and what happens.
    pub(super) fn holds(&self, case: &Case) -> Result<Result<(), String>> {
        let (holds, expected, happens) = match &case.attempt {
            Attempt::Send { text, expected } => {
                let outcome = self.outcome(&case.from, text)?;
                (is_met(expected, &outcome), told(expected), self.happens(&outcome))
            }
            Attempt::Subscribe { room, allowed } => {
                let may = self.rules.may_join(room, &case.from.sender());
                let words = |may: bool| if may { "it may subscribe" } else { "FORBIDDEN" }.to_owned();
                let rule =
                    self.rules.iter().position(|rule| self.rules.rule(room).is_some_and(|it| std::ptr::eq(it, rule)));
                let by = match rule {
                    Some(at) => self.line(&format!("rooms.rules[{at}]")),
                    None => "no rule is for this room".into(),
                };
                (may == *allowed, words(*allowed), format!("{} ({by})", words(may)))
            }
        };
        Ok(if holds { Ok(()) } else { Err(format!("expected: {expected}; happens: {happens}")) })
    }

    /// The way of a message, in the order in which a connection goes it.
    fn outcome(&self, from: &Person, text: &str) -> Result<Outcome<'_>> {
        let vocabulary = from.endpoint.vocabulary()?;
        let message = match vocabulary.read(text) {
            Ok(message) => message,
            Err(fault) => return Ok(Outcome::Refused(Code::InvalidMessage, fault.to_string())),
        };
        if is_reserved_type(&message.kind) {
            return Ok(Outcome::Own(message.kind.into_owned()));
        }
        if self.routes.answer(&message.kind, &message).is_some() {
            return Ok(Outcome::Answers);
        }
        let sender = from.sender();
        let Some(found) = self.routes.find(&sender, &message) else {
            let why = if self.routes.takes(&sender, &message.kind) {
                "something is missing that says where it goes"
            } else {
                "no route takes it from here"
            };
            return Ok(Outcome::Refused(Code::InvalidMessage, why.into()));
        };
        let by = || self.line(&format!("routes[{}]", found.route.index()));
        if let Some(wanted) = found.route.permission().filter(|wanted| !from.has(wanted)) {
            return Ok(Outcome::Refused(Code::Forbidden, format!("it needs the permission `{wanted}`, {}", by())));
        }
        let closed = found.targets.iter().find_map(|target| match target {
            Target::Subscribe(room) if !self.rules.may_join(room, &sender) => Some(room),
            _ => None,
        });
        Ok(match closed {
            Some(room) => Outcome::Refused(Code::Forbidden, format!("it may not subscribe to `{room}`, {}", by())),
            None => Outcome::Goes { route: found.route, to: found.targets },
        })
    }

    fn happens(&self, outcome: &Outcome<'_>) -> String {
        match outcome {
            Outcome::Goes { route, to } => {
                let by = self.line(&format!("routes[{}]", route.index()));
                let is_request = route.reply_timeout().is_some();
                format!("{} ({by})", going(to, route.renamed(), Some(is_request)))
            }
            Outcome::Answers => "it answers a request".to_owned(),
            Outcome::Own(kind) if kind == "subscribe" => {
                "the gateway understands `subscribe` itself; in a case, write subscribe = \"ROOM\"".to_owned()
            }
            Outcome::Own(kind) => format!("the gateway understands `{kind}` itself, and asks no route"),
            Outcome::Refused(code, why) => format!("{code} ({why})"),
        }
    }

    /// A key, and the line of the configuration that has it.
    fn line(&self, key: &str) -> String {
        match self.loaded.line_of(key) {
            Some((file, line)) => format!("{key}, {}:{line}", file.display()),
            None => format!("{key}, as shipped"),
        }
    }
}

fn is_met(expected: &Expected, outcome: &Outcome<'_>) -> bool {
    match (expected, outcome) {
        (Expected::Goes { to, renamed, is_request }, Outcome::Goes { route, to: targets }) => {
            to.iter().all(|target| targets.contains(target))
                && targets.iter().all(|target| to.contains(target))
                && renamed.as_deref().is_none_or(|kind| route.renamed() == Some(kind))
                && is_request.is_none_or(|is_request| route.reply_timeout().is_some() == is_request)
        }
        (Expected::Answers, Outcome::Answers) => true,
        (Expected::Refused(expected), Outcome::Refused(code, _)) => expected == code,
        (Expected::Goes { .. } | Expected::Answers | Expected::Refused(_), _) => false,
    }
}

fn told(expected: &Expected) -> String {
    match expected {
        Expected::Goes { to, renamed, is_request } => going(to, renamed.as_deref(), *is_request),
        Expected::Answers => "it answers a request".to_owned(),
        Expected::Refused(code) => code.to_string(),
    }
}

fn going(to: &[Target], renamed: Option<&str>, is_request: Option<bool>) -> String {
    let to = to.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let renamed = renamed.map(|kind| format!(" as `{kind}`")).unwrap_or_default();
    let request = match is_request {
        Some(true) => ", as a request",
        Some(false) => ", not as a request",
        None => "",
    };
    format!("it goes to {to}{renamed}{request}")
}
