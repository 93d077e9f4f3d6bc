//! Ordering a number: decide, make the intent durable, start the paid call, and wait for its end.

use std::time::Duration;

use serde_json::json;
use tokio::sync::broadcast;

use crate::desk::{By, Desk, Placed, denied};
use crate::domain::audit::{Action, AuditRow};
use crate::domain::caller::{Permission, Scope, Team};
use crate::domain::decision::Decision;
use crate::domain::id::OrderId;
use crate::domain::order::{IdempotencyKey, Order, Request, State};
use crate::error::{Error, chain};
use crate::policy;
use crate::store::Inserted;
use crate::telemetry::metrics::ORDERS_DENIED_TOTAL;

impl Desk {
    /// Rents one number for the team, once for each `key`. The answer is the order as it stands when it has
    /// ended or `wait` is over (the configured wait when `None`); the order goes on either way, also when the
    /// caller hangs up.
    pub async fn order(
        &self,
        by: By<'_>,
        team: Option<&Team>,
        request: Request,
        key: Option<IdempotencyKey>,
        wait: Option<Duration>,
    ) -> Result<Placed, Error> {
        let team = by.caller.team(team)?;
        by.caller.need(Permission::NumbersRent)?;
        let key = key.ok_or(Error::IdempotencyKeyMissing)?;
        let changes = self.0.changed.subscribe();
        let order = match self.known(&team, &key, &request).await? {
            Some(order) => order,
            None => self.accept(by, &team, request, key).await?,
        };
        Ok(self
            .wait(order, changes, wait.unwrap_or(self.0.settings.wait))
            .await)
    }

    /// The order that already has this key, if it was for the same request.
    async fn known(
        &self,
        team: &Team,
        key: &IdempotencyKey,
        request: &Request,
    ) -> Result<Option<Order>, Error> {
        match self.0.store.order_by_key(team, key).await? {
            Some((order, known)) => same(order, &known, request).map(Some),
            None => Ok(None),
        }
    }

    async fn accept(
        &self,
        by: By<'_>,
        team: &Team,
        request: Request,
        key: IdempotencyKey,
    ) -> Result<Order, Error> {
        let now = self.now();
        let (policy, members) = (self.0.policy.load_full(), self.members_for(team).await);
        let (caps, usage) = (policy.caps(team), self.0.store.usage(team, now).await?);
        let ruling = policy::decide_rent(&policy, by.caller, team, &request, &usage, &members);
        let row = |decision: &Decision, outcome| {
            by.row(now, Action::OrderCreate, outcome)
                .team(Some(team))
                .decision(decision)
                .detail(
                    json!({ "request": request, "idempotency_key": key, "why": decision.explanation(),
                    "approval": ruling.approval }),
                )
        };
        let Some(terms) = ruling.terms.clone() else {
            self.0
                .store
                .record_audit(&row(&ruling.decision, "denied"))
                .await?;
            metrics::counter!(ORDERS_DENIED_TOTAL).increment(1);
            return Err(denied(ruling.decision, caps, usage));
        };
        let approval = ruling
            .approval
            .clone()
            .map(|why| self.question(by, why, &request, &terms, now));
        let order = Order::new(by.caller, team, &request, terms, &key, approval, now);
        let fingerprint = request.fingerprint();
        let outcome = match order.state {
            State::AwaitingApproval => order.state.as_str(),
            _ => "accepted",
        };
        let accepted: AuditRow = row(&ruling.decision, outcome).order(&order.id);
        match self
            .0
            .store
            .insert_order(&order, &fingerprint, &caps, &accepted)
            .await?
        {
            Inserted::New => {
                if order.state == State::Queued {
                    self.start(order.id.clone(), team.clone());
                }
                Ok(order)
            }
            Inserted::Existing { order, fingerprint } => same(order, &fingerprint, &request),
            // Others were quicker between the decision and the reservation: the same rule, asked again, says why.
            Inserted::Capped { usage, .. } => {
                let ruling = policy::decide_rent(&policy, by.caller, team, &request, &usage, &members);
                self.0
                    .store
                    .record_audit(&row(&ruling.decision, "denied"))
                    .await?;
                Err(denied(ruling.decision, caps, usage))
            }
        }
    }

    /// The order when it has ended or `wait` is over; one that this process won't send any more is not waited for. It
    /// is accepted: a database that can't be read now only means that the caller sees it as it was last known.
    async fn wait(&self, order: Order, mut changes: broadcast::Receiver<OrderId>, wait: Duration) -> Placed {
        let (scope, id) = (Scope::Teams(vec![order.team.clone()]), order.id.clone());
        let mut known = Placed { order, number: None };
        let over = tokio::time::sleep(wait);
        tokio::pin!(over);
        loop {
            match self.placed(&scope, &id).await {
                Ok(placed) => known = placed,
                Err(error) => {
                    tracing::warn!(order = %id, error = chain(&error), "can't look");
                }
            }
            // What waits for a person or for reconciliation takes longer than any request should.
            if !matches!(known.order.state, State::Queued | State::Renting) {
                return known;
            }
            let stopping = self.0.stop.is_cancelled();
            if stopping && known.order.state == State::Queued {
                return known;
            }
            let elsewhere = tokio::time::sleep(Duration::from_secs(1));
            tokio::select! {
                () = &mut over => return known,
                () = changed(&mut changes, &id) => {}
                // Another replica may be the one that sends it; it tells nobody here.
                () = elsewhere => {}
                () = self.0.stop.cancelled(), if !stopping => {}
            }
        }
    }
}

/// The order is this request's only if the key was used for the same one.
fn same(order: Order, known: &str, request: &Request) -> Result<Order, Error> {
    if known == request.fingerprint() {
        Ok(order)
    } else {
        Err(Error::IdempotencyKeyReused { order_id: order.id })
    }
}

async fn changed(changes: &mut broadcast::Receiver<OrderId>, id: &OrderId) {
    loop {
        match changes.recv().await {
            Ok(other) if &other != id => {}
            // It changed, or some changes were missed: look.
            _ => return,
        }
    }
}
