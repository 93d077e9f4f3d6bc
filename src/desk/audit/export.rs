//! Handing out the audit trail with its chain, as far as the caller reaches.

use crate::desk::{By, Desk};
use crate::domain::audit_chain::{Head, Link};
use crate::domain::caller::{Permission, Scope, Team};
use crate::error::Error;
use crate::store::{Period, Store};

/// Rows read at once.
const PAGE: u32 = 500;

/// An export under way: it ends where the chain ended when it began.
pub struct Export {
    store: Store,
    scope: Scope,
    period: Period,
    head: Head,
    /// The place of the last row that was handed out.
    at: i64,
}

impl Desk {
    /// Seals what is not sealed yet, and begins to hand out the rows in the order of the chain.
    pub async fn export_audit(
        &self,
        by: By<'_>,
        team: Option<&Team>,
        period: Period,
    ) -> Result<Export, Error> {
        let scope = by.caller.scope(team)?;
        by.caller.need(Permission::AuditRead)?;
        self.seal_in_turn().await?;
        let store = self.0.store.clone();
        let head = store
            .audit_head()
            .await?
            .ok_or_else(|| Error::Internal("the head of the audit chain is gone".into()))?;
        Ok(Export {
            store,
            scope,
            period,
            head,
            at: 0,
        })
    }
}

impl Export {
    /// The end of the chain when the export began.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The next rows; none at the end.
    pub async fn next(&mut self) -> Result<Vec<Link>, Error> {
        let page = self
            .store
            .chain_links(&self.scope, &self.period, self.at, self.head.seq, PAGE)
            .await?;
        if let Some(last) = page.last() {
            self.at = last.seq;
        }
        Ok(page)
    }
}
