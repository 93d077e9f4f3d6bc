//! The keys of the file, from its schema: which keys exist, and how each is written.

use std::sync::LazyLock;

use serde_json::Value;

use crate::config::settings::Config;
use crate::domain::json_schema::{self, PATH, SECRET};

/// How a key is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// A whole number.
    Whole,
    /// `true` or `false`.
    Flag,
    /// A path. In a variable, a relative one starts at the working directory, because a variable belongs to no file.
    Path,
    /// Texts. In a variable, they are separated by commas; or there is one variable for each entry, with its index.
    List,
    /// Whole numbers. In variables, they are written as texts are.
    Numbers,
    /// A secret.
    Secret,
}

/// Every key; `#` is an index.
pub(super) static KEYS: LazyLock<Vec<(String, Kind)>> = LazyLock::new(|| {
    let schema = json_schema::complete::<Config>();
    let mut keys = Vec::new();
    collect(&schema, &schema, String::new(), &mut keys);
    keys
});

/// Adds the keys of a table.
fn collect(table: &Value, schema: &Value, path: String, keys: &mut Vec<(String, Kind)>) {
    let table = resolve(table, schema);
    if let Some(properties) = table.get("properties").and_then(Value::as_object) {
        for (name, property) in properties {
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            collect(property, schema, path, keys);
        }
        return;
    }
    let item = table.get("items").map(|items| resolve(items, schema));
    let kind = match (&table["type"], item) {
        (Value::String(name), Some(items)) if name == "array" => {
            if items.get("properties").is_some() {
                return collect(items, schema, format!("{path}.#"), keys);
            }
            if items["type"] == "integer" {
                Kind::Numbers
            } else {
                Kind::List
            }
        }
        (Value::String(name), _) if name == "integer" => Kind::Whole,
        (Value::String(name), _) if name == "boolean" => Kind::Flag,
        _ if table["format"] == PATH => Kind::Path,
        _ if table["format"] == SECRET => Kind::Secret,
        _ => Kind::Text,
    };
    keys.push((path, kind));
}

/// Returns the table that a reference names, or the schema itself.
fn resolve<'a>(value: &'a Value, schema: &'a Value) -> &'a Value {
    let reference = value.get("$ref").and_then(Value::as_str);
    reference
        .and_then(|reference| schema.pointer(reference.trim_start_matches('#')))
        .unwrap_or(value)
}

/// Returns the pointers to all values of a key that the file has.
pub(super) fn pointers(root: &Value, key: &str) -> Vec<String> {
    let mut pointers = vec![String::new()];
    for part in key.split('.') {
        pointers = pointers
            .iter()
            .flat_map(|pointer| match part {
                "#" => {
                    let items = root.pointer(pointer).and_then(Value::as_array);
                    (0..items.map_or(0, Vec::len))
                        .map(|index| format!("{pointer}/{index}"))
                        .collect()
                }
                name => vec![format!("{pointer}/{name}")],
            })
            .collect();
    }
    pointers.retain(|pointer| root.pointer(pointer).is_some());
    pointers
}
