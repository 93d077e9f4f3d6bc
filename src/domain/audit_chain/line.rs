//! One line of an audit export: a chain link as JSON.
//!
//! `detail` is copied byte for byte from the store: parsing and writing it again could change floats and the order of
//! members, and with them the hash.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::domain::audit::Actor;
use crate::domain::audit_chain::link::{Link, StoredRow};
use crate::domain::time::Timestamp;

/// The error for a row that can't be exported, because somebody tampered with it.
#[derive(Debug, thiserror::Error)]
#[error("row {seq} of the audit chain ({id}) can't be exported: {what}")]
pub struct NotExportable {
    seq: i64,
    id: String,
    what: &'static str,
    #[source]
    cause: Option<serde_json::Error>,
}

#[derive(Serialize)]
struct Written<'a> {
    seq: i64,
    prev: Option<&'a str>,
    hash: Option<&'a str>,
    id: &'a str,
    at: Timestamp,
    actor: WrittenActor<'a>,
    team: Option<&'a str>,
    action: &'a str,
    allowed: Option<bool>,
    rule: Option<&'a str>,
    order_id: Option<&'a str>,
    phone_number_id: Option<&'a str>,
    outcome: &'a str,
    detail: &'a RawValue,
    request_id: Option<&'a str>,
}

#[derive(Serialize)]
struct WrittenActor<'a> {
    issuer: &'a str,
    subject: &'a str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    seq: i64,
    prev: Option<String>,
    hash: Option<String>,
    id: String,
    at: Timestamp,
    actor: Actor,
    team: Option<String>,
    action: String,
    allowed: Option<bool>,
    rule: Option<String>,
    order_id: Option<String>,
    phone_number_id: Option<String>,
    outcome: String,
    detail: Box<RawValue>,
    request_id: Option<String>,
}

impl Link {
    /// Returns the line, without a line feed.
    pub fn to_line(&self) -> Result<String, NotExportable> {
        let row = &self.row;
        let unwritable = |what, cause| NotExportable {
            seq: self.seq,
            id: row.id.clone(),
            what,
            cause,
        };
        let allowed = match row.allowed {
            None => None,
            Some(0) => Some(false),
            Some(1) => Some(true),
            Some(_) => return Err(unwritable("`allowed` is neither 0 nor 1", None)),
        };
        let detail: &RawValue = serde_json::from_str(&row.detail)
            .map_err(|fault| unwritable("`detail` is not JSON", Some(fault)))?;
        if detail.get() != row.detail || row.detail.contains(['\n', '\r']) {
            return Err(unwritable("`detail` is not JSON on one line", None));
        }
        let line = Written {
            seq: self.seq,
            prev: self.prev.as_deref(),
            hash: self.hash.as_deref(),
            id: &row.id,
            at: Timestamp::from_micros(row.at),
            actor: WrittenActor {
                issuer: &row.issuer,
                subject: &row.subject,
            },
            team: row.team.as_deref(),
            action: &row.action,
            allowed,
            rule: row.rule.as_deref(),
            order_id: row.order_id.as_deref(),
            phone_number_id: row.phone_number_id.as_deref(),
            outcome: &row.outcome,
            detail,
            request_id: row.request_id.as_deref(),
        };
        serde_json::to_string(&line).map_err(|fault| unwritable("the row is not valid JSON", Some(fault)))
    }

    /// Parses a line of an export.
    pub fn from_line(line: &[u8]) -> Result<Self, serde_json::Error> {
        let read: Read = serde_json::from_slice(line)?;
        Ok(Self {
            seq: read.seq,
            prev: read.prev,
            hash: read.hash,
            row: StoredRow {
                id: read.id,
                at: read.at.as_micros(),
                issuer: read.actor.issuer,
                subject: read.actor.subject,
                team: read.team,
                action: read.action,
                allowed: read.allowed.map(i64::from),
                rule: read.rule,
                order_id: read.order_id,
                phone_number_id: read.phone_number_id,
                outcome: read.outcome,
                detail: read.detail.get().to_owned(),
                request_id: read.request_id,
            },
        })
    }
}
