//! Reading back what Close told of: each object is asked for by itself, or all at once when there are many. What a
//! notice said only decides whether Close is asked once more.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures::{StreamExt as _, stream};

use crate::close::Trouble;
use crate::desk::{Desk, troubled};
use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::caller::Scope;
use crate::domain::close_event::Object;
use crate::domain::id::PhoneNumberId;
use crate::domain::number::Facts;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::failpoint;
use crate::store::RefetchJob;
use crate::telemetry::metrics::{
    READBACK_AGE_SECONDS, READBACK_SECONDS, READBACKS_DUE, READBACKS_GIVEN_UP_TOTAL,
};

/// Errands up to which each is asked for by itself, however short a listing would be.
const FEW: usize = 25;
/// Numbers that a page of a listing brings.
const ROWS: usize = 100;
/// Errands that are taken at once where a listing answers them all.
const MANY: u32 = 10_000;
/// Calls that are under way at once: the rate limit is shared with everything else.
const AT_ONCE: u32 = 4;
/// How long others leave errands to whoever took them for a listing. Done twice, they do no harm.
const LISTING: Duration = Duration::from_mins(5);
/// How long Close is left alone after it did not answer.
const AWAY: Duration = Duration::from_secs(5);
/// How long Close is left to show everywhere what it has told of, from look to look; after the last one the next
/// complete listing has to do.
const PATIENCE: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(20),
    Duration::from_mins(1),
    Duration::from_mins(3),
    Duration::from_mins(10),
];

/// What Close showed of what it had told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// All that was told, or more.
    All,
    /// Less: it lags.
    Less,
}

impl Desk {
    /// One step: may be run at any time, by any replica, any number of times.
    pub async fn read_back(&self) -> Result<(), Error> {
        loop {
            let now = self.now();
            let (due, since) = self.0.store.refetch_backlog(now).await?;
            let age = since.map_or(0.0, |since| now.since(since).as_secs_f64());
            metrics::gauge!(READBACKS_DUE).set(f64::from(u32::try_from(due).unwrap_or(u32::MAX)));
            metrics::gauge!(READBACK_AGE_SECONDS).set(age);
            // Whichever takes fewer calls.
            let pages = self.0.inventory.len() / ROWS;
            let few = usize::try_from(due).is_ok_and(|due| due <= FEW.max(pages));
            let (limit, lease) = if few {
                (AT_ONCE, self.0.settings.deadline + AWAY)
            } else {
                (MANY, LISTING)
            };
            let taken = self.0.store.take_refetch_jobs(now, lease, limit).await?;
            if taken.is_empty() {
                return Ok(());
            }
            failpoint::reached("errands.taken");
            if few {
                self.ask_for_each(taken).await?;
            } else {
                self.ask_for_all(taken).await?;
            }
        }
    }

    async fn ask_for_each(&self, taken: Vec<RefetchJob>) -> Result<(), Error> {
        let answers: Vec<_> = stream::iter(taken)
            .map(|errand| async move {
                let shown = self.ask_for(&errand).await;
                (errand, shown)
            })
            .buffer_unordered(AT_ONCE as usize)
            .collect()
            .await;
        let (mut shown, mut unasked, mut trouble) = (Vec::new(), Vec::new(), None);
        for (errand, answer) in answers {
            match answer {
                Ok(what) => shown.push((errand, what)),
                Err(error) => {
                    unasked.push(errand);
                    trouble = Some(error);
                }
            }
        }
        self.conclude(shown).await?;
        self.0
            .store
            .postpone_refetch_jobs(&unasked, self.now().plus(AWAY), false)
            .await?;
        trouble.map_or(Ok(()), Err)
    }

    /// One listing for them all, in which each that is missing is asked for by itself.
    async fn ask_for_all(&self, taken: Vec<RefetchJob>) -> Result<(), Error> {
        let (numbers, groups): (Vec<_>, Vec<_>) = taken
            .into_iter()
            .partition(|errand| matches!(errand.object, Object::Number(_)));
        if let Err(error) = self.sync().await {
            let off = [numbers, groups].concat();
            self.0
                .store
                .postpone_refetch_jobs(&off, self.now().plus(AWAY), false)
                .await?;
            return Err(error);
        }
        self.ask_for_each(groups).await?;
        let ids: Vec<_> = numbers.iter().filter_map(number).cloned().collect();
        let known: HashMap<_, _> = self
            .0
            .store
            .numbers_by_id(&ids)
            .await?
            .into_iter()
            .map(|number| (number.facts.id.clone(), number))
            .collect();
        let shown = numbers
            .into_iter()
            .map(|errand| {
                let known = number(&errand).and_then(|id| known.get(id));
                let shown = answered(&errand, known.map(|number| &number.facts));
                (errand, shown)
            })
            .collect();
        self.conclude(shown).await
    }

    async fn ask_for(&self, errand: &RefetchJob) -> Result<Shown, Error> {
        let id = match &errand.object {
            Object::Number(id) => id,
            Object::Group(group) => {
                self.0
                    .store
                    .finish_group_refetch(errand, group, self.now())
                    .await?;
                return Ok(Shown::All);
            }
        };
        let asked = self.now();
        match self.0.close.number(id).await {
            Ok(Some(facts)) => {
                let shown = answered(errand, Some(&facts));
                self.0.store.observe(&[self.observation(facts, asked)]).await?;
                self.0.store.mark_dirty([id.clone()]);
                failpoint::reached("errand.observed");
                Ok(shown)
            }
            Ok(None) => {
                if errand.gone {
                    let gone = self.bury(id, asked).await?;
                    return Ok(if gone { Shown::All } else { Shown::Less });
                }
                // What is told late of a number that is gone has nothing more to say.
                let buried = self.0.store.is_tombstone(id).await?;
                Ok(if buried { Shown::All } else { Shown::Less })
            }
            Err(trouble @ Trouble::Refused { .. }) => {
                tracing::warn!(number = %id, %trouble, "Close does not say how a number stands");
                Ok(Shown::All)
            }
            Err(trouble) => Err(troubled(trouble)),
        }
    }

    /// Close, asked at `asked`, does not know the number, and has told that it is gone; whether the inventory has it no
    /// more. It has, if somebody saw it later.
    async fn bury(&self, id: &PhoneNumberId, asked: Timestamp) -> Result<bool, Error> {
        if self.0.store.number(&Scope::All, id).await?.is_none() {
            return Ok(true);
        }
        // Only a key of this organization can say that a number is gone.
        self.ours().await?;
        let row = AuditRow::new(asked, Actor::desk(), Action::NumberGone, "gone").number(id);
        let gone = self.0.store.mark_gone(id, asked, &row).await?;
        if gone {
            tracing::warn!(number = %id, "a number is gone from Close");
        }
        Ok(gone)
    }

    async fn conclude(&self, shown: Vec<(RefetchJob, Shown)>) -> Result<(), Error> {
        let (mut done, mut again) = (Vec::new(), BTreeMap::<_, Vec<_>>::new());
        for (errand, shown) in shown {
            let pause = usize::try_from(errand.tries)
                .ok()
                .and_then(|tries| PATIENCE.get(tries));
            match (shown, pause) {
                (Shown::Less, Some(pause)) => again.entry(*pause).or_default().push(errand),
                (Shown::Less, None) => {
                    tracing::warn!(object = %errand.object, "Close does not show what it has told of");
                    metrics::counter!(READBACKS_GIVEN_UP_TOTAL).increment(1);
                    done.push(errand);
                }
                (Shown::All, _) => {
                    let took = self.now().since(errand.reported_at);
                    metrics::histogram!(READBACK_SECONDS).record(took.as_secs_f64());
                    done.push(errand);
                }
            }
        }
        self.0.store.finish_refetch_jobs(&done).await?;
        if !done.is_empty() {
            failpoint::reached("errands.ended");
        }
        for (pause, errands) in again {
            let due = self.now().plus(pause);
            self.0.store.postpone_refetch_jobs(&errands, due, true).await?;
        }
        Ok(())
    }
}

fn number(errand: &RefetchJob) -> Option<&PhoneNumberId> {
    match &errand.object {
        Object::Number(id) => Some(id),
        Object::Group(_) => None,
    }
}

/// Whether the number as Close shows it, or that it shows none, is all that it had told of.
fn answered(errand: &RefetchJob, shown: Option<&Facts>) -> Shown {
    let whole = match shown {
        None => errand.gone,
        Some(facts) => {
            let older = |told| facts.updated_at.is_some_and(|updated| updated < told);
            !errand.gone && !errand.version_at.is_some_and(older)
        }
    };
    if whole { Shown::All } else { Shown::Less }
}
