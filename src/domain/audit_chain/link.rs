//! The rows of the chain: the stored row, its position and hash, and the head of the chain.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// The string that replaces the previous hash for the first row.
pub const GENESIS: &str = "numberdesk-audit-1";

/// A row of the audit trail, column by column, exactly as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRow {
    /// The row's id, `aud_…`.
    pub id: String,
    /// The time, in microseconds since 1970.
    pub at: i64,
    /// The token's issuer; empty for the service itself.
    pub issuer: String,
    /// The token's subject.
    pub subject: String,
    /// The team concerned.
    pub team: Option<String>,
    /// The action.
    pub action: String,
    /// The policy's decision: 1 is allowed, 0 is denied.
    pub allowed: Option<i64>,
    /// The path of the policy rule that decided.
    pub rule: Option<String>,
    /// The order concerned.
    pub order_id: Option<String>,
    /// The number concerned.
    pub phone_number_id: Option<String>,
    /// The outcome in one or two words.
    pub outcome: String,
    /// JSON, byte for byte as it is stored.
    pub detail: String,
    /// The id of the request that caused the action.
    pub request_id: Option<String>,
}

/// The end of a chain: the number of rows and the hash of the last one. Written as `SEQ:HASH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The position of the last row, counted from 1; 0 when the chain is empty.
    pub seq: i64,
    /// The hash of the last row; [`GENESIS`] when the chain is empty.
    pub hash: String,
}

/// A row with its position and hash in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The position, counted from 1.
    pub seq: i64,
    /// The hash of the previous row, if the source states it; `None` when the previous row is gone.
    pub prev: Option<String>,
    /// The row's own hash; missing only if somebody tampered with the row.
    pub hash: Option<String>,
    /// The row.
    pub row: StoredRow,
}

impl Head {
    /// Returns the head of an empty chain.
    pub fn genesis() -> Self {
        Self {
            seq: 0,
            hash: GENESIS.to_owned(),
        }
    }

    /// Returns the head of the chain after `row` is appended.
    #[must_use]
    pub fn then(&self, row: &StoredRow) -> Self {
        let seq = self.seq.saturating_add(1);
        Self {
            seq,
            hash: hash(&self.hash, seq, row),
        }
    }
}

/// Returns the hash of the row at `seq`, whose predecessor has the hash `prev`.
pub fn hash(prev: &str, seq: i64, row: &StoredRow) -> String {
    let mut digest = Sha256::new();
    digest.update(prev);
    digest.update("\n");
    digest.update(canonical(seq, row));
    hex::encode(digest.finalize())
}

/// Returns the canonical form of a row, which the header of [`audit_chain`](super) defines.
pub(super) fn canonical(seq: i64, row: &StoredRow) -> String {
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

/// The error for a string that is not a chain head.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be SEQ:HASH: the number of a row, a colon, and its hash of 64 hexadecimal digits")]
pub struct NotAHead;

impl FromStr for Head {
    type Err = NotAHead;
    fn from_str(text: &str) -> Result<Self, NotAHead> {
        let genesis = Self::genesis();
        if text == genesis.to_string() {
            return Ok(genesis);
        }
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
