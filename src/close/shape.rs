//! The known shape of Close's objects, and how an answer differs from it.
//!
//! The snapshot `crates/close-sandbox/close-api.json` lists fields, types and words of each object. Close's next
//! documented change is a change of that file. Differences never make an answer unusable: they are only reported.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::domain::close_drift::DriftKind;

/// The longest name of a field that is reported as it is.
const LONGEST: usize = 40;
/// The most different findings about one answer.
const FINDINGS: usize = 50;

static KNOWN: LazyLock<Snapshot> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../crates/close-sandbox/close-api.json"))
        .expect("the snapshot is part of the program, and a test reads it")
});

/// What differs, and where: an object and its field.
pub(super) type Findings = BTreeSet<(DriftKind, String)>;

/// The date of Close's documentation from which the snapshot was made.
pub(super) fn as_of() -> &'static str {
    &KNOWN.as_of
}

/// Compares a value with the known shape of this object.
pub(super) fn compare(object: &str, value: &Value) -> Findings {
    let mut findings = Findings::new();
    KNOWN.object(object, value, false, &mut findings);
    findings
}

/// Whether Close is known to refuse with this status word.
pub(super) fn is_known_status(word: &str) -> bool {
    let field = KNOWN
        .objects
        .get("refusal")
        .and_then(|refusal| refusal.fields.get("status"));
    field.is_some_and(|status| status.words.iter().any(|known| known == word))
}

/// The snapshot.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Snapshot {
    #[serde(rename = "about")]
    _about: String,
    as_of: String,
    objects: BTreeMap<String, Object>,
}

/// The fields of one kind of object.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    /// Whether Close is known to show more fields than these.
    #[serde(default)]
    open: bool,
    fields: BTreeMap<String, Field>,
}

/// What is known about a field, or about the items of an array.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Field {
    #[serde(rename = "type")]
    types: Vec<JsonType>,
    /// Whether it is always there.
    #[serde(default)]
    expected: bool,
    /// All documented values; empty if any text is possible.
    #[serde(default)]
    words: Vec<String>,
    #[serde(default)]
    items: Option<Box<Field>>,
    /// The object that it holds.
    #[serde(default)]
    object: Option<String>,
    /// It holds some or all fields of the object that this field of its own object names.
    #[serde(default)]
    part_of: Option<String>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum JsonType {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
}

impl JsonType {
    const fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Boolean,
            Value::Number(_) => Self::Number,
            Value::String(_) => Self::String,
            Value::Array(_) => Self::Array,
            Value::Object(_) => Self::Object,
        }
    }
}

impl Snapshot {
    /// Compares an object. `part`: fields may be missing.
    fn object(&self, name: &str, value: &Value, part: bool, findings: &mut Findings) {
        let (Some(known), Value::Object(members)) = (self.objects.get(name), value) else {
            return;
        };
        for (field, value) in members {
            match known.fields.get(field) {
                Some(shape) => {
                    let path = || format!("{name}.{field}");
                    self.value(shape, value, members, &path, findings);
                }
                None if known.open => {}
                None => report(findings, DriftKind::UnknownField, || {
                    format!("{name}.{}", shown(field))
                }),
            }
        }
        for (field, shape) in &known.fields {
            if shape.expected && !part && !members.contains_key(field) {
                report(findings, DriftKind::MissingField, || format!("{name}.{field}"));
            }
        }
    }

    fn value(
        &self,
        shape: &Field,
        value: &Value,
        siblings: &Map<String, Value>,
        path: &dyn Fn() -> String,
        findings: &mut Findings,
    ) {
        if !shape.types.contains(&JsonType::of(value)) {
            return report(findings, DriftKind::ChangedType, path);
        }
        match value {
            Value::String(word) if !shape.words.is_empty() && !shape.words.contains(word) => {
                report(findings, DriftKind::UnknownWord, path);
            }
            Value::Array(items) => {
                if let Some(shape) = &shape.items {
                    for item in items {
                        self.value(shape, item, siblings, path, findings);
                    }
                }
            }
            Value::Object(_) => {
                if let Some(object) = &shape.object {
                    self.object(object, value, false, findings);
                }
                let named = shape
                    .part_of
                    .as_ref()
                    .and_then(|field| siblings.get(field)?.as_str());
                if let Some(object) = named {
                    self.object(object, value, true, findings);
                }
            }
            _ => {}
        }
    }
}

fn report(findings: &mut Findings, kind: DriftKind, path: impl Fn() -> String) {
    if findings.len() < FINDINGS {
        findings.insert((kind, path()));
    }
}

/// The name of a field, if it looks like one of Close's: an object may have ids or texts as keys.
fn shown(field: &str) -> &str {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    // Ids and keys contain many digits.
    let digits = field.bytes().filter(u8::is_ascii_digit).count();
    let is_name = field.starts_with(|c: char| c.is_ascii_lowercase())
        && field.len() <= LONGEST
        && field.bytes().all(fits)
        && digits <= 3;
    if is_name { field } else { "*" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn number() -> Value {
        json!({"id": "phon_1", "organization_id": "orga_1", "number": "+14155550123",
            "number_formatted": "+1 415-555-0123", "country": "US", "label": null, "type": "internal",
            "carrier": null, "carrier_type": null, "address_id": null, "bundle_id": null, "is_premium": false,
            "is_verified": true, "sms_enabled": true, "mms_enabled": true, "supports_sms_to_countries": ["US"],
            "supports_mms_to_countries": ["US"], "last_billed_price": null, "next_billing_on": null,
            "is_group_number": false, "user_id": "user_1", "date_created": "2026-11-23T10:00:00",
            "date_updated": "2026-11-23T10:00:00"})
    }

    fn findings(object: &str, value: &Value) -> Vec<String> {
        let found = compare(object, value);
        found
            .into_iter()
            .map(|(kind, path)| format!("{kind} {path}"))
            .collect()
    }

    /// The known number with these members instead; null removes one.
    fn with(name: &str, value: Value) -> Value {
        let mut number = number();
        number[name] = value;
        number
    }

    #[test]
    fn a_documented_answer_has_no_difference() {
        assert!(findings("phone_number", &number()).is_empty());
        let page = json!({"data": [number(), number()], "has_more": false});
        assert!(findings("phone_number_page", &page).is_empty());
    }

    #[test]
    fn each_kind_of_difference_is_named_by_object_and_field() {
        for (changed, expected) in [
            (
                with("ring_order", json!(1)),
                "unknown_field phone_number.ring_order",
            ),
            (with("type", json!("hosted")), "unknown_word phone_number.type"),
            (
                with("sms_enabled", json!("yes")),
                "changed_type phone_number.sms_enabled",
            ),
            (
                with("organization_id", json!(null)),
                "changed_type phone_number.organization_id",
            ),
            (
                with("supports_sms_to_countries", json!(["US", 1])),
                "changed_type phone_number.supports_sms_to_countries",
            ),
        ] {
            assert_eq!(findings("phone_number", &changed), [expected]);
            let page = json!({"data": [number(), changed], "has_more": false});
            assert_eq!(findings("phone_number_page", &page), [expected]);
        }
        let mut without = number();
        without.as_object_mut().unwrap().remove("user_id");
        assert_eq!(
            findings("phone_number", &without),
            ["missing_field phone_number.user_id"]
        );
        assert_eq!(
            findings("phone_number_page", &json!({"data": {}})),
            [
                "missing_field phone_number_page.has_more",
                "changed_type phone_number_page.data"
            ]
        );
    }

    #[test]
    fn the_data_of_an_event_may_be_a_part_of_its_object() {
        let event = |data: Value| {
            json!({"id": "ev_1", "object_type": "phone_number", "object_id": "phon_1", "action": "updated",
                "date_created": "x", "date_updated": "x", "organization_id": "orga_1", "data": data,
                "previous_data": {"label": "Old"}, "meta": {"anything": 1}})
        };
        assert!(findings("event", &event(json!({"label": "New"}))).is_empty());
        assert_eq!(
            findings("event", &event(json!({"label": 7}))),
            ["changed_type phone_number.label"]
        );
    }

    #[test]
    fn keys_that_may_be_data_are_not_shown() {
        for key in [
            "+14155550123",
            "user_M404EkXYaR2wlbvfGZ1ZCE9UIycBSNya9wMhwCTneli",
            "alice@example.com",
            "Alice",
            "a b",
            "",
            "é",
            "api_00112233445566778899",
            &"x".repeat(41),
        ] {
            let changed = with(key, json!("secret"));
            assert_eq!(
                findings("phone_number", &changed),
                ["unknown_field phone_number.*"],
                "{key}"
            );
        }
    }

    #[test]
    fn many_differences_are_bounded() {
        let mut changed = number();
        for n in 0..900 {
            changed[format!("field_{n}")] = json!(n);
        }
        assert_eq!(compare("phone_number", &changed).len(), FINDINGS);
    }

    #[test]
    fn the_status_words_are_those_of_the_documentation() {
        assert!(is_known_status("has-voice-only") && !is_known_status("has-fax-only"));
        assert_eq!(as_of().len(), "2026-09-29".len());
    }
}
