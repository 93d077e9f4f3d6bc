//! Reads orders, each with the number that was rented for it.

use std::sync::Arc;

use crate::desk::orders::Orders;
use crate::desk::orders::order_with_number::{OrderWithNumber, RentedNumber};
use crate::domain::authority::{Authority, CallContext};
use crate::domain::id::{OrderId, PhoneNumberId};
use crate::domain::number::Number;
use crate::domain::order::Order;
use crate::domain::page::{Limit, Page};
use crate::domain::permission::needs;
use crate::domain::scope::Scope;
use crate::domain::team::Team;
use crate::error::Error;
use crate::inventory::Snapshot;
use crate::store::{NumberRecord, OrderFilter};

impl Orders {
    /// One order.
    pub async fn find(
        &self,
        ctx: CallContext<'_, needs::NumbersRead>,
        id: &OrderId,
    ) -> Result<OrderWithNumber, Error> {
        let (order, _) = self.find_authorized(ctx, id).await?;
        let mut found = self.join_number(order).await?;
        self.add_queue_status(std::slice::from_mut(&mut found)).await?;
        Ok(found)
    }

    /// A page of orders, newest first.
    pub async fn list(
        &self,
        ctx: CallContext<'_, needs::NumbersRead>,
        team: Option<&Team>,
        filter: &OrderFilter,
        limit: Limit,
        after: Option<&str>,
    ) -> Result<Page<OrderWithNumber>, Error> {
        let authority = ctx.authorize(team)?;
        let page = self
            .core
            .store
            .orders(authority.scope(), filter, limit, after)
            .await?;
        let mut rows = self.join_numbers(page.rows).await?;
        self.add_queue_status(&mut rows).await?;
        Ok(Page {
            rows,
            next: page.next,
        })
    }

    /// The order, and the authority of the caller over it. An order outside the caller's scope does not exist.
    pub(in crate::desk::orders) async fn find_authorized<'a, P: needs::Needs>(
        &self,
        ctx: CallContext<'a, P>,
        id: &OrderId,
    ) -> Result<(Order, Authority<'a, P>), Error> {
        let lookup = ctx.lookup();
        let order = self.core.store.order(lookup.scope(), id).await?;
        Ok(lookup.found(order)?)
    }

    /// The order with its number, if the scope covers it.
    pub(in crate::desk::orders) async fn with_number(
        &self,
        scope: &Scope,
        id: &OrderId,
    ) -> Result<OrderWithNumber, Error> {
        let order = self.core.store.order(scope, id).await?.ok_or(Error::NotFound)?;
        self.join_number(order).await
    }

    async fn join_number(&self, order: Order) -> Result<OrderWithNumber, Error> {
        let mut joined = self.join_numbers(vec![order]).await?;
        joined
            .pop()
            .ok_or_else(|| Error::Internal("an order was lost while it was joined".into()))
    }

    /// Adds to each order the number that was rented for it, also if the number was released.
    async fn join_numbers(&self, orders: Vec<Order>) -> Result<Vec<OrderWithNumber>, Error> {
        let mut inventory = self.cache.snapshot().await?;
        let missing: Vec<PhoneNumberId> = orders
            .iter()
            .filter(|order| number_of(order, &inventory).is_none())
            .filter_map(|order| order.phone_number_id.clone())
            .collect();
        let mut records = self.core.store.number_records(&missing).await?;
        // Another replica may have fulfilled an order a moment ago, before the event log reports its number here.
        let unknown: Vec<PhoneNumberId> = orders
            .iter()
            .filter_map(|order| record_of(order, &records))
            .filter(|record| record.gone_at.is_none())
            .map(|record| record.id.clone())
            .collect();
        if !unknown.is_empty() {
            inventory = self.cache.refresh(unknown).await?;
            // A number that was released in the meantime is in no snapshot any more.
            records = self.core.store.number_records(&missing).await?;
        }
        Ok(orders
            .into_iter()
            .map(|order| OrderWithNumber {
                number: number_of(&order, &inventory)
                    .map(RentedNumber::Held)
                    .or_else(|| released_number(&order, &records)),
                order,
                queue: None,
            })
            .collect())
    }
}

/// The number of the order, unless it has moved to another team: that team's number must not be shown.
fn number_of(order: &Order, inventory: &Snapshot) -> Option<Arc<Number>> {
    let scope = Scope::system("number of an order").only(std::slice::from_ref(&order.team));
    inventory.number(&scope, order.phone_number_id.as_ref()?).cloned()
}

/// The record of the order's number, unless it has moved to another team.
fn record_of<'a>(order: &Order, records: &'a [NumberRecord]) -> Option<&'a NumberRecord> {
    let id = order.phone_number_id.as_ref()?;
    records
        .iter()
        .find(|record| record.id == *id && record.team.as_ref() == Some(&order.team))
}

/// The number of the order if it is gone and did not move to another team before.
fn released_number(order: &Order, records: &[NumberRecord]) -> Option<RentedNumber> {
    let record = record_of(order, records)?;
    Some(RentedNumber::Released {
        id: record.id.clone(),
        number: record.number.clone(),
        released_at: record.gone_at?,
    })
}
