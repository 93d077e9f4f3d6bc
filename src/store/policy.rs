//! Records the policy in force and the rejected policy file.
//!
//! The database also keeps the whole text of the policy, so that a process whose file is broken can start with it.
//! The first replica that sees a change writes its event and audit row. So each change is reported once, for any number
//! of replicas and restarts.

use serde::Serialize;
use serde_json::json;

use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::event::Event;
use crate::domain::event_data::{PolicyChangedData, PolicyRejectedData};
use crate::domain::event_kind::EventKind;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::audit::rows;
use crate::store::events::write;
use crate::store::handle::Store;
use crate::store::sql::db::{Tx, sql};
use crate::store::sql::error::{corrupt, no_such_table};

const IN_FORCE: &str = "policy";
const REJECTED: &str = "policy_rejected";

/// A policy file that was read whole and is in force.
#[derive(Debug, Clone, Copy)]
pub struct PolicyInForce<'a> {
    /// The fingerprint of the text.
    pub fingerprint: &'a str,
    /// The text and its seal; `None` if the settings name no file.
    pub text: Option<(&'a str, &'a str)>,
}

/// The policy that the database keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastPolicy {
    /// The whole text of the file.
    pub text: String,
    /// Shows that a process with the API key for Close wrote the text.
    pub seal: String,
    /// When it came into force.
    pub at: Timestamp,
    /// Whether no other policy came into force since then.
    pub is_last: bool,
}

impl Store {
    /// Records the fingerprint of the policy in force.
    ///
    /// If it differs from the one last recorded by any replica, writes a `policy.changed` event and an audit row, and
    /// returns the previous fingerprint. The very first fingerprint is recorded without an event. `repaired` is the
    /// digest of the faults that this replica had rejected until now (see [`Store::record_policy_rejected`]).
    ///
    /// In the same transaction, keeps the text for [`Store::last_policy`]. Of several replicas with different files, the
    /// one that records its policy last determines the text.
    pub async fn record_policy_in_force(
        &self,
        PolicyInForce { fingerprint, text }: PolicyInForce<'_>,
        repaired: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<String>, Error> {
        let mut tx = self.db.begin().await?;
        tx.execute(sql!(
            "DELETE FROM settings WHERE name = $1 AND value = $2",
            REJECTED,
            repaired
        ))
        .await?;
        tx.execute(sql!(
            "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
            IN_FORCE,
            fingerprint
        ))
        .await?;
        let known = tx
            .lock(sql!("SELECT value FROM settings WHERE name = $1", IN_FORCE))
            .await?
            .ok_or_else(|| corrupt("the recorded policy is missing", None))?
            .text("value")?;
        let changed = tx
            .execute(sql!(
                "UPDATE settings SET value = $1 WHERE name = $2 AND value <> $1",
                fingerprint,
                IN_FORCE
            ))
            .await?;
        if changed == 1 {
            let data = PolicyChangedData {
                old: &known,
                new: fingerprint,
            };
            report(
                &mut tx,
                now,
                (EventKind::PolicyChanged, Action::PolicyChange, "changed"),
                &data,
            )
            .await?;
        }
        if let Some((text, seal)) = text {
            tx.execute(sql!(
                "INSERT INTO last_policy (one, text, fingerprint, seal, at) VALUES (1, $1, $2, $3, $4) \
                    ON CONFLICT (one) DO UPDATE SET text = excluded.text, fingerprint = excluded.fingerprint, \
                        seal = excluded.seal, \
                        at = CASE WHEN last_policy.text = excluded.text THEN last_policy.at ELSE excluded.at END",
                text,
                fingerprint,
                seal,
                now
            ))
            .await?;
        }
        tx.commit().await?;
        Ok((changed == 1).then_some(known))
    }

    /// The text of the policy that was last in force; `None` if the database keeps none, or has an older schema.
    pub async fn last_policy(&self) -> Result<Option<LastPolicy>, Error> {
        let query = sql!(
            "SELECT text, seal, at, CASE WHEN EXISTS (SELECT 1 FROM settings WHERE name = $1 \
                AND value = last_policy.fingerprint) THEN CAST(1 AS BIGINT) ELSE 0 END AS is_last FROM last_policy",
            IN_FORCE
        );
        let row = match self.db.row(query).await {
            Err(error) if no_such_table(&error) => None,
            row => row?,
        };
        row.map(|row| {
            Ok(LastPolicy {
                text: row.text("text")?,
                seal: row.text("seal")?,
                at: row.time("at")?,
                is_last: row.int("is_last")? == 1,
            })
        })
        .transpose()
    }

    /// Records that the policy file is rejected, and that the policy `in_force` stays.
    ///
    /// Writes a `policy.rejected` event and an audit row, and returns `true`, unless a replica has recorded the same
    /// `digest` of faults last.
    pub async fn record_policy_rejected(
        &self,
        digest: &str,
        faults: &[String],
        in_force: &str,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let mut tx = self.db.begin().await?;
        let changed = tx
            .execute(sql!(
                "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE \
                    SET value = excluded.value WHERE settings.value <> excluded.value",
                REJECTED,
                digest
            ))
            .await?;
        if changed == 1 {
            let data = PolicyRejectedData { in_force, faults };
            report(
                &mut tx,
                now,
                (EventKind::PolicyRejected, Action::PolicyReject, "rejected"),
                &data,
            )
            .await?;
        }
        tx.commit().await?;
        Ok(changed == 1)
    }
}

/// Writes the event and the audit row of a change.
async fn report(
    tx: &mut Tx,
    now: Timestamp,
    (kind, action, outcome): (EventKind, Action, &str),
    data: &impl Serialize,
) -> Result<(), Error> {
    let event = Event::new(now, kind, None).with(data);
    let row = AuditRow::new(now, Actor::desk(), action, outcome).detail(json!(event.data));
    write::event(tx, &event).await?;
    rows::write(tx, &row).await
}
