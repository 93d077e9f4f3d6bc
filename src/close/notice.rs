//! What Close says happened, read from a delivery or a row of the event log. It is taken down and believed in nothing:
//! who acts on it asks Close for the object.

use serde_json::{Map, Value};

use crate::domain::country::Country;
use crate::domain::time::Timestamp;

/// The longest word and id that is taken, in bytes; Close's are shorter.
const LONGEST: usize = 100;

/// One event of Close's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its id, `ev_…`. Seen again, it may say more: Close joins what happens to an object in a short time.
    pub event_id: Option<String>,
    /// When it was last changed (`date_updated`), by Close's clock.
    pub updated: Option<Timestamp>,
    /// Such as `phone_number` or `group`.
    pub object_type: String,
    /// Which one.
    pub object_id: Option<String>,
    /// `created`, `updated`, `deleted`, or a word to come.
    pub action: String,
    /// When the object was last changed as the event shows it (`data.date_updated`), by Close's clock.
    pub data_updated: Option<Timestamp>,
    /// The country of the object as the event shows it (`data.country`).
    pub country: Option<Country>,
}

impl Notice {
    /// From the event object; `None` unless it says what happened to what kind of thing.
    pub(super) fn read(event: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| event.get(name).and_then(Value::as_str);
        let data = |name: &str| event.get("data")?.get(name)?.as_str();
        Some(Self {
            event_id: text("id").filter(|id| is_event(id)).map(str::to_owned),
            updated: text("date_updated").and_then(|time| time.parse().ok()),
            object_type: text("object_type").filter(|word| is_word(word))?.to_owned(),
            object_id: text("object_id").filter(|id| is_word(id)).map(str::to_owned),
            action: text("action").filter(|word| is_word(word))?.to_owned(),
            data_updated: data("date_updated").and_then(|time| time.parse().ok()),
            country: data("country").and_then(|country| country.parse().ok()),
        })
    }
}

fn is_event(text: &str) -> bool {
    text.strip_prefix("ev_").is_some_and(|rest| {
        (1..=64).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

fn is_word(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(fits)
}
