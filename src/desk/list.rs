//! Looking things up: orders, numbers and the audit trail, each only as far as the caller reaches. Numbers are read from
//! memory.

use std::sync::Arc;

use super::{AuditFilter, By, Desk, NumberFilter, OrderFilter};
use crate::domain::audit::AuditRow;
use crate::domain::caller::{Permission, Scope, Team};
use crate::domain::id::{NotAnId, OrderId, PhoneNumberId};
use crate::domain::number::Number;
use crate::domain::order::Order;
use crate::domain::page::{Limit, Page};
use crate::error::Error;
use crate::inventory::Snapshot;

/// An order with the number it led to.
#[derive(Debug, Clone)]
pub struct Placed {
    /// The order.
    pub order: Order,
    /// Its number, unless it has none or the team has it no more.
    pub number: Option<Arc<Number>>,
}

impl Desk {
    /// One order.
    pub async fn find_order(&self, by: By<'_>, id: &OrderId) -> Result<Placed, Error> {
        let placed = self.placed(&by.caller.scope(None)?, id).await?;
        by.caller.need(Permission::NumbersRead)?;
        Ok(placed)
    }

    /// Orders, newest first.
    pub async fn list_orders(
        &self,
        by: By<'_>,
        team: Option<&Team>,
        filter: &OrderFilter,
        limit: Limit,
        after: Option<&str>,
    ) -> Result<Page<Placed>, Error> {
        let scope = by.caller.scope(team)?;
        by.caller.need(Permission::NumbersRead)?;
        let page = self.0.store.orders(&scope, filter, limit, after).await?;
        let inventory = self.inventory_with(&page.rows).await?;
        let rows = page.rows.into_iter();
        Ok(Page {
            rows: rows.map(|order| with_number(order, &inventory)).collect(),
            next: page.next,
        })
    }

    /// One number.
    pub async fn find_number(&self, by: By<'_>, id: &PhoneNumberId) -> Result<Arc<Number>, Error> {
        let inventory = self.inventory().await?;
        let number = inventory
            .number(&by.caller.scope(None)?, id)
            .ok_or(Error::NotFound)?;
        by.caller.need(Permission::NumbersRead)?;
        Ok(number.clone())
    }

    /// Numbers, by id.
    pub async fn list_numbers(
        &self,
        by: By<'_>,
        team: Option<&Team>,
        filter: &NumberFilter,
        limit: Limit,
        after: Option<&str>,
    ) -> Result<Page<Arc<Number>>, Error> {
        let scope = by.caller.scope(team)?;
        by.caller.need(Permission::NumbersRead)?;
        let after = after
            .map(str::parse)
            .transpose()
            .map_err(|unread: NotAnId| Error::Internal(unread.into()))?;
        Ok(self
            .inventory()
            .await?
            .numbers(&scope, filter, limit, after.as_ref()))
    }

    /// Rows of the audit trail, newest first.
    pub async fn list_audit(
        &self,
        by: By<'_>,
        team: Option<&Team>,
        filter: &AuditFilter,
        limit: Limit,
        after: Option<&str>,
    ) -> Result<Page<AuditRow>, Error> {
        let scope = by.caller.scope(team)?;
        by.caller.need(Permission::AuditRead)?;
        self.0.store.audit(&scope, filter, limit, after).await
    }

    pub(super) async fn placed(&self, scope: &Scope, id: &OrderId) -> Result<Placed, Error> {
        let order = self.0.store.order(scope, id).await?.ok_or(Error::NotFound)?;
        let inventory = self.inventory_with(std::slice::from_ref(&order)).await?;
        Ok(with_number(order, &inventory))
    }

    /// All numbers, those of the orders among them: another replica may have brought one a moment ago, so that the order
    /// is here before the feed tells of it.
    async fn inventory_with(&self, orders: &[Order]) -> Result<Arc<Snapshot>, Error> {
        let inventory = self.inventory().await?;
        let missing: Vec<_> = orders
            .iter()
            .filter(|order| number_of(order, &inventory).is_none())
            .filter_map(|order| order.phone_number_id.clone())
            .collect();
        if missing.is_empty() {
            return Ok(inventory);
        }
        self.reload(missing).await
    }
}

fn with_number(order: Order, inventory: &Snapshot) -> Placed {
    Placed {
        number: number_of(&order, inventory),
        order,
    }
}

/// The number may have moved to another team since; then it is not this order's to show.
fn number_of(order: &Order, inventory: &Snapshot) -> Option<Arc<Number>> {
    let scope = Scope::Teams(vec![order.team.clone()]);
    inventory.number(&scope, order.phone_number_id.as_ref()?).cloned()
}
