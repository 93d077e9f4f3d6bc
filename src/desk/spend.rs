//! The cost of a month, for the teams that the caller may see.

use std::collections::BTreeMap;

use crate::desk::core::Core;
use crate::domain::authority::CallContext;
use crate::domain::month::Month;
use crate::domain::permission::needs;
use crate::domain::spend::{GroupBy, Spend};
use crate::domain::team::Team;
use crate::error::Error;

/// Numbers counted in one transaction: enough to be quick, few enough that others write in between.
const BATCH: u32 = 500;
/// Batches that a request counts at most before it reports the cost.
const BATCHES: u32 = 4;

/// Adds up the cost of a month.
#[derive(Clone)]
pub struct Spending {
    core: Core,
}

impl Spending {
    pub(in crate::desk) fn new(core: Core) -> Self {
        Self { core }
    }

    /// One step: counts all entries of the ledger that were not counted yet.
    ///
    /// Idempotent: any replica can run it at any time.
    pub async fn count(&self) -> Result<(), Error> {
        let mut last = None;
        loop {
            last = self.core.store.count_spend(last.as_deref(), BATCH).await?;
            if last.is_none() {
                return Ok(());
            }
        }
    }

    /// The cost of the month by team, country or ordering user.
    pub async fn of_month(
        &self,
        ctx: CallContext<'_, needs::SpendRead>,
        team: Option<&Team>,
        month: Month,
        group_by: GroupBy,
    ) -> Result<Spend, Error> {
        let authority = ctx.authorize(team)?;
        // A month in the future has no cost.
        let groups = if month.start() > self.core.now() {
            BTreeMap::new()
        } else {
            self.count_before_report().await?;
            self.core.store.spend(authority.scope(), month, group_by).await?
        };
        Ok(Spend {
            month,
            by: group_by,
            groups,
        })
    }

    /// Counts what was booked lately, so that the report has it.
    async fn count_before_report(&self) -> Result<(), Error> {
        let mut last = None;
        for _ in 0..BATCHES {
            last = self.core.store.count_spend(last.as_deref(), BATCH).await?;
            if last.is_none() {
                return Ok(());
            }
        }
        Err(Error::Busy {
            detail: "the service still adds up the entries of earlier months, which it does once after an upgrade",
        })
    }
}
