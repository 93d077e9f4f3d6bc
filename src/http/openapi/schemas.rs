//! The schemas in the OpenAPI document, simplified for generators.
//!
//! * Schemas of plain strings, numbers and lists are written where they are used. Generators make good names for
//!   objects and enums, and useless wrappers for the rest.
//! * A page is `OrderPage` instead of `Page_Order`, and its items are references.
//! * An object that consists of several parts (`allOf`) becomes one object.
//! * A nullable schema has a type with `null` where that is possible, instead of a choice.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::http::openapi::references::schema_name;
use crate::http::openapi::walk::each_object;

/// Objects that later versions of the service, or of Close, extend.
const OPEN: [&str; 3] = ["OrderPhoneNumber", "PhoneNumber", "Problem"];

/// Simplifies all schemas of the document.
pub(super) fn simplify(document: &mut Value) {
    let schemas = take_schemas(document);
    each_object(document, &|value| simplify_one(value, &schemas));
    let mut objects = schemas.clone();
    for schema in objects.values_mut() {
        each_object(schema, &|value| simplify_one(value, &schemas));
    }
    for name in OPEN {
        if let Some(schema) = objects.get_mut(name) {
            schema["additionalProperties"] = true.into();
        }
    }
    for name in schemas.keys() {
        if let (Some(row), Some(page)) = (name.strip_prefix("Page_"), objects.get_mut(name)) {
            page["properties"]["data"]["items"] = json!({ "$ref": format!("#/components/schemas/{row}") });
        }
    }
    let objects: Map<String, Value> = objects
        .into_iter()
        .map(|(name, schema)| (page_name(&name), schema))
        .collect();
    document["components"]["schemas"] = Value::Object(objects);
}

fn take_schemas(document: &mut Value) -> BTreeMap<String, Value> {
    match document["components"]["schemas"].take() {
        Value::Object(schemas) => schemas.into_iter().collect(),
        _ => BTreeMap::new(),
    }
}

/// Simplifies one schema, if the value is one.
fn simplify_one(value: &mut Value, schemas: &BTreeMap<String, Value>) {
    write_scalar(value, schemas);
    merge_null(value);
    merge_parts(value, schemas);
    if let Some(name) = schema_name(value) {
        value["$ref"] = format!("#/components/schemas/{}", page_name(&name)).into();
    }
    // In OpenAPI 3.1, a schema has `examples`.
    if value.get("type").is_some()
        && let Some(members) = value.as_object_mut()
        && let Some(example) = members.shift_remove("example")
    {
        members.insert("examples".to_owned(), json!([example]));
    }
}

/// Replaces a reference to a schema that is neither an object nor a closed enum with that schema.
fn write_scalar(value: &mut Value, schemas: &BTreeMap<String, Value>) {
    let Some(name) = schema_name(value) else { return };
    let Some(schema) = schemas.get(&name) else { return };
    if is_named(schema) {
        return;
    }
    let mut written = schema.clone();
    each_object(&mut written, &|value| simplify_one(value, schemas));
    if let (Value::Object(written), Value::Object(here)) = (&mut written, &*value) {
        let values = written.get("description").and_then(known_values);
        let beside = here.iter().filter(|(name, _)| *name != "$ref");
        written.extend(beside.map(|(name, value)| (name.clone(), value.clone())));
        if let (Some(values), Some(Value::String(description))) = (values, written.get_mut("description"))
            && !description.ends_with(&values)
        {
            description.push_str(&values);
        }
    }
    *value = written;
}

/// Returns the list of values in the description of an enum.
fn known_values(description: &Value) -> Option<String> {
    let text = description.as_str()?;
    Some(text[text.find("\n\n* `")?..].to_owned())
}

/// Whether generators should make a type of this schema.
fn is_named(schema: &Value) -> bool {
    let is_enum = schema.get("enum").is_some() && schema["type"] == "string";
    schema["type"] == "object" || schema.get("allOf").is_some() || is_enum
}

/// Writes `oneOf` with `null` as a type with `null`, where that is possible, and puts the description outside.
fn merge_null(value: &mut Value) {
    let null = json!({"type": "null"});
    let Some(Value::Array(choices)) = value.get_mut("oneOf") else {
        return;
    };
    choices.sort_by_key(|choice| *choice == null);
    let [Value::Object(some), last] = choices.as_mut_slice() else {
        return;
    };
    if *last != null {
        return;
    }
    let description = some.get("description").cloned();
    let mut merged = match some.get("type") {
        Some(Value::String(kind)) if !some.contains_key("enum") && kind != "object" => {
            let kind = json!([kind, "null"]);
            let mut merged = some.clone();
            merged.insert("type".to_owned(), kind);
            merged
        }
        Some(Value::Array(_)) => some.clone(),
        _ => {
            some.shift_remove("description");
            let Value::Object(merged) = value.clone() else {
                return;
            };
            merged
        }
    };
    if let Some(description) = description {
        merged.insert("description".to_owned(), description);
    }
    *value = Value::Object(merged);
}

/// Merges the parts of an object.
fn merge_parts(value: &mut Value, schemas: &BTreeMap<String, Value>) {
    let Some(Value::Array(parts)) = value.get("allOf") else {
        return;
    };
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for part in parts {
        let mut part = match schema_name(part) {
            Some(name) => match schemas.get(&name) {
                Some(schema) => schema.clone(),
                None => return,
            },
            None => part.clone(),
        };
        each_object(&mut part, &|value| simplify_one(value, schemas));
        if let Some(Value::Object(more)) = part.get("properties") {
            properties.extend(more.clone());
        }
        if let Some(Value::Array(more)) = part.get("required") {
            required.extend(
                more.iter()
                    .filter(|name| !required.contains(*name))
                    .cloned()
                    .collect::<Vec<_>>(),
            );
        }
    }
    let Some(members) = value.as_object_mut() else {
        return;
    };
    members.shift_remove("allOf");
    members.insert("type".to_owned(), "object".into());
    members.insert("required".to_owned(), required.into());
    members.insert("properties".to_owned(), properties.into());
}

/// Returns `OrderPage` for utoipa's name `Page_Order`, and any other name unchanged.
fn page_name(name: &str) -> String {
    name.strip_prefix("Page_")
        .map_or_else(|| name.to_owned(), |row| format!("{row}Page"))
}
