//! Creates an order: decides by policy, stores the order, starts the paid call, and waits for its end.

use std::time::Duration;

use serde_json::json;
use tokio::sync::broadcast;

use crate::desk::errors::denied;
use crate::desk::orders::Orders;
use crate::desk::orders::order_with_number::OrderWithNumber;
use crate::domain::audit::{Action, AuditRow};
use crate::domain::authority::{Authority, CallContext};
use crate::domain::decision::Decision;
use crate::domain::id::OrderId;
use crate::domain::order::{IdempotencyKey, Order, Request, State};
use crate::domain::permission::needs;
use crate::domain::team::Team;
use crate::error::{Error, chain};
use crate::policy;
use crate::store::Inserted;
use crate::telemetry::metrics::ORDERS_DENIED_TOTAL;

/// The order of a request that was accepted, now or earlier.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// The order in its current state.
    pub order: OrderWithNumber,
    /// Whether an earlier request with the same idempotency key created it.
    pub repeated: bool,
}

impl Orders {
    /// Rents one number for the team, once for each `key`.
    ///
    /// Returns the order when it has ended, or when `wait` is over (`None`: the configured time). The work on the order
    /// continues after that, and also when the client disconnects.
    pub async fn create(
        &self,
        ctx: CallContext<'_, needs::NumbersRent>,
        team: Option<&Team>,
        request: Request,
        key: Option<IdempotencyKey>,
        wait: Option<Duration>,
    ) -> Result<Accepted, Error> {
        let (team, authority) = ctx.authorize_team(team)?;
        let key = key.ok_or(Error::IdempotencyKeyMissing)?;
        let changes = self.changes.subscribe();
        let (order, repeated) = match self.find_by_key(&team, &key, &request).await? {
            Some(order) => (order, true),
            None => Box::pin(self.accept(&authority, &team, request, key)).await?,
        };
        let wait = wait.unwrap_or(self.core.settings.wait);
        let mut order = self.wait_for_end(&authority, order, changes, wait).await;
        // The order is accepted, so an unreachable database is no error here: the queue's state is left out.
        if let Err(error) = self.add_queue_status(std::slice::from_mut(&mut order)).await {
            tracing::warn!(order_id = %order.order.id, error = chain(&error), "queue not read for an accepted order");
        }
        Ok(Accepted { order, repeated })
    }

    /// Finds the order that already has this key. Fails if the key was used for another request.
    async fn find_by_key(
        &self,
        team: &Team,
        key: &IdempotencyKey,
        request: &Request,
    ) -> Result<Option<Order>, Error> {
        match self.core.store.order_by_key(team, key).await? {
            Some((order, known)) => check_same_request(order, &known, request).map(Some),
            None => Ok(None),
        }
    }

    /// Stores a new order. Returns `true` with the order of a concurrent request that has the same key.
    async fn accept(
        &self,
        authority: &Authority<'_, needs::NumbersRent>,
        team: &Team,
        request: Request,
        key: IdempotencyKey,
    ) -> Result<(Order, bool), Error> {
        request.check_new().map_err(Error::Invalid)?;
        self.holds.check_new_orders().await?;
        let now = self.core.now();
        let (policy, members) = (self.core.policy.load_full(), self.account.members_for(team).await);
        let (caps, usage) = (policy.caps(team), self.core.store.usage(team, now).await?);
        let ruling = policy::decide_rent(&policy, authority.caller(), team, &request, &usage, &members);
        let row = |decision: &Decision, outcome| {
            authority
                .row(now, Action::OrderCreate, outcome, Some(team))
                .decision(decision)
                .detail(
                    json!({ "request": request, "idempotency_key": key, "why": decision.explanation(),
                    "approval": ruling.approval }),
                )
        };
        let Some(terms) = ruling.terms.clone() else {
            self.core
                .store
                .record_audit(&row(&ruling.decision, "denied"))
                .await?;
            metrics::counter!(ORDERS_DENIED_TOTAL).increment(1);
            return Err(denied(ruling.decision, caps, usage));
        };
        let approval = ruling
            .approval
            .clone()
            .map(|why| self.approval_request(authority, why, &request, &terms, now));
        let order = Order::new(authority.caller(), team, &request, terms, &key, approval, now);
        let fingerprint = request.fingerprint();
        let outcome = match order.state {
            State::AwaitingApproval => order.state.as_str(),
            _ => "accepted",
        };
        let accepted: AuditRow = row(&ruling.decision, outcome).order(&order.id);
        match self
            .core
            .store
            .insert_order(&order, &fingerprint, &caps, &accepted)
            .await?
        {
            Inserted::New => {
                if order.state == State::Queued {
                    self.start_dispatch(order.id.clone(), team.clone());
                }
                Ok((order, false))
            }
            Inserted::Existing { order, fingerprint } => {
                Ok((check_same_request(order, &fingerprint, &request)?, true))
            }
            // Concurrent orders used up the caps after the decision. Deciding again names the reason.
            Inserted::Capped { usage, .. } => {
                let ruling =
                    policy::decide_rent(&policy, authority.caller(), team, &request, &usage, &members);
                self.core
                    .store
                    .record_audit(&row(&ruling.decision, "denied"))
                    .await?;
                Err(denied(ruling.decision, caps, usage))
            }
        }
    }

    /// Waits until the order has ended or `wait` is over, and returns the order.
    ///
    /// Does not wait for an order that this process will not send. The order is already accepted, so an unreachable
    /// database is no error: the caller gets the order as last read.
    async fn wait_for_end(
        &self,
        authority: &Authority<'_, needs::NumbersRent>,
        order: Order,
        mut changes: broadcast::Receiver<OrderId>,
        wait: Duration,
    ) -> OrderWithNumber {
        let id = order.id.clone();
        let mut known = OrderWithNumber::without_number(order);
        let timeout = tokio::time::sleep(wait);
        tokio::pin!(timeout);
        loop {
            match self.with_number(authority.scope(), &id).await {
                Ok(current) => known = current,
                Err(error) => {
                    tracing::warn!(
                        order_id = %id,
                        error = chain(&error),
                        "order not read while a request waits for its end; retrying"
                    );
                }
            }
            // Orders that wait for a person or for reconciliation take longer than a request may.
            if !matches!(known.order.state, State::Queued | State::Renting) {
                return known;
            }
            let stopping = self.core.tasks.stop.is_cancelled();
            if stopping && known.order.state == State::Queued {
                return known;
            }
            let poll = tokio::time::sleep(Duration::from_secs(1));
            tokio::select! {
                () = &mut timeout => return known,
                () = changed(&mut changes, &id) => {}
                // Changes by another replica arrive only through the event log, so the order is polled too.
                () = poll => {}
                () = self.core.tasks.stop.cancelled(), if !stopping => {}
            }
        }
    }
}

/// Returns the existing order if its key was used for the same request, and otherwise an error.
fn check_same_request(order: Order, known: &str, request: &Request) -> Result<Order, Error> {
    if known == request.fingerprint() {
        Ok(order)
    } else {
        Err(Error::IdempotencyKeyReused { order_id: order.id })
    }
}

/// Waits until the order changes. Also returns when changes may have been missed.
async fn changed(changes: &mut broadcast::Receiver<OrderId>, id: &OrderId) {
    loop {
        match changes.recv().await {
            Ok(other) if &other != id => {}
            _ => return,
        }
    }
}
