//! An issuer's published keys (RFC 7517): selects the keys that may verify tokens, and their algorithms.
//!
//! It is lenient about everything that carries no right, because one odd key must not disable the others: keys of other
//! types and purposes are left out, and common mistakes in the encoding of numbers are accepted. It is strict about the
//! rest: the type of a key decides its algorithms, RSA keys have a minimum size, and points must lie on their curve.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ParsedPublicKey};
use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::auth::algorithm::Algorithm;
use crate::domain::input::json;
use crate::telemetry::metrics::JWK_REFUSED_TOTAL;

/// The most keys of a document. Issuers have a few; the service reads no more, so that a document can't cost much.
const MAX_KEYS: usize = 1_000;
/// NIST SP 800-131A requires 2048 bits.
const MIN_RSA_BITS: usize = 2_048;
/// Verification with a larger key is slow enough for a denial of service.
const MAX_RSA_BITS: usize = 8_192;

/// Members of the private part of a key (RFC 7518, section 6; RFC 8037, section 2).
///
/// Everybody who reads the document can sign with such a key, so it proves nothing.
const PRIVATE_MEMBERS: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

/// Reads base64url with or without padding, and with any padding bits.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A public key and the algorithms that it may be used with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    kid: Option<String>,
    /// Never empty in a [`KeySet`]; each is in the issuer's allow-list.
    algorithms: Vec<Algorithm>,
    material: Material,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Material {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    Ec { point: Vec<u8> },
    Ed { point: Vec<u8> },
}

/// The usable keys of one document.
///
/// No two different keys have the same `kid` and an algorithm in common.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct KeySet(Vec<Key>);

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

/// The error for a document without any key that can verify tokens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotAKeySet {
    #[error("the document is not JSON, or has two arrays `keys`")]
    NotJson,
    #[error("the document has no array `keys`")]
    NoKeys,
    #[error("the array `keys` is empty")]
    Empty,
    #[error("no key in it can verify tokens ({0})")]
    NoneUsable(String),
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
        let keys = entries(without_bom(document))?;
        if keys.is_empty() {
            return Err(NotAKeySet::Empty);
        }
        let (mut usable, mut refused) = (Vec::new(), BTreeMap::new());
        let mut refuse = |kid: Option<&str>, reason: &'static str| {
            *refused.entry(reason).or_insert(0) += 1;
            report(kid, reason);
        };
        let beyond = keys.len().saturating_sub(MAX_KEYS);
        for key in keys.into_iter().take(MAX_KEYS) {
            // RFC 7517, section 4: a key with duplicate members is refused. The others stay usable.
            let Ok(key) = json::parse(key.get().as_bytes()) else {
                refuse(None, "malformed");
                continue;
            };
            match read(&key, allowed) {
                Ok(key) => usable.push(key),
                Err(reason) => refuse(key.get("kid").and_then(Value::as_str), reason),
            }
        }
        for key in separate(&mut usable) {
            refuse(key.kid.as_deref(), "duplicate_kid");
        }
        if beyond > 0 {
            refused.insert("too_many", beyond);
            metrics::counter!(JWK_REFUSED_TOTAL, "reason" => "too_many").increment(beyond as u64);
            tracing::warn!(
                beyond,
                most = MAX_KEYS,
                "jwks has too many keys; the last ones are not used"
            );
        }
        if usable.is_empty() {
            let reasons = refused.iter().map(|(reason, keys)| format!("{reason}: {keys}"));
            return Err(NotAKeySet::NoneUsable(reasons.collect::<Vec<_>>().join(", ")));
        }
        Ok(Self(usable))
    }

    /// Returns the number of usable keys.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Finds the key for a token with this `kid` and algorithm. Without `kid`, exactly one key must fit.
    pub(super) fn pick(&self, kid: Option<&str>, algorithm: Algorithm) -> Pick<'_> {
        let mut named = self
            .0
            .iter()
            .filter(|key| kid.is_none() || key.kid.as_deref() == kid);
        let mut fitting = named.clone().filter(|key| key.algorithms.contains(&algorithm));
        match fitting.next() {
            Some(key) if fitting.all(|other| other.material == key.material) => Pick::Key(key),
            Some(_) => Pick::Ambiguous,
            None if kid.is_some() && named.next().is_some() => Pick::OtherAlgorithm,
            None => Pick::Unknown,
        }
    }
}

/// Counts and logs a key that is not used.
///
/// Keys for other purposes are normal: for encryption, or of a type that the service does not know.
fn report(kid: Option<&str>, reason: &'static str) {
    metrics::counter!(JWK_REFUSED_TOTAL, "reason" => reason).increment(1);
    let kid = kid.map(|kid| kid.escape_debug().to_string());
    if matches!(reason, "not_for_signatures" | "unsupported" | "algorithm") {
        tracing::debug!(reason, kid, "jwk not used");
    } else {
        tracing::warn!(reason, kid, "jwk not used");
    }
}

/// Separates keys with the same `kid`: merges copies of one key, and removes what is ambiguous. Returns those keys.
///
/// RFC 7517, section 4.5, allows one `kid` for keys of different types, and some issuers list one key several times, once
/// for each algorithm. But two different keys for one `kid` and one algorithm are ambiguous.
fn separate(keys: &mut Vec<Key>) -> Vec<Key> {
    let mut merged: Vec<Key> = Vec::new();
    let mut copies = HashMap::new();
    for key in std::mem::take(keys) {
        match copies.entry((key.kid.clone(), key.material.clone())) {
            Entry::Vacant(first) => {
                first.insert(merged.len());
                merged.push(key);
            }
            Entry::Occupied(first) => {
                let known = &mut merged[*first.get()].algorithms;
                let new = key.algorithms.into_iter();
                known.extend(
                    new.filter(|algorithm| !known.contains(algorithm))
                        .collect::<Vec<_>>(),
                );
            }
        }
    }
    let mut keys_with: HashMap<(&str, Algorithm), usize> = HashMap::new();
    for key in &merged {
        for algorithm in &key.algorithms {
            if let Some(kid) = &key.kid {
                *keys_with.entry((kid, *algorithm)).or_default() += 1;
            }
        }
    }
    let is_ambiguous = |key: &Key, algorithm: Algorithm| {
        let count = key
            .kid
            .as_deref()
            .and_then(|kid| keys_with.get(&(kid, algorithm)));
        count.is_some_and(|count| *count > 1)
    };
    let mut ambiguous = Vec::new();
    for key in &merged {
        let (refused, used): (Vec<_>, Vec<_>) = key
            .algorithms
            .iter()
            .partition(|algorithm| is_ambiguous(key, **algorithm));
        if !refused.is_empty() {
            ambiguous.push(key.clone());
        }
        if !used.is_empty() {
            keys.push(Key {
                algorithms: used,
                ..key.clone()
            });
        }
    }
    ambiguous
}

/// Returns the texts of the keys of a document. Its other members have no meaning here (RFC 7517, section 5).
fn entries(document: &[u8]) -> Result<Vec<&RawValue>, NotAKeySet> {
    #[derive(Deserialize)]
    struct Document<'a> {
        #[serde(borrow, default)]
        keys: Option<&'a RawValue>,
    }
    let document: &RawValue = serde_json::from_slice(document).map_err(|_| NotAKeySet::NotJson)?;
    // Without this check, an array would be read as the members of the object, in their order.
    if !document.get().starts_with('{') {
        return Err(NotAKeySet::NoKeys);
    }
    let members: Document<'_> = serde_json::from_str(document.get()).map_err(|_| NotAKeySet::NotJson)?;
    let keys = members.keys.map(|keys| serde_json::from_str(keys.get()));
    keys.and_then(Result::ok).ok_or(NotAKeySet::NoKeys)
}

/// Returns the document without the byte order mark that some servers send.
fn without_bom(document: &[u8]) -> &[u8] {
    document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document)
}

/// Reads one key. The error is its label in `numberdesk_jwk_refused_total`.
fn read(key: &Value, allowed: &[Algorithm]) -> Result<Key, &'static str> {
    let key = key.as_object().ok_or("malformed")?;
    if !for_signatures(key) {
        return Err("not_for_signatures");
    }
    if PRIVATE_MEMBERS.iter().any(|name| member(key, name).is_some()) {
        return Err("private_key");
    }
    let kid = match member(key, "kid") {
        None => None,
        Some(Value::String(kid)) => Some(kid.clone()),
        Some(_) => return Err("malformed"),
    };
    let (material, possible): (_, &[Algorithm]) =
        match (text(key, "kty")?, member(key, "crv").and_then(Value::as_str)) {
            ("RSA", _) => (rsa(key)?, &[Algorithm::RS256, Algorithm::PS256]),
            ("EC", Some("P-256")) => (ec(key, 32)?, &[Algorithm::ES256]),
            ("EC", Some("P-384")) => (ec(key, 48)?, &[Algorithm::ES384]),
            ("OKP", Some("Ed25519")) => (ed(key)?, &[Algorithm::EdDSA]),
            ("oct", _) => return Err("shared_secret"),
            _ => return Err("unsupported"),
        };
    let named = stated(key, "alg").map(|alg| alg.as_str().and_then(Algorithm::of_header).ok_or("algorithm"));
    let named: Option<Algorithm> = named.transpose()?;
    let fits =
        |algorithm: &Algorithm| named.is_none_or(|named| named == *algorithm) && allowed.contains(algorithm);
    let algorithms: Vec<_> = possible.iter().copied().filter(fits).collect();
    if algorithms.is_empty() {
        return Err("algorithm");
    }
    Ok(Key {
        kid,
        algorithms,
        material,
    })
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
///
/// A coordinate is padded to its length, because some issuers write it as a number, without its leading zeros or with the
/// zero that keeps a number positive.
fn ec(key: &Map<String, Value>, coordinate_bytes: usize) -> Result<Material, &'static str> {
    let mut point = vec![4];
    for name in ["x", "y"] {
        let number = integer(key, name)?;
        let zeros = coordinate_bytes.checked_sub(number.len()).ok_or("malformed")?;
        point.extend(std::iter::repeat_n(0, zeros));
        point.extend(number);
    }
    let on_curve = match coordinate_bytes {
        32 => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point),
        _ => ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, &point),
    };
    on_curve.map_err(|_| "malformed")?;
    Ok(Material::Ec { point })
}

/// Reads a point of Ed25519, which is a string of bytes: a leading zero belongs to it.
fn ed(key: &Map<String, Value>) -> Result<Material, &'static str> {
    let point = bytes(key, "x")?;
    if point.len() == 32 {
        Ok(Material::Ed { point })
    } else {
        Err("malformed")
    }
}

fn for_signatures(key: &Map<String, Value>) -> bool {
    let used = stated(key, "use").is_none_or(|used| used == "sig");
    let verifies = member(key, "key_ops").is_none_or(|ops| {
        ops.as_array()
            .is_some_and(|ops| ops.iter().any(|op| op == "verify"))
    });
    used && verifies
}

/// Returns a member. Some issuers write `null` for a member that they leave out.
fn member<'a>(key: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    key.get(name).filter(|value| !value.is_null())
}

/// Returns a member that limits the use of a key. Some issuers write an empty text for no limit.
fn stated<'a>(key: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    member(key, name).filter(|value| *value != "")
}

fn text<'a>(key: &'a Map<String, Value>, name: &str) -> Result<&'a str, &'static str> {
    member(key, name).and_then(Value::as_str).ok_or("malformed")
}

/// Reads bytes in base64url. Also accepts the plain alphabet, padding and line breaks, which some issuers write.
fn bytes(key: &Map<String, Value>, name: &str) -> Result<Vec<u8>, &'static str> {
    let text = text(key, name)?.bytes().filter_map(|byte| match byte {
        b'+' => Some(b'-'),
        b'/' => Some(b'_'),
        byte if byte.is_ascii_whitespace() => None,
        byte => Some(byte),
    });
    LENIENT.decode(text.collect::<Vec<_>>()).map_err(|_| "malformed")
}

/// Reads a number, without the leading zeros that some issuers write.
fn integer(key: &Map<String, Value>, name: &str) -> Result<Vec<u8>, &'static str> {
    let bytes = bytes(key, name)?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    Ok(bytes[zeros..].to_vec())
}

#[cfg(test)]
mod tests;
