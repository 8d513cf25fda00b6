//! The table against a model that knows no compiling: it reads the texts anew for every message.

use proptest::{prelude::*, sample::select};
use serde_json::Value;

use super::*;

/// What the model knows of somebody and a message.
struct Said<'a> {
    role: Option<&'a str>,
    endpoint: &'a str,
    user: &'a str,
    kind: &'a str,
    payload: &'a Value,
}

impl Said<'_> {
    fn matches(&self, spec: &RouteSpec) -> bool {
        let from = |text: &String| match text.as_str() {
            "*" => true,
            text => text.strip_prefix("endpoint:") == Some(self.endpoint) || Some(text) == self.role,
        };
        let types = |text: &String| match text.strip_suffix('*') {
            Some(prefix) => self.kind.starts_with(prefix),
            None => self.kind == text,
        };
        !is_reserved_type(self.kind) && spec.from.iter().any(from) && spec.types.iter().any(types)
    }

    fn target(&self, template: &str) -> Option<String> {
        let payload = match &self.payload["a"] {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) if number.is_i64() => Some(number.to_string()),
            _ => None,
        };
        let values = [
            ("{payload.a}", payload),
            ("{sender.userId}", Some(self.user.to_owned())),
            ("{sender.connectionId}", Some(Somebody::CONNECTION.to_string())),
        ];
        values.into_iter().try_fold(template.to_owned(), |text, (placeholder, value)| {
            let Some(at) = text.find(placeholder) else { return Some(text) };
            let value = value.filter(|value| !value.is_empty() && !value.contains('*'))?;
            let last = at + placeholder.len() == text.len();
            (last || !value.contains(':')).then(|| text.replace(placeholder, &value))
        })
    }

    fn find(&self, specs: &[RouteSpec]) -> Option<(usize, Vec<String>)> {
        specs.iter().enumerate().filter(|(_, spec)| self.matches(spec)).find_map(|(index, spec)| {
            Some((index, spec.to.iter().map(|text| self.target(text)).collect::<Option<Vec<_>>>()?))
        })
    }
}

fn any_of(texts: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop::sample::subsequence(texts, 1..=2).prop_map(|texts| super::texts(&texts))
}

fn any_spec() -> impl Strategy<Value = RouteSpec> {
    let from = any_of(&["*", "agent", "dashboard", "endpoint:/ws", "endpoint:/ws/agent"]);
    let types = any_of(&["*", "a*", "ab*", "ab", "abc", "b", "p*", "agent.*"]);
    let to = any_of(&[
        "room:x",
        "room:{payload.a}",
        "room:{payload.a}:y",
        "room:{sender.userId}",
        "room:c:{sender.connectionId}",
    ]);
    (from, types, to).prop_map(|(from, types, to)| RouteSpec { from, types, to, ..RouteSpec::default() })
}

fn any_payload() -> impl Strategy<Value = Value> {
    select(vec![
        serde_json::json!({}),
        serde_json::json!({"a": "v"}),
        serde_json::json!({"a": "v:w"}),
        serde_json::json!({"a": "*"}),
        serde_json::json!({"a": 7}),
        serde_json::json!({"a": 7.5}),
        Value::Null,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_table_finds_what_reading_its_texts_finds_and_never_a_route_it_called_dead(
        specs in prop::collection::vec(any_spec(), 1..6),
        said in prop::collection::vec((
            select(vec!["", "agent", "dashboard", "admin"]),
            select(vec!["/ws", "/ws/agent"]),
            select(vec!["ann", "t:ann", "a*"]),
            select(vec!["a", "ab", "abc", "b", "ping", "pinged", "agent.online", "agent.x", "auth.x"]),
            any_payload(),
        ), 1..20),
    ) {
        let dead: Vec<_> = match Routes::compile(&specs, &around()) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.iter().map(|fault| fault.route).collect(),
        };
        let alive: Vec<_> = specs.iter().enumerate().filter(|(index, _)| !dead.contains(index)).collect();
        let routes = compiled(&alive.iter().map(|(_, spec)| (*spec).clone()).collect::<Vec<_>>());
        for (role, endpoint, user, kind, payload) in &said {
            let who = Somebody::new(user, role, endpoint);
            let role = (!role.is_empty()).then_some(*role);
            let model = Said { role, endpoint, user, kind, payload }.find(&specs);
            if let Some((index, _)) = &model {
                prop_assert!(!dead.contains(index), "route {index} was called dead");
            }
            let found = found(&routes, &who, serde_json::json!({"type": kind, "payload": payload}))
                .map(|(index, targets)| (alive[index].0, targets));
            prop_assert_eq!(found, model);
        }
    }
}
