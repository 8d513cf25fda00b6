//! The calls of the HTTP API, and who answers each: two tables, of those that need a caller and of the others.

use std::sync::Arc;

use gateway_domain::{Code, Refusal};

use super::{
    Call, Site,
    answer::{Answer, BodyStream, Faulty},
    audit, bans,
    caller::{Caller, Need},
    connections, document, events, health,
    operation::{Access, Declared, operations},
    overview, requests, revocations, rooms, sightings, steering, tokens, trial,
};

const ROOT: &str = "/api/v1/";

operations! {
    /// The calls that backends and operators make, each with a role that it needs.
    ForCallers {
        Publish = events::PUBLISH,
        PublishAll = events::PUBLISH_ALL,
        Ask = requests::ASK,
        Agents = rooms::AGENTS,
        Connections = connections::LIST,
        Connection = connections::SHOW,
        EndConnection = connections::END,
        User = connections::USER,
        EndUser = connections::END_USER,
        Rooms = rooms::LIST,
        Room = rooms::SHOW,
        History = rooms::HISTORY,
        Presence = rooms::PRESENCE,
        Bans = bans::LIST,
        LayBan = bans::LAY,
        LiftBan = bans::LIFT,
        Revoke = revocations::LAY,
        Audit = audit::LATEST,
        Explain = audit::EXPLAIN,
        Drain = steering::DRAIN,
        Reload = steering::RELOAD,
        Configuration = steering::CONFIGURATION,
        Overview = overview::SHOW,
        Sightings = sightings::LIST,
        Mint = trial::MINT,
    }
}

operations! {
    /// The calls outside of the API proper, which see to themselves who may.
    Others {
        IssueToken = tokens::ISSUE,
        RefreshToken = tokens::REFRESH,
        Alive = health::ALIVE,
        AliveToo = health::ALIVE_TOO,
        Ready = health::READY,
        Metrics = health::METRICS,
        Document = document::SHOW,
    }
}

/// All that is declared.
pub(super) fn declared() -> impl Iterator<Item = &'static Declared> {
    let for_callers = ForCallers::TABLE.iter().map(|(_, declared)| *declared);
    for_callers.chain(Others::TABLE.iter().map(|(_, declared)| *declared))
}

/// Finds who answers a call. What is not there is told before who is asking, but for the API: there a stranger learns
/// nothing but that it is a stranger.
pub(super) async fn answer(site: &Arc<Site>, call: &Call, body: impl BodyStream) -> Answer {
    if site.api && call.path.starts_with(ROOT) {
        return for_callers(site, call, body).await;
    }
    let here: Vec<_> = at(Others::TABLE, &call.path).filter(|(other, ..)| site.has(*other)).collect();
    if here.is_empty() {
        return Err(not_found().into());
    }
    let (other, declared, _) = meant(call, &here)?;
    let answer = match other {
        Others::IssueToken => tokens::issue(site, call, body).await,
        Others::RefreshToken => tokens::refresh(site, call, body).await,
        Others::Alive | Others::AliveToo => health::alive(),
        Others::Ready => health::ready(site),
        Others::Metrics => health::metrics(site, call).await,
        Others::Document => document::show(),
    };
    site.counted(declared, answer)
}

async fn for_callers(site: &Arc<Site>, call: &Call, body: impl BodyStream) -> Answer {
    let here: Vec<_> = at(ForCallers::TABLE, &call.path).collect();
    // Every call at one path needs the same.
    let need = here.first().map_or(Need::Service, |(_, declared, _)| declared.need());
    let caller = site.caller(call, need).await?;
    if here.is_empty() {
        return Err(not_found().into());
    }
    let (operation, declared, parameter) = meant(call, &here)?;
    let answer = perform(operation, site, call, &caller, parameter, body).await;
    site.counted(declared, answer)
}

async fn perform(
    operation: ForCallers,
    site: &Site,
    call: &Call,
    caller: &Caller,
    parameter: &str,
    body: impl BodyStream,
) -> Answer {
    match operation {
        ForCallers::Publish => events::publish(site, call, body).await,
        ForCallers::PublishAll => events::publish_all(site, call, body).await,
        ForCallers::Ask => requests::ask(site, call, caller, parameter, body).await,
        ForCallers::Agents => rooms::agents(site, call).await,
        ForCallers::Connections => connections::list(site, call).await,
        ForCallers::Connection => connections::show(site, parameter).await,
        ForCallers::EndConnection => connections::end(site, call, caller, parameter).await,
        ForCallers::User => connections::user(site, parameter).await,
        ForCallers::EndUser => connections::end_user(site, call, caller, parameter).await,
        ForCallers::Rooms => rooms::list(site, call).await,
        ForCallers::Room => rooms::show(site, parameter).await,
        ForCallers::History => rooms::history(site, call, parameter).await,
        ForCallers::Presence => rooms::presence(site, parameter).await,
        ForCallers::Bans => bans::list(site),
        ForCallers::LayBan => bans::lay(site, call, caller, body).await,
        ForCallers::LiftBan => bans::lift(site, call, caller, body).await,
        ForCallers::Revoke => revocations::lay(site, call, caller, body).await,
        ForCallers::Audit => audit::latest(site, call),
        ForCallers::Explain => audit::explain(site, parameter),
        ForCallers::Drain => steering::drain(site, call, caller),
        ForCallers::Reload => steering::reload(site).await,
        ForCallers::Configuration => steering::configuration(site),
        ForCallers::Overview => overview::show(site, caller),
        ForCallers::Sightings => sightings::list(site, call),
        ForCallers::Mint => trial::mint(site, call, caller, body).await,
    }
}

/// A call at a path, and the parameter that the path has for it.
type Here<'a, T> = (T, &'static Declared, &'a str);

fn at<'a, T: Copy>(table: &'static [(T, &'static Declared)], path: &'a str) -> impl Iterator<Item = Here<'a, T>> {
    table.iter().filter_map(move |(call, declared)| Some((*call, *declared, declared.parameter_in(path)?)))
}

/// Of those at its path the one that a call means by its method.
fn meant<'a, T: Copy>(call: &Call, here: &[Here<'a, T>]) -> Result<Here<'a, T>, Faulty> {
    if let Some(meant) = here.iter().find(|(_, declared, _)| declared.verb.is(&call.method)) {
        return Ok(*meant);
    }
    let verbs = here.iter().map(|(_, declared, _)| declared.verb.name());
    let allow: Vec<_> = verbs.flat_map(|name| if name == "GET" { vec!["GET", "HEAD"] } else { vec![name] }).collect();
    let allow = allow.join(", ");
    let refusal = Refusal::new(Code::MethodNotAllowed, format!("this address takes {allow}"));
    Err(Faulty { allow: Some(allow.into()), ..refusal.into() })
}

impl Site {
    fn has(&self, other: Others) -> bool {
        match other {
            Others::Alive | Others::AliveToo | Others::Ready => true,
            Others::IssueToken | Others::RefreshToken => self.doors && self.house.issuing.is_some(),
            Others::Metrics | Others::Document => self.api,
        }
    }

    /// Counts how a call was answered.
    fn counted(&self, declared: &Declared, answer: Answer) -> Answer {
        let status = match &answer {
            Ok(response) => response.status().as_u16(),
            Err(faulty) => faulty.refusal.code.http_status().unwrap_or(500),
        };
        self.house.metrics.called(declared.id, status);
        answer
    }
}

impl Declared {
    const fn need(&self) -> Need {
        match self.access {
            Access::Caller(need) | Access::HereOr(need) => need,
            Access::Everybody | Access::ApiKey => Need::Admin,
        }
    }
}

fn not_found() -> Refusal {
    Refusal::new(Code::NotFound, "there is nothing at this address")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_call_of_the_api_needs_a_role_the_same_at_one_path() {
        for (_, call) in ForCallers::TABLE {
            assert!(matches!(call.access, Access::Caller(_)) && call.path.starts_with(ROOT), "{}", call.id);
            for (_, other) in ForCallers::TABLE.iter().filter(|(_, other)| other.path == call.path) {
                assert_eq!(call.access, other.access, "{}", call.path);
            }
        }
        assert!(Others::TABLE.iter().all(|(_, call)| !call.path.starts_with(ROOT)));
    }

    #[test]
    fn no_two_calls_are_one() {
        let ids: HashSet<_> = declared().map(|call| call.id).collect();
        let places: HashSet<_> = declared().map(|call| (call.verb.name(), call.path)).collect();
        assert_eq!((ids.len(), places.len()), (declared().count(), declared().count()));
    }
}
