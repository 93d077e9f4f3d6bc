//! Refetches the objects that webhooks named: one by one, or with one listing when there are many.
//!
//! A webhook only says which object to refetch and how recent it must be. If Close shows an older state, the object is
//! refetched later.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::close::{Error as CloseError, Shown};
use crate::desk::each::{CALLS, each};
use crate::desk::errors::map_close_error;
use crate::desk::sync::InventorySync;
use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::close_event::Object;
use crate::domain::id::PhoneNumberId;
use crate::domain::number::Facts;
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::failpoint;
use crate::store::RefetchJob;
use crate::telemetry::metrics::{
    READBACK_AGE_SECONDS, READBACK_SECONDS, READBACKS_DUE, READBACKS_GIVEN_UP_TOTAL,
};

/// Up to this number of jobs, each object is fetched separately, even if a listing needs fewer calls.
const FEW: usize = 25;
/// Numbers on one page of a listing.
const PAGE: usize = 100;
/// The most jobs that are done with one listing.
const MANY: usize = 10_000;
/// How often the step looks for jobs that have become due while others run.
const LOOK: Duration = Duration::from_secs(1);
/// Failures after which a step that has had no success begins no more jobs: Close is probably down.
const FAILURES: usize = 3;
/// The lease of jobs that are done with one listing. Doing a job twice does no harm.
const LISTING: Duration = Duration::from_mins(5);
/// The pause after Close did not answer.
const RETRY: Duration = Duration::from_secs(5);
/// The pauses before an object is refetched because Close showed an older state than the webhook.
///
/// After the last one, the next complete comparison corrects the inventory.
const PAUSES: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(20),
    Duration::from_mins(1),
    Duration::from_mins(3),
    Duration::from_mins(10),
];

/// The failures of a step. One object that Close fails to show is no failure of the step.
#[derive(Default)]
struct Failures {
    some_succeeded: bool,
    count: usize,
    last: Option<Error>,
}

impl Failures {
    fn note(&mut self, outcome: Result<(), Error>) {
        match outcome {
            Ok(()) => self.some_succeeded = true,
            Err(error) => {
                self.count += 1;
                self.last = Some(error);
            }
        }
    }

    /// Whether nothing succeeds.
    fn are_all(&self) -> bool {
        !self.some_succeeded && self.count >= FAILURES
    }

    fn outcome(self) -> Result<(), Error> {
        match self.last {
            Some(error) if !self.some_succeeded => Err(error),
            _ => Ok(()),
        }
    }
}

/// How recent Close's answer is, compared with the webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Freshness {
    /// At least as recent as the webhook.
    Current,
    /// Older than the webhook, because Close's answers lag behind.
    Stale,
}

impl InventorySync {
    /// One step: refetches the objects of all due jobs.
    ///
    /// Idempotent: any replica can run it at any time.
    pub async fn refetch(&self) -> Result<(), Error> {
        // Tasks, because a job may hold a connection of the database that the next statement of this step waits for.
        let (mut running, mut failures) = (JoinSet::new(), Failures::default());
        loop {
            let now = self.core.now();
            let (due, since) = self.core.store.refetch_backlog(now).await?;
            let age = since.map_or(0.0, |since| now.since(since).as_secs_f64());
            metrics::gauge!(READBACKS_DUE).set(f64::from(u32::try_from(due).unwrap_or(u32::MAX)));
            metrics::gauge!(READBACK_AGE_SECONDS).set(age);
            // Chooses the method with fewer calls.
            let pages = self.cache.len() / PAGE;
            let few = usize::try_from(due).is_ok_and(|due| due <= FEW.max(pages));
            // The calls that run end before a listing begins.
            let (limit, lease) = match (few, running.len()) {
                _ if failures.are_all() => (0, LISTING),
                (false, 0) => (MANY, LISTING),
                (false, _) => (0, LISTING),
                (true, calls) => (CALLS.saturating_sub(calls), self.core.settings.deadline + RETRY),
            };
            let taken = if limit == 0 {
                Vec::new()
            } else {
                let limit = u32::try_from(limit).unwrap_or(u32::MAX);
                self.core.store.take_refetch_jobs(now, lease, limit).await?
            };
            if !taken.is_empty() {
                failpoint::reached("errands.taken");
                if !few {
                    self.fetch_by_listing(taken).await?;
                    continue;
                }
                for job in taken {
                    let sync = self.clone();
                    running.spawn(async move { sync.fetch_and_finish(job).await });
                }
            }
            if running.is_empty() {
                return failures.outcome();
            }
            // One object that hangs does not keep the others waiting, and neither those that become due meanwhile.
            tokio::select! {
                Some(ended) = running.join_next() => {
                    failures.note(ended.unwrap_or_else(|panicked| Err(Error::Internal(panicked.into()))));
                }
                () = self.core.signals.webhook.notified() => {}
                () = sleep(LOOK) => {}
            }
        }
    }

    /// Fetches the object of a job, and ends or postpones the job.
    async fn fetch_and_finish(&self, job: RefetchJob) -> Result<(), Error> {
        match self.fetch(&job).await {
            Ok(freshness) => self.finish(vec![(job, freshness)]).await,
            Err(error) => {
                let due = self.core.now().plus(RETRY);
                self.core.store.postpone_refetch_jobs(&[job], due, false).await?;
                Err(error)
            }
        }
    }

    /// Fetches all numbers with one complete comparison.
    async fn fetch_by_listing(&self, taken: Vec<RefetchJob>) -> Result<(), Error> {
        let (numbers, groups): (Vec<_>, Vec<_>) = taken
            .into_iter()
            .partition(|job| matches!(job.object, Object::Number(_)));
        if let Err(error) = self.compare().await {
            let unfinished = [numbers, groups].concat();
            self.core
                .store
                .postpone_refetch_jobs(&unfinished, self.core.now().plus(RETRY), false)
                .await?;
            return Err(error);
        }
        each(groups, CALLS, |job| self.fetch_and_finish(job)).await?;
        let ids: Vec<_> = numbers.iter().filter_map(number).cloned().collect();
        let known: HashMap<_, _> = self
            .core
            .store
            .numbers_by_id(&ids)
            .await?
            .into_iter()
            .map(|number| (number.facts.id.clone(), number))
            .collect();
        let results = numbers
            .into_iter()
            .map(|job| {
                let known = number(&job).and_then(|id| known.get(id));
                let freshness = freshness(&job, known.map(|number| &number.facts));
                (job, freshness)
            })
            .collect();
        self.finish(results).await
    }

    async fn fetch(&self, job: &RefetchJob) -> Result<Freshness, Error> {
        let id = match &job.object {
            Object::Number(id) => id,
            Object::Group(group) => {
                self.core
                    .store
                    .finish_group_refetch(job, group, self.core.now())
                    .await?;
                return Ok(Freshness::Current);
            }
        };
        let asked_at = self.account.observation_time(id).await?;
        match self.account.read_number(id).await {
            Ok(Shown::Number(facts)) => {
                let freshness = freshness(job, Some(&facts));
                self.core
                    .store
                    .observe(&[self.core.observation(*facts, asked_at)])
                    .await?;
                self.core.store.mark_dirty([id.clone()]);
                failpoint::reached("errand.observed");
                Ok(freshness)
            }
            // The next comparison takes it in once it can be read.
            Ok(Shown::Odd(record)) => {
                self.account.note_odd(&[record]).await?;
                Ok(Freshness::Current)
            }
            Ok(Shown::Missing) => {
                if job.gone {
                    let gone = self.remove_gone(id, asked_at).await?;
                    return Ok(if gone {
                        Freshness::Current
                    } else {
                        Freshness::Stale
                    });
                }
                // A late webhook about a removed number changes nothing.
                let is_tombstone = self.core.store.is_tombstone(id).await?;
                Ok(if is_tombstone {
                    Freshness::Current
                } else {
                    Freshness::Stale
                })
            }
            Err(failure @ CloseError::Refused { .. }) => {
                tracing::warn!(number_id = %id, error = %failure, "number not fetched: Close refused the request");
                Ok(Freshness::Current)
            }
            Err(failure) => Err(map_close_error(failure)),
        }
    }

    /// Removes a number that Close reported as deleted and no longer had at `asked_at`.
    ///
    /// Returns whether the inventory no longer has the number. It keeps a number that another process saw later.
    async fn remove_gone(&self, id: &PhoneNumberId, asked_at: Timestamp) -> Result<bool, Error> {
        if self
            .core
            .store
            .number(&Scope::system("refetch"), id)
            .await?
            .is_none()
        {
            return Ok(true);
        }
        // Only a key of this organization can prove that a number is gone.
        self.account.verify_organization().await?;
        let row = AuditRow::new(asked_at, Actor::desk(), Action::NumberGone, "gone").number(id);
        let gone = self.core.store.mark_gone(id, asked_at, &row).await?;
        if gone {
            tracing::warn!(number_id = %id, "number is gone from Close");
        }
        Ok(gone)
    }

    async fn finish(&self, results: Vec<(RefetchJob, Freshness)>) -> Result<(), Error> {
        let (mut done, mut again) = (Vec::new(), BTreeMap::<_, Vec<_>>::new());
        for (job, freshness) in results {
            let pause = usize::try_from(job.tries)
                .ok()
                .and_then(|tries| PAUSES.get(tries));
            match (freshness, pause) {
                (Freshness::Stale, Some(pause)) => again.entry(*pause).or_default().push(job),
                (Freshness::Stale, None) => {
                    tracing::warn!(
                        object = %job.object,
                        "object refetch given up: Close does not show the reported state"
                    );
                    metrics::counter!(READBACKS_GIVEN_UP_TOTAL).increment(1);
                    done.push(job);
                }
                (Freshness::Current, _) => {
                    let took = self.core.now().since(job.reported_at);
                    metrics::histogram!(READBACK_SECONDS).record(took.as_secs_f64());
                    done.push(job);
                }
            }
        }
        self.core.store.finish_refetch_jobs(&done).await?;
        if !done.is_empty() {
            failpoint::reached("errands.ended");
        }
        for (pause, jobs) in again {
            let due = self.core.now().plus(pause);
            self.core.store.postpone_refetch_jobs(&jobs, due, true).await?;
        }
        Ok(())
    }
}

fn number(job: &RefetchJob) -> Option<&PhoneNumberId> {
    match &job.object {
        Object::Number(id) => Some(id),
        Object::Group(_) => None,
    }
}

/// Compares Close's answer with the webhook that queued the job. `None`: Close has no such number.
fn freshness(job: &RefetchJob, shown: Option<&Facts>) -> Freshness {
    let current = match shown {
        None => job.gone,
        Some(facts) => {
            let older = |reported| facts.updated_at.is_some_and(|updated| updated < reported);
            !job.gone && !job.version_at.is_some_and(older)
        }
    };
    if current {
        Freshness::Current
    } else {
        Freshness::Stale
    }
}
