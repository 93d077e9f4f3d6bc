//! Finds records of Close that can't be read and may be the number of an order: they hide whether Close rented one.
//!
//! Such a record is no evidence for a number, but while it is there a listing does not prove that there is none. It
//! does not matter if it is older than the order, known as another number, or of another country.

use crate::desk::account::MEASURED_SKEW;
use crate::desk::orders::Orders;
use crate::desk::orders::evidence::{CloseView, first_send};
use crate::desk::orders::origin::Origin;
use crate::desk::orders::verdict::Obscuring;
use crate::domain::id::PhoneNumberId;
use crate::domain::odd_record::OddRecord;
use crate::domain::order::Order;
use crate::domain::phone::main_country;
use crate::domain::time::Timestamp;
use crate::error::Error;

impl Orders {
    /// The records of the listing that may be the number of one of these interchangeable orders.
    pub(in crate::desk::orders) async fn obscuring(
        &self,
        orders: &[Order],
        view: &CloseView,
    ) -> Result<Vec<Obscuring>, Error> {
        let (Some(first), Some(sent)) = (orders.first(), first_send(orders)) else {
            return Ok(Vec::new());
        };
        let mut possible: Vec<OddRecord> = view
            .odd
            .iter()
            .filter(|record| Self::could_be_number_of(first, sent, record))
            .filter(|record| {
                let origin = record.number.as_ref().map(|id| view.origins.of(id));
                origin != Some(Origin::Other)
            })
            .cloned()
            .collect();
        // A number that the inventory has is a candidate, or belongs to somebody.
        let ids: Vec<PhoneNumberId> = possible
            .iter()
            .filter_map(|record| record.number.clone())
            .collect();
        let known: Vec<PhoneNumberId> = self
            .core
            .store
            .number_records(&ids)
            .await?
            .into_iter()
            .map(|record| record.id)
            .collect();
        possible.retain(|record| record.number.as_ref().is_none_or(|id| !known.contains(id)));
        self.unless_older(&possible, sent, view.as_of).await
    }

    /// The records that were not known before `sent`, each with the time since when it is known, by Close's clock.
    pub(in crate::desk::orders) async fn unless_older(
        &self,
        records: &[OddRecord],
        sent: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<Obscuring>, Error> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let known = self.core.store.known_odd_records().await?;
        let since = |record: &OddRecord| {
            let same = known
                .iter()
                .find(|one| one.kind == record.kind && one.name == record.name);
            same.map(|one| one.first_seen_at)
        };
        Ok(records
            .iter()
            .filter(|record| since(record).is_none_or(|since| since.plus(MEASURED_SKEW) >= sent))
            .map(|record| Obscuring {
                name: record.name.clone(),
                seen_at: since(record).unwrap_or(now),
            })
            .collect())
    }

    /// Whether the record may be a number that Close rented for a call of this order at the time `sent`.
    fn could_be_number_of(order: &Order, sent: Timestamp, record: &OddRecord) -> bool {
        let country = order.request.country;
        let of_country = record
            .country
            .is_none_or(|listed| listed == country || listed == main_country(country));
        let in_time = record.created_at.is_none_or(|created| created >= sent);
        record.rented && of_country && in_time
    }
}
