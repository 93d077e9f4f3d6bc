//! Transfers numbers from team to team, and lets a team adopt an unassigned number.

use crate::domain::audit::AuditRow;
use crate::domain::decision::{Caps, Refusal, Usage};
use crate::domain::number::Number;
use crate::domain::team::Team;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::audit::rows;
use crate::store::handle::Store;
use crate::store::ledger::{self, Cap, Entered, Entry, Kind};
use crate::store::numbers::assign;
use crate::store::numbers::row::{SELECT, read};
use crate::store::sql::db::sql;
use crate::store::sql::error::corrupt;

/// The result of a transfer.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is matched where it is returned and kept nowhere"
)]
pub enum Transferred {
    /// The number belongs to the team.
    Done(Number),
    /// There is no such number any more.
    NotFound,
    /// The number is with another team than the caller knew; nothing changed.
    Moved,
    /// The number would exceed a cap of the receiving team; nothing changed.
    Capped {
        /// The kind of refusal.
        refusal: Refusal,
        /// The cap.
        cap: Cap,
        /// The receiving team's usage without this number.
        usage: Usage,
    },
}

impl Store {
    /// Transfers the number from the team that had it when `known` was read, within the caps of the receiving team.
    ///
    /// The caller's permission depends on that team. A number that is with another one by now stays there, but one that
    /// the receiving team already has is done. The transfer cancels a release that the previous team had
    /// scheduled; the audit row then contains its time.
    pub async fn transfer(
        &self,
        known: &Number,
        to: &Team,
        caps: &Caps,
        now: Timestamp,
        audit: &AuditRow,
    ) -> Result<Transferred, Error> {
        let id = &known.facts.id;
        let mut tx = self.db.begin().await?;
        let Some(before) = assign::assign(&mut tx, now, id, to, None).await? else {
            return Ok(Transferred::NotFound);
        };
        if before.gone {
            return Ok(Transferred::NotFound);
        }
        if before.team != known.team && before.team.as_ref() != Some(to) {
            return Ok(Transferred::Moved);
        }
        if before.team.as_ref() != Some(to) {
            let from = before.team.filter(|team| team != to);
            // Lock both usage rows, in the order of all transactions, before either changes.
            if let Some(from) = from.as_ref().filter(|from| *from < to) {
                ledger::lock(&mut tx, from, now, None).await?;
            }
            let usage = ledger::lock(&mut tx, to, now, None).await?;
            let entry = Entry::new(now, to, Kind::TransferIn)
                .number(id)
                .held(1, before.monthly);
            if let Entered::Capped(cap) = ledger::enter_within(&mut tx, entry, caps, &usage).await? {
                tx.rollback().await?;
                let refusal = cap.refusal();
                return Ok(Transferred::Capped { refusal, cap, usage });
            }
            if let Some(from) = from {
                let entry = Entry::new(now, &from, Kind::TransferOut)
                    .number(id)
                    .held(-1, -before.monthly);
                ledger::enter(&mut tx, vec![entry]).await?;
            }
        }
        let row = tx
            .row(sql!(format!("{SELECT} WHERE id = $1"), id.as_str()))
            .await?
            .ok_or_else(|| corrupt("a number's row is missing", None))?;
        let number = read(&row)?;
        let mut audit = audit.clone();
        if let (Some(release_at), Some(detail)) = (before.called_off, audit.detail.as_object_mut()) {
            detail.insert("release_called_off".to_owned(), release_at.to_string().into());
        }
        rows::write(&mut tx, &audit).await?;
        tx.commit().await?;
        Ok(Transferred::Done(number))
    }
}
