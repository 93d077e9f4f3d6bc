//! Reads orders: one by id or key, and pages of a list.

use crate::domain::id::OrderId;
use crate::domain::order::{IdempotencyKey, Order, State};
use crate::domain::page::{Limit, Page};
use crate::domain::scope::Scope;
use crate::domain::team::Team;
use crate::error::Error;
use crate::store::handle::Store;
use crate::store::orders::row::{by_key, read, select_order};
use crate::store::sql::select::Select;

/// Filters of the order list; `None` does not filter. The scope selects the teams.
#[derive(Debug, Clone, Default)]
pub struct OrderFilter {
    /// Only orders in this state.
    pub state: Option<State>,
    /// Only the order with this key.
    pub idempotency_key: Option<IdempotencyKey>,
}

impl Store {
    /// The order with this idempotency key of the team, and the fingerprint of its request.
    pub async fn order_by_key(
        &self,
        team: &Team,
        key: &IdempotencyKey,
    ) -> Result<Option<(Order, String)>, Error> {
        let row = self.db.row(by_key(team, key)).await?;
        row.map(|row| Ok((read(&row)?, row.text("fingerprint")?)))
            .transpose()
    }

    /// The order, if it exists in this scope.
    pub async fn order(&self, scope: &Scope, id: &OrderId) -> Result<Option<Order>, Error> {
        let mut select = Select::within(scope, select_order!(""));
        select.and("id = ?", id.as_str());
        let row = self.db.row(select.statement()).await?;
        row.as_ref().map(read).transpose()
    }

    /// A page of orders, newest first.
    pub async fn orders(
        &self,
        scope: &Scope,
        filter: &OrderFilter,
        limit: Limit,
        after: Option<&str>,
    ) -> Result<Page<Order>, Error> {
        let mut select = Select::within(scope, select_order!(""));
        select.and_some("state = ?", filter.state.map(State::as_str));
        select.and_some(
            "idempotency_key = ?",
            filter.idempotency_key.as_ref().map(IdempotencyKey::as_str),
        );
        select.page(&self.db, limit, after, read).await
    }
}
