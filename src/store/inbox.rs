//! The inbox: what Close told of, durable before Close is answered, each notice once; and the errands that come of it.
//! A notice says what to ask Close about and is believed in nothing else.

use crate::domain::notice::{Notice, Object};
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::Store;
use crate::store::db::{Tx, sql};

impl Store {
    /// Takes notices in, in one transaction, and makes an errand of each that is new and of an object the desk follows;
    /// which of them are new. On disk when this returns.
    pub async fn take_in(&self, notices: &[Notice], now: Timestamp) -> Result<Vec<bool>, Error> {
        // In the order of all who write here, so that none waits for another in a circle.
        let mut order: Vec<usize> = (0..notices.len()).collect();
        order.sort_by_key(|at| (&notices[*at].event_id, notices[*at].updated));
        let mut fresh = vec![false; notices.len()];
        let mut tx = self.db.begin().await?;
        for at in order {
            fresh[at] = note(&mut tx, &notices[at], now).await?;
        }
        let mut errands: Vec<(Object, &Notice)> = notices
            .iter()
            .zip(&fresh)
            .filter(|(_, fresh)| **fresh)
            .filter_map(|(notice, _)| Some((notice.object()?, notice)))
            .collect();
        errands.sort_by(|one, other| one.0.as_str().cmp(other.0.as_str()));
        for (object, notice) in errands {
            ask(&mut tx, &object, notice, now).await?;
        }
        tx.commit().await?;
        Ok(fresh)
    }

    /// Forgets notices that were taken in before `before`, `limit` at most; how many.
    pub async fn forget_notices(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        let mut tx = self.db.begin().await?;
        let gone = tx
            .execute(sql!(
                "DELETE FROM inbox WHERE (event_id, version) IN \
                    (SELECT event_id, version FROM inbox WHERE received_at < $1 ORDER BY received_at LIMIT $2)",
                before,
                i64::from(limit)
            ))
            .await?;
        tx.commit().await?;
        Ok(gone)
    }
}

/// Whether the notice is new. One that names no event can't be told from another and is always taken for new.
async fn note(tx: &mut Tx, notice: &Notice, now: Timestamp) -> Result<bool, Error> {
    let Some(event) = &notice.event_id else {
        return Ok(true);
    };
    let version = notice.updated.map_or(0, Timestamp::as_micros);
    let inserted = tx
        .execute(sql!(
            "INSERT INTO inbox (event_id, version, received_at) VALUES ($1, $2, $3) \
             ON CONFLICT (event_id, version) DO NOTHING",
            event.as_str(),
            version,
            now
        ))
        .await?;
    Ok(inserted == 1)
}

/// What is gone does not come back, whatever is told of it late.
async fn ask(tx: &mut Tx, object: &Object, notice: &Notice, now: Timestamp) -> Result<(), Error> {
    tx.execute(sql!(
        "INSERT INTO errands (object_id, notices, told_at, due_at, tries, gone, version_at) \
         VALUES ($1, 1, $2, $2, 0, $3, $4) ON CONFLICT (object_id) DO UPDATE SET \
            notices = errands.notices + 1, told_at = excluded.told_at, due_at = excluded.due_at, tries = 0, \
            gone = CASE WHEN errands.gone > excluded.gone THEN errands.gone ELSE excluded.gone END, version_at = CASE WHEN errands.version_at > COALESCE(excluded.version_at, 0) \
                THEN errands.version_at ELSE excluded.version_at END",
        object.as_str(),
        now,
        notice.gone(),
        notice.data_updated,
    ))
    .await
    .map(drop)
}
