//! Holds everything that costs or destroys while the database is older than Close.
//!
//! A restored backup and a lost failover transaction forget calls that were made; Close's event log has them. So before
//! the first dispatch after a start, and from time to time, this part searches the log for rents and releases with the
//! service's own API key that the database does not know. Somebody else who uses the key leaves the same trace. If
//! there is one, no replica sends anything until a person has confirmed what was found.
//!
//! A false alarm stops the company. So a rent counts as known if an order explains it: an order that is or was in doubt,
//! that matches the number, and that was sent shortly before. Once a call has no explanation, a refused order explains
//! no other call either.
//!
//! The search reads the database after the log. The intent of each call is durable before the call, so the log is never
//! ahead. Calls from before the database's first start do not count. The search leaves out changes of numbers, because
//! Close merges several changes into one event.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::close::{Creation, Error as CloseError};
use crate::desk::account::{Account, MEASURED_SKEW};
use crate::desk::core::Core;
use crate::desk::errors::map_close_error;
use crate::desk::own_keys::own_keys;
use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::hold::{CallKind, Hold, HoldCause, UnknownCall};
use crate::domain::id::PhoneNumberId;
use crate::domain::order::{Evidence, Order, State};
use crate::domain::time::Timestamp;
use crate::error::{Error, chain};

/// How often the log is searched.
const EVERY: Duration = Duration::from_mins(1);
/// How much of the log is searched again, because its end may be incomplete.
const OVERLAP: Duration = Duration::from_mins(10);
/// How long nothing is sent after the start because the log can't be read.
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// The pause between two attempts to search the log before the first dispatch.
const RETRY: Duration = Duration::from_secs(5);
/// The pause before calls that look unknown are judged once more: a settlement may be under way.
const SECOND_LOOK: Duration = Duration::from_secs(3);
/// The resolution of Close's clock.
const RESOLUTION: Duration = Duration::from_secs(2);
/// How old an order can be that explains a call: Close keeps its event log as long.
const MEMORY: Duration = Duration::from_hours(30 * 24);
/// How long after the deadline of a call Close may still rent a number for it.
const LATE: Duration = Duration::from_mins(5);

/// Holds everything that costs or destroys.
#[derive(Clone)]
pub struct Holds {
    core: Core,
    account: Account,
    state: Arc<Start>,
}

/// What this process knows about its first search.
#[derive(Default)]
struct Start {
    /// Whether the log was searched since the process started, or can't be.
    searched: AtomicBool,
    /// Held while one task searches for all.
    search: tokio::sync::Mutex<()>,
    /// The first and the last failure to search, by the steady clock.
    failed: Mutex<Option<(Timestamp, Timestamp)>>,
}

impl Holds {
    pub(in crate::desk) fn new(core: Core, account: Account) -> Self {
        Self {
            core,
            account,
            state: Arc::default(),
        }
    }

    /// Whether calls that cost or destroy may be made now.
    ///
    /// Searches the log first, if this process has not done so.
    pub(in crate::desk) async fn permits_calls(&self) -> Result<bool, Error> {
        Ok(self.has_searched().await && self.core.store.holds().await?.is_empty())
    }

    /// Fails if an operator has turned a hold on.
    pub(in crate::desk) async fn check_new_orders(&self) -> Result<(), Error> {
        let holds = self.core.store.holds().await?;
        match holds.into_iter().find(|hold| hold.cause == HoldCause::Operator) {
            Some(hold) => Err(Error::OrdersOnHold { reason: hold.reason }),
            None => Ok(()),
        }
    }

    /// Fails if there is a hold.
    pub(in crate::desk) async fn check_calls(&self) -> Result<(), Error> {
        match self.core.store.holds().await?.into_iter().next() {
            Some(hold) => Err(Error::OrdersOnHold { reason: hold.reason }),
            None => Ok(()),
        }
    }

    /// The reason of the hold in force, if there is one.
    pub(in crate::desk) async fn reason(&self) -> Result<Option<String>, Error> {
        Ok(self
            .core
            .store
            .holds()
            .await?
            .into_iter()
            .next()
            .map(|hold| hold.reason))
    }

    /// Whether orders wait because the log was not searched yet.
    pub(in crate::desk) fn awaits_search(&self) -> bool {
        !self.state.searched.load(Ordering::Relaxed)
    }

    /// One step: searches the log once after the start, and then whenever a search is due on any replica.
    pub async fn search_when_due(&self) -> Result<(), Error> {
        let due = self.core.store.claim_step("hold", self.core.now(), EVERY).await?;
        if due || !self.state.searched.load(Ordering::Relaxed) {
            Box::pin(self.search()).await?;
        }
        Ok(())
    }

    /// Whether this process has searched the log, or has waited long enough for it.
    async fn has_searched(&self) -> bool {
        if self.state.searched.load(Ordering::Relaxed) {
            return true;
        }
        let _search = self.state.search.lock().await;
        if self.state.searched.load(Ordering::Relaxed) {
            return true;
        }
        let now = self.core.clock.steady();
        let failed = *self.state.failed.lock();
        if failed.is_some_and(|(_, last)| now.since(last) < RETRY) {
            return false;
        }
        let Err(error) = Box::pin(self.search()).await else {
            return true;
        };
        let now = self.core.clock.steady();
        // While nothing can be rented anyway, the wait has not begun: a call must not go ahead of the search.
        let unusable = self.core.close.is_unusable();
        let first = failed.filter(|_| !unusable).map_or(now, |(first, _)| first);
        *self.state.failed.lock() = Some((first, now));
        let waited = now.since(first) >= LONGEST_WAIT;
        tracing::warn!(
            error = chain(&error),
            "event log of Close not searched for unknown calls; {}",
            if waited {
                "orders are sent all the same"
            } else {
                "no order is sent before"
            }
        );
        if waited {
            self.state.searched.store(true, Ordering::Relaxed);
        }
        waited
    }

    /// Searches the log for calls with the own API key that the database does not know, and holds if there is one.
    ///
    /// Any replica can run it at any time.
    pub async fn search(&self) -> Result<(), Error> {
        let store = &self.core.store;
        let (known_since, checked_to) = (store.calls_known_since().await?, store.calls_checked_to().await?);
        let began = self.core.clock.elapsed();
        // The first start reads the newest page only, for the ids of the key.
        let since = match known_since {
            Some(known) => checked_to.map_or(known, |to| to.minus(OVERLAP).max(known)),
            None => self.account.close_now().0,
        };
        let logged = self.core.close.creations(since).await;
        let logged = match logged {
            Ok(created) => Ok((created.known, self.core.close.deletions(since).await)),
            Err(failure) => Err(failure),
        };
        let (created, deleted) = match logged {
            Ok((created, Ok(deleted))) => (created, deleted),
            // The key may not read the log, so there is nothing to wait for.
            Ok((_, Err(failure @ CloseError::Refused { .. })))
            | Err(failure @ CloseError::Refused { .. }) => {
                tracing::warn!(error = %failure, "event log of Close refused to this API key; unknown calls stay unnoticed");
                self.state.searched.store(true, Ordering::Relaxed);
                return Ok(());
            }
            Ok((_, Err(failure))) | Err(failure) => return Err(map_close_error(failure)),
        };
        let keys = own_keys(&self.core, &created).await?;
        let took = self.core.clock.elapsed().saturating_sub(began);
        let read_at = self.account.close_now().0.minus(took);
        // A margin, because Close shows its time in whole seconds.
        let Some(known_since) = known_since else {
            store.knows_calls_since(read_at.plus(RESOLUTION)).await?;
            store.set_calls_checked_to(read_at).await?;
            self.state.searched.store(true, Ordering::Relaxed);
            return Ok(());
        };
        let own = |call: &Creation| {
            call.at >= known_since && call.api_key.as_ref().is_some_and(|key| keys.contains(key))
        };
        let calls: Vec<UnknownCall> = created
            .into_iter()
            .filter(|(_, call)| own(call) && call.by_renting != Some(false))
            .map(|(id, call)| logged_call(CallKind::Rent, id, call))
            .chain(
                deleted
                    .into_iter()
                    .filter(|(_, call)| own(call))
                    .map(|(id, call)| logged_call(CallKind::Release, id, call)),
            )
            .collect();
        let mut unknown = self.unknown(calls).await?;
        if !unknown.is_empty() {
            tokio::time::sleep(SECOND_LOOK).await;
            unknown = self.unknown(unknown).await?;
        }
        if !unknown.is_empty() {
            self.hold(&unknown).await?;
        }
        store.set_calls_checked_to(read_at).await?;
        self.state.searched.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Selects the calls that the database has no explanation for.
    async fn unknown(&self, calls: Vec<UnknownCall>) -> Result<Vec<UnknownCall>, Error> {
        let store = &self.core.store;
        let ids = |kind| -> Vec<PhoneNumberId> {
            let calls = calls.iter().filter(|call| call.kind == kind);
            calls.map(|call| call.number_id.clone()).collect()
        };
        let rented = store.known_rents(&ids(CallKind::Rent)).await?;
        let released = store.known_releases(&ids(CallKind::Release)).await?;
        let is_known = |call: &UnknownCall| match call.kind {
            CallKind::Rent => rented.contains(&call.number_id),
            CallKind::Release => released.contains(&call.number_id),
        };
        let mut unknown: Vec<_> = calls.into_iter().filter(|call| !is_known(call)).collect();
        if unknown.iter().any(|call| call.kind == CallKind::Rent) {
            let mut orders = store.orders_in_doubt(self.core.now().minus(MEMORY)).await?;
            unknown.sort_by_key(|call| call.at);
            let unexplained = self.unexplained(&unknown, &orders);
            if unexplained.is_empty() {
                return Ok(unexplained);
            }
            // Orders will be held in any case. A person should then see every call that may be unknown, so a refused
            // order explains no call.
            orders.retain(|order| order.state != State::Refused);
            unknown = self.unexplained(&unknown, &orders);
        }
        Ok(unknown)
    }

    /// Selects the calls that none of these orders explains. Each order explains one.
    fn unexplained(&self, calls: &[UnknownCall], orders: &[Order]) -> Vec<UnknownCall> {
        let mut explained = BTreeSet::new();
        let is_unexplained = |call: &&UnknownCall| {
            let order = orders
                .iter()
                .find(|order| !explained.contains(&order.id) && self.explains(order, call));
            order.is_none_or(|order| !explained.insert(order.id.clone()))
        };
        calls.iter().filter(is_unexplained).cloned().collect()
    }

    /// Whether the call may have been made for the order: Close has rented soon after the send.
    ///
    /// A later call is not explained. Otherwise any order that was ever in doubt would hide a call that a restored
    /// database does not know.
    fn explains(&self, order: &Order, call: &UnknownCall) -> bool {
        let Some(sent) = order.close_sent_after.or(order.sent_at) else {
            return false;
        };
        // A refusal that is not true all the same: Close has rented.
        let refused_at_once = order.state == State::Refused && order.evidence == Some(Evidence::CloseRefusal);
        let late = if refused_at_once { Duration::ZERO } else { LATE };
        let latest = order.sent_at.unwrap_or(sent).max(sent);
        let latest = latest.plus(self.core.settings.deadline + late + MEASURED_SKEW * 2);
        call.kind == CallKind::Rent
            && call.at >= sent.minus(MEASURED_SKEW)
            && call.at <= latest
            && call.facts.as_ref().is_none_or(|facts| order.matches(facts))
    }

    async fn hold(&self, calls: &[UnknownCall]) -> Result<(), Error> {
        let now = self.core.now();
        let numbers: Vec<&str> = calls.iter().map(|call| call.number_id.as_str()).collect();
        let reason = format!(
            "Close shows {} calls with the service's API key that this database does not know: it was restored from a \
             backup, or somebody else uses the key",
            calls.len()
        );
        let hold = Hold {
            cause: HoldCause::UnknownCalls,
            reason,
            since: now,
        };
        let row = AuditRow::new(now, Actor::desk(), Action::HoldStart, hold.cause.as_str())
            .detail(serde_json::json!({ "reason": hold.reason, "numbers": numbers }));
        if self.core.store.hold_for_unknown_calls(calls, &hold, &row).await? {
            tracing::error!(
                numbers = numbers.join(", "),
                reason = hold.reason,
                "orders and releases held; a person must confirm with `numberdesk recover --confirm` or `PUT /v1/hold`"
            );
        }
        Ok(())
    }
}

fn logged_call(kind: CallKind, number_id: PhoneNumberId, call: Creation) -> UnknownCall {
    UnknownCall {
        kind,
        number_id,
        at: call.at,
        facts: call.facts,
        order_id: None,
    }
}
