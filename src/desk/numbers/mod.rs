//! Rented numbers: reading, changing, transferring and releasing them.

mod cancel_release;
mod list;
pub(in crate::desk) mod release;
mod transfer;
pub(in crate::desk) mod update;

use crate::desk::account::Account;
use crate::desk::context::CallContext;
use crate::desk::core::Core;
use crate::desk::number_cache::NumberCache;
use crate::domain::id::PhoneNumberId;
use crate::domain::number::Number;
use crate::error::Error;

/// Rented numbers.
#[derive(Clone)]
pub struct Numbers {
    core: Core,
    account: Account,
    cache: NumberCache,
}

impl Numbers {
    pub(in crate::desk) fn new(core: Core, account: Account, cache: NumberCache) -> Self {
        Self { core, account, cache }
    }

    /// Reads the number from the database. Fails with [`Error::NotFound`] outside the caller's scope.
    async fn find_in_scope(&self, ctx: CallContext<'_>, id: &PhoneNumberId) -> Result<Number, Error> {
        self.core
            .store
            .number(&ctx.caller.scope(None)?, id)
            .await?
            .ok_or(Error::NotFound)
    }
}
