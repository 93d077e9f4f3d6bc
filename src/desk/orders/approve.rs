//! A second person says yes or no to an order that awaits it; and what becomes of one that nobody says anything
//! about, or that is no longer what was approved.

use serde_json::json;

use crate::desk::{By, Desk, Placed};
use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::caller::{Permission, Scope};
use crate::domain::decision::Explanation;
use crate::domain::id::OrderId;
use crate::domain::order::approval::{Approval, Verdict};
use crate::domain::order::{Order, Request, State, Terms};
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::telemetry::metrics::{APPROVALS_TOTAL, ORDERS_ALTERED_TOTAL};

/// Orders that one step gives up.
const BATCH: u32 = 64;

impl Desk {
    /// Lets an order of somebody else be sent. The order as it stands, also when it was approved before.
    pub async fn approve(&self, by: By<'_>, id: &OrderId, comment: Option<String>) -> Result<Placed, Error> {
        self.decide(by, id, Verdict::Approved, comment).await
    }

    /// Refuses an order of somebody else and gives its reservation back. The order as it stands, also when it was
    /// rejected before.
    pub async fn reject(&self, by: By<'_>, id: &OrderId, comment: Option<String>) -> Result<Placed, Error> {
        self.decide(by, id, Verdict::Rejected, comment).await
    }

    /// One step: cancels what nobody approved in time.
    pub async fn expire_approvals(&self) -> Result<(), Error> {
        for order in self.0.store.overdue_approvals(self.now(), BATCH).await? {
            self.expire(order).await?;
        }
        Ok(())
    }

    /// The question to a second person.
    pub(in crate::desk) fn question(
        &self,
        by: By<'_>,
        why: Explanation,
        request: &Request,
        terms: &Terms,
        now: Timestamp,
    ) -> Approval {
        Approval {
            rule: why.rule,
            why: why.hint,
            fingerprint: request.fingerprint(),
            terms: terms.clone(),
            close_user: by.caller.close_user.clone(),
            decision: Verdict::Pending,
            by: None,
            at: None,
            comment: None,
            expires_at: now.plus(self.0.settings.approval_expires),
        }
    }

    /// Nothing but what was approved is ever rented: an order that is something else now is withdrawn, loudly.
    pub(in crate::desk) async fn call_off(&self, order: Order) -> Result<(), Error> {
        tracing::error!(order = %order.id, team = %order.team, "the order is not the one that was approved; it is not sent");
        metrics::counter!(ORDERS_ALTERED_TOTAL).increment(1);
        let now = self.now();
        let mut order = order
            .cancelled(now)
            .map_err(|wrong| Error::Internal(wrong.into()))?;
        order.reason = Some("it is not what was approved: its request was changed afterwards".to_owned());
        let row = AuditRow::new(now, Actor::desk(), Action::OrderCancel, "altered")
            .team(Some(&order.team))
            .order(&order.id)
            .detail(json!({
                "request": order.request,
                "fingerprint": order.request.fingerprint(),
                "approved": order.approval.as_ref().map(|approval| &approval.fingerprint),
            }));
        if self.0.store.cancel_order(&order, &row).await? {
            let _ = self.0.changed.send(order.id);
        }
        Ok(())
    }

    async fn decide(
        &self,
        by: By<'_>,
        id: &OrderId,
        verdict: Verdict,
        comment: Option<String>,
    ) -> Result<Placed, Error> {
        let scope = by.caller.scope(None)?;
        let order = self.0.store.order(&scope, id).await?.ok_or(Error::NotFound)?;
        by.caller.need(Permission::OrdersApprove)?;
        let now = self.now();
        let team = order.team.clone();
        let action = if verdict == Verdict::Approved {
            Action::OrderApprove
        } else {
            Action::OrderReject
        };
        let row = by
            .row(now, action, verdict.as_str())
            .team(Some(&team))
            .order(id)
            .detail(said(&order, comment.as_deref()));
        if order.is_own_of(by.caller) {
            self.0.store.record_audit(&row.then(now, "denied")).await?;
            return Err(Error::OwnOrder);
        }
        if order.is_overdue(now) {
            self.expire(order).await?;
        } else {
            let actor = Actor::from(by.caller);
            let decided = match verdict {
                Verdict::Approved => order.approved(actor, comment, now),
                _ => order.rejected(actor, comment, now),
            };
            if let Ok(order) = decided
                && self.0.store.decide_approval(&order, &row).await?
            {
                self.announce(&order, verdict);
            }
        }
        // Whoever was quicker: the answer is how it stands.
        let placed = self.placed(&Scope::Teams(vec![team]), id).await?;
        let order = &placed.order;
        let agrees = |approval: &Approval| approval.decision == verdict;
        if order.state != State::Cancelled && order.approval.as_ref().is_some_and(agrees) {
            return Ok(placed);
        }
        Err(Error::OrderNotAwaitingApproval { state: order.state })
    }

    async fn expire(&self, order: Order) -> Result<(), Error> {
        let now = self.now();
        let row = AuditRow::new(now, Actor::desk(), Action::OrderExpire, Verdict::Expired.as_str())
            .team(Some(&order.team))
            .order(&order.id)
            .detail(said(&order, None));
        let order = order
            .expired(now)
            .map_err(|wrong| Error::Internal(wrong.into()))?;
        if self.0.store.decide_approval(&order, &row).await? {
            self.announce(&order, Verdict::Expired);
        }
        Ok(())
    }

    /// Tells who waits, and sends what may be sent now.
    fn announce(&self, order: &Order, verdict: Verdict) {
        tracing::info!(order = %order.id, team = %order.team, verdict = verdict.as_str(), "approval decided");
        metrics::counter!(APPROVALS_TOTAL, "decision" => verdict.as_str()).increment(1);
        if order.state == State::Queued {
            self.start(order.id.clone(), order.team.clone());
        }
        let _ = self.0.changed.send(order.id.clone());
    }
}

/// What the audit trail tells of a word on an order: what it is bound to, and what was said.
fn said(order: &Order, comment: Option<&str>) -> serde_json::Value {
    let asked = order.approval.as_ref();
    json!({
        "fingerprint": asked.map(|approval| &approval.fingerprint),
        "rule": asked.map(|approval| &approval.rule),
        "ordered_by": { "issuer": order.issuer, "subject": order.created_by },
        "comment": comment,
    })
}
