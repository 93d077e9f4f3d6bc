//! Reads the event log page by page, or as a stream.
//!
//! A reader that resumes after the last event it received misses nothing and gets nothing twice.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::desk::events::Events;
use crate::domain::authority::CallContext;
use crate::domain::caller::Caller;
use crate::domain::event::Event;
use crate::domain::event_kind::EventKind;
use crate::domain::fair_pool::FairPermit;
use crate::domain::id::{EventId, RequestId};
use crate::domain::page::{Limit, Page};
use crate::domain::permission::needs;
use crate::domain::scope::Scope;
use crate::domain::team::Team;
use crate::error::Error;
use crate::store::SequencedEvent;

/// Events read in one query by a stream that is behind.
const PAGE: u32 = 200;
/// The longest duration of a stream. Its reader then resumes, possibly at another replica.
const MAX_DURATION: Duration = Duration::from_hours(4);

/// Selects events.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Only events of this team.
    pub team: Option<Team>,
    /// Only events of these kinds. Empty: all kinds.
    pub kinds: Vec<EventKind>,
    /// Only events after this one.
    pub after: Option<EventId>,
}

/// A stream of events as they happen.
pub struct EventStream {
    events: Events,
    caller: Caller,
    /// The team that the reader named.
    team: Option<Team>,
    /// The fingerprint of the policy for which `scope` was computed.
    policy: String,
    scope: Scope,
    kinds: Vec<EventKind>,
    /// The last event before the stream, unless the reader named it.
    begins_after: Option<EventId>,
    /// The sequence number of the last event that the reader got.
    at: i64,
    backlog: VecDeque<SequencedEvent>,
    /// Whether the backlog has reached the end of the event log since `live` last lost events.
    caught_up: bool,
    live: broadcast::Receiver<Arc<SequencedEvent>>,
    policy_changed: watch::Receiver<()>,
    stop: CancellationToken,
    /// How long the stream may last.
    left: Duration,
    _permit: FairPermit,
}

impl Events {
    /// A page of the event log, in its order. `next` is the id of its last event if more follow.
    pub async fn list(
        &self,
        ctx: CallContext<'_, needs::NumbersRead>,
        filter: &EventFilter,
        limit: Limit,
    ) -> Result<Page<Event>, Error> {
        let (scope, at) = self.locate(ctx, filter).await?;
        let wanted = limit.rows();
        let at = at.unwrap_or(0);
        let mut found = self
            .core
            .store
            .events(&scope, &filter.kinds, at, wanted + 1)
            .await?;
        let more = found.len() > wanted as usize;
        found.truncate(wanted as usize);
        self.refresh_numbers_of(&found).await?;
        let rows: Vec<Event> = found.into_iter().map(|event| event.event).collect();
        let next = rows.last().filter(|_| more).map(|event| event.id.to_string());
        Ok(Page { rows, next })
    }

    /// Begins a stream after the event that the filter names, or from now on.
    pub async fn stream(
        &self,
        ctx: CallContext<'_, needs::NumbersRead>,
        filter: &EventFilter,
    ) -> Result<EventStream, Error> {
        let (scope, at) = self.locate(ctx, filter).await?;
        let permit = self.streams.take(ctx.caller, &scope)?;
        // Subscribed before reading the end of the log, so that no event falls in between.
        let live = self.position.live.subscribe();
        // Marked as changed: the policy may have changed since the caller was resolved.
        let mut policy_changed = self.core.policy_changed.subscribe();
        policy_changed.mark_changed();
        let (at, begins_after) = if let Some(at) = at {
            (at, None)
        } else {
            let at = self.core.store.last_sequence().await?;
            (at, self.core.store.last_event(&scope, at).await?)
        };
        let left = ctx
            .caller
            .expires_at()
            .map(|expires| expires.since(self.core.now()));
        Ok(EventStream {
            events: self.clone(),
            caller: ctx.caller.clone(),
            team: filter.team.clone(),
            // Checked with the first event: the policy may have changed since the caller was resolved.
            policy: String::new(),
            scope,
            kinds: filter.kinds.clone(),
            begins_after,
            at,
            backlog: VecDeque::new(),
            caught_up: false,
            live,
            policy_changed,
            stop: self.core.tasks.stop.clone(),
            left: left.unwrap_or(MAX_DURATION).min(MAX_DURATION),
            _permit: permit,
        })
    }

    /// The scope of the caller, and the sequence number of the event that the filter names.
    async fn locate(
        &self,
        ctx: CallContext<'_, needs::NumbersRead>,
        filter: &EventFilter,
    ) -> Result<(Scope, Option<i64>), Error> {
        let authority = ctx.authorize(filter.team.as_ref())?;
        let scope = authority.scope().clone();
        // The log must contain every change that the caller already knows.
        while self.core.store.assign_sequence().await? > 0 {}
        let Some(after) = &filter.after else {
            return Ok((scope, None));
        };
        // The named event may be of another team than the filter, but the caller must be allowed to see it.
        match self
            .core
            .store
            .sequence_of(ctx.authorize(None)?.scope(), after)
            .await?
        {
            Some(at) => Ok((scope, Some(at))),
            None => Err(Error::EventNotKept),
        }
    }
}

impl EventStream {
    /// The last event before a stream that begins now; `None` if the reader named it, or there is none yet.
    ///
    /// A reader that loses the stream before its first event resumes after this one, and misses nothing.
    pub fn begins_after(&self) -> Option<&EventId> {
        self.begins_after.as_ref()
    }

    /// How long the stream may last: at most until its reader's token expires.
    pub fn left(&self) -> Duration {
        self.left
    }

    /// Waits for the next event.
    ///
    /// Returns `None` when the process stops, or when the policy changed the teams in which the reader may read. The
    /// reader then reconnects. It either resumes or gets an error with the reason.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.backlog.pop_front() {
                if !self.may_still_read() {
                    return Ok(None);
                }
                self.at = event.seq;
                return Ok(Some(event.event));
            }
            if self.stop.is_cancelled() {
                return Ok(None);
            }
            if !self.caught_up {
                let page = self
                    .events
                    .core
                    .store
                    .events(&self.scope, &self.kinds, self.at, PAGE)
                    .await?;
                self.events.refresh_numbers_of(&page).await?;
                self.caught_up = page.is_empty();
                self.backlog.extend(page);
                continue;
            }
            let received = tokio::select! {
                () = self.stop.cancelled() => return Ok(None),
                _ = self.policy_changed.changed() => {
                    if self.may_still_read() {
                        continue;
                    }
                    return Ok(None);
                }
                received = self.live.recv() => received,
            };
            match received {
                Ok(event) if event.seq <= self.at || !self.wants(&event.event) => {}
                Ok(event) => self.backlog.push_back(SequencedEvent::clone(&event)),
                Err(RecvError::Lagged(_)) => self.caught_up = false,
                Err(RecvError::Closed) => return Ok(None),
            }
        }
    }

    /// Whether the policy in force gives the reader the same scope as the one with which the stream began.
    fn may_still_read(&mut self) -> bool {
        let access = &self.events.access;
        let policy = access.policy_fingerprint();
        if policy == self.policy {
            return true;
        }
        let request_id = RequestId::generate(self.events.core.now());
        let Some(caller) = access.resolve_again(&self.caller) else {
            return false;
        };
        let call = CallContext::<needs::NumbersRead>::new(&caller, &request_id);
        let same = call
            .authorize(self.team.as_ref())
            .is_ok_and(|authority| *authority.scope() == self.scope);
        self.policy = policy;
        same
    }

    fn wants(&self, event: &Event) -> bool {
        self.scope.contains(event.team.as_ref())
            && (self.kinds.is_empty() || self.kinds.iter().any(|kind| kind.as_str() == event.kind))
    }
}
