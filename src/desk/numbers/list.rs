//! Reads numbers from the inventory in memory.

use std::sync::Arc;

use crate::desk::context::CallContext;
use crate::desk::numbers::Numbers;
use crate::domain::caller::{Permission, Team};
use crate::domain::id::{NotAnId, PhoneNumberId};
use crate::domain::number::Number;
use crate::domain::page::{Limit, Page};
use crate::error::Error;
use crate::inventory::NumberFilter;

impl Numbers {
    /// One number.
    pub async fn find(&self, ctx: CallContext<'_>, id: &PhoneNumberId) -> Result<Arc<Number>, Error> {
        let inventory = self.cache.snapshot().await?;
        let number = inventory
            .number(&ctx.caller.scope(None)?, id)
            .ok_or(Error::NotFound)?;
        ctx.caller.need(Permission::NumbersRead)?;
        Ok(number.clone())
    }

    /// A page of numbers, by id.
    pub async fn list(
        &self,
        ctx: CallContext<'_>,
        team: Option<&Team>,
        filter: &NumberFilter,
        limit: Limit,
        after: Option<&str>,
    ) -> Result<Page<Arc<Number>>, Error> {
        let scope = ctx.caller.scope(team)?;
        ctx.caller.need(Permission::NumbersRead)?;
        let after = after
            .map(str::parse)
            .transpose()
            .map_err(|invalid: NotAnId| Error::Internal(invalid.into()))?;
        Ok(self
            .cache
            .snapshot()
            .await?
            .numbers(&scope, filter, limit, after.as_ref()))
    }
}
