//! References between parts of the OpenAPI document, and the components to which none of them leads.

use std::collections::BTreeSet;

use serde_json::Value;

/// Returns the name of the schema to which the value refers, if it is such a reference.
pub(super) fn schema_name(value: &Value) -> Option<String> {
    Some(
        value
            .get("$ref")?
            .as_str()?
            .strip_prefix("#/components/schemas/")?
            .to_owned(),
    )
}

/// Removes the components that nothing refers to, and then those to which only removed ones referred.
pub(super) fn remove_unused(document: &mut Value) {
    loop {
        let mut used = BTreeSet::new();
        collect(document, &mut used);
        let mut removed = false;
        let components = document["components"].as_object_mut();
        for (kind, entries) in components.into_iter().flatten() {
            let Some(entries) = entries.as_object_mut() else {
                continue;
            };
            // `security` names a security scheme without a reference.
            if kind != "securitySchemes" {
                let before = entries.len();
                entries.retain(|name, _| used.contains(&format!("#/components/{kind}/{name}")));
                removed |= entries.len() != before;
            }
        }
        if !removed {
            return;
        }
    }
}

fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                found.insert(reference.clone());
            }
            members.values().for_each(|member| collect(member, found));
        }
        _ => {}
    }
}
