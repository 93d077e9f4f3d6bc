//! Cursors: where the next page of a list starts, sealed so that it serves only the caller and the filters it was
//! made for. It does not know how lists are sorted.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::domain::caller::Caller;
use crate::http::problem::Problem;

const SEAL_BYTES: usize = 32;

/// Makes and opens cursors.
pub(in crate::http) struct Cursors(Hmac<Sha256>);

/// The list that a cursor belongs to: its name, its filters, and who reads it.
#[derive(Clone, Copy)]
pub(in crate::http) struct Binding<'a> {
    pub(in crate::http) list: &'a str,
    pub(in crate::http) filters: &'a str,
    pub(in crate::http) caller: &'a Caller,
}

impl Cursors {
    pub(in crate::http) fn new(key: [u8; 32]) -> Self {
        Self(Hmac::new_from_slice(&key).expect("HMAC takes a key of any length"))
    }

    /// A cursor for the page after `position`.
    pub(in crate::http) fn seal(&self, binding: Binding<'_>, position: &str) -> String {
        let seal = self.over(binding, position.as_bytes()).finalize().into_bytes();
        BASE64_URL_SAFE_NO_PAD.encode([seal.as_slice(), position.as_bytes()].concat())
    }

    /// The position in a cursor of this very list.
    pub(in crate::http) fn open(&self, binding: Binding<'_>, cursor: &str) -> Result<String, Problem> {
        let wrong = || {
            Problem::fault(
                "/query/cursor",
                "must be a `next_cursor` of this very list, with the same filters and caller",
            )
        };
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).map_err(|_| wrong())?;
        let (seal, position) = bytes.split_at_checked(SEAL_BYTES).ok_or_else(wrong)?;
        self.over(binding, position)
            .verify_slice(seal)
            .map_err(|_| wrong())?;
        String::from_utf8(position.to_vec()).map_err(|_| wrong())
    }

    /// Each part with its length, so that none can be taken for another.
    fn over(&self, binding: Binding<'_>, position: &[u8]) -> Hmac<Sha256> {
        let Binding {
            list,
            filters,
            caller,
        } = binding;
        let mut mac = self.0.clone();
        for part in [list, filters, &caller.issuer, &caller.subject]
            .map(str::as_bytes)
            .into_iter()
            .chain([position])
        {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;

    fn caller(subject: &str) -> Caller {
        Caller {
            issuer: "https://idp.example.com/".into(),
            subject: subject.into(),
            teams: vec![],
            permissions: BTreeSet::new(),
            close_user: None,
            claims: Value::Null,
        }
    }

    #[test]
    fn a_cursor_opens_for_its_own_list_filters_and_caller_alone() {
        let cursors = Cursors::new([7; 32]);
        let (alice, bob) = (caller("alice"), caller("bob"));
        let own = Binding {
            list: "orders",
            filters: "[]",
            caller: &alice,
        };
        let cursor = cursors.seal(own, "1700|ord_1");
        assert_eq!(cursors.open(own, &cursor).unwrap(), "1700|ord_1");
        for other in [
            Binding { caller: &bob, ..own },
            Binding { list: "audit", ..own },
            Binding {
                filters: r#"[["team","b"]]"#,
                ..own
            },
            Binding {
                list: "orders[",
                filters: "]",
                ..own
            },
        ] {
            assert!(cursors.open(other, &cursor).is_err());
        }
        assert!(Cursors::new([8; 32]).open(own, &cursor).is_err());
    }

    #[test]
    fn a_cursor_that_was_edited_anywhere_is_refused() {
        let cursors = Cursors::new([7; 32]);
        let alice = caller("alice");
        let own = Binding {
            list: "orders",
            filters: "[]",
            caller: &alice,
        };
        let cursor = cursors.seal(own, "ord_1");
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&cursor).unwrap();
        for place in 0..bytes.len() {
            let mut edited = bytes.clone();
            edited[place] ^= 1;
            assert!(
                cursors.open(own, &BASE64_URL_SAFE_NO_PAD.encode(edited)).is_err(),
                "byte {place}"
            );
        }
        for bad in [
            "",
            "x",
            "a b",
            "%",
            &cursor[1..],
            &cursor[..cursor.len() - 1],
            &format!("{cursor}AAAA"),
        ] {
            assert!(cursors.open(own, bad).is_err(), "{bad}");
        }
    }
}
