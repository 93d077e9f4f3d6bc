//! Seals texts that the database keeps: only a process with the API key for Close can make a seal.

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use crate::close::client::CloseClient;

/// The purpose of the derived key, which separates it from any other use of the API key.
const PURPOSE: &str = "numberdesk-last-policy-1";

impl CloseClient {
    /// Seals the text of a policy with the key in use.
    pub fn seal(&self, policy: &str) -> String {
        hex::encode(mac(&self.0.key(), policy).finalize().into_bytes())
    }
}

/// Whether this is the seal of the policy by a process with this API key.
pub fn is_sealed(key: &SecretString, policy: &str, seal: &str) -> bool {
    hex::decode(seal).is_ok_and(|seal| mac(key, policy).verify_slice(&seal).is_ok())
}

fn mac(key: &SecretString, text: &str) -> Hmac<Sha256> {
    let new = |key: &[u8]| Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    let mut derived = new(key.expose_secret().as_bytes());
    derived.update(PURPOSE.as_bytes());
    let mut mac = new(&derived.finalize().into_bytes());
    mac.update(text.as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_holds_for_one_text_and_one_key() {
        let key = SecretString::from("api_a.b");
        let seal = hex::encode(mac(&key, "[teams.sales]").finalize().into_bytes());
        assert!(is_sealed(&key, "[teams.sales]", &seal));
        assert!(!is_sealed(&key, "[teams.sales2]", &seal));
        assert!(!is_sealed(&SecretString::from("api_a.c"), "[teams.sales]", &seal));
        for broken in ["", "zz", &seal[..62]] {
            assert!(!is_sealed(&key, "[teams.sales]", broken));
        }
    }
}
