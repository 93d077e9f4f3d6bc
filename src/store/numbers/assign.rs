//! Numbers of the inventory: read one by one, and handed from team to team. What Close says of them comes in by
//! `inventory`, how they are given back is `release`.

use crate::domain::audit::AuditRow;
use crate::domain::caller::{Scope, Team};
use crate::domain::decision::{Caps, Refusal, Usage};
use crate::domain::id::PhoneNumberId;
use crate::domain::number::Number;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::Store;
use crate::store::audit::rows;
use crate::store::ledger::{self, Cap, Entry, Kind};
use crate::store::numbers::upsert;
use crate::store::sql::db::sql;
use crate::store::sql::error::corrupt;
use crate::store::sql::row::Row;
use crate::store::sql::select::Select;

/// Ids in one statement.
const TOGETHER: usize = 500;

/// What became of a transfer.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is matched where it is returned and kept nowhere"
)]
pub enum Transferred {
    /// The number is the team's.
    Done(Number),
    /// There is no such number.
    NotFound,
    /// A cap of the receiving team is in the way; nothing changed.
    Capped {
        /// The family of rule.
        refusal: Refusal,
        /// Which cap.
        cap: Cap,
        /// What the receiving team has, without this number.
        usage: Usage,
    },
}

/// `SELECT` with all that makes a number and who asked for its release, and `$more` columns, to go on with `WHERE`.
macro_rules! select_number {
    ($more:literal, $rest:literal) => {
        concat!(
            "SELECT id, facts, team, order_id, monthly, as_of, releasing_at, release_at, release_issuer, \
                release_subject, origin",
            $more,
            " FROM numbers",
            $rest
        )
    };
}
pub(in crate::store) use select_number;

pub(in crate::store) const SELECT: &str = select_number!("", "");

impl Store {
    /// The number, if it is there for this scope. Gone ones are not, and orphans are for [`Scope::All`] alone.
    pub async fn number(&self, scope: &Scope, id: &PhoneNumberId) -> Result<Option<Number>, Error> {
        let mut select = Select::within(scope, SELECT);
        select.and_just("gone_at IS NULL");
        select.and("id = ?", id.as_str());
        let row = self.db.row(select.statement()).await?;
        row.as_ref().map(read).transpose()
    }

    /// Those of the numbers that are there, whoever has them.
    pub async fn numbers_by_id(&self, ids: &[PhoneNumberId]) -> Result<Vec<Number>, Error> {
        let mut found = Vec::new();
        for some in ids.chunks(TOGETHER) {
            let mut select = Select::within(&Scope::All, SELECT);
            select.and_just("gone_at IS NULL");
            select.and_one_of("id IN (?)", some.iter().map(PhoneNumberId::as_str));
            let rows = self.db.rows(select.statement()).await?;
            found.extend(rows.iter().map(read).collect::<Result<Vec<_>, _>>()?);
        }
        Ok(found)
    }

    /// Gives a number to a team, an orphan or another team's, if the receiving team's caps leave room: what it
    /// holds may grow by this number. A team that has it already keeps it. What the team before had scheduled for it
    /// is called off, and the audit row says so.
    pub async fn transfer(
        &self,
        id: &PhoneNumberId,
        to: &Team,
        caps: &Caps,
        now: Timestamp,
        audit: &AuditRow,
    ) -> Result<Transferred, Error> {
        let mut tx = self.db.begin().await?;
        let Some(given) = upsert::assign(&mut tx, now, id, to, None).await? else {
            return Ok(Transferred::NotFound);
        };
        if given.gone {
            return Ok(Transferred::NotFound);
        }
        if given.team.as_ref() != Some(to) {
            let from = given.team.filter(|team| team != to);
            // Both rows are locked in the order of all transactions before either changes.
            if let Some(from) = from.as_ref().filter(|from| *from < to) {
                ledger::lock(&mut tx, from, now, None).await?;
            }
            let usage = ledger::lock(&mut tx, to, now, None).await?;
            let entry = Entry::new(now, to, Kind::TransferIn)
                .number(id)
                .held(1, given.monthly);
            if let Err(cap) = ledger::enter_within(&mut tx, entry, caps, &usage).await? {
                tx.rollback().await?;
                let refusal = cap.refusal();
                return Ok(Transferred::Capped { refusal, cap, usage });
            }
            if let Some(from) = from {
                let entry = Entry::new(now, &from, Kind::TransferOut)
                    .number(id)
                    .held(-1, -given.monthly);
                ledger::enter(&mut tx, vec![entry]).await?;
            }
        }
        let row = tx
            .row(sql!(format!("{SELECT} WHERE id = $1"), id.as_str()))
            .await?
            .ok_or_else(|| corrupt("a number is gone from the inventory", None))?;
        let number = read(&row)?;
        let mut audit = audit.clone();
        if let (Some(release_at), Some(detail)) = (given.called_off, audit.detail.as_object_mut()) {
            detail.insert("release_called_off".to_owned(), release_at.to_string().into());
        }
        rows::write(&mut tx, &audit).await?;
        tx.commit().await?;
        Ok(Transferred::Done(number))
    }
}

/// A number from its row.
pub(in crate::store) fn read(row: &Row) -> Result<Number, Error> {
    Ok(Number {
        facts: row.json("facts")?,
        team: row.parsed_opt("team")?,
        order_id: row.parsed_opt("order_id")?,
        monthly: row.money("monthly")?,
        as_of: row.time("as_of")?,
        releasing: row.time_opt("releasing_at")?.is_some(),
        release_at: row.time_opt("release_at")?,
        provenance: row.json_opt("origin")?,
    })
}
