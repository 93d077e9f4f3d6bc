//! Events in Close's JSON, as webhooks and the event log contain them.

use serde_json::{Map, Value};

use crate::domain::close_event::CloseEvent;

/// The longest word and id that is accepted, in bytes; Close's are shorter.
const LONGEST: usize = 100;

/// Reads an event; `None` unless it names its action and the type of its object.
pub(super) fn event(object: &Map<String, Value>) -> Option<CloseEvent> {
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    let data = |name: &str| object.get("data")?.get(name)?.as_str();
    Some(CloseEvent {
        event_id: text("id").filter(|id| is_event(id)).map(str::to_owned),
        updated: text("date_updated").and_then(|time| time.parse().ok()),
        object_type: text("object_type").filter(|word| is_word(word))?.to_owned(),
        object_id: text("object_id").filter(|id| is_word(id)).map(str::to_owned),
        action: text("action").filter(|word| is_word(word))?.to_owned(),
        data_updated: data("date_updated").and_then(|time| time.parse().ok()),
        country: data("country").and_then(|country| country.parse().ok()),
    })
}

fn is_event(text: &str) -> bool {
    text.strip_prefix("ev_").is_some_and(|rest| {
        (1..=64).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// Whether it is a plain word or id, which may be shown and stored.
pub(super) fn is_word(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(fits)
}
