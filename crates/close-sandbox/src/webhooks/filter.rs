//! Extra filters of webhook subscriptions. A missing field counts as null.

use serde_json::Value;

/// Whether the value passes the filter; nothing passes an invalid filter.
pub(crate) fn passes(filter: &Value, value: &Value) -> bool {
    let inner = filter.get("filter").unwrap_or(&Value::Null);
    let wanted = filter.get("value").unwrap_or(&Value::Null);
    let several = filter.get("filters").and_then(Value::as_array);
    match filter.get("type").and_then(Value::as_str) {
        Some("equals") => value == wanted,
        Some("not_equals") => value != wanted,
        Some("is_null") => value.is_null(),
        Some("non_null") => !value.is_null(),
        Some("contains") => match value {
            Value::Array(items) => items.contains(wanted),
            Value::String(text) => wanted.as_str().is_some_and(|part| text.contains(part)),
            _ => false,
        },
        Some("and") => several.is_some_and(|filters| filters.iter().all(|filter| passes(filter, value))),
        Some("or") => several.is_some_and(|filters| filters.iter().any(|filter| passes(filter, value))),
        Some("not") => !passes(inner, value),
        Some("field_accessor") => {
            let field = filter.get("field").and_then(Value::as_str).unwrap_or_default();
            passes(inner, value.get(field).unwrap_or(&Value::Null))
        }
        Some("any_array_value") => value
            .as_array()
            .is_some_and(|items| items.iter().any(|item| passes(inner, item))),
        _ => false,
    }
}

/// Whether Close accepts this filter.
pub(crate) fn is_valid(filter: &Value) -> bool {
    let inner = || filter.get("filter").is_some_and(is_valid);
    match filter.get("type").and_then(Value::as_str) {
        Some("equals" | "not_equals" | "contains") => filter.get("value").is_some(),
        Some("is_null" | "non_null") => true,
        Some("and" | "or") => {
            let several = filter.get("filters").and_then(Value::as_array);
            several.is_some_and(|filters| filters.iter().all(is_valid))
        }
        Some("not" | "any_array_value") => inner(),
        Some("field_accessor") => filter.get("field").is_some_and(Value::is_string) && inner(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_filter_on_changed_fields_passes_routing_changes_only() {
        let filter = json!({"type": "field_accessor", "field": "changed_fields", "filter": {"type": "or", "filters": [
            {"type": "contains", "value": "forward_to"}, {"type": "contains", "value": "participants"}]}});
        assert!(is_valid(&filter));
        assert!(passes(
            &filter,
            &json!({"changed_fields": ["label", "participants"]})
        ));
        assert!(!passes(&filter, &json!({"changed_fields": ["label"]})));
        assert!(!passes(&filter, &json!({})));
    }
}
