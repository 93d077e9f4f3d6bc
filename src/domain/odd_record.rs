//! Records at Close that the service can't read: a number without a number, an event without an object.
//!
//! One odd record never hides the others. It is named, counted and kept in sight until Close shows it as expected, and
//! it never proves that something is absent. Nothing of its content is kept but its id: the rest may be secret.

use serde::Serialize;

use crate::domain::country::Country;
use crate::domain::id::PhoneNumberId;
use crate::domain::string_enum::string_enum;
use crate::domain::time::Timestamp;

string_enum! {
    /// The kind of object that a record should be.
    OddKind: open {
        /// A phone number.
        PhoneNumber = "phone_number",
        /// An event, of a webhook or of the event log.
        Event = "event",
        /// A webhook subscription.
        Subscription = "webhook_subscription",
        /// A group, or a member of it.
        Group = "group",
        /// A membership of the API key's user.
        Membership = "membership",
    }
}

/// A record that does not have the form of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OddRecord {
    /// The kind of object that it should be.
    pub kind: OddKind,
    /// Its id as Close shows it, or a digest if it has no usable one.
    pub name: String,
    /// What is odd, without any value of the record.
    pub fault: String,
    /// When Close created it, if it says so.
    pub created_at: Option<Timestamp>,
    /// The number that it is, or that it is about, if it names one.
    pub number: Option<PhoneNumberId>,
    /// The country that it names, for a number.
    pub country: Option<Country>,
    /// Whether it may be a rented number.
    pub rented: bool,
}

impl OddRecord {
    /// A record of which nothing but its name is known.
    pub fn new(kind: OddKind, name: impl Into<String>, fault: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
            fault: fault.into(),
            created_at: None,
            number: None,
            country: None,
            rented: true,
        }
    }

    /// An existing number that can't be taken in as it is.
    pub fn number(id: &PhoneNumberId, fault: impl Into<String>) -> Self {
        Self {
            number: Some(id.clone()),
            ..Self::new(OddKind::PhoneNumber, id.as_str(), fault)
        }
    }
}

/// An odd record, and since when it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KnownOddRecord {
    /// The kind of object that it should be.
    pub kind: OddKind,
    /// Its id, or a digest.
    pub name: String,
    /// What is odd.
    pub fault: String,
    /// When the service had first seen it, by Close's clock.
    pub first_seen_at: Timestamp,
}
