//! Claims of numbers: the changes of one number happen one after another, on all replicas together.
//!
//! A change compares the number with the caller's `If-Match`, calls Close and stores the answer. Between these steps
//! another change would be lost, so each change holds a claim on the number. A claim is a row in the database with a
//! time at which it lapses, so a replica that dies blocks nobody for long.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use crate::desk::core::Core;
use crate::domain::backoff::Backoff;
use crate::domain::fair_pool::FairPool;
use crate::domain::id::{PhoneNumberId, RequestId};
use crate::error::{Error, chain};

/// The first pause before a claim that another change holds is tried again.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Changes of one process that wait for other changes.
///
/// Each holds a request, so changes of one number that hangs must not take all of them.
const WAITING: usize = 64;

/// Claims numbers. Clones share the database.
#[derive(Clone)]
pub(in crate::desk) struct NumberClaims {
    core: Core,
    waiting: FairPool,
}

impl NumberClaims {
    pub(in crate::desk) fn new(core: Core) -> Self {
        Self {
            core,
            waiting: FairPool::new(WAITING),
        }
    }

    /// Claims the number. Waits for another change of it as long as one call to Close may take.
    pub(in crate::desk) async fn claim(&self, id: &PhoneNumberId) -> Result<NumberClaim, Error> {
        if let Some(claim) = self.try_claim(id).await? {
            return Ok(claim);
        }
        let _waiting = self.waiting.acquire(id.as_str()).map_err(|_| busy())?;
        let deadline = Instant::now() + self.core.settings.deadline;
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            let pause = backoff.next_pause();
            if Instant::now() + pause >= deadline {
                return Err(busy());
            }
            sleep(pause).await;
            if let Some(claim) = self.try_claim(id).await? {
                return Ok(claim);
            }
        }
    }

    /// Claims the number, unless another change of it is under way.
    pub(in crate::desk) async fn try_claim(&self, id: &PhoneNumberId) -> Result<Option<NumberClaim>, Error> {
        let (core, now) = (&self.core, self.core.now());
        let mut claim = NumberClaim {
            core: core.clone(),
            id: id.clone(),
            holder: RequestId::generate(now).as_str().to_owned(),
            // Before the answer of the database, because this future may be dropped while it waits for the answer.
            held: true,
        };
        // A change calls Close up to twice: for the members of groups, and for the number itself.
        let length = core.settings.deadline * 2 + core.settings.lease_margin;
        claim.held = core.store.claim_number(id, &claim.holder, now, length).await?;
        Ok(claim.held.then_some(claim))
    }
}

/// The right to change a number. It ends when it is released or dropped.
pub(in crate::desk) struct NumberClaim {
    core: Core,
    id: PhoneNumberId,
    holder: String,
    held: bool,
}

impl NumberClaim {
    /// Ends the claim, so that the next change of the number begins.
    pub(in crate::desk) async fn release(mut self) {
        end(&self.core, &self.id, &self.holder).await;
        self.held = false;
    }
}

impl Drop for NumberClaim {
    fn drop(&mut self) {
        // Outside of a runtime, such as at the end of the process, the claim lapses.
        if let (true, Ok(runtime)) = (self.held, Handle::try_current()) {
            let (core, id) = (self.core.clone(), self.id.clone());
            let holder = std::mem::take(&mut self.holder);
            let ending = async move { end(&core, &id, &holder).await };
            self.core.tasks.tracker.spawn_on(ending, &runtime);
        }
    }
}

fn busy() -> Error {
    Error::Busy {
        detail: "Another change of this number is still under way. Numberdesk did not execute the request.",
    }
}

async fn end(core: &Core, id: &PhoneNumberId, holder: &str) {
    if let Err(error) = core.store.unclaim_number(id, holder).await {
        tracing::debug!(number_id = %id, error = chain(&error), "claim of a number not ended; it lapses");
    }
}
