//! Rented numbers: reading, changing, transferring and releasing them.

mod cancel_release;
mod list;
pub(in crate::desk) mod precondition;
pub(in crate::desk) mod release;
mod transfer;
pub(in crate::desk) mod update;

use crate::desk::account::Account;
use crate::desk::core::Core;
use crate::desk::hold::Holds;
use crate::desk::number_cache::NumberCache;
use crate::desk::number_claims::NumberClaims;
use crate::domain::authority::{Authority, CallContext};
use crate::domain::id::PhoneNumberId;
use crate::domain::number::Number;
use crate::domain::permission::needs;
use crate::error::Error;

/// Rented numbers.
#[derive(Clone)]
pub struct Numbers {
    core: Core,
    account: Account,
    cache: NumberCache,
    claims: NumberClaims,
    /// Nothing is released while one is in force.
    holds: Holds,
}

impl Numbers {
    pub(in crate::desk) fn new(
        core: Core,
        account: Account,
        cache: NumberCache,
        claims: NumberClaims,
        holds: Holds,
    ) -> Self {
        Self {
            core,
            account,
            cache,
            claims,
            holds,
        }
    }

    /// The number as the database has it, and the authority of the caller over it. A number outside the caller's scope does
    /// not exist.
    async fn find_authorized<'a, P: needs::Needs>(
        &self,
        ctx: CallContext<'a, P>,
        id: &PhoneNumberId,
    ) -> Result<(Number, Authority<'a, P>), Error> {
        let lookup = ctx.lookup();
        let number = self.core.store.number(lookup.scope(), id).await?;
        Ok(lookup.found(number)?)
    }
}
