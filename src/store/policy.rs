//! Records the policy in force and the rejected policy file.
//!
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
use crate::store::sql::error::corrupt;

const IN_FORCE: &str = "policy";
const REJECTED: &str = "policy_rejected";

impl Store {
    /// Records the fingerprint of the policy in force.
    ///
    /// If it differs from the one last recorded by any replica, writes a `policy.changed` event and an audit row, and
    /// returns the previous fingerprint. The very first fingerprint is recorded without an event. `repaired` is the
    /// digest of the faults that this replica had rejected until now (see [`Store::record_policy_rejected`]).
    pub async fn record_policy_in_force(
        &self,
        fingerprint: &str,
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
        tx.commit().await?;
        Ok((changed == 1).then_some(known))
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
