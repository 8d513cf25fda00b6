//! Where an endpoint is: a path of its own, of which a segment may be a parameter.

use std::fmt;

use super::{Scalar, Unfit, Value, through_serde};

/// Paths that belong to the gateway itself; an endpoint may stand neither at nor below one.
const RESERVED: [&str; 8] =
    ["/api", "/auth", "/console", "/health", "/healthz", "/readyz", "/metrics", "/openapi.json"];

/// The path of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointPath(Box<str>);

/// What a segment of a path may stand for; whoever connects must have that very value in its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathParameter {
    /// `{agentId}`: the id of the agent.
    AgentId,
    /// `{userId}`: the id of the user.
    UserId,
}

impl PathParameter {
    const ALL: [(&'static str, Self); 2] = [("{agentId}", Self::AgentId), ("{userId}", Self::UserId)];

    fn of(segment: &str) -> Option<Self> {
        Self::ALL.iter().find(|(text, _)| *text == segment).map(|(_, parameter)| *parameter)
    }
}

impl EndpointPath {
    /// The path, parameters as they are written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its segments in order: a text, or a parameter.
    pub fn segments(&self) -> impl Iterator<Item = Result<&str, PathParameter>> {
        let segments = self.0.split('/').skip(1);
        segments.map(|segment| PathParameter::of(segment).map_or(Ok(segment), Err))
    }

    /// Whether it has a parameter, so that it is the path of many.
    pub fn is_pattern(&self) -> bool {
        self.segments().any(|segment| segment.is_err())
    }

    /// Whether two endpoints could mean one request, and none of them goes before the other. An exact path goes before
    /// every pattern.
    pub fn collides(&self, other: &Self) -> bool {
        if self.is_pattern() != other.is_pattern() || self.segments().count() != other.segments().count() {
            return false;
        }
        self.segments().zip(other.segments()).all(|pair| match pair {
            (Ok(own), Ok(its)) => own == its,
            (Err(_), _) | (_, Err(_)) => true,
        })
    }
}

impl fmt::Display for EndpointPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Value for EndpointPath {
    const KIND: &'static str = "path";
    const WANTED: &'static str = "a path that starts with a slash, such as \"/ws/agent\" or \"/v1/ws/agent/{agentId}\"";

    fn read(scalar: Scalar<'_>) -> Result<Self, Unfit> {
        let Scalar::Text(text) = scalar else { return Err(Unfit::not::<Self>(scalar)) };
        if let Some(reserved) = RESERVED
            .iter()
            .find(|path| text.strip_prefix(**path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
        {
            return Err(Unfit::new(
                format!("`{scalar}` collides with the gateway's own `{reserved}`"),
                "Choose another path, such as \"/ws/agent\"",
            ));
        }
        let bare = parameters(text)?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte);
        let odd = bare.contains("//") || bare.split('/').any(|segment| segment == "." || segment == "..");
        let ends = bare.len() > 1 && bare.ends_with('/');
        if !bare.starts_with('/') || odd || ends || text.len() > 256 || !bare.bytes().all(plain) {
            return Err(Unfit::not::<Self>(scalar));
        }
        Ok(Self(text.into()))
    }
}

/// The path with a plain word in the place of each parameter, where the parameters are sound.
fn parameters(text: &str) -> Result<String, Unfit> {
    let known = "The parameters are {agentId} and {userId}, each a whole segment and at most once";
    let mut found = Vec::new();
    let mut bare = Vec::new();
    for (at, segment) in text.split('/').enumerate() {
        let Some(parameter) = PathParameter::of(segment) else {
            if segment.contains(['{', '}']) {
                let segment = Scalar::Text(segment);
                return Err(Unfit::new(format!("`{segment}` is no parameter of a path"), known));
            }
            bare.push(segment);
            continue;
        };
        if found.contains(&parameter) {
            return Err(Unfit::new(format!("`{segment}` stands twice in this path"), known));
        }
        if at == 1 {
            let what = format!("`{segment}` as the first segment could be the gateway's own `/api`");
            return Err(Unfit::new(what, "Put a word before it, such as \"/ws/{agentId}\""));
        }
        found.push(parameter);
        bare.push("parameter");
    }
    Ok(bare.join("/"))
}

through_serde!(EndpointPath);

/// The path of a door that many go through, such as that of Socket.IO: as an endpoint's, without parameters; it may end
/// in a slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoorPath(Box<str>);

impl DoorPath {
    /// Where every client of Socket.IO looks.
    pub fn socketio() -> Self {
        Self("/socket.io/".into())
    }

    /// The path as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether an endpoint could mean the same request.
    pub fn collides(&self, endpoint: &EndpointPath) -> bool {
        let own: Vec<_> = self.0.trim_end_matches('/').split('/').skip(1).collect();
        let other: Vec<_> = endpoint.segments().collect();
        own.len() == other.len() && own.iter().zip(other).all(|(own, other)| other.is_err() || other == Ok(*own))
    }
}

impl fmt::Display for DoorPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Value for DoorPath {
    const KIND: &'static str = "path of a door";
    const WANTED: &'static str = "a path that starts with a slash and is more than that, such as \"/socket.io/\"";

    fn read(scalar: Scalar<'_>) -> Result<Self, Unfit> {
        let Scalar::Text(text) = scalar else { return Err(Unfit::not::<Self>(scalar)) };
        let path = EndpointPath::read(Scalar::Text(text.strip_suffix('/').unwrap_or(text)));
        match path {
            Ok(path) if !path.is_pattern() && path.as_str() != "/" => Ok(Self(text.into())),
            Err(unfit) if unfit.what.contains("collides") => Err(unfit),
            _ => Err(Unfit::not::<Self>(scalar)),
        }
    }
}

through_serde!(DoorPath);

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> EndpointPath {
        EndpointPath::read(Scalar::Text(text)).unwrap_or_else(|unfit| panic!("{text}: {unfit}"))
    }

    fn why(text: &str) -> String {
        EndpointPath::read(Scalar::Text(text)).err().map(|unfit| unfit.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_path_is_plain_and_not_the_gateways_own() {
        for text in ["/", "/ws", "/ws/agent", "/apis", "/v1/ws/agent-1"] {
            assert_eq!(path(text).as_str(), text);
            assert!(!path(text).is_pattern());
        }
        for text in ["", "ws", "/ws/", "/a//b", "/a/../b", "/a?b", "/a b", "/a%20b", &"/x".repeat(200)] {
            assert!(why(text).contains("is not a valid path"), "{text}");
        }
        for text in [
            "/api",
            "/api/v1/x",
            "/auth/token",
            "/console",
            "/healthz",
            "/health",
            "/readyz",
            "/metrics",
            "/openapi.json",
        ] {
            assert!(why(text).contains("collides"), "{text}");
        }
    }

    #[test]
    fn a_parameter_is_a_whole_segment_behind_a_word() {
        let both = path("/v1/{userId}/agent/{agentId}");
        assert!(both.is_pattern());
        let segments: Vec<_> = both.segments().collect();
        assert_eq!(segments, [Ok("v1"), Err(PathParameter::UserId), Ok("agent"), Err(PathParameter::AgentId)]);
        for (text, words) in [
            ("/a/{id}", "`{id}` is no parameter"),
            ("/a/{agentid}", "{agentId} and {userId}"),
            ("/a/x{agentId}", "`x{agentId}` is no parameter"),
            ("/a/{agentId", "no parameter"),
            ("/a/{agentId}/{agentId}", "stands twice"),
            ("/{agentId}", "the gateway's own"),
            ("/a/{agentId}/", "is not a valid path"),
            ("a/b/{agentId}", "is not a valid path"),
        ] {
            assert!(why(text).contains(words), "{text}: {}", why(text));
        }
    }

    #[test]
    fn the_path_of_a_door_may_end_in_a_slash_and_is_no_endpoints() {
        let door = |text: &str| DoorPath::read(Scalar::Text(text)).map_err(|unfit| unfit.to_string());
        for text in ["/socket.io/", "/socket.io", "/v1/live/"] {
            assert_eq!(door(text).unwrap().to_string(), text);
        }
        for (text, why) in [
            ("/", "more than that"),
            ("", "slash"),
            ("/a//", "slash"),
            ("/a/{agentId}", "slash"),
            ("/api/", "collides"),
        ] {
            assert!(door(text).unwrap_err().contains(why), "{text}: {:?}", door(text));
        }
        for (one, other, collide) in
            [("/a/", "/a", true), ("/a/", "/b", false), ("/a/b/", "/a/{agentId}", true), ("/a", "/a/b", false)]
        {
            assert_eq!(door(one).unwrap().collides(&path(other)), collide, "{one} {other}");
        }
    }

    #[test]
    fn paths_collide_where_neither_goes_before_the_other() {
        for (one, other, collide) in [
            ("/a", "/a", true),
            ("/a", "/b", false),
            ("/a/{agentId}", "/a/{userId}", true),
            ("/a/{agentId}", "/a/b", false),
            ("/a/{agentId}", "/b/{agentId}", false),
            ("/a/{agentId}", "/a/{agentId}/c", false),
            ("/a/{agentId}/c", "/a/b/{userId}", true),
            ("/a/{agentId}/c", "/a/{userId}/d", false),
        ] {
            assert_eq!(path(one).collides(&path(other)), collide, "{one} {other}");
            assert_eq!(path(other).collides(&path(one)), collide, "{other} {one}");
        }
    }
}
