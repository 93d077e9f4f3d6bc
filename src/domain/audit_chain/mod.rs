//! The chain over the audit trail: every sealed row carries a hash over the hash before it and over itself, so that
//! none can be changed, taken out, put in or moved without every hash after it. It does not know where rows are kept.
//!
//! The canonical form, from which anyone can write a verifier:
//!
//! * `hash` of row `seq` is SHA-256, as 64 lower-case hexadecimal digits, over the UTF-8 bytes of `prev`, a line feed,
//!   and the row as a JSON array.
//! * `prev` is the `hash` of row `seq - 1`; for row 1 it is the word [`GENESIS`].
//! * The array is `[seq, id, at, issuer, subject, team, action, allowed, rule, order_id, phone_number_id, outcome,
//!   detail, request_id]`, without white space. `seq`, `at` (microseconds since 1970) and `allowed` (0 or 1) are
//!   numbers, everything else is a string; `null` stands for what the row does not have.
//! * `detail` is JSON itself. In the array it is a string that holds its text, byte for byte as it is stored.
//! * In strings `"` and `\` are escaped by a backslash, control characters below U+0020 as `\b`, `\t`, `\n`, `\f`, `\r`
//!   or `\u00xx` with lower-case digits, and nothing else is.

mod line;
mod walk;

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

pub use line::Unwritable;
pub use walk::{Broken, Walk, Walked, Why};

/// What stands in the place of the hash before the first row.
pub const GENESIS: &str = "numberdesk-audit-1";

/// A row of the audit trail, column by column, exactly as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// `aud_…`
    pub id: String,
    /// Microseconds since 1970.
    pub at: i64,
    /// The token's issuer; empty for the desk itself.
    pub issuer: String,
    /// The token's subject.
    pub subject: String,
    /// For which team.
    pub team: Option<String>,
    /// What was done.
    pub action: String,
    /// 1 allowed, 0 denied.
    pub allowed: Option<i64>,
    /// The rule that decided.
    pub rule: Option<String>,
    /// The order concerned.
    pub order_id: Option<String>,
    /// The number concerned.
    pub phone_number_id: Option<String>,
    /// How it ended.
    pub outcome: String,
    /// JSON, as its text stands in the store.
    pub detail: String,
    /// The request it came with.
    pub request_id: Option<String>,
}

/// The end of a chain: how many rows it has, and the hash of the last one. Written as `SEQ:HASH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The place of the last row, counted from 1; 0 when there is none.
    pub seq: i64,
    /// Its hash; [`GENESIS`] when there is none.
    pub hash: String,
}

/// A row with its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its place, counted from 1.
    pub seq: i64,
    /// The hash of the row before it, where it is told; a row whose predecessor is gone has none to tell.
    pub prev: Option<String>,
    /// Its hash. Only a row that somebody tampered with has none.
    pub hash: Option<String>,
    /// The row.
    pub row: Stored,
}

impl Head {
    /// The end of a chain without rows.
    pub fn genesis() -> Self {
        Self {
            seq: 0,
            hash: GENESIS.to_owned(),
        }
    }

    /// The end of the chain after `row` is added to it.
    #[must_use]
    pub fn then(&self, row: &Stored) -> Self {
        let seq = self.seq.saturating_add(1);
        Self {
            seq,
            hash: hash(&self.hash, seq, row),
        }
    }
}

/// The hash of the row at `seq`, which comes after one whose hash is `prev`.
pub fn hash(prev: &str, seq: i64, row: &Stored) -> String {
    let mut digest = Sha256::new();
    digest.update(prev);
    digest.update("\n");
    digest.update(canonical(seq, row));
    hex::encode(digest.finalize())
}

fn canonical(seq: i64, row: &Stored) -> String {
    let array = (
        seq,
        &row.id,
        row.at,
        &row.issuer,
        &row.subject,
        &row.team,
        &row.action,
        row.allowed,
        &row.rule,
        &row.order_id,
        &row.phone_number_id,
        &row.outcome,
        &row.detail,
        &row.request_id,
    );
    serde_json::to_string(&array).expect("texts and whole numbers can be written as JSON")
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

/// A text that is not a head.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be SEQ:HASH: the number of a row, a colon, and its hash of 64 hexadecimal digits")]
pub struct NotAHead;

impl FromStr for Head {
    type Err = NotAHead;
    fn from_str(text: &str) -> Result<Self, NotAHead> {
        let (seq, hash) = text.split_once(':').ok_or(NotAHead)?;
        let digits = seq.bytes().all(|byte| byte.is_ascii_digit());
        let seq: i64 = seq.parse().map_err(|_| NotAHead)?;
        let hexadecimal = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !digits || seq < 1 || !hexadecimal {
            return Err(NotAHead);
        }
        Ok(Self {
            seq,
            hash: hash.to_ascii_lowercase(),
        })
    }
}

#[cfg(test)]
mod tests;
