//! Ids as newtypes with a prefix.
//!
//! Two kinds of ids can't be mixed up, and an id can't change the path of a URL. The service's own ids sort by their
//! creation time.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;

const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The error for a string that is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be an id like `{prefix}…`: the prefix and 1 to 64 letters or digits")]
pub struct NotAnId {
    prefix: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
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
    };
}

macro_rules! own_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        id!($(#[$doc])* $name, $prefix);
        impl $name {
            /// Creates an id that sorts by `now`.
            pub fn generate(now: Timestamp) -> Self {
                Self(format!(concat!($prefix, "{}"), sortable(now)))
            }
        }
    };
}

id!(/** A Close phone number, `phon_…`. */ PhoneNumberId, "phon_");
id!(/** A user in Close, `user_…`. */ UserId, "user_");
id!(/** A group of users in Close, `group_…`. */ GroupId, "group_");
id!(/** A webhook subscription in Close, `whsub_…`. */ SubscriptionId, "whsub_");
own_id!(/** An order, `ord_…`. */ OrderId, "ord_");
own_id!(/** A row of the audit trail, `aud_…`. */ AuditId, "aud_");
own_id!(/** A request to the service, `req_…`; every response and log line carries it. */ RequestId, "req_");
own_id!(/** An entry of the ledger, `led_…`. */ LedgerId, "led_");
own_id!(/** An event, `evt_…`. */ EventId, "evt_");
own_id!(/** An endpoint of outgoing webhooks, `we_…`. */ EndpointId, "we_");
own_id!(/** A delivery of an event to an endpoint, `dlv_…`. */ DeliveryId, "dlv_");

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
    let bits = uuid::Uuid::new_v7(time).as_u128();
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
    fn generated_ids_sort_by_their_creation_time() {
        let early = OrderId::generate(Timestamp::from_micros(1_700_000_000_000_000));
        let late = OrderId::generate(Timestamp::from_micros(1_700_000_000_002_000));
        assert!(early < late);
        assert_eq!(early.as_str().len(), 30);
        assert!(early.as_str().parse::<OrderId>().is_ok());
    }
}
