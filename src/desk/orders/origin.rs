//! Tells from Close's event log whether the service rented a number. Pure, without I/O.

use std::collections::BTreeSet;

use crate::close::Creation;
use crate::domain::id::UserId;

/// Who rented a number, according to Close's event log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::desk::orders) enum Origin {
    /// The service's own API key, by the call that rents.
    Desk,
    /// Certainly not the service.
    Other,
    /// The log has an event that does not prove either.
    Unclear,
    /// The log has no event.
    Unlogged,
}

impl Origin {
    /// Interprets an event of Close's log.
    ///
    /// `user` is the user of the service's API key, if known. `keys` are ids of API keys that certainly belonged to the
    /// service; once it has an entry, Close is known to log keys. An unknown key may still be one of the service that
    /// another replica uses. So a number counts as [`Origin::Other`] only if no key created it, or a call other than
    /// the one that rents.
    pub(in crate::desk::orders) fn of(
        creation: Option<&Creation>,
        user: Option<&UserId>,
        keys: &BTreeSet<String>,
    ) -> Self {
        let Some(creation) = creation else {
            return Self::Unlogged;
        };
        let made_by = creation.user.as_ref();
        let other_user = made_by.is_some_and(|made_by| user.is_some_and(|user| made_by != user));
        match (&creation.api_key, creation.by_renting) {
            (Some(key), None | Some(true)) if keys.contains(key) => Self::Desk,
            (Some(_), Some(true)) if keys.is_empty() && user.is_some() && !other_user => Self::Desk,
            (None, _) | (Some(_), Some(false)) if other_user || !keys.is_empty() => Self::Other,
            _ => Self::Unclear,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    fn origin(user: Option<&str>, key: Option<&str>, renting: Option<bool>, keys: &[&str]) -> Origin {
        let creation = Creation {
            at: Timestamp::from_seconds(1_000),
            user: user.map(|user| user.parse().unwrap()),
            api_key: key.map(str::to_owned),
            by_renting: renting,
            facts: None,
            organization: None,
        };
        let keys = keys.iter().map(ToString::to_string).collect();
        Origin::of(Some(&creation), Some(&"user_desk".parse().unwrap()), &keys)
    }

    #[test]
    fn an_event_names_the_renter_of_a_number_as_far_as_close_logs_it() {
        let (desk, other) = (Some("user_desk"), Some("user_other"));
        let (yes, no) = (Some(true), Some(false));
        let table = [
            // Close logs keys, and this key belongs to the service, whichever user owns it.
            (origin(desk, Some("k1"), yes, &["k1"]), Origin::Desk),
            (origin(other, Some("k1"), yes, &["k1"]), Origin::Desk),
            (origin(None, Some("k1"), None, &["k1"]), Origin::Desk),
            (origin(desk, Some("k1"), no, &["k1"]), Origin::Other),
            // No key, so a person created the number.
            (origin(desk, None, yes, &["k1"]), Origin::Other),
            (origin(other, None, None, &[]), Origin::Other),
            // Another key: one that only another replica has used so far, or the key of an app.
            (origin(desk, Some("k2"), yes, &["k1"]), Origin::Unclear),
            (origin(other, Some("k2"), yes, &["k1"]), Origin::Unclear),
            (origin(other, Some("k2"), no, &["k1"]), Origin::Other),
            // No key of the service is known yet.
            (origin(desk, Some("k1"), yes, &[]), Origin::Desk),
            (origin(other, Some("k1"), yes, &[]), Origin::Unclear),
            (origin(desk, None, yes, &[]), Origin::Unclear),
            (origin(None, None, None, &[]), Origin::Unclear),
        ];
        for (row, (read, expected)) in table.into_iter().enumerate() {
            assert_eq!(read, expected, "row {row}");
        }
        let user = "user_desk".parse().unwrap();
        assert_eq!(Origin::of(None, Some(&user), &BTreeSet::new()), Origin::Unlogged);
    }
}
