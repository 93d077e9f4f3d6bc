//! Lists the audit trail.

use crate::desk::audit::Audit;
use crate::desk::context::CallContext;
use crate::domain::audit::AuditRow;
use crate::domain::caller::{Permission, Team};
use crate::domain::page::{Limit, Page};
use crate::error::Error;
use crate::store::AuditFilter;

impl Audit {
    /// A page of the audit trail, newest row first.
    pub async fn list(
        &self,
        ctx: CallContext<'_>,
        team: Option<&Team>,
        filter: &AuditFilter,
        limit: Limit,
        after: Option<&str>,
    ) -> Result<Page<AuditRow>, Error> {
        let scope = ctx.caller.scope(team)?;
        ctx.caller.need(Permission::AuditRead)?;
        self.core.store.audit(&scope, filter, limit, after).await
    }
}
