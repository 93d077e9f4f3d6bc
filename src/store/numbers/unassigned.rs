//! Numbers that no order accounts for: their provenance, and the order that they may belong to.

use crate::domain::audit::AuditRow;
use crate::domain::country::Country;
use crate::domain::event::Event;
use crate::domain::event_data::PhoneNumberData;
use crate::domain::event_kind::EventKind;
use crate::domain::id::{OrderId, PhoneNumberId};
use crate::domain::number::{Number, Provenance};
use crate::domain::phone::main_country;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::audit::rows;
use crate::store::events::write;
use crate::store::handle::Store;
use crate::store::numbers::row::{read, select_number};
use crate::store::numbers::upsert::{self, Observation};
use crate::store::sql::db::sql;
use crate::store::sql::row;

/// A number that no order accounts for.
#[derive(Debug, Clone, PartialEq)]
pub struct UnassignedNumber {
    /// The number.
    pub number: Number,
    /// When the service first saw the number.
    pub seen_at: Timestamp,
    /// How many claims its lane had counted then; `None`: unknown.
    pub seen_turn: Option<i64>,
}

impl UnassignedNumber {
    /// Whether the number can be the result of a claim in this turn: not if it was seen before the claim.
    pub fn can_be_of_turn(&self, turn: Option<i64>) -> bool {
        match (turn, self.seen_turn) {
            (Some(turn), Some(seen)) => turn <= seen,
            _ => true,
        }
    }
}

impl Store {
    /// Rented numbers without an order that were first seen at `since` or later.
    ///
    /// [`Facts::rented`](crate::domain::number::Facts::rented) decides which numbers are rented.
    ///
    /// Their country is `country`, the main country of its calling code, or unknown. Numbers that are gone again and
    /// numbers that a team adopted are included, because Close rented them too. For reconciliation only, which must see
    /// the numbers of every team.
    pub async fn unassigned_numbers(
        &self,
        country: Country,
        since: Timestamp,
    ) -> Result<Vec<UnassignedNumber>, Error> {
        let rows = self
            .db
            .rows(sql!(
                select_number!(
                    ", seen_at, seen_turn",
                    " WHERE order_id IS NULL AND kind NOT IN ('external', 'virtual') \
                        AND (country IN ($1, $2) OR country IS NULL) AND seen_at >= $3 ORDER BY id"
                ),
                country.as_str(),
                main_country(country).as_str(),
                since
            ))
            .await?;
        rows.iter()
            .map(|row| {
                Ok(UnassignedNumber {
                    number: read(row)?,
                    seen_at: row.time("seen_at")?,
                    seen_turn: row.int_opt("seen_turn")?,
                })
            })
            .collect()
    }

    /// Unassigned numbers whose provenance has not been looked up yet, by id; only those after `after`, if given.
    pub async fn numbers_without_provenance(
        &self,
        after: Option<&PhoneNumberId>,
        limit: u32,
    ) -> Result<Vec<Number>, Error> {
        let rows = self
            .db
            .rows(sql!(
                select_number!(
                    "",
                    " WHERE origin IS NULL AND team IS NULL AND order_id IS NULL AND gone_at IS NULL \
                        AND id > $2 ORDER BY id LIMIT $1"
                ),
                i64::from(limit),
                after.map_or("", PhoneNumberId::as_str)
            ))
            .await?;
        rows.iter().map(read).collect()
    }

    /// Records the provenance of an unassigned number, once.
    pub async fn set_provenance(
        &self,
        id: &PhoneNumberId,
        provenance: &Provenance,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        let row = tx
            .row(sql!(
                "UPDATE numbers SET origin = $2 WHERE id = $1 AND origin IS NULL AND team IS NULL \
                    AND gone_at IS NULL RETURNING facts",
                id.as_str(),
                row::json(provenance)?
            ))
            .await?;
        if let Some(row) = row {
            let facts = row.json("facts")?;
            let data = PhoneNumberData {
                provenance: Some(provenance),
                ..PhoneNumberData::new(&facts)
            };
            let event = Event::of_number(now, EventKind::NumberUpdated, None, &data);
            write::event(&mut tx, &event).await?;
        }
        tx.commit().await
    }

    /// Inserts numbers that Close mentions outside a listing, if they are unknown.
    ///
    /// Known numbers and tombstones stay as they are.
    pub async fn insert_if_unknown(&self, seen: &[Observation]) -> Result<(), Error> {
        // By id, as all transactions lock numbers.
        let mut seen: Vec<_> = seen.iter().collect();
        seen.sort_by(|one, other| one.facts.id.cmp(&other.facts.id));
        let mut tx = self.db.begin().await?;
        for one in seen {
            upsert::insert_if_unknown(&mut tx, one).await?;
        }
        tx.commit().await
    }

    /// Links an unassigned number to the order that it arrived too late for.
    ///
    /// Returns `false`, and changes nothing, when the number has a team or an order. The caller makes sure that the number
    /// belongs to no other order.
    pub async fn record_late_arrival(
        &self,
        id: &PhoneNumberId,
        order: &OrderId,
        audit: &AuditRow,
    ) -> Result<bool, Error> {
        let mut tx = self.db.begin().await?;
        let named = tx
            .row(sql!(
                "UPDATE numbers SET order_id = $2 WHERE id = $1 AND team IS NULL AND order_id IS NULL \
                 RETURNING facts",
                id.as_str(),
                order.as_str()
            ))
            .await?;
        let Some(row) = named else {
            return Ok(false);
        };
        rows::write(&mut tx, audit).await?;
        let facts = row.json("facts")?;
        let data = PhoneNumberData {
            order_id: Some(order),
            ..PhoneNumberData::new(&facts)
        };
        let event = Event::of_number(audit.at, EventKind::NumberUpdated, None, &data);
        write::event(&mut tx, &event).await?;
        tx.commit().await?;
        Ok(true)
    }
}
