//! Where numbers come from that no order accounts for, as Close's event log tells: for who decides about them.

use std::time::Duration;

use crate::close::Trouble;
use crate::desk::{Desk, troubled};
use crate::domain::number::Provenance;
use crate::error::Error;

/// Numbers that are asked about in one step.
const BATCH: u32 = 20;
/// How long the log is left alone after it was refused.
const REFUSED: Duration = Duration::from_mins(15);
/// As long as Close keeps its event log, and a day.
const MEMORY: Duration = Duration::from_hours(31 * 24);
/// How long the log may lag behind.
const LAG: Duration = Duration::from_mins(5);

impl Desk {
    /// One step: may be run at any time, by any replica, any number of times.
    pub async fn explain_orphans(&self) -> Result<(), Error> {
        let now = self.now();
        if self.0.log_refused.hold(now) {
            return Ok(());
        }
        let mut last = Ok(());
        for number in self.0.store.numbers_without_provenance(BATCH).await? {
            let facts = &number.facts;
            let age = facts.created_at.map(|created| now.since(created));
            // The log remembers nothing of it.
            let forgotten = age.is_some_and(|age| age > MEMORY);
            let creation = if forgotten {
                None
            } else {
                match self.0.close.creation_of(&facts.id).await {
                    Ok(creation) => creation,
                    Err(trouble @ Trouble::Refused { .. }) => {
                        tracing::warn!(%trouble, "Close does not show its event log to this key: where orphans come from is not known");
                        self.0.log_refused.until(now.plus(REFUSED));
                        return Ok(());
                    }
                    // One that the log does not show must not hide the others.
                    Err(trouble) => {
                        last = Err(troubled(trouble));
                        continue;
                    }
                }
            };
            // It may be told later.
            if creation.is_none() && age.is_some_and(|age| age < LAG) {
                continue;
            }
            let provenance = creation.map_or_else(Provenance::default, |creation| Provenance {
                at: Some(creation.at),
                user_id: creation.user,
                api_key_id: creation.api_key,
                by_renting: creation.by_renting,
            });
            self.0.store.set_provenance(&facts.id, &provenance, now).await?;
        }
        last
    }
}
