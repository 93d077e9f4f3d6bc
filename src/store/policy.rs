//! What was last told of the policy, by whichever replica came first: the fingerprint in force, and the faults of a file
//! that is turned down. So a change is told once, however many replicas and restarts there are.

use serde_json::{Value, json};

use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::event::{Event, EventKind};
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::Store;
use crate::store::audit::rows;
use crate::store::events::feed;
use crate::store::sql::db::{Tx, sql};
use crate::store::sql::error::corrupt;

const IN_FORCE: &str = "policy";
const REJECTED: &str = "policy_rejected";

impl Store {
    /// The policy with this fingerprint is in force. Told by an event and an audit row when it was another one, to
    /// whichever replica, that was told of last; the one before, if this told it. The very first is only written down.
    /// `mended` are the faults (see [`Store::record_policy_rejected`]) that this replica has turned down until now.
    pub async fn record_policy_in_force(
        &self,
        fingerprint: &str,
        mended: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<String>, Error> {
        let mut tx = self.db.begin().await?;
        tx.execute(sql!(
            "DELETE FROM settings WHERE name = $1 AND value = $2",
            REJECTED,
            mended
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
            .ok_or_else(|| corrupt("the policy that was told of is gone", None))?
            .text("value")?;
        let moved = tx
            .execute(sql!(
                "UPDATE settings SET value = $1 WHERE name = $2 AND value <> $1",
                fingerprint,
                IN_FORCE
            ))
            .await?;
        if moved == 1 {
            let data = [("old", json!(known)), ("new", json!(fingerprint))];
            tell(
                &mut tx,
                now,
                (EventKind::PolicyChanged, Action::PolicyChange, "changed"),
                &data,
            )
            .await?;
        }
        tx.commit().await?;
        Ok((moved == 1).then_some(known))
    }

    /// The policy file is turned down, and the one with this fingerprint stays in force. Told as above, unless the same
    /// `digest` of faults was told last; whether this told it.
    pub async fn record_policy_rejected(
        &self,
        digest: &str,
        faults: &[String],
        in_force: &str,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let mut tx = self.db.begin().await?;
        let moved = tx
            .execute(sql!(
                "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE \
                    SET value = excluded.value WHERE settings.value <> excluded.value",
                REJECTED,
                digest
            ))
            .await?;
        if moved == 1 {
            let data = [("in_force", json!(in_force)), ("faults", json!(faults))];
            tell(
                &mut tx,
                now,
                (EventKind::PolicyRejected, Action::PolicyReject, "rejected"),
                &data,
            )
            .await?;
        }
        tx.commit().await?;
        Ok(moved == 1)
    }
}

async fn tell(
    tx: &mut Tx,
    now: Timestamp,
    (kind, action, outcome): (EventKind, Action, &str),
    data: &[(&str, Value)],
) -> Result<(), Error> {
    let mut event = Event::new(now, kind, None);
    for (name, value) in data {
        event = event.with(name, value.clone());
    }
    let row = AuditRow::new(now, Actor::desk(), action, outcome).detail(json!(event.data));
    feed::write(tx, &event).await?;
    rows::write(tx, &row).await
}
