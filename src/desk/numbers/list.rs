//! Reads numbers from the inventory in memory.

use std::sync::Arc;

use crate::desk::numbers::Numbers;
use crate::domain::authority::CallContext;
use crate::domain::id::{NotAnId, PhoneNumberId};
use crate::domain::number::Number;
use crate::domain::page::{Limit, Page};
use crate::domain::permission::needs;
use crate::domain::team::Team;
use crate::error::Error;
use crate::inventory::NumberFilter;

impl Numbers {
    /// One number.
    pub async fn find(
        &self,
        ctx: CallContext<'_, needs::NumbersRead>,
        id: &PhoneNumberId,
    ) -> Result<Arc<Number>, Error> {
        let inventory = self.cache.snapshot().await?;
        let lookup = ctx.lookup();
        let number = inventory.number(lookup.scope(), id).cloned();
        Ok(lookup.found(number)?.0)
    }

    /// A page of numbers, by id.
    pub async fn list(
        &self,
        ctx: CallContext<'_, needs::NumbersRead>,
        team: Option<&Team>,
        filter: &NumberFilter,
        limit: Limit,
        after: Option<&str>,
    ) -> Result<Page<Arc<Number>>, Error> {
        let authority = ctx.authorize(team)?;
        let after = after
            .map(str::parse)
            .transpose()
            .map_err(|invalid: NotAnId| Error::Internal(invalid.into()))?;
        Ok(self
            .cache
            .snapshot()
            .await?
            .numbers(authority.scope(), filter, limit, after.as_ref()))
    }
}
