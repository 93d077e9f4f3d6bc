//! Optional bodies and parameters in the OpenAPI document: their schemas do not allow `null`.
//!
//! utoipa makes the schema of an `Option` nullable. A client sends a value or nothing, and never `null`.

use serde_json::{Map, Value, json};

use crate::http::openapi::walk::{each_operation, each_parameter};

/// Removes `null` from the schemas of parameters and optional bodies.
pub(super) fn remove_null(document: &mut Value) {
    each_parameter(document, |parameter| remove_from(&mut parameter["schema"]));
    each_operation(document, remove_from_body);
}

fn remove_from_body(operation: &mut Value) {
    let Some(body) = operation.get_mut("requestBody") else {
        return;
    };
    if body["required"] == true {
        return;
    }
    for content in body["content"]
        .as_object_mut()
        .into_iter()
        .flat_map(Map::values_mut)
    {
        remove_from(&mut content["schema"]);
    }
}

/// Removes `null` from the types of a schema, or from its choices.
fn remove_from(schema: &mut Value) {
    if let Some(Value::Array(kinds)) = schema.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [kind] = kinds.as_slice() {
            schema["type"] = kind.clone();
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("oneOf") {
        choices.retain(|choice| *choice != json!({"type": "null"}));
        if let [choice] = choices.as_slice() {
            *schema = choice.clone();
        }
    }
}
