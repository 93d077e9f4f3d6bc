//! Withdrawing an order of which nothing has been sent.

use crate::desk::{By, Desk, Placed};
use crate::domain::audit::Action;
use crate::domain::caller::{Permission, Scope};
use crate::domain::id::OrderId;
use crate::domain::order::transition::WrongState;
use crate::error::Error;

impl Desk {
    /// Cancels an order that is queued or awaits approval, and gives its reservation back.
    pub async fn cancel(&self, by: By<'_>, id: &OrderId) -> Result<Placed, Error> {
        let scope = by.caller.scope(None)?;
        let order = self.0.store.order(&scope, id).await?.ok_or(Error::NotFound)?;
        by.caller.need(Permission::NumbersRent)?;
        let now = self.now();
        let team = order.team.clone();
        let order = order
            .cancelled(now)
            .map_err(|WrongState(state)| Error::OrderNotCancellable { state })?;
        let row = by
            .row(now, Action::OrderCancel, "cancelled")
            .team(Some(&team))
            .order(id);
        let done = self.0.store.cancel_order(&order, &row).await?;
        let placed = self.placed(&Scope::Teams(vec![team]), id).await?;
        if !done {
            // It was sent between the look and the write.
            return Err(Error::OrderNotCancellable {
                state: placed.order.state,
            });
        }
        let _ = self.0.changed.send(id.clone());
        Ok(placed)
    }
}
