//! An issuer's published keys (RFC 7517): selects the keys that may verify tokens, and their algorithms.

use std::collections::HashMap;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ParsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use crate::auth::algorithm::Algorithm;
use crate::domain::input::json;
use crate::telemetry::metrics::JWK_REFUSED_TOTAL;

/// NIST SP 800-131A requires 2048 bits.
const MIN_RSA_BITS: usize = 2_048;
/// Verification with a larger key is slow enough for a denial of service.
const MAX_RSA_BITS: usize = 8_192;

/// A public key and the algorithms that it may be used with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// Never empty; each is in the issuer's allow-list.
    algorithms: Vec<Algorithm>,
    material: Material,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    Ec { point: Vec<u8> },
    Ed { point: Vec<u8> },
}

/// The usable keys of one document; possibly none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct KeySet {
    named: HashMap<String, Key>,
    unnamed: Vec<Key>,
}

/// The result of a search for a token's key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pick<'a> {
    /// The only key that fits.
    Key(&'a Key),
    /// No key fits; a newer set can have one.
    Unknown,
    /// The named key is for another algorithm.
    OtherAlgorithm,
    /// The token names no key, and several fit.
    Ambiguous,
}

/// The error for a document that is not a set of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotAKeySet {
    #[error("the document is not JSON, or an object has a duplicate member")]
    NotJson,
    #[error("the document has no array `keys`")]
    NoKeys,
    #[error("the array `keys` is empty")]
    Empty,
}

impl Key {
    /// Whether a signature (base64url) of the message is valid.
    ///
    /// It is invalid if the key may not be used with the algorithm.
    pub(super) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &str) -> bool {
        if !self.algorithms.contains(&algorithm) {
            return false;
        }
        let key = match &self.material {
            Material::Rsa { modulus, exponent } => DecodingKey::from_rsa_raw_components(modulus, exponent),
            Material::Ec { point } => DecodingKey::from_ec_der(point),
            Material::Ed { point } => DecodingKey::from_ed_der(point),
        };
        let algorithm = match algorithm {
            Algorithm::RS256 => jsonwebtoken::Algorithm::RS256,
            Algorithm::PS256 => jsonwebtoken::Algorithm::PS256,
            Algorithm::ES256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::ES384 => jsonwebtoken::Algorithm::ES384,
            Algorithm::EdDSA => jsonwebtoken::Algorithm::EdDSA,
        };
        jsonwebtoken::crypto::verify(signature, message, &key, algorithm).unwrap_or(false)
    }
}

impl KeySet {
    /// Parses a document. Keys that can't or must not verify tokens are left out, counted and logged.
    pub(super) fn parse(document: &[u8], allowed: &[Algorithm]) -> Result<Self, NotAKeySet> {
        let document = json::parse(document).map_err(|_| NotAKeySet::NotJson)?;
        let keys = document
            .get("keys")
            .and_then(Value::as_array)
            .ok_or(NotAKeySet::NoKeys)?;
        if keys.is_empty() {
            return Err(NotAKeySet::Empty);
        }
        let mut seen: HashMap<&str, usize> = HashMap::new();
        for kid in keys
            .iter()
            .filter(|key| for_signatures(key))
            .filter_map(|key| key.get("kid")?.as_str())
        {
            *seen.entry(kid).or_default() += 1;
        }
        let mut set = Self::default();
        for key in keys {
            let kid = key.get("kid").and_then(Value::as_str);
            let read = match kid {
                Some(kid) if seen.get(kid).is_some_and(|times| *times > 1) => Err("duplicate_kid"),
                _ => read(key, allowed),
            };
            match (read, kid) {
                (Ok(key), Some(kid)) => drop(set.named.insert(kid.to_owned(), key)),
                (Ok(key), None) => set.unnamed.push(key),
                (Err(reason), _) => {
                    metrics::counter!(JWK_REFUSED_TOTAL, "reason" => reason).increment(1);
                    tracing::warn!(
                        reason,
                        kid = kid.map(|kid| kid.escape_debug().to_string()),
                        "jwk not used"
                    );
                }
            }
        }
        Ok(set)
    }

    /// Returns the number of usable keys.
    pub(super) fn len(&self) -> usize {
        self.named.len() + self.unnamed.len()
    }

    /// Finds the key for a token with this `kid` and algorithm. Without `kid`, exactly one key must fit.
    pub(super) fn pick(&self, kid: Option<&str>, algorithm: Algorithm) -> Pick<'_> {
        let fits = |key: &&Key| key.algorithms.contains(&algorithm);
        if let Some(kid) = kid {
            return match self.named.get(kid) {
                Some(key) if fits(&key) => Pick::Key(key),
                Some(_) => Pick::OtherAlgorithm,
                None => Pick::Unknown,
            };
        }
        let mut fitting = self.named.values().chain(&self.unnamed).filter(fits);
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Pick::Key(only),
            (Some(_), Some(_)) => Pick::Ambiguous,
            (None, _) => Pick::Unknown,
        }
    }
}

/// Reads one key. The error is its label in `numberdesk_jwk_refused_total`.
fn read(key: &Value, allowed: &[Algorithm]) -> Result<Key, &'static str> {
    let key = key.as_object().ok_or("malformed")?;
    if !for_signatures_object(key) {
        return Err("not_for_signatures");
    }
    if key.get("kid").is_some_and(|kid| !kid.is_string()) {
        return Err("malformed");
    }
    let (material, possible): (_, &[Algorithm]) =
        match (text(key, "kty")?, key.get("crv").and_then(Value::as_str)) {
            ("RSA", _) => (rsa(key)?, &[Algorithm::RS256, Algorithm::PS256]),
            ("EC", Some("P-256")) => (ec(key, 32)?, &[Algorithm::ES256]),
            ("EC", Some("P-384")) => (ec(key, 48)?, &[Algorithm::ES384]),
            ("OKP", Some("Ed25519")) => (
                Material::Ed {
                    point: bytes_of(key, "x", 32)?,
                },
                &[Algorithm::EdDSA],
            ),
            ("oct", _) => return Err("shared_secret"),
            _ => return Err("unsupported"),
        };
    let named = key
        .get("alg")
        .map(|alg| alg.as_str().and_then(|alg| alg.parse().ok()).ok_or("algorithm"));
    let named: Option<Algorithm> = named.transpose()?;
    let fits =
        |algorithm: &Algorithm| named.is_none_or(|named| named == *algorithm) && allowed.contains(algorithm);
    let algorithms: Vec<_> = possible.iter().copied().filter(fits).collect();
    if algorithms.is_empty() {
        Err("algorithm")
    } else {
        Ok(Key { algorithms, material })
    }
}

fn rsa(key: &Map<String, Value>) -> Result<Material, &'static str> {
    let (modulus, exponent) = (integer(key, "n")?, integer(key, "e")?);
    let bits = modulus
        .first()
        .map_or(0, |first| modulus.len() * 8 - first.leading_zeros() as usize);
    if bits < MIN_RSA_BITS {
        return Err("weak_rsa");
    }
    let odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
    if bits > MAX_RSA_BITS || !odd(&modulus) || !odd(&exponent) || exponent == [1] || exponent.len() > 4 {
        return Err("malformed");
    }
    Ok(Material::Rsa { modulus, exponent })
}

/// Reads an uncompressed point, and checks that it lies on the curve.
fn ec(key: &Map<String, Value>, coordinate_bytes: usize) -> Result<Material, &'static str> {
    let mut point = vec![4];
    point.extend(bytes_of(key, "x", coordinate_bytes)?);
    point.extend(bytes_of(key, "y", coordinate_bytes)?);
    let on_curve = match coordinate_bytes {
        32 => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point),
        _ => ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, &point),
    };
    on_curve.map_err(|_| "malformed")?;
    Ok(Material::Ec { point })
}

fn for_signatures(key: &Value) -> bool {
    key.as_object().is_some_and(for_signatures_object)
}

fn for_signatures_object(key: &Map<String, Value>) -> bool {
    let used = key.get("use").is_none_or(|used| used == "sig");
    let verifies = key.get("key_ops").is_none_or(|ops| {
        ops.as_array()
            .is_some_and(|ops| ops.iter().any(|op| op == "verify"))
    });
    used && verifies
}

fn text<'a>(key: &'a Map<String, Value>, name: &str) -> Result<&'a str, &'static str> {
    key.get(name).and_then(Value::as_str).ok_or("malformed")
}

fn bytes(key: &Map<String, Value>, name: &str) -> Result<Vec<u8>, &'static str> {
    URL_SAFE_NO_PAD.decode(text(key, name)?).map_err(|_| "malformed")
}

fn bytes_of(key: &Map<String, Value>, name: &str, length: usize) -> Result<Vec<u8>, &'static str> {
    bytes(key, name).and_then(|bytes| {
        if bytes.len() == length {
            Ok(bytes)
        } else {
            Err("malformed")
        }
    })
}

/// Reads a number, without the leading zeros that some issuers write.
fn integer(key: &Map<String, Value>, name: &str) -> Result<Vec<u8>, &'static str> {
    let bytes = bytes(key, name)?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    Ok(bytes[zeros..].to_vec())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    // RFC 8037, appendix A.2.
    const ED: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    // RFC 7517, appendix A.1.
    const EC_X: &str = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4";
    const EC_Y: &str = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM";

    fn set(keys: &Value) -> KeySet {
        KeySet::parse(json!({"keys": keys}).to_string().as_bytes(), Algorithm::ALL).unwrap()
    }
    fn ed(kid: &str) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "x": ED, "kid": kid})
    }
    fn rsa(bits: usize) -> Value {
        let mut modulus = vec![0xff; bits.div_ceil(8)];
        modulus[0] = 0xff >> (modulus.len() * 8 - bits);
        json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB", "kid": "r"})
    }
    fn with(mut key: Value, name: &str, value: Value) -> Value {
        key[name] = value;
        key
    }

    #[test]
    fn each_key_verifies_only_its_own_algorithms() {
        let ec = json!({"kty": "EC", "crv": "P-256", "x": EC_X, "y": EC_Y, "kid": "e"});
        let keys = set(&json!([
            ed("d"),
            ec,
            rsa(2048),
            with(with(rsa(2048), "kid", "p".into()), "alg", "PS256".into())
        ]));
        assert_eq!(keys.len(), 4);
        for (kid, good) in [
            ("d", &[Algorithm::EdDSA][..]),
            ("e", &[Algorithm::ES256]),
            ("r", &[Algorithm::RS256, Algorithm::PS256]),
            ("p", &[Algorithm::PS256]),
        ] {
            for algorithm in Algorithm::ALL {
                let picked = keys.pick(Some(kid), *algorithm);
                assert_eq!(
                    matches!(picked, Pick::Key(_)),
                    good.contains(algorithm),
                    "{kid} {algorithm}"
                );
            }
        }
    }

    #[test]
    fn keys_that_must_not_verify_tokens_are_left_out() {
        let off_curve = json!({"kty": "EC", "crv": "P-256", "x": EC_X, "y": EC_X, "kid": "e"});
        let other_curve = json!({"kty": "EC", "crv": "P-384", "x": EC_X, "y": EC_Y, "kid": "e"});
        for bad in [
            rsa(1024),
            rsa(2047),
            rsa(8200),
            with(rsa(2048), "e", "AQ".into()),
            with(rsa(2048), "e", "Ag".into()),
            with(rsa(2048), "alg", "RS512".into()),
            with(rsa(2048), "alg", "ES256".into()),
            off_curve,
            other_curve,
            json!({"kty": "oct", "k": "c2VjcmV0", "kid": "h", "alg": "HS256"}),
            json!({"kty": "OKP", "crv": "Ed448", "x": ED}),
            with(ed("a"), "use", "enc".into()),
            with(ed("a"), "key_ops", json!(["encrypt"])),
            with(ed("a"), "x", "AAAA".into()),
            with(ed("a"), "kid", json!(7)),
            json!("key"),
            json!({}),
        ] {
            assert_eq!(set(&json!([bad])).len(), 0, "{bad}");
        }
        assert_eq!(
            set(&json!([with(ed("a"), "key_ops", json!(["verify"]))])).len(),
            1
        );
        let only_rsa = KeySet::parse(
            json!({"keys": [ed("a")]}).to_string().as_bytes(),
            &[Algorithm::RS256],
        );
        assert_eq!(only_rsa.unwrap().len(), 0);
    }

    #[test]
    fn keys_with_the_same_kid_are_all_refused() {
        let keys = set(&json!([ed("a"), with(rsa(2048), "kid", "a".into()), ed("b")]));
        assert_eq!(keys.pick(Some("a"), Algorithm::EdDSA), Pick::Unknown);
        assert!(matches!(keys.pick(Some("b"), Algorithm::EdDSA), Pick::Key(_)));
    }

    #[test]
    fn a_token_without_kid_needs_a_single_key_that_fits() {
        let one = set(&json!([ed("a"), rsa(2048)]));
        assert!(matches!(one.pick(None, Algorithm::EdDSA), Pick::Key(_)));
        assert_eq!(one.pick(None, Algorithm::ES256), Pick::Unknown);
        assert_eq!(
            set(&json!([ed("a"), ed("b")])).pick(None, Algorithm::EdDSA),
            Pick::Ambiguous
        );
    }

    #[test]
    fn a_document_that_is_not_a_key_set_is_an_error() {
        let parse = |text: &str| KeySet::parse(text.as_bytes(), Algorithm::ALL).unwrap_err();
        assert_eq!(parse(""), NotAKeySet::NotJson);
        assert_eq!(parse("<html>"), NotAKeySet::NotJson);
        assert_eq!(parse(r#"{"keys":[{}],"keys":[{}]}"#), NotAKeySet::NotJson);
        assert_eq!(parse("[]"), NotAKeySet::NoKeys);
        assert_eq!(parse(r#"{"keys":{}}"#), NotAKeySet::NoKeys);
        assert_eq!(parse(r#"{"keys":[]}"#), NotAKeySet::Empty);
    }

    proptest! {
        #[test]
        fn no_document_and_no_signature_makes_the_verifier_panic(document in any::<Vec<u8>>(), x in any::<Vec<u8>>(), signature in any::<String>()) {
            let _ = KeySet::parse(&document, Algorithm::ALL);
            let _ = set(&json!([{"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(&x), "e": URL_SAFE_NO_PAD.encode(&x)}]));
            let keys = set(&json!([ed("a")]));
            let Pick::Key(key) = keys.pick(Some("a"), Algorithm::EdDSA) else { panic!("the set has the key") };
            prop_assert!(!key.verify(Algorithm::EdDSA, &document, &signature));
        }
    }
}
