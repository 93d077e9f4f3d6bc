//! Visits the objects, operations and parameters of a rendered OpenAPI document.

use serde_json::{Map, Value};

/// Applies a change to every object in the value, innermost first.
///
/// It leaves out the values of examples and defaults, because they are data and not schemas.
pub(super) fn each_object(value: &mut Value, change: &dyn Fn(&mut Value)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| each_object(item, change)),
        Value::Object(members) => {
            let nested = members
                .iter_mut()
                .filter(|(name, _)| !matches!(name.as_str(), "example" | "value" | "default"));
            nested.for_each(|(_, member)| each_object(member, change));
            change(value);
        }
        _ => {}
    }
}

/// Visits every operation of the service. Webhooks are operations of their receivers.
pub(super) fn each_operation(document: &mut Value, visit: impl FnMut(&mut Value)) {
    let paths = document["paths"]
        .as_object_mut()
        .into_iter()
        .flat_map(Map::values_mut);
    paths
        .filter_map(Value::as_object_mut)
        .flat_map(Map::values_mut)
        .for_each(visit);
}

/// Visits every parameter that an operation of the service declares.
pub(super) fn each_parameter(document: &mut Value, mut visit: impl FnMut(&mut Value)) {
    each_operation(document, |operation| {
        if let Some(parameters) = operation.get_mut("parameters").and_then(Value::as_array_mut) {
            parameters.iter_mut().for_each(&mut visit);
        }
    });
}
