//! Releases a number: at once, or when the undo window of its team is over.
//!
//! The number is durably marked before Close is called, so that a release is finished after a crash too. The number
//! belongs to its team until Close has certainly released it.

use std::time::Duration;

use serde_json::json;

use crate::close::{KeyInUse, ReleaseOutcome};
use crate::desk::each::{CALLS, each};
use crate::desk::errors::unavailable;
use crate::desk::numbers::Numbers;
use crate::desk::numbers::precondition::Precondition;
use crate::domain::audit::{Action, AuditRow};
use crate::domain::authority::CallContext;
use crate::domain::id::PhoneNumberId;
use crate::domain::number::Number;
use crate::domain::permission::needs;
use crate::domain::time::Timestamp;
use crate::error::{Error, chain};
use crate::failpoint;

/// The state of a release when the request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released {
    /// Close has released it.
    Done,
    /// The outcome is unknown. The service retries until the number is released.
    Pending,
    /// Close is called at this time, unless the release is cancelled before.
    Scheduled(Timestamp),
}

/// Releases executed in one step.
const BATCH: u32 = 16;

/// The pause before a scheduled release is retried after a failed call to Close.
const RETRY: Duration = Duration::from_mins(5);

impl Numbers {
    /// Releases the number in Close, or schedules that if the team's policy has an undo window.
    ///
    /// A repeated request does not release or schedule the number again, even if the policy has changed meanwhile. The
    /// release continues when the client disconnects.
    pub async fn release(
        &self,
        ctx: CallContext<'_, needs::NumbersRelease>,
        id: &PhoneNumberId,
        expected: Option<&Precondition>,
    ) -> Result<Released, Error> {
        let scheduled = |number: &Number| number.release_at.filter(|_| !number.releasing);
        loop {
            let (number, _) = self.find_authorized(ctx, id).await?;
            Precondition::check(expected, &number)?;
            if let Some(at) = scheduled(&number) {
                return Ok(Released::Scheduled(at));
            }
            // A release whose outcome is unknown is only asked for again, and nothing can be lost by that any more.
            let claim = if number.releasing {
                None
            } else {
                Some(self.claims.claim(id).await?)
            };
            let (number, authority) = self.find_authorized(ctx, id).await?;
            Precondition::check(expected, &number)?;
            if let Some(at) = scheduled(&number) {
                return Ok(Released::Scheduled(at));
            }
            self.holds.check_calls().await?;
            let now = self.core.now();
            let row = |outcome| {
                authority
                    .row(now, Action::NumberRelease, outcome, number.team.as_ref())
                    .number(id)
            };
            let outcome = if let Some(delay) = self.undo_window(&number) {
                let at = now.plus(delay);
                let row = row("scheduled").detail(json!({ "release_at": at }));
                let done = self.core.store.schedule_release(&number, at, &row).await?;
                done.then_some(Released::Scheduled(at))
            } else {
                let (numbers, mark) = (self.clone(), row("releasing"));
                let work = async move {
                    let done = numbers.mark_and_release(&number, mark).await;
                    if let Some(claim) = claim {
                        claim.release().await;
                    }
                    done
                };
                self.core.spawn_detached(work).await?
            };
            // If a concurrent change came first, the number is read again.
            if let Some(outcome) = outcome {
                return Ok(outcome);
            }
        }
    }

    /// One step: executes the scheduled releases that are due. Only one replica executes each.
    pub async fn release_due(&self) -> Result<(), Error> {
        let now = self.account.no_earlier_than_now();
        let due = self.core.store.due_releases(now, BATCH).await?;
        each(due, CALLS, |(number, requested_by)| async move {
            // Before each call, because a hold may begin during the step.
            if !self.holds.permits_calls().await? {
                return Ok(());
            }
            // A change of the number is under way: the next step comes soon.
            let Some(claim) = self.claims.try_claim(&number.facts.id).await? else {
                return Ok(());
            };
            let now = self.core.now();
            let mark = AuditRow::requested(now, requested_by, Action::NumberRelease, "releasing")
                .detail(json!({ "release_at": number.release_at }));
            let done = self.release_again(&number, mark).await;
            claim.release().await;
            done
        })
        .await
    }

    /// One step: repeats releases whose outcome is unknown. Releasing a number twice does no harm.
    pub async fn finish_releases(&self) -> Result<(), Error> {
        let marked_before = self.core.now().minus(self.core.settings.deadline * 2);
        let unfinished = self.core.store.unfinished_releases(marked_before, BATCH).await?;
        each(unfinished, CALLS, |(number, requested_by)| async move {
            if !self.holds.permits_calls().await? {
                return Ok(());
            }
            let now = self.core.now();
            let mark = AuditRow::requested(now, requested_by, Action::NumberRelease, "releasing");
            self.release_again(&number, mark).await
        })
        .await
    }

    /// How long a release of the number can be cancelled. `None`: Close is called at once.
    fn undo_window(&self, number: &Number) -> Option<Duration> {
        if number.releasing {
            return None;
        }
        self.core.policy.load().release_delay(number.team.as_ref()?)
    }

    async fn release_again(&self, number: &Number, mark: AuditRow) -> Result<(), Error> {
        let mark = mark.team(number.team.as_ref()).number(&number.facts.id);
        match self.mark_and_release(number, mark).await {
            Ok(_) | Err(Error::CloseRefused { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Marks the number, calls Close and records the outcome.
    ///
    /// Returns `None`, and makes no call, when the number has changed since it was read.
    async fn mark_and_release(&self, number: &Number, mark: AuditRow) -> Result<Option<Released>, Error> {
        if !self.core.store.mark_releasing(number, &mark).await? {
            return Ok(None);
        }
        failpoint::reached("release.marked");
        let id = &number.facts.id;
        let key = self.core.close.key();
        let answer = self.core.close.release(id).await;
        failpoint::reached("release.answered");
        let failed = match answer {
            ReleaseOutcome::Released => return Ok(Some(self.record_released(id, &mark, "close-200").await)),
            ReleaseOutcome::AlreadyGone => {
                return Ok(Some(self.handle_unknown_number(id, &mark, &key).await));
            }
            ReleaseOutcome::Unknown { reason } => {
                tracing::warn!(number_id = %id, reason, "release outcome unknown; retrying");
                return Ok(Some(Released::Pending));
            }
            ReleaseOutcome::Refused {
                status,
                close_status,
                reason,
                close_errors,
            } => {
                if status == 403 {
                    tracing::warn!(
                        number_id = %id,
                        "number release refused: the API key's user lacks Close's permission for it"
                    );
                }
                Error::CloseRefused {
                    close_status,
                    message: reason,
                    errors: close_errors,
                }
            }
            // This attempt had no effect, but an earlier one may have had.
            _ if number.releasing => return Ok(Some(Released::Pending)),
            ReleaseOutcome::NotSent { reason } => unavailable(reason),
            ReleaseOutcome::RateLimited { .. } => unavailable("Close's rate limit is used up"),
            ReleaseOutcome::Unauthorized => unavailable("Close does not accept the API key"),
        };
        self.revert_mark(number, &mark, &failed).await?;
        Err(failed)
    }

    /// Removes the mark, because Close did not release the number.
    ///
    /// A refusal ends a scheduled release too; any other failure postpones it.
    async fn revert_mark(&self, number: &Number, mark: &AuditRow, failed: &Error) -> Result<(), Error> {
        let (id, now) = (&number.facts.id, self.core.now());
        let detail = match failed {
            Error::CloseRefused {
                close_status,
                message,
                ..
            } => json!({ "close": failed.to_string(), "close_status": close_status, "reason": message }),
            other => json!({ "close": other.to_string() }),
        };
        if number.release_at.is_some() && !matches!(failed, Error::CloseRefused { .. }) {
            let row = mark.then(now, "put off").detail(detail);
            return self
                .core
                .store
                .postpone_release(id, mark.at, now.plus(RETRY), &row)
                .await;
        }
        let row = mark.then(now, "kept").detail(detail);
        self.core.store.abort_release(id, mark.at, &row).await
    }

    /// Handles a 404 from Close.
    ///
    /// It proves a release only for an API key of the right organization, because any other key gets 404 too.
    async fn handle_unknown_number(&self, id: &PhoneNumberId, mark: &AuditRow, key: &KeyInUse) -> Released {
        let reason = match self.account.verify_organization().await {
            Ok(_) if self.core.close.still_uses(key) => {
                return self.record_released(id, mark, "close-404").await;
            }
            Ok(_) => "the API key was replaced meanwhile".to_owned(),
            Err(error) => error.to_string(),
        };
        tracing::warn!(
            number_id = %id,
            reason,
            "release outcome unknown: the 404 of Close proves nothing for this API key; retrying"
        );
        Released::Pending
    }

    async fn record_released(&self, id: &PhoneNumberId, mark: &AuditRow, evidence: &str) -> Released {
        let now = self.core.now();
        let row = mark.then(now, "released").detail(json!({ "evidence": evidence }));
        match self.core.store.finish_release(id, now, &row).await {
            Ok(_) => Released::Done,
            // The mark stays until the release can be written.
            Err(error) => {
                tracing::error!(
                    number_id = %id,
                    error = chain(&error),
                    "release not written to the database; retrying"
                );
                Released::Pending
            }
        }
    }
}
