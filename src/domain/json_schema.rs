//! The JSON Schema (draft 2020-12) of a file that people write, for editors and other tools.
//!
//! It is made from the structs that the [reader](crate::domain::input::read) deserializes. So the service enforces
//! everything that the schema requires, and also the rules about several values ([`Input::check`]), which it does not
//! contain. It differs from the OpenAPI schemas of these structs:
//!
//! * Tables are in `$defs`. Every other type is written where it is used, below the description of its key.
//! * There is no `null`, because TOML has none.
//! * A key for a secret is not in it, because a secret does not belong in a file.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::domain::input::read::Input;

const COMPONENTS: &str = "#/components/schemas/";
const DEFS: &str = "#/$defs/";
/// The format of a path, which is ours, so it is not published.
pub(crate) const PATH: &str = "path";
/// The format of a secret, as in OpenAPI.
pub(crate) const SECRET: &str = "password";

/// Returns the schema to publish for an input.
pub fn published<T: Input>(title: &str) -> Value {
    let mut schema = complete::<T>();
    visit(&mut schema, &|value| {
        if value.get("format").is_some_and(|format| format == PATH) {
            value.shift_remove("format");
        }
        if let Some(Value::String(description)) = value.get_mut("description") {
            *description = unwrapped(description);
        }
        if let Some(Value::Object(properties)) = value.get_mut("properties") {
            properties.retain(|_, property| property.get("format").is_none_or(|format| format != SECRET));
        }
    });
    let mut document = Map::new();
    document.insert(
        "$schema".to_owned(),
        "https://json-schema.org/draft/2020-12/schema".into(),
    );
    document.insert("title".to_owned(), title.into());
    if let Value::Object(members) = schema {
        document.extend(members);
    }
    Value::Object(document)
}

/// Returns the schema of an input with secrets, and with the formats [`PATH`] and [`SECRET`].
pub(crate) fn complete<T: Input>() -> Value {
    let mut schemas = Vec::new();
    T::schemas(&mut schemas);
    let components: BTreeMap<String, Value> = schemas
        .into_iter()
        .map(|(name, schema)| (name, json!(schema)))
        .collect();
    let mut root = json!(T::schema());
    simplify(&mut root, &components);
    let mut defs: BTreeMap<String, Value> = BTreeMap::new();
    let mut missing = references(&root);
    while let Some(name) = missing.pop_first() {
        let mut schema = components.get(&name).cloned().unwrap_or_default();
        simplify(&mut schema, &components);
        missing.extend(references(&schema));
        defs.insert(name, schema);
        missing.retain(|name| !defs.contains_key(name));
    }
    root["$defs"] = defs.into_iter().collect::<Map<_, _>>().into();
    root
}

/// Joins the lines of each paragraph, because editors break lines where they want. Items of lists keep their lines.
fn unwrapped(text: &str) -> String {
    let paragraphs = text.trim().split("\n\n").map(|paragraph| {
        paragraph
            .trim()
            .replace("\n* ", "\0* ")
            .replace('\n', " ")
            .replace('\0', "\n")
    });
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

/// Applies a change to every object of a schema, innermost first.
fn visit(value: &mut Value, change: &dyn Fn(&mut Map<String, Value>)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| visit(item, change)),
        Value::Object(members) => {
            members.values_mut().for_each(|member| visit(member, change));
            change(members);
        }
        _ => {}
    }
}

/// Writes a schema of OpenAPI in the form for files.
fn simplify(value: &mut Value, components: &BTreeMap<String, Value>) {
    visit(value, &|schema| {
        without_null(schema);
        resolve(schema, components);
        if let Some(example) = schema
            .get("example")
            .filter(|example| !example.is_object())
            .cloned()
        {
            schema.shift_remove("example");
            schema.insert("examples".to_owned(), json!([example]));
        }
        // A format of numbers in OpenAPI.
        if schema
            .get("format")
            .is_some_and(|format| format == "int32" || format == "int64")
        {
            schema.shift_remove("format");
        }
    });
}

/// Removes `null` from the types and defaults of a schema.
fn without_null(schema: &mut Map<String, Value>) {
    let null = json!({"type": "null"});
    if let Some(Value::Array(choices)) = schema.get_mut("oneOf") {
        choices.retain(|choice| *choice != null);
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            schema.shift_remove("oneOf");
            schema.extend(only);
        }
    }
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if schema.get("default").is_some_and(Value::is_null) {
        schema.shift_remove("default");
    }
}

/// Points a reference to a table at `$defs`, and replaces a reference to any other type with that type.
fn resolve(schema: &mut Map<String, Value>, components: &BTreeMap<String, Value>) {
    let Some(name) = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|reference| reference.strip_prefix(COMPONENTS))
    else {
        return;
    };
    let Some(target) = components.get(name) else {
        return;
    };
    if target.get("properties").is_some() {
        schema["$ref"] = format!("{DEFS}{name}").into();
        return;
    }
    let mut target = target.clone();
    simplify(&mut target, components);
    schema.shift_remove("$ref");
    let Value::Object(target) = target else { return };
    for (name, value) in target {
        // The default of a key is a better example than the one of its type.
        if name == "examples" && schema.contains_key("default") {
            continue;
        }
        match (name.as_str(), schema.get_mut(&name), value) {
            // The key's own description comes first.
            ("description", Some(Value::String(own)), Value::String(general)) => {
                let general = general.trim();
                if general.starts_with(own.as_str()) {
                    own.clear();
                } else {
                    own.push_str("\n\n");
                }
                own.push_str(general);
            }
            (_, Some(_), _) => {}
            (_, None, value) => {
                schema.insert(name, value);
            }
        }
    }
}

/// Returns the names of the tables that a schema refers to.
fn references(schema: &Value) -> BTreeSet<String> {
    match schema {
        Value::Array(items) => items.iter().flat_map(references).collect(),
        Value::Object(members) => {
            let own = members
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|reference| reference.strip_prefix(DEFS));
            own.map(str::to_owned)
                .into_iter()
                .chain(members.values().flat_map(references))
                .collect()
        }
        _ => BTreeSet::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::input::values::{BoundedSpan, Whole};
    use crate::domain::schema::string_schema;
    use serde::{Deserialize, Serialize};
    use utoipa::ToSchema;

    /// A lamp.
    ///
    /// It has a
    /// cable.
    #[derive(Debug, Deserialize, ToSchema)]
    #[serde(default, deny_unknown_fields)]
    struct Lamp {
        /// How long it burns.
        burns: BoundedSpan<1, 's', 1, 'h'>,
        /// Its watts.
        watts: Option<Whole<1, 90>>,
        /// Its key.
        #[schema(default = json!(null))]
        key: Option<Key>,
        /// Its shade.
        #[schema(default = json!(null))]
        shade: Option<Shade>,
    }
    /// A shade.
    #[derive(Debug, Deserialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    struct Shade {
        /// Its colour.
        #[schema(example = "red")]
        #[expect(dead_code, reason = "only its schema is tested")]
        colour: String,
    }
    #[derive(Debug, Clone, Serialize, Deserialize)]
    struct Key(String);
    string_schema! { Key: "A key.", format: "password", example: "x" }
    impl Default for Lamp {
        fn default() -> Self {
            Self {
                burns: BoundedSpan::of(90, 's'),
                watts: None,
                key: None,
                shade: None,
            }
        }
    }
    impl Input for Lamp {}

    #[test]
    fn a_schema_has_descriptions_ranges_and_defaults_but_neither_null_nor_secrets() {
        assert_eq!(
            published::<Lamp>("lamp.toml"),
            json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "title": "lamp.toml",
                "type": "object",
                "description": "A lamp.\n\nIt has a cable.",
                "properties": {
                    "burns": {
                        "type": "string",
                        "description": "How long it burns.\n\nA length of time from 1s to 1h: a whole number and `ms`, `s`, \
                                        `m`, `h` or `d`.",
                        "default": "90s",
                        "pattern": "^[0-9]+(ms|s|m|h|d)$",
                    },
                    "watts": {"type": "integer", "description": "Its watts.", "minimum": 1, "maximum": 90},
                    "shade": {"$ref": "#/$defs/Shade", "description": "Its shade."},
                },
                "additionalProperties": false,
                "$defs": {"Shade": {
                    "type": "object",
                    "description": "A shade.",
                    "required": ["colour"],
                    "properties": {"colour": {"type": "string", "description": "Its colour.", "examples": ["red"]}},
                    "additionalProperties": false,
                }},
            })
        );
        assert!(complete::<Lamp>()["properties"]["key"].is_object());
    }
}
