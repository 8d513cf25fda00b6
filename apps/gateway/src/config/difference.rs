//! In which keys two configurations differ. A table of a list is known by what names it (its path, name, id or kid), so that
//! one more in front of it changes nothing about it.

use std::collections::BTreeMap;

use serde_json::Value;

/// What names a table of a list.
const NAMES: [&str; 7] = ["path", "name", "kid", "id", "match", "address", "user"];

/// One key in which two configurations differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The key, such as `endpoints[/ws].roles`.
    pub key: String,
    /// Its value in the first; none, where it has none.
    pub before: Option<Value>,
    /// Its value in the second.
    pub after: Option<Value>,
}

/// The keys in which they differ, by name.
pub fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let (before, after) = (flat(before), flat(after));
    let mut keys: Vec<_> = before.keys().chain(after.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let differs = keys.into_iter().filter(|key| before.get(*key) != after.get(*key));
    differs
        .map(|key| Difference { key: key.clone(), before: before.get(key).cloned(), after: after.get(key).cloned() })
        .collect()
}

/// Every value by its whole key. A list of values is one value; its order counts.
fn flat(value: &Value) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    gather(String::new(), value, &mut all);
    all
}

fn gather(key: String, value: &Value, all: &mut BTreeMap<String, Value>) {
    match value {
        Value::Null => {}
        Value::Object(members) => {
            for (name, member) in members {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                gather(key, member, all);
            }
        }
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_object) => {
            for (at, item) in items.iter().enumerate() {
                let name = NAMES.iter().find_map(|name| item[*name].as_str());
                let mut place = format!("{key}[{}]", name.map_or_else(|| at.to_string(), str::to_owned));
                // Two of one name are told apart by their places.
                if all.keys().any(|other| other.starts_with(&format!("{place}."))) {
                    place = format!("{key}[{at}]");
                }
                gather(place, item, all);
            }
        }
        Value::Array(_) | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            all.insert(key, value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_table_of_a_list_is_known_by_its_name() {
        let before = json!({"endpoints": [{"path": "/a", "roles": ["x"]}, {"path": "/b", "roles": []}], "n": 1});
        let after = json!({"endpoints": [{"path": "/c", "roles": []}, {"path": "/a", "roles": ["x", "y"]}], "n": 1});
        let keys: Vec<_> = differences(&before, &after).into_iter().map(|each| each.key).collect();
        let wanted = [
            "endpoints[/a].roles",
            "endpoints[/b].path",
            "endpoints[/b].roles",
            "endpoints[/c].path",
            "endpoints[/c].roles",
        ];
        assert_eq!(keys, wanted);
        assert!(differences(&before, &before).is_empty());
    }

    #[test]
    fn what_has_no_name_is_known_by_its_place_and_what_is_gone_is_told() {
        let differ = differences(
            &json!({"routes": [{"to": "a"}, {"to": "b"}], "tls": null, "x": 1}),
            &json!({"routes": [{"to": "a"}, {"to": "c"}], "tls": {"key": "k"}}),
        );
        let told: Vec<_> = differ.iter().map(|each| (each.key.as_str(), &each.before, &each.after)).collect();
        let some = |value: Value| Some(value);
        assert_eq!(
            told,
            [
                ("routes[1].to", &some(json!("b")), &some(json!("c"))),
                ("tls.key", &None, &some(json!("k"))),
                ("x", &some(json!(1)), &None),
            ]
        );
    }
}
