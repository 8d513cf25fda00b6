//! Plans: which limits hold for a user. A limit that is off is `None`; a tighter one of the token's own wins.

use std::{fmt, num::NonZeroU32, str::FromStr, time::Duration};

use serde::{Serialize, Serializer};

use crate::name::PlanName;

/// So many in so much time, such as `20/s` or `100/m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many...
    pub count: NonZeroU32,
    /// ...in this time.
    pub period: Duration,
}

/// Not a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a rate such as 20/s, 100/m or 5000/h, of at least 1")]
pub struct NotARate;

const UNITS: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];

impl Rate {
    /// So many in that many seconds.
    pub const fn new(count: NonZeroU32, period: Duration) -> Self {
        Self { count, period }
    }

    /// The mean time between two.
    pub fn interval(&self) -> Duration {
        (self.period / self.count.get()).max(Duration::from_nanos(1))
    }

    /// Whether it lets through less in the long run than `other`.
    fn is_tighter_than(&self, other: &Self) -> bool {
        let (ours, theirs) = (u128::from(self.count.get()), u128::from(other.count.get()));
        ours * other.period.as_nanos() < theirs * self.period.as_nanos()
    }
}

impl FromStr for Rate {
    type Err = NotARate;

    fn from_str(text: &str) -> Result<Self, NotARate> {
        let (count, unit) = text.split_once('/').ok_or(NotARate)?;
        let period = UNITS.iter().find(|(name, _)| *name == unit.trim()).ok_or(NotARate)?.1;
        let count = count.trim().parse().map_err(|_| NotARate)?;
        Ok(Self { count, period: Duration::from_secs(period) })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, seconds)| self.period == Duration::from_secs(*seconds)) {
            Some((unit, _)) => write!(f, "{}/{unit}", self.count),
            None => write!(f, "{}/{}s", self.count, self.period.as_secs_f32()),
        }
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What happens to the handshake that finds every seat taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnConnectionLimit {
    /// It is refused, and the user's silent connections are checked, so that a retry may get in.
    #[default]
    EvictStale,
    /// It is refused.
    RejectNew,
    /// The user's oldest connection makes room.
    EvictOldest,
}

/// Two quotas of messages; both must admit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Messages {
    /// In the long run.
    pub rate: Option<Rate>,
    /// In a burst.
    pub burst: Option<Rate>,
}

/// The limits of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Its name.
    pub name: PlanName,
    /// How many connections at once.
    pub connections: Option<u32>,
    /// What happens to one more.
    pub on_connection_limit: OnConnectionLimit,
    /// How many messages.
    pub messages: Messages,
}

/// Limits that a token carries; each counts only where it is tighter than the plan's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnLimits {
    /// Connections at once.
    pub connections: Option<u32>,
    /// Messages in the long run.
    pub rate: Option<Rate>,
    /// Messages in a burst.
    pub burst: Option<Rate>,
}

impl Default for Plan {
    /// The plan that ships: ten connections, twenty messages in a second, a hundred in a minute.
    fn default() -> Self {
        let rate = |count, seconds| {
            let count = NonZeroU32::new(count)?;
            Some(Rate::new(count, Duration::from_secs(seconds)))
        };
        Self {
            name: PlanName::usual(),
            connections: Some(10),
            on_connection_limit: OnConnectionLimit::EvictStale,
            messages: Messages { rate: rate(100, 60), burst: rate(20, 1) },
        }
    }
}

impl Plan {
    /// The plan with a token's own limits laid over it: never wider than it was.
    pub fn tightened(&self, own: &OwnLimits) -> Self {
        let connections = match (self.connections, own.connections) {
            (Some(plan), Some(own)) => Some(plan.min(own)),
            (plan, own) => plan.or(own),
        };
        let messages =
            Messages { rate: tighter(self.messages.rate, own.rate), burst: tighter(self.messages.burst, own.burst) };
        Self { name: self.name.clone(), connections, on_connection_limit: self.on_connection_limit, messages }
    }
}

fn tighter(plan: Option<Rate>, own: Option<Rate>) -> Option<Rate> {
    match (plan, own) {
        (Some(plan), Some(own)) => Some(if own.is_tighter_than(&plan) { own } else { plan }),
        (plan, own) => plan.or(own),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> Option<Rate> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn rates_are_read_and_written() {
        for text in ["20/s", "100/m", "5000/h", "1/d"] {
            assert_eq!(rate(text).unwrap().to_string(), text);
        }
        assert_eq!(rate("20 / s").unwrap().interval(), Duration::from_millis(50));
        for text in ["", "20", "0/s", "-1/s", "20/w", "x/s", "4294967296/s"] {
            assert_eq!(text.parse::<Rate>(), Err(NotARate), "{text}");
        }
        assert_eq!(serde_json::to_string(&rate("20/s")).unwrap(), "\"20/s\"");
        let odd = Rate::new(NonZeroU32::MIN, Duration::from_millis(1500));
        assert_eq!(odd.to_string(), "1/1.5s");
    }

    #[test]
    fn a_token_tightens_a_plan_and_never_widens_it() {
        let plan = Plan {
            name: "default".parse().unwrap(),
            connections: Some(10),
            on_connection_limit: OnConnectionLimit::default(),
            messages: Messages { rate: rate("100/m"), burst: None },
        };
        let own = OwnLimits { connections: Some(3), rate: rate("10/m"), burst: rate("5/s") };
        let tight = plan.tightened(&own);
        assert_eq!((tight.connections, tight.messages), (Some(3), Messages { rate: rate("10/m"), burst: rate("5/s") }));

        let own = OwnLimits { connections: Some(99), rate: rate("100/s"), burst: None };
        assert_eq!(plan.tightened(&own), plan);
        let unlimited = Plan { connections: None, ..plan.clone() };
        assert_eq!(unlimited.tightened(&own).connections, Some(99));
        assert_eq!(plan.tightened(&OwnLimits::default()), plan);
    }
}
