//! Routes checked before they are used: whatever could never work is told, all of it at once.

use std::{collections::HashMap, sync::Arc};

use super::{
    LONGEST_REPLY_TIMEOUT, Route, RouteFault, RouteSpec, Surroundings,
    correlation::Correlate,
    matching::{Origin, Types, one},
};
use crate::{
    flaw::Flaw,
    name::Role,
    target::{Kind, Target},
    template::TargetTemplate,
};

/// The routes, or every fault of theirs.
pub(super) fn routes(specs: &[RouteSpec], around: &Surroundings) -> Result<Vec<Route>, Vec<RouteFault>> {
    let mut faults = Vec::new();
    let mut routes: Vec<Route> = Vec::with_capacity(specs.len());
    let mut meanings = HashMap::new();
    for (index, spec) in specs.iter().enumerate() {
        let before = faults.len();
        let mut check = Check { index, spec, around, faults: &mut faults };
        let route = check.route();
        check.against_meanings(&mut meanings, route.correlate.as_ref());
        if check.faults.len() == before {
            check.against_earlier(&route, &routes);
        }
        if faults.len() == before {
            routes.push(route);
        }
    }
    if faults.is_empty() { Ok(routes) } else { Err(faults) }
}

/// What an answer of some type, found by some correlation, means: whether more come, and the route that says so.
type Meanings = HashMap<(String, Arc<str>), (bool, usize)>;

struct Check<'a> {
    index: usize,
    spec: &'a RouteSpec,
    around: &'a Surroundings,
    faults: &'a mut Vec<RouteFault>,
}

impl Check<'_> {
    fn route(&mut self) -> Route {
        let spec = self.spec;
        let around = self.around;
        let origins = self.list("from", &spec.from, |text| origin(text, around));
        let kinds = self.list("types", &spec.types, Types::parse);
        let targets = self.list("to", &spec.to, |text| target(text, spec, around));
        for (field, texts, remedy) in [
            ("from", &spec.from, "name roles, `*` for everybody, or `endpoint:/path`"),
            ("types", &spec.types, "name types, or `*` for all"),
            ("to", &spec.to, "name a target, such as `agent:{payload.agentId}`"),
        ] {
            if texts.is_empty() {
                self.fault(
                    field,
                    None,
                    Flaw::new(format!("`{field}` is empty, so nothing goes by this route"), remedy),
                );
            }
        }
        let correlate = self.answering();
        self.others();
        Route {
            index: self.index,
            spec: spec.clone(),
            origins: origins.into(),
            kinds: kinds.into(),
            targets: targets.into(),
            correlate,
        }
    }

    /// Reads each entry of a list, none of them twice.
    fn list<T>(&mut self, field: &'static str, texts: &[String], read: impl Fn(&str) -> Result<T, Flaw>) -> Vec<T> {
        let mut list = Vec::with_capacity(texts.len());
        for (entry, text) in texts.iter().enumerate() {
            if texts.iter().take(entry).any(|other| other == text) {
                self.fault(field, Some(entry), Flaw::new(format!("`{text}` comes twice"), "take one of them out"));
                continue;
            }
            match read(text) {
                Ok(value) => list.push(value),
                Err(flaw) => self.fault(field, Some(entry), flaw),
            }
        }
        list
    }

    fn answering(&mut self) -> Option<Correlate> {
        let spec = self.spec;
        for (field, texts) in [("progress", &spec.progress), ("answers", &spec.answers)] {
            self.list(field, texts, one);
            if !texts.is_empty() && spec.correlate.is_none() {
                let what = format!("`{field}` finds no request without a correlation");
                self.fault(field, None, Flaw::new(what, "say where it is: correlate = \"payload.commandId\""));
            }
        }
        for (entry, kind) in spec.progress.iter().enumerate() {
            if spec.answers.contains(kind) {
                let what = format!("`{kind}` is progress and answer at once");
                let remedy = "leave it in `progress` if more comes after it, else in `answers`";
                self.fault("progress", Some(entry), Flaw::new(what, remedy));
            }
        }
        let text = spec.correlate.as_deref()?;
        if spec.reply_timeout.is_none() {
            let what = "`correlate` belongs to a request, and this route is none";
            self.fault("correlate", None, Flaw::new(what, "say how long a reply may take: reply_timeout = \"30s\""));
        }
        if spec.answers.is_empty() {
            let what = "no message would ever answer a request of this route";
            self.fault("correlate", None, Flaw::new(what, "name the types that do: answers = [\"COMMAND_COMPLETE\"]"));
        }
        Correlate::parse(text).map_err(|flaw| self.fault("correlate", None, flaw)).ok()
    }

    fn others(&mut self) {
        let spec = self.spec;
        if spec.reply_timeout.is_some_and(|time| time.is_zero() || time > LONGEST_REPLY_TIMEOUT) {
            let what = "a reply may take more than no time, and at most an hour";
            self.fault("reply_timeout", None, Flaw::new(what, "write a time between, such as \"30s\""));
        }
        if let Some(Err(flaw)) = spec.renamed.as_deref().map(one) {
            self.fault("as", None, flaw);
        }
        if spec.to.iter().any(|text| !is_subscription(text)) {
            for (entry, _) in spec.to.iter().enumerate().filter(|(_, text)| is_subscription(text)) {
                let what = "a route that subscribes its sender sends nothing to anybody else";
                self.fault("to", Some(entry), Flaw::new(what, "make two routes, with a type each"));
            }
        }
    }

    /// One type with one correlation cannot be progress here and the end there.
    fn against_meanings(&mut self, meanings: &mut Meanings, correlate: Option<&Correlate>) {
        let Some(correlate) = correlate else { return };
        let spec = self.spec;
        for (field, texts, more) in [("progress", &spec.progress, true), ("answers", &spec.answers, false)] {
            for (entry, kind) in texts.iter().enumerate() {
                let meaning = (kind.clone(), Arc::clone(correlate.path()));
                let (meant, by) = *meanings.entry(meaning).or_insert((more, self.index));
                if meant != more && by != self.index {
                    let other = if more { "answers" } else { "progress" };
                    let what = format!("`{kind}` is in `{other}` of route {} and in `{field}` here", by + 1);
                    let remedy = "let it mean the same in both, or let them correlate by different members";
                    self.fault(field, Some(entry), Flaw::new(what, remedy));
                }
            }
        }
    }

    /// A route is dead where, for each of its senders and types, an earlier one takes everything.
    fn against_earlier(&mut self, route: &Route, earlier: &[Route]) {
        let takes_all = |other: &&Route| other.targets.iter().all(TargetTemplate::is_certain);
        let mut dead_by: Vec<usize> = Vec::new();
        for origin in &route.origins {
            for types in &route.kinds {
                let cover = earlier.iter().filter(takes_all).find(|other| {
                    other.origins.iter().any(|wide| wide.covers(origin))
                        && other.kinds.iter().any(|wide| wide.covers(types))
                });
                match cover {
                    Some(other) if dead_by.contains(&other.index) => {}
                    Some(other) => dead_by.push(other.index),
                    None => return,
                }
            }
        }
        dead_by.sort_unstable();
        if let Some(latest) = dead_by.last() {
            let numbers: Vec<_> = dead_by.iter().map(|index| (index + 1).to_string()).collect();
            let what = format!("nothing ever comes to this route: route {} takes it all before", numbers.join(" and "));
            let remedy =
                format!("put this route before route {}, or take it out", dead_by.first().unwrap_or(latest) + 1);
            self.fault("types", None, Flaw::new(what, remedy));
        }
    }

    fn fault(&mut self, field: &'static str, entry: Option<usize>, flaw: Flaw) {
        self.faults.push(RouteFault { route: self.index, field, entry, what: flaw.what, remedy: flaw.remedy });
    }
}

fn origin(text: &str, around: &Surroundings) -> Result<Origin, Flaw> {
    const FORMS: &str = "write the name of a role, `*` for everybody, or `endpoint:/path`";
    if text == "*" {
        return Ok(Origin::Anybody);
    }
    if let Some(path) = text.strip_prefix("endpoint:") {
        around.check_endpoint(path)?;
        return Ok(Origin::Endpoint(path.into()));
    }
    if let Some(role) = text.strip_prefix("role:") {
        return Err(Flaw::new(
            format!("a role stands in `from` by its name alone, not as `{text}`"),
            format!("write `{role}`"),
        ));
    }
    if text.contains('*') {
        return Err(Flaw::new(format!("`{text}` is no role: `*` stands alone, for everybody"), FORMS));
    }
    let role = Role::parse(text).map_err(|fault| Flaw::new(format!("the role {fault}"), FORMS))?;
    around.check_role(&role)?;
    Ok(Origin::Role(role))
}

fn target(text: &str, spec: &RouteSpec, around: &Surroundings) -> Result<TargetTemplate, Flaw> {
    let template = TargetTemplate::parse(text)?;
    if let Some(role) = template.role() {
        around.check_role(role)?;
    }
    match template.fixed() {
        Some(Target::Endpoint(path)) => around.check_endpoint(path)?,
        Some(Target::Webhook(name)) => around.check_webhook(name)?,
        _ => {}
    }
    if template.kind() == Some(Kind::Agent) {
        around.check_agents()?;
    }
    let answerless = matches!(template.kind(), None | Some(Kind::Subscribe | Kind::Webhook));
    if spec.reply_timeout.is_some() && answerless {
        let what = format!("`{text}` never answers, and this route waits for a reply");
        return Err(Flaw::new(
            what,
            "take `reply_timeout` out, or send to `agent:`, `user:`, `role:`, `room:` or `connection:`",
        ));
    }
    Ok(template)
}

fn is_subscription(text: &str) -> bool {
    text.starts_with("subscribe:")
}
