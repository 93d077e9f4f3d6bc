//! Webhook endpoints: inserted, read in a scope, updated and deleted.
//!
//! An update applies only to the version that the caller read.

use url::Url;

use crate::domain::audit::AuditRow;
use crate::domain::event::Event;
use crate::domain::id::EndpointId;
use crate::domain::page::{Limit, Page};
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::domain::webhook::{DisabledReason, Endpoint, MAX_ENDPOINTS};
use crate::error::Error;
use crate::store::audit::rows;
use crate::store::events::write;
use crate::store::handle::Store;
use crate::store::sql::db::{Statement, Tx, sql};
use crate::store::sql::error::corrupt;
use crate::store::sql::row::json;
use crate::store::sql::select::Select;
use crate::store::webhooks::row::{read_endpoint, select_endpoint};

/// Serializes the counting of endpoints: an arbitrary number that no other lock of this database uses.
const COUNTING: &str = "SELECT pg_advisory_xact_lock(7126083515430212)";

/// Disables an endpoint, with the event and audit row that report it.
#[derive(Debug)]
pub struct DisableEndpoint {
    /// The URL that failed; an endpoint with another URL by now stays active.
    pub url: Url,
    /// The reason.
    pub reason: DisabledReason,
    /// The event for its team.
    pub event: Event,
    /// The audit row.
    pub audit: AuditRow,
}

impl Store {
    /// Inserts an endpoint.
    ///
    /// Returns `false`, and changes nothing, when the team has reached the maximum number of endpoints.
    pub async fn insert_endpoint(&self, endpoint: &Endpoint, audit: &AuditRow) -> Result<bool, Error> {
        let mut tx = self.db.begin().await?;
        // Without the lock, two concurrent transactions could each miss the endpoint that the other one inserts.
        if tx.on_postgres() {
            tx.execute(sql!(COUNTING)).await?;
        }
        let had = tx
            .row(sql!(
                "SELECT COUNT(*) AS n FROM webhook_endpoints WHERE team = $1",
                endpoint.team.as_str()
            ))
            .await?
            .ok_or_else(|| corrupt("COUNT returned no row", None))?
            .int("n")?;
        if had >= i64::from(MAX_ENDPOINTS) {
            return Ok(false);
        }
        tx.execute(sql!(
            "INSERT INTO webhook_endpoints (id, team, url, description, types, disabled, generation, rotated_at, \
                created_by, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            endpoint.id.as_str(),
            endpoint.team.as_str(),
            endpoint.url.as_str(),
            endpoint.description.as_deref(),
            json(&endpoint.types)?,
            endpoint.disabled.map(DisabledReason::as_str),
            endpoint.generation,
            endpoint.rotated_at,
            endpoint.created_by.as_str(),
            endpoint.created_at,
            endpoint.updated_at,
        ))
        .await?;
        rows::write(&mut tx, audit).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The endpoint, if it exists in this scope.
    pub async fn endpoint(&self, scope: &Scope, id: &EndpointId) -> Result<Option<Endpoint>, Error> {
        let row = self.db.row(of(scope, id)).await?;
        row.as_ref().map(read_endpoint).transpose()
    }

    /// A page of endpoints, newest first.
    pub async fn endpoints(
        &self,
        scope: &Scope,
        limit: Limit,
        after: Option<&str>,
    ) -> Result<Page<Endpoint>, Error> {
        Select::within(scope, select_endpoint!(""))
            .page(&self.db, limit, after, read_endpoint)
            .await
    }

    /// Replaces `before` by `after`.
    ///
    /// When the endpoint becomes active again, its pending deliveries are due at once, with a new retry period. Returns
    /// `false`, and changes nothing, when the endpoint has changed since `before` was read.
    pub async fn update_endpoint(
        &self,
        before: &Endpoint,
        after: &Endpoint,
        audit: &AuditRow,
    ) -> Result<bool, Error> {
        let mut tx = self.db.begin().await?;
        if !write_over(&mut tx, before, after).await? {
            return Ok(false);
        }
        if before.disabled.is_some() && after.disabled.is_none() {
            tx.execute(sql!(
                "UPDATE webhook_deliveries SET attempts = 0, began_at = NULL, due_at = $2 \
                 WHERE endpoint_id = $1 AND state = 'pending' AND holder IS NULL",
                after.id.as_str(),
                after.updated_at
            ))
            .await?;
            tx.effects().deliveries = true;
        }
        rows::write(&mut tx, audit).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Deletes an endpoint and its deliveries. Returns `false` when the endpoint does not exist any more.
    pub async fn delete_endpoint(&self, endpoint: &Endpoint, audit: &AuditRow) -> Result<bool, Error> {
        let mut tx = self.db.begin().await?;
        let deleted = tx
            .execute(sql!(
                "DELETE FROM webhook_endpoints WHERE id = $1 AND team = $2",
                endpoint.id.as_str(),
                endpoint.team.as_str()
            ))
            .await?;
        if deleted == 0 {
            return Ok(false);
        }
        tx.execute(sql!(
            "DELETE FROM webhook_deliveries WHERE endpoint_id = $1",
            endpoint.id.as_str()
        ))
        .await?;
        rows::write(&mut tx, audit).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// Disables an active endpoint that still has the failed URL; otherwise writes nothing.
pub(in crate::store) async fn disable(
    tx: &mut Tx,
    id: &EndpointId,
    disabling: &DisableEndpoint,
    now: Timestamp,
) -> Result<(), Error> {
    let DisableEndpoint {
        url,
        reason,
        event,
        audit,
    } = disabling;
    let done = tx
        .execute(sql!(
            "UPDATE webhook_endpoints SET disabled = $3, updated_at = $4 \
             WHERE id = $1 AND url = $2 AND disabled IS NULL",
            id.as_str(),
            url.as_str(),
            reason.as_str(),
            now,
        ))
        .await?;
    if done == 1 {
        write::event(tx, event).await?;
        rows::write(tx, audit).await?;
    }
    Ok(())
}

async fn write_over(tx: &mut Tx, before: &Endpoint, after: &Endpoint) -> Result<bool, Error> {
    let written = tx
        .execute(sql!(
            "UPDATE webhook_endpoints SET url = $3, description = $4, types = $5, disabled = $6, generation = $7, \
                rotated_at = $8, updated_at = $9 \
             WHERE id = $1 AND team = $2 AND updated_at = $10 AND generation = $11",
            after.id.as_str(),
            after.team.as_str(),
            after.url.as_str(),
            after.description.as_deref(),
            json(&after.types)?,
            after.disabled.map(DisabledReason::as_str),
            after.generation,
            after.rotated_at,
            after.updated_at,
            before.updated_at,
            before.generation,
        ))
        .await?;
    Ok(written == 1)
}

fn of(scope: &Scope, id: &EndpointId) -> Statement {
    let mut select = Select::within(scope, select_endpoint!(""));
    select.and("id = ?", id.as_str());
    select.statement()
}
