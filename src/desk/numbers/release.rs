//! Releasing a number: at once, or when its team's undo window is over. The mark is durable before Close is told, so
//! that a release is finished whatever happens; until Close has released it for certain, the number is its team's.

use std::time::Duration;

use serde_json::json;

use crate::close::{KeyInUse, ReleaseAnswer};
use crate::desk::{By, Desk, unavailable};
use crate::domain::audit::{Action, AuditRow};
use crate::domain::caller::Permission;
use crate::domain::id::PhoneNumberId;
use crate::domain::number::Number;
use crate::domain::time::Timestamp;
use crate::error::{Error, chain};
use crate::failpoint;

/// How a release stands when the caller is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released {
    /// Close has released it.
    Done,
    /// Nobody knows yet; the desk goes on until it is.
    Pending,
    /// Close is asked then, unless somebody keeps the number.
    Scheduled(Timestamp),
}

/// Releases taken up in one step.
const BATCH: u32 = 16;

/// After Close was not reached for a release that was due.
const AGAIN: Duration = Duration::from_mins(5);

impl Desk {
    /// Gives the number back to Close, or schedules that where the team's policy has an undo window: once, however
    /// often it is asked for, and whatever becomes of the policy meanwhile. The work outlives the request.
    pub async fn release(&self, by: By<'_>, id: &PhoneNumberId) -> Result<Released, Error> {
        loop {
            let number = self.reach(by, id).await?;
            by.caller.need(Permission::NumbersRelease)?;
            if let (Some(at), false) = (number.release_at, number.releasing) {
                return Ok(Released::Scheduled(at));
            }
            let now = self.now();
            let row = |outcome| {
                by.row(now, Action::NumberRelease, outcome)
                    .team(number.team.as_ref())
                    .number(id)
            };
            let outcome = if let Some(delay) = self.window(&number) {
                let at = now.plus(delay);
                let row = row("scheduled").detail(json!({ "release_at": at }));
                let done = self.0.store.schedule_release(&number, at, &row).await?;
                done.then_some(Released::Scheduled(at))
            } else {
                let (desk, mark) = (self.clone(), row("releasing"));
                self.outlive(async move { desk.mark_and_release(&number, mark).await })
                    .await?
            };
            // Otherwise somebody was quicker: as it is now, something else may be right.
            if let Some(outcome) = outcome {
                return Ok(outcome);
            }
        }
    }

    /// One step: sends the scheduled releases that are due. Each is sent by one replica.
    pub async fn release_due(&self) -> Result<(), Error> {
        let now = self.now();
        for (number, asked) in self.0.store.due_releases(now, BATCH).await? {
            let mark = AuditRow::new(self.now(), asked, Action::NumberRelease, "releasing")
                .detail(json!({ "release_at": number.release_at }));
            self.take_up(&number, mark).await?;
        }
        Ok(())
    }

    /// One step: ends releases whose outcome is not known. Sending one again is safe: what is gone is gone.
    pub async fn finish_releases(&self) -> Result<(), Error> {
        let long_ago = self.now().minus(self.0.settings.deadline * 2);
        for (number, asked) in self.0.store.unfinished_releases(long_ago, BATCH).await? {
            let mark = AuditRow::new(self.now(), asked, Action::NumberRelease, "releasing");
            self.take_up(&number, mark).await?;
        }
        Ok(())
    }

    /// How long a release of the number can be called off. An orphan is nobody's to keep.
    fn window(&self, number: &Number) -> Option<Duration> {
        if number.releasing {
            return None;
        }
        self.0.policy.load().release_delay(number.team.as_ref()?)
    }

    async fn take_up(&self, number: &Number, mark: AuditRow) -> Result<(), Error> {
        let mark = mark.team(number.team.as_ref()).number(&number.facts.id);
        match self.mark_and_release(number, mark).await {
            Ok(_) | Err(Error::CloseRefused { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// `None`: the number is not as it was known any more, and nothing was sent.
    async fn mark_and_release(&self, number: &Number, mark: AuditRow) -> Result<Option<Released>, Error> {
        if !self.0.store.mark_releasing(number, &mark).await? {
            return Ok(None);
        }
        failpoint::reached("release.marked");
        let id = &number.facts.id;
        let key = self.0.close.key();
        let answer = self.0.close.release(id).await;
        failpoint::reached("release.answered");
        let failed = match answer {
            ReleaseAnswer::Released => return Ok(Some(self.released(id, &mark, "close-200").await)),
            ReleaseAnswer::AlreadyGone => return Ok(Some(self.gone(id, &mark, &key).await)),
            ReleaseAnswer::Unknown { reason } => {
                tracing::warn!(number = %id, reason, "nobody knows whether Close released the number");
                return Ok(Some(Released::Pending));
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
            _ if number.releasing => return Ok(Some(Released::Pending)),
            ReleaseAnswer::NotSent { reason } => unavailable(reason),
            ReleaseAnswer::RateLimited { .. } => unavailable("Close's rate limit is used up"),
            ReleaseAnswer::Unauthorized => unavailable("Close does not accept the API key"),
        };
        self.take_back(number, &mark, &failed).await?;
        Err(failed)
    }

    /// Close did not release the number: a refusal ends what was scheduled, an absence puts it off.
    async fn take_back(&self, number: &Number, mark: &AuditRow, failed: &Error) -> Result<(), Error> {
        let (id, now) = (&number.facts.id, self.now());
        let said = match failed {
            Error::CloseRefused {
                close_status,
                message,
                ..
            } => json!({ "close": failed.to_string(), "close_status": close_status, "reason": message }),
            other => json!({ "close": other.to_string() }),
        };
        if number.release_at.is_some() && !matches!(failed, Error::CloseRefused { .. }) {
            let row = mark.then(now, "put off").detail(said);
            return self
                .0
                .store
                .postpone_release(id, mark.at, now.plus(AGAIN), &row)
                .await;
        }
        let row = mark.then(now, "kept").detail(said);
        self.0.store.abort_release(id, mark.at, &row).await
    }

    /// Close does not know the number. A key of another organization is told that of every number.
    async fn gone(&self, id: &PhoneNumberId, mark: &AuditRow, key: &KeyInUse) -> Released {
        let doubt = match self.ours().await {
            Ok(_) if self.0.close.still_uses(key) => return self.released(id, mark, "close-404").await,
            Ok(_) => "the API key was replaced meanwhile".to_owned(),
            Err(error) => error.to_string(),
        };
        tracing::warn!(number = %id, doubt, "Close says that it does not know the number, which proves nothing");
        Released::Pending
    }

    async fn released(&self, id: &PhoneNumberId, mark: &AuditRow, evidence: &str) -> Released {
        let now = self.now();
        let row = mark.then(now, "released").detail(json!({ "evidence": evidence }));
        match self.0.store.finish_release(id, now, &row).await {
            Ok(_) => Released::Done,
            // Close has released it; the mark stays until that can be written.
            Err(error) => {
                tracing::error!(number = %id, error = chain(&error), "a release can't be written yet");
                Released::Pending
            }
        }
    }
}
