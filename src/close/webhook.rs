//! Webhooks from Close: verifies their signature, and reads the event. Pure, without HTTP.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretSlice};
use serde_json::Value;
use sha2::Sha256;

use crate::close::event_json::event;
use crate::domain::close_event::CloseEvent;
use crate::domain::input::json;
use crate::domain::time::Timestamp;

/// How far the time of a signature may be ahead of ours.
const AHEAD: Duration = Duration::from_mins(5);
/// The largest body that is read, in bytes: far more than any number or group needs.
const LARGEST: usize = 1 << 20;

/// The key with which Close signs the webhooks of one subscription. Debug output does not show it.
#[derive(Clone)]
pub struct SignatureKey(SecretSlice<u8>);

/// The text is not a signature key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be the signature key of a webhook subscription: 64 hexadecimal digits")]
pub struct NotASignatureKey;

impl FromStr for SignatureKey {
    type Err = NotASignatureKey;

    /// Reads 64 hexadecimal digits. The key is the 32 bytes that they encode, not the digits.
    fn from_str(text: &str) -> Result<Self, NotASignatureKey> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| NotASignatureKey)?;
        Ok(Self(bytes.to_vec().into()))
    }
}

impl fmt::Debug for SignatureKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignatureKey")
    }
}

impl PartialEq for SignatureKey {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(self.0.expose_secret(), other.0.expose_secret()).is_ok()
    }
}
impl Eq for SignatureKey {}

impl SignatureKey {
    /// Whether this key signed the body with this timestamp; compares in constant time.
    fn signed(&self, timestamp: &str, body: &[u8], signature: &[u8]) -> bool {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).expect("HMAC takes a key of any length");
        mac.update(timestamp.as_bytes());
        mac.update(body);
        mac.verify_slice(signature).is_ok()
    }
}

/// Why a webhook was not accepted as Close's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forged {
    /// No key is known yet, so no signature can be verified.
    #[error("no signature key is known")]
    NoKey,
    /// `close-sig-hash` is missing.
    #[error("the signature is missing")]
    NoSignature,
    /// `close-sig-timestamp` is missing.
    #[error("the timestamp of the signature is missing")]
    NoTimestamp,
    /// It is not 64 lower-case hexadecimal digits.
    #[error("the signature is not 64 lower-case hexadecimal digits")]
    MalformedSignature,
    /// It is not whole seconds since 1970, in digits alone.
    #[error("the timestamp of the signature is not whole seconds since 1970")]
    MalformedTimestamp,
    /// The timestamp is older than the tolerance.
    #[error("it was signed too long ago")]
    Stale,
    /// The timestamp is more than five minutes ahead.
    #[error("it was signed in the future")]
    Future,
    /// No known key made this signature.
    #[error("no known key made the signature")]
    WrongSignature,
}

impl Forged {
    /// The label value in metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoKey => "no_key",
            Self::NoSignature => "no_signature",
            Self::NoTimestamp => "no_timestamp",
            Self::MalformedSignature => "malformed_signature",
            Self::MalformedTimestamp => "malformed_timestamp",
            Self::Stale => "stale",
            Self::Future => "future",
            Self::WrongSignature => "wrong_signature",
        }
    }
}

/// The signature of a webhook as its headers state it. The body is not verified yet.
#[derive(Debug, Clone)]
pub struct Signature {
    digest: [u8; 32],
    timestamp: String,
}

impl Signature {
    /// Reads the headers `close-sig-hash` and `close-sig-timestamp`, without the body.
    ///
    /// A timestamp older than `tolerance`, or more than five minutes ahead of `now`, is refused.
    pub fn from_headers(
        signature: Option<&str>,
        timestamp: Option<&str>,
        now: Timestamp,
        tolerance: Duration,
    ) -> Result<Self, Forged> {
        let digest = digest(signature.ok_or(Forged::NoSignature)?).ok_or(Forged::MalformedSignature)?;
        let timestamp = timestamp.ok_or(Forged::NoTimestamp)?;
        let signed_at = seconds(timestamp).ok_or(Forged::MalformedTimestamp)?;
        if now.since(signed_at) > tolerance {
            return Err(Forged::Stale);
        }
        if signed_at.since(now) > AHEAD {
            return Err(Forged::Future);
        }
        Ok(Self {
            digest,
            timestamp: timestamp.to_owned(),
        })
    }

    /// Verifies that one of `keys` signed the raw `body`.
    pub fn verify(&self, keys: &[SignatureKey], body: &[u8]) -> Result<(), Forged> {
        if keys.is_empty() {
            return Err(Forged::NoKey);
        }
        // All keys are tried, so that the time taken does not show which one matched.
        let by = keys
            .iter()
            .filter(|key| key.signed(&self.timestamp, body, &self.digest))
            .count();
        if by > 0 {
            Ok(())
        } else {
            Err(Forged::WrongSignature)
        }
    }
}

/// Parses a verified body. Duplicate members, deep nesting and bodies over a megabyte are refused.
pub(super) fn parse(body: &[u8]) -> Option<Value> {
    if body.len() > LARGEST {
        return None;
    }
    json::parse(body).ok()
}

/// Reads the event of a body; `None` if it has none.
pub(super) fn read(body: &Value) -> Option<CloseEvent> {
    event(body.get("event").and_then(Value::as_object)?)
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let lower = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if !text.bytes().all(lower) {
        return None;
    }
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

fn seconds(text: &str) -> Option<Timestamp> {
    let digits = (1..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .then(|| text.parse().map(Timestamp::from_seconds).ok())
        .flatten()
}

#[cfg(test)]
mod tests;
