//! Deserializes input that a person wrote, and reports all its faults at once.
//!
//! Request bodies, queries, the configuration and the policy are plain serde structs. Serde stops at the first fault.
//! So [`read`] notes that fault, skips the value, and deserializes again, until no new fault appears. Each fault names
//! its value with a JSON pointer (RFC 6901). For TOML files, [`document`](crate::domain::input::document) maps the
//! pointer to a line.
//!
//! Input without faults costs one pass, and every fault costs one more. Rules about several values ([`Input::check`])
//! deserialize the values that they need once more.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use crate::domain::input::failure::Cause;
use crate::domain::input::fault::Fault;
use crate::domain::input::pointer::position;
use crate::domain::input::reader::{Reader, Scalars};

/// The largest number of faults that one input reports.
const MAX_FAULTS: usize = 100;

/// Input that a person writes: a struct that serde deserializes and utoipa documents.
pub trait Input: DeserializeOwned + ToSchema {
    /// Adds the faults of rules about several values, which no schema expresses.
    ///
    /// The values may have wrong types: serde reports those, so this function must ignore them.
    fn check(_: &Value, _: &mut Vec<Fault>) {}
}

impl<T: Input> Input for Option<T>
where
    Self: ToSchema,
{
    fn check(value: &Value, faults: &mut Vec<Fault>) {
        T::check(value, faults);
    }
}

/// Deserializes a JSON value, or returns all its faults in the order of the input.
pub fn read<T: Input>(value: &Value) -> Result<T, Vec<Fault>> {
    read_with(value, Vec::new())
}

/// Deserializes a JSON value, or returns all its faults, together with `faults` that are already known.
pub fn read_with<T: Input>(value: &Value, mut faults: Vec<Fault>) -> Result<T, Vec<Fault>> {
    T::check(value, &mut faults);
    deserialize(value, Scalars::Typed, faults, |object| required::<T>(object))
}

/// Deserializes the value at a pointer; `None` if it is missing or faulty.
///
/// For rules about several values: they apply only to values that have no fault of their own.
pub fn part<T: DeserializeOwned>(root: &Value, pointer: &str) -> Option<T> {
    let value = root.pointer(pointer)?;
    T::deserialize(Reader::new(value, &BTreeSet::new(), Scalars::Typed)).ok()
}

/// Adds the faults of the rules about several values inside the part at a pointer. A missing part counts as empty.
pub fn check_part<T: Input>(root: &Value, pointer: &str, faults: &mut Vec<Fault>) {
    let empty = Value::Object(Map::new());
    let mut inside = Vec::new();
    T::check(root.pointer(pointer).unwrap_or(&empty), &mut inside);
    faults.extend(inside.into_iter().map(|fault| Fault {
        pointer: format!("{pointer}{}", fault.pointer),
        ..fault
    }));
}

/// Deserializes the parameters of a query, whose values are all strings, or returns all their faults.
pub fn read_query<T: DeserializeOwned>(parameters: &Value) -> Result<T, Vec<Fault>> {
    deserialize(parameters, Scalars::Text, Vec::new(), |_| Vec::new())
}

/// Deserializes the value, and adds its faults to those that are already known.
///
/// `required` returns the required fields of the object with this name.
fn deserialize<T: DeserializeOwned>(
    root: &Value,
    scalars: Scalars,
    mut faults: Vec<Fault>,
    required: impl Fn(&str) -> Vec<String>,
) -> Result<T, Vec<Fault>> {
    let (mut unknown, mut skipped) = (Vec::new(), BTreeSet::new());
    loop {
        let failure = match T::deserialize(Reader::new(root, &skipped, scalars)) {
            Ok(value) if faults.is_empty() && unknown.is_empty() => return Ok(value),
            Ok(_) => break,
            Err(failure) => failure,
        };
        let pointer = failure.pointer.unwrap_or_default();
        let fault = |message: String| Fault {
            pointer: pointer.clone(),
            message,
        };
        match failure.cause {
            Cause::Message(_) if has_skipped_part(root, &skipped, &pointer) => {}
            Cause::Message(message) => faults.push(fault(message)),
            Cause::Unknown(message) => unknown.push(fault(message)),
            // Serde names only the first missing field.
            Cause::Missing { field, object } => {
                let mut names = required(object);
                if !names.iter().any(|name| name == field) {
                    names.push(field.to_owned());
                }
                let value = root.pointer(&pointer);
                let is_absent = |name: &String| value.and_then(|value| value.get(name)).is_none();
                let absent = names.iter().filter(|name| is_absent(name));
                faults.extend(absent.map(|name| fault(format!("`{name}` is required"))));
            }
        }
        if pointer.is_empty() || faults.len() + unknown.len() >= MAX_FAULTS || !skipped.insert(pointer) {
            break;
        }
    }
    Err(in_order(root, faults, unknown))
}

/// Sorts faults as their values appear in the input, and returns the first [`MAX_FAULTS`].
///
/// Within an object, unknown keys come last.
fn in_order(root: &Value, faults: Vec<Fault>, unknown: Vec<Fault>) -> Vec<Fault> {
    let key = |fault: &Fault, is_unknown: bool| {
        let mut indexes = position(root, &fault.pointer);
        if let (Some(index), true) = (indexes.last_mut(), is_unknown) {
            *index = index.saturating_add(usize::MAX / 2);
        }
        indexes
    };
    let faults = faults.into_iter().map(|fault| (key(&fault, false), fault));
    let unknown = unknown.into_iter().map(|fault| (key(&fault, true), fault));
    let mut sorted: Vec<_> = faults.chain(unknown).collect();
    sorted.sort_by(|(one, _), (other, _)| one.cmp(other));
    let sorted = sorted.into_iter().map(|(_, fault)| fault);
    sorted.take(MAX_FAULTS).collect()
}

/// Whether the value is an object with a skipped part.
///
/// Such an object may be faulty only because that part counts as absent, so its fault is not reported. A list is
/// different: its length includes the skipped items, so its fault is always its own.
fn has_skipped_part(root: &Value, skipped: &BTreeSet<String>, pointer: &str) -> bool {
    let below = format!("{pointer}/");
    let first = skipped.range(below.clone()..).next();
    root.pointer(pointer).is_some_and(Value::is_object)
        && first.is_some_and(|first| first.starts_with(&below))
}

/// Returns the required fields of the struct with this name, from the schema.
fn required<T: ToSchema>(object: &str) -> Vec<String> {
    let mut schemas = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut schemas);
    match schemas.into_iter().find(|(name, _)| name == object) {
        Some((_, RefOr::T(Schema::Object(object)))) => object.required,
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::input::list::{Distinct, Item, NonEmpty};
    use crate::domain::input::values::Whole;
    use serde::Deserialize;
    use serde_json::json;
    use std::collections::BTreeMap;

    #[derive(Debug, PartialEq, Deserialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    struct Parcel {
        weight: u16,
        label: String,
        fragile: Option<bool>,
        #[serde(default)]
        stops: Vec<Stop>,
        #[serde(default)]
        marks: BTreeMap<String, Mark>,
    }
    #[derive(Debug, PartialEq, Deserialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    struct Stop {
        city: String,
        door: Whole<1, 9>,
    }
    #[derive(Debug, PartialEq, Deserialize, ToSchema)]
    #[serde(rename_all = "snake_case")]
    enum Mark {
        Upright,
        Dry,
    }
    impl Input for Parcel {
        fn check(value: &Value, faults: &mut Vec<Fault>) {
            if value["weight"] == 0 {
                faults.push(Fault {
                    pointer: "/weight".into(),
                    message: "must not be zero".into(),
                });
            }
        }
    }

    fn faults(value: &Value) -> Vec<String> {
        read::<Parcel>(value)
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn input_without_faults_is_deserialized_and_null_counts_as_absent() {
        let value = json!({"weight": 7, "label": "x", "fragile": null, "stops": [{"city": "Bonn", "door": 1}],
            "marks": {"a": "dry"}});
        let parcel: Parcel = read(&value).unwrap();
        assert_eq!((parcel.weight, parcel.fragile), (7, None));
        assert_eq!(
            parcel.stops,
            [Stop {
                city: "Bonn".into(),
                door: Whole(1)
            }]
        );
        assert_eq!(parcel.marks["a"], Mark::Dry);
    }

    #[test]
    fn all_faults_are_reported_at_once_in_the_order_of_the_input() {
        let value = json!({"labl": "x", "fragile": "no", "stops": [{"city": 5}, 7, {"city": "Bonn", "door": "a", "x/y": 1}],
            "marks": {"a~b": "wet", "c": "dri"}});
        assert_eq!(
            faults(&value),
            [
                ": `weight` is required",
                ": `label` is required",
                "/fragile: must be true or false, not a string",
                "/stops/0: `door` is required",
                "/stops/0/city: must be a string, not a number",
                "/stops/1: must be an object, not a number",
                "/stops/2/door: must be a whole number from 1 to 9, not a string",
                "/stops/2/x~1y: unknown key `x/y`; expected one of city, door",
                "/marks/a~0b: unknown value `wet`; expected one of upright, dry",
                "/marks/c: unknown value `dri`; did you mean `dry`?",
                "/labl: unknown key `labl`; did you mean `label`?",
            ]
        );
        assert_eq!(faults(&json!([])), [": must be an object, not an array"]);
    }

    #[test]
    fn a_rule_about_several_values_is_reported_with_the_other_faults() {
        assert_eq!(
            faults(&json!({"weight": 0, "label": 1})),
            [
                "/weight: must not be zero",
                "/label: must be a string, not a number"
            ]
        );
    }

    #[derive(Debug, Deserialize, ToSchema)]
    #[serde(try_from = "Pair")]
    struct Sum(#[expect(dead_code, reason = "only faults are tested")] i64);
    #[derive(Debug, Deserialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    struct Pair {
        one: Option<i64>,
        two: Option<i64>,
    }
    impl TryFrom<Pair> for Sum {
        type Error = &'static str;
        fn try_from(pair: Pair) -> Result<Self, &'static str> {
            pair.one
                .zip(pair.two)
                .map(|(one, two)| Self(one + two))
                .ok_or("needs both")
        }
    }
    impl Input for Sum {}

    #[test]
    fn an_object_that_lacks_only_its_faulty_member_is_not_reported_itself() {
        let faults = |value| {
            let faults = read::<Sum>(&value).unwrap_err();
            faults.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(faults(json!({"one": 1})), [": needs both"]);
        assert_eq!(
            faults(json!({"one": 1, "two": "2"})),
            ["/two: must be i64, not a string"]
        );
    }

    #[derive(Debug, Deserialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    struct Doors {
        #[expect(dead_code, reason = "only faults are tested")]
        few: Distinct<Door, 1, 2>,
        #[expect(dead_code, reason = "only faults are tested")]
        some: NonEmpty<Door>,
    }
    type Door = Whole<1, 9>;
    impl Item for Door {
        const PLURAL: &'static str = "doors";
    }
    impl Input for Doors {}

    #[test]
    fn a_faulty_item_counts_in_the_length_of_its_list() {
        let faults = |few: Value, some: Value| {
            let faults = read::<Doors>(&json!({"few": few, "some": some})).unwrap_err();
            faults.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            faults(json!([0]), json!([0])),
            [
                "/few/0: must be a whole number from 1 to 9",
                "/some/0: must be a whole number from 1 to 9"
            ]
        );
        assert_eq!(
            faults(json!([1, 2, "3"]), json!([])),
            [
                "/few: must have 1 to 2 doors",
                "/few/2: must be a whole number from 1 to 9, not a string",
                "/some: must have at least one of the doors",
            ]
        );
    }

    #[test]
    fn a_query_writes_numbers_and_booleans_as_strings() {
        let stop: Stop = read_query(&json!({"city": "Bonn", "door": "3"})).unwrap();
        assert_eq!(stop.door, Whole(3));
        let faults = read_query::<Stop>(&json!({"city": "Bonn", "door": "x"})).unwrap_err();
        assert_eq!(faults[0].to_string(), "/door: must be a whole number from 1 to 9");
    }

    #[test]
    fn a_document_with_very_many_faults_reports_the_first_hundred() {
        let stops = vec![json!(1); 10_000];
        let value = json!({"weight": 1, "label": "", "stops": stops});
        assert_eq!(faults(&value).len(), MAX_FAULTS);
        // Each stop lacks two fields, so with the known fault there would be one fault too many.
        let value = json!({"weight": 1, "label": "", "stops": vec![json!({}); 10_000]});
        let known = Fault {
            pointer: "/label".into(),
            message: "must not be empty".into(),
        };
        let faults = read_with::<Parcel>(&value, vec![known]).unwrap_err();
        assert_eq!(faults.len(), MAX_FAULTS);
    }
}
