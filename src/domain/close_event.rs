//! A notice: what Close says happened. It is taken down and believed in nothing: who acts on it asks Close for the
//! object.

use std::fmt;
use std::str::FromStr;

use crate::domain::country::Country;
use crate::domain::id::{GroupId, NotAnId, PhoneNumberId};
use crate::domain::time::Timestamp;

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
    /// What it is about, if that is something the desk follows.
    pub fn object(&self) -> Option<Object> {
        let id = self.object_id.as_deref()?;
        match self.object_type.as_str() {
            "phone_number" => id.parse().ok().map(Object::Number),
            "group" => id.parse().ok().map(Object::Group),
            _ => None,
        }
    }

    /// Whether it says that the object is no more.
    pub fn gone(&self) -> bool {
        self.action == "deleted"
    }

    /// Whether it says that there is a number that was not there before.
    pub fn new_number(&self) -> bool {
        self.object_type == "phone_number" && self.action == "created"
    }
}

/// What the desk follows in Close.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    /// A phone number.
    Number(PhoneNumberId),
    /// A group of users.
    Group(GroupId),
}

impl Object {
    /// Its id.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Number(id) => id.as_str(),
            Self::Group(id) => id.as_str(),
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Object {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        match text.parse() {
            Ok(id) => Ok(Self::Group(id)),
            Err(_) => text.parse().map(Self::Number),
        }
    }
}
