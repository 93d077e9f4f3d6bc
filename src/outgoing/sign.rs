//! Secrets and signatures of outgoing webhooks, by the specification Standard Webhooks.
//!
//! Every secret is derived from one master secret and is stored nowhere. A stolen database is therefore not enough to
//! sign webhooks.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use crate::domain::id::{EndpointId, EventId};
use crate::domain::time::Timestamp;

/// The purpose of the derived keys, which separates them from any other use of the master secret.
const PURPOSE: &str = "numberdesk-webhook-1";

/// Derives the key of one endpoint in one generation.
pub(super) fn key(master: &SecretString, endpoint: &EndpointId, generation: i64) -> [u8; 32] {
    // No part contains NUL, so that different endpoints and generations never give the same text.
    let text = format!("{PURPOSE}\0{endpoint}\0{generation}");
    mac(master.expose_secret().as_bytes(), text.as_bytes())
}

/// Encodes a key in the format of the specification, `whsec_…`.
pub(super) fn encode(key: impl AsRef<[u8]>) -> SecretString {
    format!("whsec_{}", BASE64_STANDARD.encode(key)).into()
}

/// Returns the header `webhook-signature`, with one signature for each key.
pub(super) fn signatures<K: AsRef<[u8]>>(keys: &[K], id: &EventId, at: Timestamp, body: &str) -> String {
    let signed = format!("{id}.{}.{body}", at.as_seconds());
    keys.iter()
        .map(|key| {
            format!(
                "v1,{}",
                BASE64_STANDARD.encode(mac(key.as_ref(), signed.as_bytes()))
            )
        })
        .collect::<Vec<_>>()
        .join(" ")
}

fn mac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_specification() {
        // From the test vectors of <https://github.com/standard-webhooks/standard-webhooks>.
        let key = BASE64_STANDARD
            .decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
            .unwrap();
        let signed = b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}";
        let signature = BASE64_STANDARD.encode(mac(&key, signed));
        assert_eq!(signature, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn every_endpoint_and_generation_has_a_key_of_its_own() {
        let master = "m".repeat(32).into();
        let key = |id: &str, generation| key(&master, &id.parse().unwrap(), generation);
        let keys = [
            key("we_a", 1),
            key("we_a", 2),
            key("we_a1", 1),
            key("we_b", 1),
            key("we_a", 11),
        ];
        for (place, one) in keys.iter().enumerate() {
            assert!(!keys[..place].contains(one));
        }
        assert_eq!(key("we_a", 1), keys[0]);
    }
}
