//! Ids as newtypes with a prefix.
//!
//! Two kinds of ids can't be mixed up, and an id can't change the path of a URL. The service's own ids sort by their
//! creation time.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::input::list::Item;
use crate::domain::schema::string_schema;
use crate::domain::time::Timestamp;

const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The error for a string that is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be an id like `{prefix}…`: the prefix and 1 to 64 letters or digits")]
pub struct NotAnId {
    prefix: &'static str,
}

macro_rules! id {
    ($name:ident, $prefix:literal, $doc:literal, $example:literal) => {
        #[doc = $doc]
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Returns the id as a string.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                if well_formed(text, $prefix) { Ok(Self(text.to_owned())) } else { Err(NotAnId { prefix: $prefix }) }
            }
        }
        impl TryFrom<String> for $name {
            type Error = NotAnId;
            fn try_from(text: String) -> Result<Self, NotAnId> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        string_schema! {
            $name: $doc, pattern: concat!("^", $prefix, "[A-Za-z0-9]{1,64}$"), example: concat!($prefix, $example)
        }
    };
}

macro_rules! own_id {
    ($name:ident, $prefix:literal, $doc:literal) => {
        id!($name, $prefix, $doc, "01KATV8ZJ3E0T9C4M6N2P5Q7RS");
        impl $name {
            /// Creates an id that sorts by `now`.
            pub fn generate(now: Timestamp) -> Self {
                Self(format!(concat!($prefix, "{}"), sortable(now)))
            }
            /// Returns a text that sorts before every id of this moment or later, and after every earlier one, to the
            /// millisecond.
            pub fn start_of(at: Timestamp) -> String {
                format!(concat!($prefix, "{}"), start_of(at))
            }
        }
    };
}

id!(
    PhoneNumberId,
    "phon_",
    "The id of a phone number in Close.",
    "0DYgvcsvwhAAHzTgdOPg9nPAnYlDdb6sCxSbWtxBIRe"
);
id!(
    UserId,
    "user_",
    "The id of a user in Close.",
    "8hTbLmcDO8XyP4fXbqrPEnGf2tSDnHRSzWkWzlqQM6k"
);
id!(
    GroupId,
    "group_",
    "The id of a group of users in Close.",
    "4Xb1zQm7Kc0vT9sRj2Ld5w"
);
id!(
    OrganizationId,
    "orga_",
    "The id of an organization in Close.",
    "bwwWG475zqWiQGur0thQshwVXo8rIYecQHDWFanqhen"
);
id!(
    SubscriptionId,
    "whsub_",
    "The id of a webhook subscription in Close.",
    "3Nq0bXw7Yd1kS5tPf8Zm2c"
);
own_id!(OrderId, "ord_", "The id of an order. Ids sort by time.");
own_id!(
    AuditId,
    "aud_",
    "The id of a row of the audit trail. Ids sort by time."
);
own_id!(
    RequestId,
    "req_",
    "The id of a request to the service; every response and log line carries it."
);
own_id!(LedgerId, "led_", "The id of an entry of the ledger.");
own_id!(EventId, "evt_", "The id of an event.");
own_id!(EndpointId, "we_", "The id of an endpoint of outgoing webhooks.");
own_id!(
    DeliveryId,
    "dlv_",
    "The id of a delivery of an event to an endpoint."
);

impl Item for UserId {
    const PLURAL: &'static str = "users";
}
impl Item for GroupId {
    const PLURAL: &'static str = "groups";
}

fn well_formed(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| {
        (1..=64).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// Returns a version 7 UUID in Crockford's base 32: 26 characters that sort by time.
fn sortable(now: Timestamp) -> String {
    let micros = now.as_micros().unsigned_abs();
    let time = uuid::Timestamp::from_unix_time(
        micros / 1_000_000,
        u32::try_from(micros % 1_000_000).expect("a remainder below a million fits") * 1_000,
        0,
        0,
    );
    base32(uuid::Uuid::new_v7(time).as_u128())
}

/// Returns the smallest text that [`sortable`] can return for this millisecond.
fn start_of(at: Timestamp) -> String {
    // The first 48 bits of a version 7 UUID are the milliseconds since 1970.
    let millis = u128::from(at.as_micros().max(0).unsigned_abs() / 1_000);
    base32(millis.min((1 << 48) - 1) << 80)
}

fn base32(bits: u128) -> String {
    (0..26)
        .rev()
        .map(|digit| char::from(CROCKFORD[(bits >> (digit * 5) & 31) as usize]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_could_change_a_url_path_is_rejected() {
        for text in [
            "../lead/x",
            "phon_",
            "phon_a/b",
            "phon_%2e",
            "phon_x?y",
            "phon_x#",
            "user_abc",
            "phon_é",
            "",
        ] {
            assert!(text.parse::<PhoneNumberId>().is_err(), "{text}");
        }
        assert!(
            format!("phon_{}", "a".repeat(65))
                .parse::<PhoneNumberId>()
                .is_err()
        );
        assert!("phon_Abc09".parse::<PhoneNumberId>().is_ok());
    }

    #[test]
    fn the_start_of_a_millisecond_is_between_the_ids_before_and_those_from_then_on() {
        let at = |micros| Timestamp::from_micros(micros);
        for micros in [
            1_700_000_000_000_000,
            1_700_000_000_123_456,
            1_795_000_000_999_999,
        ] {
            let (millisecond, start) = (micros / 1_000 * 1_000, OrderId::start_of(at(micros)));
            assert_eq!(start, OrderId::start_of(at(millisecond)));
            for _ in 0..50 {
                assert!(OrderId::generate(at(millisecond - 1)).as_str() < start.as_str());
                assert!(OrderId::generate(at(millisecond)).as_str() >= start.as_str());
                assert!(OrderId::generate(at(millisecond + 999)).as_str() >= start.as_str());
            }
        }
        assert!(OrderId::start_of(at(-1)).as_str() <= OrderId::start_of(at(0)).as_str());
        assert!(OrderId::start_of(at(i64::MAX)).starts_with("ord_7"));
    }

    #[test]
    fn generated_ids_sort_by_their_creation_time() {
        let early = OrderId::generate(Timestamp::from_micros(1_700_000_000_000_000));
        let late = OrderId::generate(Timestamp::from_micros(1_700_000_000_002_000));
        assert!(early < late);
        assert_eq!(early.as_str().len(), 30);
        assert!(early.as_str().parse::<OrderId>().is_ok());
    }
}
