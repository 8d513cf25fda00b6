//! From a stage to a door. An API for WebSockets has no paths; what tells its clients apart is the stage that they connect
//! to, or a path that a domain of the operator's own maps to it.

use std::sync::Arc;

use gateway_server::endpoint::{Endpoint, Endpoints, Parameters};

use crate::{kept::LONGEST_LIFE, management::MOST_BYTES};

/// How often somebody hears something who says nothing: the service ends a connection that is silent for 10 minutes.
pub const KEEP_ALIVE: std::time::Duration = std::time::Duration::from_secs(8 * 60);

/// The doors.
#[derive(Debug)]
pub struct Doors {
    endpoints: Endpoints,
    stages: Vec<(String, String)>,
}

impl Doors {
    /// Those of the configuration, and which stages lead to them.
    pub fn new(endpoints: &Endpoints, stages: Vec<(String, String)>) -> Self {
        Self { endpoints: endpoints.iter().map(|door| as_carried(door)).collect(), stages }
    }

    /// The door behind a stage. First comes the path where there is one, then what the stage itself says (its variable
    /// `endpoint`), then the settings, and then the endpoint whose path ends with the stage's name.
    pub fn behind(
        &self,
        stage: &str,
        path: Option<&str>,
        variable: Option<&str>,
    ) -> Option<(Arc<Endpoint>, Parameters)> {
        if let Some(path) = path {
            return self.endpoints.at(&format!("/{}", path.trim_start_matches('/')));
        }
        if let Some(path) = variable {
            return self.endpoints.at(path);
        }
        if let Some((_, path)) = self.stages.iter().find(|(known, _)| known == stage) {
            return self.endpoints.at(path);
        }
        let named = |door: &&Arc<Endpoint>| door.path.rsplit('/').next() == Some(stage);
        self.endpoints.iter().find(named).map(|door| (Arc::clone(door), Parameters::default()))
    }

    /// The door of that path, as the configuration writes it.
    pub fn of(&self, path: &str) -> Option<&Arc<Endpoint>> {
        self.endpoints.iter().find(|door| &*door.path == path)
    }

    /// The settings that lead to no endpoint.
    pub fn astray(&self) -> impl Iterator<Item = &(String, String)> {
        self.stages.iter().filter(|(_, path)| self.endpoints.at(path).is_none())
    }
}

/// A door as this front can keep it: nothing larger than the service carries, a sign of life as often as it needs one.
fn as_carried(door: &Endpoint) -> Endpoint {
    let mut door = door.clone();
    door.max_message = door.max_message.min(MOST_BYTES);
    door.session.heartbeat = Some(KEEP_ALIVE);
    // Nobody waits for the answer: whoever is gone is found out by the service.
    door.session.heartbeat_timeout = LONGEST_LIFE;
    door.session.idle_timeout = None;
    door
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doors() -> Doors {
        let endpoints = ["/ws/dashboard", "/ws/agent", "/v1/agents/{agentId}"].map(Endpoint::at).into_iter().collect();
        Doors::new(&endpoints, vec![("prod".into(), "/ws/dashboard".into()), ("lost".into(), "/nowhere".into())])
    }

    #[test]
    fn a_stage_leads_to_a_door_by_path_variable_setting_or_name() {
        let doors = doors();
        let at = |stage, path, variable| {
            doors.behind(stage, path, variable).map(|(door, _)| door.path.to_string()).unwrap_or_default()
        };
        assert_eq!(at("prod", None, None), "/ws/dashboard");
        assert_eq!(at("agent", None, None), "/ws/agent");
        assert_eq!(at("prod", Some("ws/agent"), None), "/ws/agent");
        assert_eq!(at("prod", Some("v1/agents/press-7"), None), "/v1/agents/{agentId}");
        assert_eq!(at("prod", None, Some("/ws/agent")), "/ws/agent");
        for (stage, path, variable) in
            [("test", None, None), ("prod", Some("x"), None), ("prod", None, Some("/x")), ("lost", None, None)]
        {
            assert_eq!(at(stage, path, variable), "");
        }
        assert_eq!(doors.astray().count(), 1);
    }

    #[test]
    fn a_door_promises_no_more_than_the_service_carries() {
        let doors = doors();
        let door = doors.of("/ws/agent").unwrap();
        assert_eq!(door.max_message, 128 << 10);
        assert_eq!(door.session.heartbeat, Some(KEEP_ALIVE));
    }
}
