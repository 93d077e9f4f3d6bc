//! Following the feed: page by page, or as it comes. Whoever resumes after the last event that it had misses nothing
//! and gets nothing twice.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast};
use tokio_util::sync::CancellationToken;

use crate::desk::{By, Desk};
use crate::domain::caller::{Caller, Permission, Scope, Team};
use crate::domain::event::{Event, EventKind};
use crate::domain::id::EventId;
use crate::domain::input::fields::Fault;
use crate::domain::page::{Limit, Page};
use crate::error::Error;
use crate::store::SequencedEvent;

/// Events read at once by a follower who is behind.
const PAGE: u32 = 200;
/// The longest that one process keeps a stream: then its reader resumes, maybe at another replica.
const LONGEST: Duration = Duration::from_hours(4);

/// Which events.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Only of this team.
    pub team: Option<Team>,
    /// Only of these kinds; of all when there are none.
    pub kinds: Vec<EventKind>,
    /// Only what came after this event.
    pub after: Option<EventId>,
}

/// Events as they come.
pub struct Following {
    desk: Desk,
    caller: Caller,
    scope: Scope,
    kinds: Vec<EventKind>,
    /// The place of the last event that was handed out, or that could have been.
    at: i64,
    backlog: VecDeque<SequencedEvent>,
    /// Whether the backlog reached the end of the feed once since `live` was last complete.
    caught_up: bool,
    live: broadcast::Receiver<Arc<SequencedEvent>>,
    stop: CancellationToken,
    left: Duration,
    _slot: OwnedSemaphorePermit,
}

impl Desk {
    /// A page of the feed, in its order. `next` is the id of its last event when more follows.
    pub async fn list_events(
        &self,
        by: By<'_>,
        filter: &EventFilter,
        limit: Limit,
    ) -> Result<Page<Event>, Error> {
        let (scope, at) = self.begin(by, filter).await?;
        let wanted = limit.rows();
        let at = at.unwrap_or(0);
        let mut found = self.0.store.events(&scope, &filter.kinds, at, wanted + 1).await?;
        let more = found.len() > wanted as usize;
        found.truncate(wanted as usize);
        self.shows(&found).await?;
        let rows: Vec<Event> = found.into_iter().map(|placed| placed.event).collect();
        let next = rows.last().filter(|_| more).map(|event| event.id.to_string());
        Ok(Page { rows, next })
    }

    /// Begins to hand out events as they come: after the one that is named, or from now on.
    pub async fn follow_events(&self, by: By<'_>, filter: &EventFilter) -> Result<Following, Error> {
        let (scope, at) = self.begin(by, filter).await?;
        let slot = self
            .0
            .streams
            .clone()
            .try_acquire_owned()
            .map_err(|_| Error::Busy {
                reason: "as many streams are open as this replica serves",
            })?;
        // Heard from here on; what was placed before is read.
        let live = self.0.feed.live.subscribe();
        let at = match at {
            Some(at) => at,
            None => self.0.store.last_sequence().await?,
        };
        let left = by.caller.expires_at().map(|expires| expires.since(self.now()));
        Ok(Following {
            desk: self.clone(),
            caller: by.caller.clone(),
            scope,
            kinds: filter.kinds.clone(),
            at,
            backlog: VecDeque::new(),
            caught_up: false,
            live,
            stop: self.0.stop.clone(),
            left: left.unwrap_or(LONGEST).min(LONGEST),
            _slot: slot,
        })
    }

    /// How far the caller sees, and the place of the event that is named.
    async fn begin(&self, by: By<'_>, filter: &EventFilter) -> Result<(Scope, Option<i64>), Error> {
        let scope = by.caller.scope(filter.team.as_ref())?;
        by.caller.need(Permission::NumbersRead)?;
        // Whatever the caller knows to have happened is in the feed.
        while self.0.store.assign_sequence().await? > 0 {}
        let Some(after) = &filter.after else {
            return Ok((scope, None));
        };
        // The event need not be of the team that is asked for, but it must be one that the caller sees.
        match self.0.store.sequence_of(&by.caller.scope(None)?, after).await? {
            Some(at) => Ok((scope, Some(at))),
            None => Err(Error::Invalid(vec![Fault {
                pointer: "/query/after".to_owned(),
                message: "is no event that is kept: read what you follow anew, then follow without it"
                    .to_owned(),
            }])),
        }
    }
}

impl Following {
    /// How long the stream may last: its reader's token ends then.
    pub fn left(&self) -> Duration {
        self.left
    }

    /// The next event; waits for it. `None` when the process stops, or when the policy no longer gives the reader what it
    /// did: the reader resumes elsewhere, or is told why it can't.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(placed) = self.backlog.pop_front() {
                if !self.desk.still_admits(&self.caller) {
                    return Ok(None);
                }
                self.at = placed.seq;
                return Ok(Some(placed.event));
            }
            if self.stop.is_cancelled() {
                return Ok(None);
            }
            if !self.caught_up {
                let page = self
                    .desk
                    .0
                    .store
                    .events(&self.scope, &self.kinds, self.at, PAGE)
                    .await?;
                self.desk.shows(&page).await?;
                self.caught_up = page.is_empty();
                self.backlog.extend(page);
                continue;
            }
            let heard = tokio::select! {
                () = self.stop.cancelled() => return Ok(None),
                heard = self.live.recv() => heard,
            };
            match heard {
                Ok(placed) if placed.seq <= self.at || !self.wants(&placed.event) => {}
                Ok(placed) => self.backlog.push_back(SequencedEvent::clone(&placed)),
                Err(RecvError::Lagged(_)) => self.caught_up = false,
                Err(RecvError::Closed) => return Ok(None),
            }
        }
    }

    fn wants(&self, event: &Event) -> bool {
        let seen = match &event.team {
            Some(team) => self.scope.covers(team),
            None => self.scope == Scope::All,
        };
        seen && (self.kinds.is_empty() || self.kinds.iter().any(|kind| kind.as_str() == event.kind))
    }
}
