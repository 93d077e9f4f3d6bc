//! Endpoints of webhooks, each as far as a scope reaches. A change is written only over what was read before.

use url::Url;

use crate::domain::audit::AuditRow;
use crate::domain::caller::Scope;
use crate::domain::id::EndpointId;
use crate::domain::page::{Limit, Page};
use crate::domain::time::Timestamp;
use crate::domain::webhook::{DisabledReason, Endpoint, MAX_ENDPOINTS};
use crate::error::Error;
use crate::store::Store;
use crate::store::audit::rows;
use crate::store::events::feed;
use crate::store::sql::db::{Statement, Tx, sql};
use crate::store::sql::error::corrupt;
use crate::store::sql::row::{Row, json};
use crate::store::sql::select::Select;
use crate::store::webhooks::deliveries::DisableEndpoint;

macro_rules! select_endpoint {
    ($rest:literal) => {
        concat!(
            "SELECT id, team, url, description, types, disabled, generation, rotated_at, created_by, created_at, \
                updated_at FROM webhook_endpoints",
            $rest
        )
    };
}
pub(in crate::store) use select_endpoint;

/// Any number that nobody else locks on the same PostgreSQL database.
const COUNTING: &str = "SELECT pg_advisory_xact_lock(7126083515430212)";

impl Store {
    /// Registers an endpoint. `false`: the team has as many as it may, and nothing changed.
    pub async fn insert_endpoint(&self, endpoint: &Endpoint, audit: &AuditRow) -> Result<bool, Error> {
        let mut tx = self.db.begin().await?;
        // Of two that count at the same time, each would see room for one.
        if tx.on_postgres() {
            tx.script(COUNTING.to_owned()).await?;
        }
        let had = tx
            .row(sql!(
                "SELECT COUNT(*) AS n FROM webhook_endpoints WHERE team = $1",
                endpoint.team.as_str()
            ))
            .await?
            .ok_or_else(|| corrupt("a count has no row", None))?
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

    /// One endpoint.
    pub async fn endpoint(&self, scope: &Scope, id: &EndpointId) -> Result<Option<Endpoint>, Error> {
        let row = self.db.row(of(scope, id)).await?;
        row.as_ref().map(read).transpose()
    }

    /// A page of endpoints, newest first.
    pub async fn endpoints(
        &self,
        scope: &Scope,
        limit: Limit,
        after: Option<&str>,
    ) -> Result<Page<Endpoint>, Error> {
        Select::within(scope, select_endpoint!(""))
            .page(&self.db, limit, after, read)
            .await
    }

    /// Writes `after` over `before`. An endpoint that becomes active again tries what waits for it at once, and as long
    /// as if it were new. `false`: it is not any more as it was before, and nothing changed.
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

    /// Removes an endpoint, and what is on its way there. `false`: it is not there any more.
    pub async fn delete_endpoint(&self, endpoint: &Endpoint, audit: &AuditRow) -> Result<bool, Error> {
        let mut tx = self.db.begin().await?;
        let gone = tx
            .execute(sql!(
                "DELETE FROM webhook_endpoints WHERE id = $1 AND team = $2",
                endpoint.id.as_str(),
                endpoint.team.as_str()
            ))
            .await?;
        if gone == 0 {
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

/// Disables an endpoint that is active and still where it was, with its event and its audit row; otherwise nothing is
/// written.
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
        feed::write(tx, event).await?;
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

/// An endpoint in its row.
pub(in crate::store) fn read(row: &Row) -> Result<Endpoint, Error> {
    Ok(Endpoint {
        id: row.parsed("id")?,
        team: row.parsed("team")?,
        url: row.parsed::<Url>("url")?,
        description: row.text_opt("description")?,
        types: row.json("types")?,
        disabled: row.parsed_opt("disabled")?,
        generation: row.int("generation")?,
        rotated_at: row.time_opt("rotated_at")?,
        created_by: row.text("created_by")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}
