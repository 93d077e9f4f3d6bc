//! Looking things up: orders, numbers and the audit trail, each only as far as the caller reaches.

use super::{AuditFilter, By, Desk, NumberFilter, OrderFilter};
use crate::domain::audit::AuditRow;
use crate::domain::caller::{Permission, Scope, Team};
use crate::domain::id::{OrderId, PhoneNumberId};
use crate::domain::number::Number;
use crate::domain::order::Order;
use crate::domain::page::{Limit, Page};
use crate::error::Error;

/// An order with the number it led to.
#[derive(Debug, Clone)]
pub struct Placed {
    /// The order.
    pub order: Order,
    /// Its number, unless it has none or the team has it no more.
    pub number: Option<Number>,
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
        let mut rows = Vec::with_capacity(page.rows.len());
        for order in page.rows {
            rows.push(self.with_number(order).await?);
        }
        Ok(Page {
            rows,
            next: page.next,
        })
    }

    /// One number.
    pub async fn find_number(&self, by: By<'_>, id: &PhoneNumberId) -> Result<Number, Error> {
        let number = self.reach(by, id).await?;
        by.caller.need(Permission::NumbersRead)?;
        Ok(number)
    }

    /// Numbers, by id.
    pub async fn list_numbers(
        &self,
        by: By<'_>,
        team: Option<&Team>,
        filter: &NumberFilter,
        limit: Limit,
        after: Option<&str>,
    ) -> Result<Page<Number>, Error> {
        let scope = by.caller.scope(team)?;
        by.caller.need(Permission::NumbersRead)?;
        self.0.store.numbers(&scope, filter, limit, after).await
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
        self.with_number(order).await
    }

    async fn with_number(&self, order: Order) -> Result<Placed, Error> {
        // The number may have moved to another team since; then it is not this order's to show.
        let number = match &order.phone_number_id {
            Some(id) => {
                self.0
                    .store
                    .number(&Scope::Teams(vec![order.team.clone()]), id)
                    .await?
            }
            None => None,
        };
        Ok(Placed { order, number })
    }
}
