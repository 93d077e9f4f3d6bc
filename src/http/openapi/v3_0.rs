//! Renders the document in OpenAPI 3.0, for generators that know no later version.
//!
//! OpenAPI 3.0 has no `null` type, no schema beside a reference, no list of examples, and no webhooks. The types of
//! events stay among the components, so that receivers have them too.
//!
//! Generators for OpenAPI 3.0 know one media type for each body, and one type of result for each operation. So only
//! JSON remains where there is a choice. If only some results of an operation have a body, none keeps it.
//! `If-None-Match` and its result 304 are left out.

use serde_json::{Map, Value, json};

use crate::http::openapi::walk::{each_object, each_operation};

/// Returns the document in OpenAPI 3.0.
pub(in crate::http) fn render(document: &Value) -> Value {
    let mut rendered = document.clone();
    rendered["openapi"] = "3.0.3".into();
    if let Some(members) = rendered.as_object_mut() {
        members.shift_remove("webhooks");
    }
    // OpenAPI 3.0 has no SPDX identifier.
    if let Some(license) = rendered["info"]["license"].as_object_mut() {
        license.shift_remove("identifier");
    }
    each_operation(&mut rendered, one_result);
    let schemas = &document["components"]["schemas"];
    each_object(&mut rendered, &|value| convert(value, schemas));
    rendered
}

/// Leaves an operation with one type of result.
fn one_result(operation: &mut Value) {
    if let Some(parameters) = operation.get_mut("parameters").and_then(Value::as_array_mut) {
        parameters.retain(|parameter| parameter["name"] != "If-None-Match");
    }
    let Some(responses) = operation["responses"].as_object_mut() else {
        return;
    };
    responses.retain(|status, _| status != "304");
    let mut results: Vec<&mut Map<String, Value>> = responses
        .iter_mut()
        .filter(|(status, _)| status.starts_with('2'))
        .filter_map(|(_, response)| response.as_object_mut())
        .collect();
    if results.iter().any(|result| !result.contains_key("content")) {
        for result in &mut results {
            result.shift_remove("content");
        }
    }
}

fn convert(value: &mut Value, schemas: &Value) {
    if let Value::Object(members) = value {
        null_type(members);
        null_choice(members, schemas);
        beside_reference(members);
        examples(members);
        one_media_type(members);
    }
}

/// `type: [string, null]` becomes `type: string` with `nullable`.
fn null_type(members: &mut Map<String, Value>) {
    let Some(Value::Array(kinds)) = members.get("type") else {
        return;
    };
    let kinds: Vec<Value> = kinds.iter().filter(|kind| **kind != "null").cloned().collect();
    match kinds.as_slice() {
        [kind] => members.insert("type".to_owned(), kind.clone()),
        _ => members.shift_remove("type"),
    };
    members.insert("nullable".to_owned(), true.into());
}

/// `oneOf` of a schema and `null` becomes a nullable schema. `nullable` has no effect without a `type`.
fn null_choice(members: &mut Map<String, Value>, schemas: &Value) {
    let Some(Value::Array(choices)) = members.get("oneOf") else {
        return;
    };
    let [schema, null] = choices.as_slice() else {
        return;
    };
    if *null != json!({"type": "null"}) {
        return;
    }
    let schema = schema.clone();
    members.shift_remove("oneOf");
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        members.insert("type".to_owned(), schemas[name]["type"].clone());
        members.insert("allOf".to_owned(), json!([schema]));
    } else if let Value::Object(schema) = schema {
        members.extend(schema);
        if let Some(Value::Array(values)) = members.get_mut("enum") {
            values.push(Value::Null);
        }
    }
    members.insert("nullable".to_owned(), true.into());
}

/// Tools ignore a schema beside a reference, so the reference becomes a part of the schema.
fn beside_reference(members: &mut Map<String, Value>) {
    let is_schema = |reference: &Value| {
        reference
            .as_str()
            .is_some_and(|text| text.starts_with("#/components/schemas/"))
    };
    if members.len() > 1 && members.get("$ref").is_some_and(is_schema) {
        let reference = members.shift_remove("$ref");
        members.insert("allOf".to_owned(), json!([{ "$ref": reference }]));
    }
}

/// `examples` of a schema is a list in 3.1; 3.0 has one `example`.
///
/// Objects lose theirs: 3.0 cannot express that a referenced object may be `null`, so linters reject an example with
/// such a `null`.
fn examples(members: &mut Map<String, Value>) {
    if let Some(Value::Array(examples)) = members.get_mut("examples") {
        let first = examples.drain(..).next();
        members.shift_remove("examples");
        if members.get("type").is_none_or(|kind| kind != "object") {
            members.extend(first.map(|example| ("example".to_owned(), example)));
        }
    }
}

/// Leaves JSON as the only media type of a body that has several.
fn one_media_type(members: &mut Map<String, Value>) {
    if let Some(Value::Object(content)) = members.get_mut("content")
        && content.contains_key("application/json")
    {
        content.retain(|media_type, _| media_type == "application/json");
    }
}
