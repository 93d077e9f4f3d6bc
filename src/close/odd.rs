//! Reads lists of Close item by item, so that one odd record does not hide the others.

use std::collections::HashMap;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::close::event_json::is_word;
use crate::domain::id::PhoneNumberId;
use crate::domain::number::Facts;
use crate::domain::odd_record::{OddKind, OddRecord};

/// The beginning of the name of a record without a usable id.
const UNNAMED: &str = "unnamed-";

/// What Close lists, and the records among it that can't be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed<T> {
    /// The items that could be read.
    pub items: Vec<T>,
    /// The records that could not.
    pub odd: Vec<OddRecord>,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            odd: Vec::new(),
        }
    }
}

impl<T> Listed<T> {
    /// Reads each row by itself.
    pub(super) fn read(rows: Vec<Value>, read: impl Fn(Value) -> Result<T, OddRecord>) -> Self {
        let mut listed = Self::default();
        for row in rows {
            match read(row) {
                Ok(item) => listed.items.push(item),
                Err(odd) => listed.push_odd(odd),
            }
        }
        listed
    }

    /// Adds an odd record. The same record twice counts once; records that look the same are numbered.
    pub(super) fn push_odd(&mut self, mut record: OddRecord) {
        let is_identified = match record.kind {
            OddKind::PhoneNumber => record.number.is_some(),
            _ => !record.name.starts_with(UNNAMED),
        };
        let same = |known: &&OddRecord| known.kind == record.kind && of_name(&known.name, &record.name);
        let count = self.odd.iter().filter(same).count();
        match (count, is_identified) {
            (0, _) => {}
            (_, true) => return,
            (count, false) => record.name = format!("{}#{}", record.name, count + 1),
        }
        self.odd.push(record);
    }

    /// How many records there are, readable or not.
    pub(super) fn len(&self) -> usize {
        self.items.len() + self.odd.len()
    }
}

impl Listed<Facts> {
    /// Adds a page of numbers, without those that an earlier page had.
    ///
    /// Numbers move between pages while they are read. Within one page an id belongs to one number.
    pub(super) fn add_page(&mut self, page: Self, seen: &mut HashMap<PhoneNumberId, usize>, nth: usize) {
        for facts in page.items {
            match seen.get(&facts.id) {
                None => {
                    seen.insert(facts.id.clone(), nth);
                    self.items.push(facts);
                }
                Some(before) if *before == nth && !self.items.contains(&facts) => {
                    let fault = "another row of the page has the same `id`";
                    self.push_odd(OddRecord {
                        created_at: facts.created_at,
                        country: facts.country,
                        rented: facts.rented(),
                        ..OddRecord::new(OddKind::PhoneNumber, format!("{}#2", facts.id), fault)
                    });
                }
                Some(_) => {}
            }
        }
        for odd in page.odd {
            self.push_odd(odd);
        }
    }
}

/// Whether a name is this one, or this one with a count.
fn of_name(name: &str, wanted: &str) -> bool {
    let rest = name.strip_prefix(wanted);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
}

/// The fault of a member that should be a text which `is_valid` accepts; `None` if it is one.
pub(super) fn text_fault(
    object: &Map<String, Value>,
    name: &str,
    is_valid: impl Fn(&str) -> bool,
) -> Option<String> {
    match object.get(name) {
        None => Some(format!("`{name}` is missing")),
        Some(Value::Null) => Some(format!("`{name}` is null")),
        Some(Value::String(text)) if text.is_empty() => Some(format!("`{name}` is empty")),
        Some(Value::String(text)) if is_valid(text) => None,
        Some(Value::String(_)) => Some(format!("`{name}` has an unexpected form")),
        Some(_) => Some(format!("`{name}` is not a text")),
    }
}

/// Names a record by its id, or by a digest of what does not change with an update.
pub(super) fn name(record: &Value) -> String {
    if let Some(id) = record.get("id").and_then(Value::as_str).filter(|id| is_word(id)) {
        return id.to_owned();
    }
    let members: Vec<&Value> = [
        "id",
        "number",
        "url",
        "object_id",
        "date_created",
        "organization_id",
    ]
    .iter()
    .filter_map(|name| record.get(*name).filter(|value| !value.is_null()))
    .collect();
    let text = if members.is_empty() {
        record.to_string()
    } else {
        Value::from(members.into_iter().cloned().collect::<Vec<_>>()).to_string()
    };
    let digest = Sha256::digest(text);
    format!("{UNNAMED}{}", hex::encode(digest.get(..8).unwrap_or_default()))
}

/// Describes a row that should be a phone number.
pub(super) fn number(row: &Value, fault: String) -> OddRecord {
    let text = |name: &str| row.get(name).and_then(Value::as_str);
    OddRecord {
        created_at: text("date_created").and_then(|time| time.parse().ok()),
        number: text("id").and_then(|id| id.parse().ok()),
        country: text("country").and_then(|country| country.parse().ok()),
        rented: !matches!(text("type"), Some("external" | "virtual")),
        ..OddRecord::new(OddKind::PhoneNumber, name(row), fault)
    }
}

/// Describes a row that should be an event about a phone number.
pub(super) fn event(row: &Value) -> OddRecord {
    let text = |name: &str| row.get(name).and_then(Value::as_str);
    OddRecord {
        created_at: text("date_created").and_then(|time| time.parse().ok()),
        number: text("object_id").and_then(|id| id.parse().ok()),
        ..OddRecord::new(OddKind::Event, name(row), event_fault(row))
    }
}

fn event_fault(row: &Value) -> String {
    let Value::Object(object) = row else {
        return "it is not a JSON object".to_owned();
    };
    let is_time = |text: &str| text.parse::<crate::domain::time::Timestamp>().is_ok();
    let is_number = |text: &str| text.parse::<PhoneNumberId>().is_ok();
    text_fault(object, "object_id", is_number)
        .or_else(|| text_fault(object, "date_created", is_time))
        .or_else(|| text_fault(object, "date_updated", is_time))
        .unwrap_or_else(|| "it is not an event of the kind that was asked for".to_owned())
}
