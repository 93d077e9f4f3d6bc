//! An event of Close, as a webhook or Close's event log reports it.
//!
//! The service uses an event only as a hint: it shows which object to refetch, and how recent the answer must be.

use std::fmt;
use std::str::FromStr;

use crate::domain::country::Country;
use crate::domain::id::{GroupId, NotAnId, PhoneNumberId};
use crate::domain::time::Timestamp;

/// The path to which Close delivers its webhooks, below the service's public URL.
pub const WEBHOOK_PATH: &str = "/webhooks/close";

/// One event of Close.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseEvent {
    /// The event's id, `ev_…`.
    ///
    /// Close merges changes that happen in a short time, so that an event with a known id can contain more than before.
    pub event_id: Option<String>,
    /// When Close last changed the event (`date_updated`), by Close's clock.
    pub updated: Option<Timestamp>,
    /// The object's type, such as `phone_number` or `group`.
    pub object_type: String,
    /// The object's id.
    pub object_id: Option<String>,
    /// `created`, `updated` or `deleted`; Close may add others.
    pub action: String,
    /// When the object was last changed (`data.date_updated`), by Close's clock.
    pub data_updated: Option<Timestamp>,
    /// The object's country (`data.country`).
    pub country: Option<Country>,
}

impl CloseEvent {
    /// Returns the object, if the service tracks objects of this type.
    pub fn object(&self) -> Option<Object> {
        let id = self.object_id.as_deref()?;
        match self.object_type.as_str() {
            "phone_number" => id.parse().ok().map(Object::Number),
            "group" => id.parse().ok().map(Object::Group),
            _ => None,
        }
    }

    /// Whether the event reports that the object was deleted.
    pub fn gone(&self) -> bool {
        self.action == "deleted"
    }

    /// Whether the event reports a new phone number.
    pub fn new_number(&self) -> bool {
        self.object_type == "phone_number" && self.action == "created"
    }
}

/// An object in Close that the service tracks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    /// A phone number.
    Number(PhoneNumberId),
    /// A group of users.
    Group(GroupId),
}

impl Object {
    /// Returns the object's id.
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
