//! Claims of tokens as identity providers send them: reads lists of names and times.
//!
//! A list of names is an array of strings, one string with spaces between the names, or an object whose members have
//! the names. These functions only read; they decide nothing about rights.

use serde_json::Value;

use crate::domain::time::Timestamp;

/// 9999-12-31T23:59:59Z. A later time is a mistake, such as a time in milliseconds.
const LATEST_SECONDS: i64 = 253_402_300_799;

/// Returns the names of a claim. A string with spaces contains several names; an item of an array is one name.
///
/// Items that are not strings are left out. So are members of an object whose value is `false` or `null`. A claim of
/// another type has no names.
pub fn words(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => text.split_ascii_whitespace().collect(),
        _ => items(value),
    }
}

/// Returns every value that may be compared with a claim's member: the names as in [`words`], and a string as a whole.
///
/// So the string `Sales Leads` has the members `Sales Leads`, `Sales` and `Leads`: it is one name with a space at some
/// providers, and two names at others. The whole string comes first. An item of an array is never split.
pub fn members(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) if text.contains(|byte: char| byte.is_ascii_whitespace()) => {
            let words = text.split_ascii_whitespace();
            std::iter::once(text.as_str()).chain(words).collect()
        }
        _ => words(value),
    }
}

/// Reads a time (`NumericDate` of RFC 7519): seconds since 1970 as a JSON number, which may have a fraction.
///
/// `None` for other types, for times before 1970, and for times after the year 9999.
pub fn time(value: &Value) -> Option<Timestamp> {
    #[expect(clippy::cast_precision_loss, reason = "the limit is below 2^53")]
    let latest = LATEST_SECONDS as f64;
    if let Some(seconds) = value.as_i64() {
        return (0..=LATEST_SECONDS)
            .contains(&seconds)
            .then(|| Timestamp::from_seconds(seconds));
    }
    let seconds = value
        .as_f64()
        .filter(|seconds| (0.0..=latest).contains(seconds))?;
    #[expect(clippy::cast_possible_truncation, reason = "the value is in range")]
    let micros = (seconds * 1e6).round() as i64;
    Some(Timestamp::from_micros(micros))
}

fn items(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        Value::Object(members) => {
            let present = members
                .iter()
                .filter(|(_, value)| !matches!(value, Value::Null | Value::Bool(false)));
            present.map(|(name, _)| name.as_str()).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_read_from_arrays_strings_and_the_members_of_objects() {
        for (value, expected) in [
            (json!(["a", "b"]), &["a", "b"][..]),
            (json!("a  b\tc"), &["a", "b", "c"]),
            (json!("a"), &["a"]),
            (json!(""), &[]),
            (json!(" "), &[]),
            (
                json!({"a": {"org": "x"}, "b": true, "c": "", "d": []}),
                &["a", "b", "c", "d"],
            ),
            (json!({"a": true, "b": false, "c": null}), &["a"]),
            (json!(["a", 7, null, ["b"], {"c": true}, "d"]), &["a", "d"]),
            (json!(["Sales Leads"]), &["Sales Leads"]),
            (json!({"Sales Leads": true}), &["Sales Leads"]),
            (json!(null), &[]),
            (json!(true), &[]),
            (json!(7), &[]),
        ] {
            assert_eq!(words(&value), expected, "{value}");
        }
    }

    #[test]
    fn a_string_with_spaces_is_a_member_as_a_whole_and_in_words_but_an_item_of_a_list_is_never_split() {
        for (value, expected) in [
            (json!("Sales Leads"), &["Sales Leads", "Sales", "Leads"][..]),
            (json!("sales"), &["sales"]),
            (json!(["Sales Leads", "b"]), &["Sales Leads", "b"]),
            (json!({"Sales Leads": {}}), &["Sales Leads"]),
        ] {
            assert_eq!(members(&value), expected, "{value}");
        }
    }

    #[test]
    fn a_time_is_a_finite_number_that_may_have_a_fraction() {
        let read = |text: &str| time(&serde_json::from_str(text).unwrap()).map(Timestamp::as_micros);
        for (text, micros) in [
            ("1800000300", 1_800_000_300_000_000),
            ("1800000300.5", 1_800_000_300_500_000),
            ("1800000300.123456", 1_800_000_300_123_456),
            ("1.8e9", 1_800_000_000_000_000),
            ("0", 0),
            ("-0.0", 0),
            ("253402300799", 253_402_300_799_000_000),
        ] {
            assert_eq!(read(text), Some(micros), "{text}");
        }
        for text in [
            "-1",
            "-0.5",
            "253402300799.5",
            "1800000300000",
            "1e300",
            "18446744073709551615",
            "9223372036854775807",
            "\"1800000300\"",
            "null",
            "true",
            "[1]",
            "{}",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
