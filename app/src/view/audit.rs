//! The audit trail on the wire, and what is different between two views of a thing.

use super::rfc3339;
use crate::domain::audit::FieldChange;
use crate::store::audit::Entry;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// An entry of the audit trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditView {
    /// Its number; later ones are larger.
    pub id: i64,
    /// When it was done, RFC 3339.
    pub at: String,
    /// How whoever did it was known: `user`, `token`, `local`, `server` or `stranger`.
    pub actor_kind: String,
    /// The name of the user or of the token.
    pub actor: String,
    /// From which network address; empty where there was none.
    pub address: String,
    /// What was done, such as `added`, `changed` or `removed`.
    pub action: String,
    /// To what kind of thing, such as `task`.
    pub kind: String,
    /// The name or number of the thing.
    pub name: String,
    /// What is otherwise since; secrets appear as `••••`.
    pub changes: Vec<FieldChangeView>,
}

/// One field before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldChangeView {
    /// Its path, such as `steps.sync.timeout`.
    pub field: String,
    /// What it was; absent where it was not there.
    pub old: Option<String>,
    /// What it is; absent where it is not there any more.
    pub new: Option<String>,
}

impl From<&Entry> for AuditView {
    fn from(entry: &Entry) -> Self {
        let view = |change: &FieldChange| FieldChangeView {
            field: change.field.clone(),
            old: change.old.clone(),
            new: change.new.clone(),
        };
        Self {
            id: entry.id,
            at: rfc3339(entry.at),
            actor_kind: entry.actor.kind.to_string(),
            actor: entry.actor.name.clone(),
            address: entry.actor.address.clone(),
            action: entry.deed.action.to_string(),
            kind: entry.deed.kind.to_string(),
            name: entry.deed.name.clone(),
            changes: entry.deed.changes.iter().map(view).collect(),
        }
    }
}

/// A page of the audit trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditList {
    /// Newest first.
    pub entries: Vec<AuditView>,
    /// The number to ask for older ones with `before`; absent on the last page.
    pub next_before: Option<i64>,
}

/// What is different between two views of one thing, field by field.
pub fn differences<T: Serialize>(before: Option<&T>, after: Option<&T>) -> Vec<FieldChange> {
    let (mut old, mut new) = (flat(before), flat(after));
    let fields: Vec<String> = {
        let mut fields: Vec<String> = new.order;
        fields.extend(
            old.order
                .into_iter()
                .filter(|f| !new.values.contains_key(f)),
        );
        fields
    };
    fields
        .into_iter()
        .filter_map(|field| {
            let (old, new) = (old.values.remove(&field), new.values.remove(&field));
            (old != new).then_some(FieldChange { field, old, new })
        })
        .collect()
}

/// The leaves of a view: their paths in order, and their values.
#[derive(Default)]
struct Flat {
    order: Vec<String>,
    values: BTreeMap<String, String>,
}

fn flat<T: Serialize>(view: Option<&T>) -> Flat {
    let mut flat = Flat::default();
    // A view always has a JSON form; one that had none would have no fields either.
    if let Some(value) = view.and_then(|view| serde_json::to_value(view).ok()) {
        flat.walk(String::new(), &value);
    }
    flat
}

impl Flat {
    fn walk(&mut self, path: String, value: &Value) {
        let inside = |key: &str| match path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        };
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    self.walk(inside(key), value);
                }
            }
            Value::Array(items) if items.iter().any(|item| item["name"].is_string()) => {
                let names: Vec<&str> = items.iter().filter_map(|i| i["name"].as_str()).collect();
                self.leaf(path.clone(), names.join(", "));
                for item in items {
                    let name = item["name"].as_str().unwrap_or_default();
                    for (key, value) in item.as_object().into_iter().flatten() {
                        if key != "name" {
                            self.walk(inside(&format!("{name}.{key}")), value);
                        }
                    }
                }
            }
            Value::Null => {}
            Value::String(text) => self.leaf(path, text.clone()),
            Value::Array(items) if items.is_empty() => {}
            other => self.leaf(path, other.to_string()),
        }
    }

    fn leaf(&mut self, path: String, value: String) {
        self.order.push(path.clone());
        self.values.insert(path, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn change(field: &str, old: Option<&str>, new: Option<&str>) -> FieldChange {
        FieldChange {
            field: field.to_owned(),
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
        }
    }

    #[test]
    fn steps_are_compared_by_their_names_and_their_order_counts() {
        let step = |name, timeout| json!({"name": name, "timeout": timeout});
        let before = json!({"cron": null, "steps": [step("stop", 30), step("sync", 300)]});
        let after = json!({"cron": "0 3 * * *", "steps": [step("sync", 600), step("stop", 30)]});
        assert_eq!(
            differences(Some(&before), Some(&after)),
            [
                change("cron", None, Some("0 3 * * *")),
                change("steps", Some("stop, sync"), Some("sync, stop")),
                change("steps.sync.timeout", Some("300"), Some("600")),
            ]
        );
        assert!(differences(Some(&after), Some(&after)).is_empty());
    }

    #[test]
    fn what_was_added_or_removed_has_one_side_only() {
        let pool = json!({"name": "p", "slots": 2});
        assert_eq!(
            differences(None, Some(&pool))[1],
            change("slots", None, Some("2"))
        );
        assert_eq!(
            differences(Some(&pool), None)[1],
            change("slots", Some("2"), None)
        );
    }
}
