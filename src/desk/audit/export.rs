//! Exports the audit trail with its hash chain, for the teams that the caller may see.

use crate::desk::audit::Audit;
use crate::domain::audit_chain::{Head, Link};
use crate::domain::authority::CallContext;
use crate::domain::fair_pool::FairPermit;
use crate::domain::permission::needs;
use crate::domain::scope::Scope;
use crate::domain::team::Team;
use crate::error::Error;
use crate::store::{Period, Store};

/// Rows read in one query.
const PAGE: u32 = 500;

/// A running export. It ends at the row that was the head of the chain when it began.
pub struct Export {
    store: Store,
    scope: Scope,
    period: Period,
    head: Head,
    /// The sequence number of the last exported row.
    at: i64,
    /// The sequence number of the last row that can be in the period.
    last: i64,
    _permit: FairPermit,
}

impl Audit {
    /// Appends all waiting rows to the chain, and begins an export in the order of the chain, after this row.
    pub async fn export(
        &self,
        ctx: CallContext<'_, needs::AuditRead>,
        team: Option<&Team>,
        period: Period,
        after: i64,
    ) -> Result<Export, Error> {
        let authority = ctx.authorize(team)?;
        let permit = self.exports.take(ctx.caller, authority.scope())?;
        self.append_after_others().await?;
        let store = self.core.store.clone();
        let head = store
            .audit_head()
            .await?
            .ok_or_else(|| Error::Internal("the audit chain has no head".into()))?;
        let (at, last) = store.chain_bounds(&period, head.seq).await?;
        Ok(Export {
            store,
            scope: authority.scope().clone(),
            period,
            head,
            at: at.max(after),
            last,
            _permit: permit,
        })
    }
}

impl Export {
    /// The head of the chain when the export began.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The next rows. Empty at the end.
    pub async fn next(&mut self) -> Result<Vec<Link>, Error> {
        let page = self
            .store
            .chain_links(&self.scope, &self.period, self.at, self.last, PAGE)
            .await?;
        if let Some(last) = page.last() {
            self.at = last.seq;
        }
        Ok(page)
    }
}
