//! The audit trail: rows are added, never changed.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::id::{AuditId, OrderId, PhoneNumberId, RequestId};
use crate::domain::page::{Limit, Page};
use crate::domain::scope::Scope;
use crate::domain::team::Team;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::handle::Store;
use crate::store::sql::db::{Tx, sql};
use crate::store::sql::row::{Row, json};
use crate::store::sql::select::Select;

/// The member of a stored detail with the entry of the policy that gave the permission.
pub(in crate::store) const GRANT: &str = "grant";
/// The member of a stored detail with the `sub` of the actor's token, if the row shows another claim.
pub(in crate::store) const SUB: &str = "sub";

/// The precision of the time in an id.
const MILLISECOND: Duration = Duration::from_millis(1);

/// Filters of the audit trail; `None` does not filter. The scope selects the teams.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Only rows of this actor's subject.
    pub actor: Option<String>,
    /// Only this action.
    pub action: Option<Action>,
    /// Only rows of this order.
    pub order_id: Option<OrderId>,
    /// Only rows of this number.
    pub phone_number_id: Option<PhoneNumberId>,
    /// Only rows at this time or later.
    pub since: Option<Timestamp>,
    /// Only rows before this time.
    pub until: Option<Timestamp>,
    /// Only rows that the policy allowed, or denied.
    pub allowed: Option<bool>,
}

impl Store {
    /// Writes an audit row without another change, such as the row of a refusal.
    pub async fn record_audit(&self, row: &AuditRow) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        write(&mut tx, row).await?;
        tx.commit().await
    }

    /// A page of the trail, newest first. Rows without a team are visible only to a scope of all teams.
    pub async fn audit(
        &self,
        scope: &Scope,
        filter: &AuditFilter,
        limit: Limit,
        after: Option<&str>,
    ) -> Result<Page<AuditRow>, Error> {
        let mut select = Select::within(
            scope,
            "SELECT id, at, issuer, subject, team, action, allowed, rule, order_id, phone_number_id, outcome, \
                detail, request_id FROM audit",
        );
        select.and_some("subject = ?", filter.actor.as_deref());
        select.and_some("action = ?", filter.action.map(Action::as_str));
        select.and_some("order_id = ?", filter.order_id.as_ref().map(OrderId::as_str));
        select.and_some(
            "phone_number_id = ?",
            filter.phone_number_id.as_ref().map(PhoneNumberId::as_str),
        );
        // An id begins with the millisecond of `at`, and every index ends with the id.
        select.and_some("id >= ?", filter.since.map(AuditId::start_of));
        select.and_some(
            "id < ?",
            filter
                .until
                .map(|until| AuditId::start_of(until.plus(MILLISECOND))),
        );
        select.and_some("at >= ?", filter.since);
        select.and_some("at < ?", filter.until);
        // Not as a parameter: the indexes of denied rows serve a statement that names the value.
        match filter.allowed {
            Some(true) => select.and_just("allowed = 1"),
            Some(false) => select.and_just("allowed = 0"),
            None => {}
        }
        select.page(&self.db, limit, after, read).await
    }
}

/// Writes an audit row in the transaction of the change that it reports.
pub(in crate::store) async fn write(tx: &mut Tx, row: &AuditRow) -> Result<(), Error> {
    tx.execute(sql!(
        "INSERT INTO audit (id, at, issuer, subject, team, action, allowed, rule, order_id, phone_number_id, \
            outcome, detail, request_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        row.id.as_str(),
        row.at,
        row.actor.issuer.as_str(),
        row.actor.subject.as_str(),
        row.team.as_ref().map(Team::as_str),
        row.action.as_str(),
        row.allowed,
        row.rule.as_deref(),
        row.order_id.as_ref().map(OrderId::as_str),
        row.phone_number_id.as_ref().map(PhoneNumberId::as_str),
        row.outcome.as_str(),
        json(&with_extras(row))?,
        row.request_id.as_ref().map(RequestId::as_str),
    ))
    .await
    .map(drop)
}

/// Returns the detail as it is stored: with the grant and the actor's `sub`.
///
/// They have no columns of their own. So the hash covers them by its first rule, and a replica of an earlier version
/// appends such rows to the chain correctly.
fn with_extras(row: &AuditRow) -> Value {
    let mut detail = row.detail.clone();
    let extras = [(GRANT, &row.grant), (SUB, &row.actor.sub)];
    for (name, value) in extras {
        if let Some(value) = value {
            if detail.is_null() {
                detail = Value::Object(Map::new());
            }
            debug_assert!(detail.get(name).is_none(), "no detail has a member `{name}`");
            if let Some(members) = detail.as_object_mut() {
                members.insert(name.to_owned(), value.as_str().into());
            }
        }
    }
    detail
}

fn read(row: &Row) -> Result<AuditRow, Error> {
    Ok(AuditRow {
        id: row.parsed("id")?,
        at: row.time("at")?,
        actor: Actor {
            issuer: row.text("issuer")?,
            subject: row.text("subject")?,
            // It is in the detail.
            sub: None,
        },
        team: row.parsed_opt("team")?,
        action: row.word("action")?,
        allowed: row.flag_opt("allowed")?,
        rule: row.text_opt("rule")?,
        // It is in the detail.
        grant: None,
        order_id: row.parsed_opt("order_id")?,
        phone_number_id: row.parsed_opt("phone_number_id")?,
        outcome: row.text("outcome")?,
        detail: row.json("detail")?,
        request_id: row.parsed_opt("request_id")?,
    })
}
