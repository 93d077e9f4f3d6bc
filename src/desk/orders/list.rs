//! Reads orders, each with the number that was rented for it.

use std::sync::Arc;

use crate::desk::orders::Orders;
use crate::domain::authority::{Authority, CallContext};
use crate::domain::id::OrderId;
use crate::domain::number::Number;
use crate::domain::order::Order;
use crate::domain::page::{Limit, Page};
use crate::domain::permission::needs;
use crate::domain::scope::Scope;
use crate::domain::team::Team;
use crate::error::Error;
use crate::inventory::Snapshot;
use crate::store::OrderFilter;

/// An order with the number that was rented for it.
#[derive(Debug, Clone)]
pub struct OrderWithNumber {
    /// The order.
    pub order: Order,
    /// Its number. `None`: it has none, or its team no longer has the number.
    pub number: Option<Arc<Number>>,
}

impl Orders {
    /// One order.
    pub async fn find(
        &self,
        ctx: CallContext<'_, needs::NumbersRead>,
        id: &OrderId,
    ) -> Result<OrderWithNumber, Error> {
        let (order, _) = self.find_authorized(ctx, id).await?;
        let inventory = self.snapshot_with(std::slice::from_ref(&order)).await?;
        Ok(join_number(order, &inventory))
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
        let inventory = self.snapshot_with(&page.rows).await?;
        let rows = page.rows.into_iter();
        Ok(Page {
            rows: rows.map(|order| join_number(order, &inventory)).collect(),
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
        let inventory = self.snapshot_with(std::slice::from_ref(&order)).await?;
        Ok(join_number(order, &inventory))
    }

    /// All numbers, including those of the orders.
    ///
    /// Another replica may have fulfilled an order a moment ago, before the event log reports its number here.
    async fn snapshot_with(&self, orders: &[Order]) -> Result<Arc<Snapshot>, Error> {
        let inventory = self.cache.snapshot().await?;
        let missing: Vec<_> = orders
            .iter()
            .filter(|order| number_of(order, &inventory).is_none())
            .filter_map(|order| order.phone_number_id.clone())
            .collect();
        if missing.is_empty() {
            return Ok(inventory);
        }
        self.cache.refresh(missing).await
    }
}

fn join_number(order: Order, inventory: &Snapshot) -> OrderWithNumber {
    OrderWithNumber {
        number: number_of(&order, inventory),
        order,
    }
}

/// The number of the order, unless it has moved to another team: that team's number must not be shown.
fn number_of(order: &Order, inventory: &Snapshot) -> Option<Arc<Number>> {
    let scope = Scope::system("number of an order").only(std::slice::from_ref(&order.team));
    inventory.number(&scope, order.phone_number_id.as_ref()?).cloned()
}
