//! From the path of a request to a door. A segment of a door's path may be a parameter, `{agentId}` or `{userId}`: then
//! the request says whom it is about, and its token must say the same.

use std::{collections::BTreeMap, sync::Arc};

use gateway_domain::{Code, Principal, Refusal};

use super::Endpoint;

/// The most of a parameter that is looked at: no name is longer, even where every byte is escaped.
const MOST_BYTES: usize = 3 * 640;

/// All doors. An exact path goes before one with parameters.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    exact: BTreeMap<Arc<str>, Arc<Endpoint>>,
    with_parameters: Vec<Arc<Endpoint>>,
}

/// What a path says of whoever comes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    agent: Option<String>,
    user: Option<String>,
}

impl Endpoints {
    /// The door at that path.
    pub fn at(&self, path: &str) -> Option<(Arc<Endpoint>, Parameters)> {
        if let Some(endpoint) = self.exact.get(path) {
            return Some((Arc::clone(endpoint), Parameters::default()));
        }
        let mut doors = self.with_parameters.iter();
        doors.find_map(|endpoint| Some((Arc::clone(endpoint), Parameters::read(&endpoint.path, path)?)))
    }

    /// Every door, the exact ones first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.exact.values().chain(&self.with_parameters)
    }
}

impl FromIterator<Endpoint> for Endpoints {
    fn from_iter<I: IntoIterator<Item = Endpoint>>(endpoints: I) -> Self {
        let mut all = Self::default();
        for endpoint in endpoints.into_iter().map(Arc::new) {
            if endpoint.path.contains('{') {
                all.with_parameters.push(endpoint);
            } else {
                all.exact.insert(Arc::clone(&endpoint.path), endpoint);
            }
        }
        all
    }
}

impl Parameters {
    /// Reads the path of a request by that of a door; nothing where it is another path.
    fn read(pattern: &str, path: &str) -> Option<Self> {
        let mut parameters = Self::default();
        let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
        loop {
            match (wanted.next(), given.next()) {
                (None, None) => return Some(parameters),
                (Some("{agentId}"), Some(id)) => parameters.agent = Some(decoded(id)?),
                (Some("{userId}"), Some(id)) => parameters.user = Some(decoded(id)?),
                (Some(own), Some(theirs)) if own == theirs => {}
                _ => return None,
            }
        }
    }

    /// Refuses who is not whom the path names.
    pub fn are_of(&self, principal: &Principal) -> Result<(), Refusal> {
        let agent = principal.agent.as_ref().map(gateway_domain::AgentId::as_str);
        for (wanted, own, what) in [(&self.agent, agent, "agent"), (&self.user, Some(principal.user.as_str()), "user")]
        {
            if wanted.as_deref().is_some_and(|wanted| Some(wanted) != own) {
                return Err(Refusal::new(Code::RoleMismatch, format!("the path names another {what} than the token"))
                    .because(format!("the path names the {what} {wanted:?}, the token {own:?}"))
                    .of_user(&principal.user));
            }
        }
        Ok(())
    }
}

/// A segment of a path, percent-decoded once.
pub(crate) fn decoded(segment: &str) -> Option<String> {
    if segment.len() > MOST_BYTES {
        return None;
    }
    let (mut bytes, mut rest) = (Vec::with_capacity(segment.len()), segment.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let (byte, after) = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                (u8::try_from(digit(high)? * 16 + digit(low)?).ok()?, after)
            }
            (b'%', _) => return None,
            (byte, after) => (*byte, after),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doors() -> Endpoints {
        ["/ws", "/v1/ws/agent/{agentId}", "/v1/ws/agent/all", "/u/{userId}/a/{agentId}"]
            .map(Endpoint::at)
            .into_iter()
            .collect()
    }

    fn found(path: &str) -> Option<(String, Option<String>, Option<String>)> {
        let (endpoint, Parameters { agent, user }) = doors().at(path)?;
        Some((endpoint.path.to_string(), agent, user))
    }

    #[test]
    fn a_door_is_found_by_its_path_and_an_exact_one_goes_first() {
        assert_eq!(found("/ws"), Some(("/ws".into(), None, None)));
        assert_eq!(found("/v1/ws/agent/all").unwrap().0, "/v1/ws/agent/all");
        assert_eq!(found("/v1/ws/agent/press%2F7").unwrap().1.as_deref(), Some("press/7"));
        let (_, agent, user) = found("/u/ann/a/x").unwrap();
        assert_eq!((agent.as_deref(), user.as_deref()), (Some("x"), Some("ann")));
        for nowhere in ["/", "/ws/", "/v1/ws/agent", "/v1/ws/agent/a/b", "/v1/ws/agent/%zz", "/u/ann/b/x"] {
            assert_eq!(found(nowhere), None, "{nowhere}");
        }
        assert_eq!(found(&format!("/v1/ws/agent/{}", "a".repeat(MOST_BYTES + 1))), None);
        assert_eq!(doors().iter().count(), 4);
    }

    #[test]
    fn a_segment_is_decoded_once_and_broken_ones_are_none() {
        assert_eq!(decoded("a%2Fb%2541").as_deref(), Some("a/b%41"));
        for broken in ["%", "%2", "%zz", "%ff"] {
            assert_eq!(decoded(broken), None, "{broken}");
        }
    }
}
