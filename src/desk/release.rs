//! Releasing a number: the mark is durable before Close is told, so that a release is finished whatever happens.

use serde_json::json;

use super::{By, Desk, unavailable};
use crate::close::ReleaseAnswer;
use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::caller::{Permission, Scope};
use crate::domain::id::PhoneNumberId;
use crate::error::Error;
use crate::store::Marked;

/// How a release stands when the caller is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released {
    /// Close has released it.
    Done,
    /// Nobody knows yet; the desk goes on until it is.
    Pending,
}

/// Releases taken up in one step.
const BATCH: u32 = 16;

impl Desk {
    /// Gives the number back to Close. The work outlives the request.
    pub async fn release(&self, by: By<'_>, id: &PhoneNumberId) -> Result<Released, Error> {
        let number = self.reach(by, id).await?;
        by.caller.need(Permission::NumbersRelease)?;
        let mark = by
            .row(self.now(), Action::NumberRelease, "releasing")
            .team(number.team.as_ref())
            .number(id);
        let (desk, id, scope) = (self.clone(), id.clone(), by.caller.scope(None)?);
        self.outlive(async move { desk.mark_and_release(&scope, &id, mark).await })
            .await
    }

    /// One step: ends releases whose outcome is not known. Sending one again is safe: what is gone is gone.
    pub async fn finish_releases(&self) -> Result<(), Error> {
        let long_ago = self.now().minus(self.0.settings.deadline * 2);
        for id in self.0.store.releasing_ids(long_ago, BATCH).await? {
            let mark =
                AuditRow::new(self.now(), Actor::desk(), Action::NumberRelease, "releasing").number(&id);
            match self.mark_and_release(&Scope::All, &id, mark).await {
                Ok(_) | Err(Error::NotFound | Error::CloseRefused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn mark_and_release(
        &self,
        scope: &Scope,
        id: &PhoneNumberId,
        mark: AuditRow,
    ) -> Result<Released, Error> {
        let again = match self.0.store.releasing(scope, id, &mark).await? {
            Marked::NotFound => return Err(Error::NotFound),
            Marked::First => false,
            Marked::Again => true,
        };
        let failed = match self.0.close.release(id).await {
            ReleaseAnswer::Released | ReleaseAnswer::AlreadyGone => {
                let now = self.now();
                return match self.0.store.gone(id, now, &mark.then(now, "released")).await {
                    Ok(_) => Ok(Released::Done),
                    // Close has released it; the mark stays until that can be written.
                    Err(error) => {
                        tracing::error!(number = %id, error = &error as &dyn std::error::Error, "a release can't be written yet");
                        Ok(Released::Pending)
                    }
                };
            }
            ReleaseAnswer::Unknown { reason } => {
                tracing::warn!(number = %id, reason, "nobody knows whether Close released the number");
                return Ok(Released::Pending);
            }
            ReleaseAnswer::Refused {
                close_status,
                reason,
                close_errors,
                ..
            } => Error::CloseRefused {
                close_status,
                message: reason,
                errors: close_errors,
            },
            // This attempt did nothing, but an earlier one may have.
            _ if again => return Ok(Released::Pending),
            ReleaseAnswer::NotSent { reason } => unavailable(reason),
            ReleaseAnswer::RateLimited { .. } => unavailable("Close's rate limit is used up"),
            ReleaseAnswer::Unauthorized => unavailable("Close does not accept the API key"),
        };
        let row = mark
            .then(self.now(), "kept")
            .detail(json!({ "close": failed.to_string() }));
        self.0.store.kept(id, &row).await?;
        Err(failed)
    }
}
