//! Whether the database accounts for calls that Close has logged.

use std::collections::BTreeSet;

use crate::domain::hold::CallKind;
use crate::domain::id::PhoneNumberId;
use crate::domain::order::Order;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::handle::Store;
use crate::store::orders::row::{read, select_order};
use crate::store::sql::db::{Statement, sql};

impl Store {
    /// Selects the numbers whose rent the database accounts for.
    ///
    /// An order or a team has such a number, or had it; an order is named by it; or a person has confirmed its rent. A
    /// number that a listing has added without any of these does not count.
    pub async fn known_rents(&self, ids: &[PhoneNumberId]) -> Result<BTreeSet<PhoneNumberId>, Error> {
        self.known(ids, |id| {
            sql!(
                "SELECT id FROM numbers WHERE id = $1 AND (team IS NOT NULL OR order_id IS NOT NULL) \
                 UNION ALL SELECT id FROM orders WHERE phone_number_id = $1 \
                 UNION ALL SELECT number_id FROM unknown_calls WHERE kind = $2 AND number_id = $1 \
                    AND confirmed_at IS NOT NULL",
                id.as_str(),
                CallKind::Rent.as_str()
            )
        })
        .await
    }

    /// Selects the numbers whose release somebody requested of the service, or has confirmed.
    pub async fn known_releases(&self, ids: &[PhoneNumberId]) -> Result<BTreeSet<PhoneNumberId>, Error> {
        self.known(ids, |id| {
            sql!(
                "SELECT id FROM audit WHERE phone_number_id = $1 AND action = 'number.release' \
                    AND outcome IN ('releasing', 'released') \
                 UNION ALL SELECT number_id FROM unknown_calls WHERE kind = $2 AND number_id = $1 \
                    AND confirmed_at IS NOT NULL",
                id.as_str(),
                CallKind::Release.as_str()
            )
        })
        .await
    }

    /// Orders whose outcome is or was in doubt, and that a rent since `since` may belong to, oldest send first.
    ///
    /// Those that are being sent, unverified or in review; and those that ended without a number, because a number of
    /// theirs may turn up late.
    pub async fn orders_in_doubt(&self, since: Timestamp) -> Result<Vec<Order>, Error> {
        let rows = self
            .db
            .rows(sql!(
                select_order!(
                    " WHERE state IN ('renting', 'unverified', 'needs_review') \
                        OR (state = 'refused' AND sent_at >= $1 AND NOT EXISTS \
                            (SELECT 1 FROM numbers n WHERE n.order_id = orders.id)) ORDER BY sent_at, id"
                ),
                since
            ))
            .await?;
        rows.iter().map(read).collect()
    }

    async fn known(
        &self,
        ids: &[PhoneNumberId],
        question: impl Fn(&PhoneNumberId) -> Statement,
    ) -> Result<BTreeSet<PhoneNumberId>, Error> {
        let mut known = BTreeSet::new();
        for id in ids {
            if self.db.row(question(id)).await?.is_some() {
                known.insert(id.clone());
            }
        }
        Ok(known)
    }
}
