//! The parameters of operations in the OpenAPI document: those that several operations have become components.
//!
//! The parameters of webhooks stay where they are, because openapi-generator resolves no reference there.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::http::openapi::references::schema_name;
use crate::http::openapi::walk::each_parameter;

/// Makes components of the parameters that appear more than once.
///
/// Of several parameters with one name, the most frequent one becomes the component.
pub(super) fn share(document: &mut Value) {
    let mut counts: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    each_parameter(document, |parameter| {
        let texts = counts.entry(component_name(parameter)).or_default();
        *texts.entry(parameter.to_string()).or_default() += 1;
    });
    let mut shared = Map::new();
    each_parameter(document, |parameter| {
        let name = component_name(parameter);
        let text = parameter.to_string();
        let texts = &counts[&name];
        let most = texts.values().max();
        if texts[&text] > 1
            && Some(&texts[&text]) == most
            && shared.get(&name).is_none_or(|known| known == parameter)
        {
            shared.insert(name.clone(), parameter.take());
            *parameter = json!({ "$ref": format!("#/components/parameters/{name}") });
        }
    });
    document["components"]["parameters"] = Value::Object(shared);
}

/// Gives parameters without a description that of their schema, also those among the components.
pub(super) fn describe(document: &mut Value) {
    each_parameter(document, describe_one);
    let shared = document["components"]["parameters"].as_object_mut();
    shared
        .into_iter()
        .flat_map(Map::values_mut)
        .for_each(describe_one);
}

fn describe_one(parameter: &mut Value) {
    let is_bare = parameter.get("$ref").is_none() && parameter.get("description").is_none();
    if is_bare && let Some(text) = parameter["schema"].get("description").cloned() {
        parameter["description"] = text;
    }
}

/// Returns the name of a parameter as a component: of its schema for an id in the path, otherwise its own name.
fn component_name(parameter: &Value) -> String {
    if parameter["in"] == "path"
        && let Some(name) = schema_name(&parameter["schema"])
    {
        return name;
    }
    let name = parameter["name"].as_str().unwrap_or_default();
    let words = name.split(['_', '-']).map(|word| match word.split_at_checked(1) {
        Some((first, rest)) => first.to_uppercase() + rest,
        None => String::new(),
    });
    words.collect()
}
