//! Lists the audit trail.

use crate::desk::audit::Audit;
use crate::domain::audit::AuditRow;
use crate::domain::authority::CallContext;
use crate::domain::page::{Limit, Page};
use crate::domain::permission::needs;
use crate::domain::team::Team;
use crate::error::Error;
use crate::store::AuditFilter;

impl Audit {
    /// A page of the audit trail, newest row first.
    pub async fn list(
        &self,
        ctx: CallContext<'_, needs::AuditRead>,
        team: Option<&Team>,
        filter: &AuditFilter,
        limit: Limit,
        after: Option<&str>,
    ) -> Result<Page<AuditRow>, Error> {
        let authority = ctx.authorize(team)?;
        self.core
            .store
            .audit(authority.scope(), filter, limit, after)
            .await
    }
}
