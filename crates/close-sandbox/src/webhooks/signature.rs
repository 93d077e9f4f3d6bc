//! The signature of webhook deliveries.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// HMAC-SHA256 of the timestamp followed by the raw body, as lower-case hex. The key is the hex-decoded one.
pub(crate) fn sign(key: &[u8], timestamp: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(timestamp.as_bytes());
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    const BODY: &str = r#"{"subscription_id":"whsub_0000000000000000000000","event":{"id":"ev_0000000000000000000000","object_type":"phone_number","action":"created"}}"#;

    #[test]
    fn the_hex_decoded_key_gives_the_known_signature() {
        let key = hex::decode(KEY).unwrap();
        assert_eq!(
            sign(&key, "1790000000", BODY.as_bytes()),
            "7ad0c5390af0c03e9108082934034327d6e26ab6fe8f2b55a7dee14927dc633d"
        );
    }

    #[test]
    fn the_key_as_text_gives_another_signature() {
        assert!(sign(KEY.as_bytes(), "1790000000", BODY.as_bytes()).starts_with("72b2097d"));
    }
}
