//! Cursors: the position of the next page of a list, signed with HMAC-SHA256.
//!
//! The signature covers the list, its filters and the caller, so that a cursor is valid only for the same request of
//! the same caller. The client can read the position, because a cursor is not encrypted.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::domain::caller::Caller;
use crate::http::problem::Problem;

const SIGNATURE_BYTES: usize = 32;

/// Signs and verifies cursors.
pub(in crate::http) struct Cursors(Hmac<Sha256>);

/// The scope in which a cursor is valid: a list, its filters and its caller.
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

    /// Returns a cursor for the page after `position`.
    pub(in crate::http) fn sign(&self, binding: Binding<'_>, position: &str) -> String {
        let signature = self.mac(binding, position.as_bytes()).finalize().into_bytes();
        BASE64_URL_SAFE_NO_PAD.encode([signature.as_slice(), position.as_bytes()].concat())
    }

    /// Verifies a cursor and returns its position.
    pub(in crate::http) fn verify(&self, binding: Binding<'_>, cursor: &str) -> Result<String, Problem> {
        let invalid = || {
            Problem::fault(
                "/query/cursor",
                "must be a `next_cursor` of this list, with the same filters and caller",
            )
        };
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).map_err(|_| invalid())?;
        let (signature, position) = bytes.split_at_checked(SIGNATURE_BYTES).ok_or_else(invalid)?;
        self.mac(binding, position)
            .verify_slice(signature)
            .map_err(|_| invalid())?;
        String::from_utf8(position.to_vec()).map_err(|_| invalid())
    }

    /// Returns the MAC over all parts.
    ///
    /// Each part begins with its length: otherwise two different splits of the same bytes would have the same MAC.
    fn mac(&self, binding: Binding<'_>, position: &[u8]) -> Hmac<Sha256> {
        let Binding {
            list,
            filters,
            caller,
        } = binding;
        let mut mac = self.0.clone();
        for part in [list, filters, caller.issuer(), caller.subject()]
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
    use crate::domain::identity::TokenIdentity;

    fn caller(subject: &str) -> Caller {
        Caller::of_token(TokenIdentity::named("https://idp.example.com/", subject))
    }

    #[test]
    fn a_cursor_is_valid_for_its_own_list_filters_and_caller_only() {
        let cursors = Cursors::new([7; 32]);
        let (alice, bob) = (caller("alice"), caller("bob"));
        let own = Binding {
            list: "orders",
            filters: "[]",
            caller: &alice,
        };
        let cursor = cursors.sign(own, "1700|ord_1");
        assert_eq!(cursors.verify(own, &cursor).unwrap(), "1700|ord_1");
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
            assert!(cursors.verify(other, &cursor).is_err());
        }
        assert!(Cursors::new([8; 32]).verify(own, &cursor).is_err());
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
        let cursor = cursors.sign(own, "ord_1");
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&cursor).unwrap();
        for index in 0..bytes.len() {
            let mut edited = bytes.clone();
            edited[index] ^= 1;
            assert!(
                cursors
                    .verify(own, &BASE64_URL_SAFE_NO_PAD.encode(edited))
                    .is_err(),
                "byte {index}"
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
            assert!(cursors.verify(own, bad).is_err(), "{bad}");
        }
    }
}
