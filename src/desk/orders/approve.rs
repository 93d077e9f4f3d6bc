//! Approves or rejects orders that need the approval of a second person, and expires overdue ones.

use serde_json::json;

use crate::desk::each::each;
use crate::desk::orders::Orders;
use crate::desk::orders::order_with_number::OrderWithNumber;
use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::authority::{Authority, CallContext};
use crate::domain::decision::Explanation;
use crate::domain::id::OrderId;
use crate::domain::order::approval::{Approval, Verdict};
use crate::domain::order::{Order, Request, State, Terms};
use crate::domain::permission::needs;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::telemetry::metrics::APPROVALS_TOTAL;

/// Orders expired in one step.
const BATCH: u32 = 64;

impl Orders {
    /// Approves an order of another person, so that it is sent. Approving it again returns it unchanged.
    pub async fn approve(
        &self,
        ctx: CallContext<'_, needs::OrdersApprove>,
        id: &OrderId,
        comment: Option<String>,
    ) -> Result<OrderWithNumber, Error> {
        self.decide(ctx, id, Verdict::Approved, comment).await
    }

    /// Rejects an order of another person and frees its reservation.
    ///
    /// Rejecting it again returns it unchanged.
    pub async fn reject(
        &self,
        ctx: CallContext<'_, needs::OrdersApprove>,
        id: &OrderId,
        comment: Option<String>,
    ) -> Result<OrderWithNumber, Error> {
        self.decide(ctx, id, Verdict::Rejected, comment).await
    }

    /// One step: cancels orders whose approval deadline has passed.
    pub async fn expire_approvals(&self) -> Result<(), Error> {
        let now = self.account.no_earlier_than_now();
        let overdue = self.core.store.overdue_approvals(now, BATCH).await?;
        each(overdue, 1, |order| self.expire(order)).await
    }

    /// Creates the request for approval, bound to the fingerprint of the order's request.
    pub(in crate::desk::orders) fn approval_request(
        &self,
        authority: &Authority<'_, needs::NumbersRent>,
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
            subject: Some(authority.caller().subject().to_owned()),
            close_user: authority.caller().close_user().cloned(),
            decision: Verdict::Pending,
            by: None,
            at: None,
            comment: None,
            expires_at: now.plus(self.core.settings.approval_expires),
        }
    }

    async fn decide(
        &self,
        ctx: CallContext<'_, needs::OrdersApprove>,
        id: &OrderId,
        verdict: Verdict,
        comment: Option<String>,
    ) -> Result<OrderWithNumber, Error> {
        let (order, authority) = self.find_authorized(ctx, id).await?;
        let now = self.account.no_earlier_than_now();
        let team = order.team.clone();
        let action = if verdict == Verdict::Approved {
            Action::OrderApprove
        } else {
            Action::OrderReject
        };
        let row = authority
            .row(now, action, verdict.as_str(), Some(&team))
            .order(id)
            .detail(detail(&order, comment.as_deref()));
        if order.is_own_of(authority.caller()) {
            self.core.store.record_audit(&row.then(now, "denied")).await?;
            return Err(Error::OwnOrder);
        }
        // The person would approve more than this version can show or store.
        if order.is_later() && verdict == Verdict::Approved {
            return Err(Error::Busy {
                detail: "A newer version of Numberdesk accepted this order, and this replica has an older one. Repeat the \
                         request, so that a replica of the newer version gets it.",
            });
        }
        if order.is_overdue(now) {
            self.expire(order).await?;
        } else {
            let actor = Actor::from(authority.caller());
            let decided = match verdict {
                Verdict::Approved => order.approved(actor, comment, now),
                _ => order.rejected(actor, comment, now),
            };
            if let Ok(order) = decided
                && self.core.store.decide_approval(&order, &row).await?
            {
                self.announce(&order, verdict);
            }
        }
        // Another decision may have come first, so the result is read again.
        let mut current = self.with_number(authority.scope(), id).await?;
        self.add_queue_status(std::slice::from_mut(&mut current)).await?;
        let order = &current.order;
        let agrees = |approval: &Approval| approval.decision == verdict;
        if order.state != State::Cancelled && order.approval.as_ref().is_some_and(agrees) {
            return Ok(current);
        }
        Err(Error::OrderNotAwaitingApproval { state: order.state })
    }

    async fn expire(&self, order: Order) -> Result<(), Error> {
        let now = self.core.now();
        let row = AuditRow::new(now, Actor::desk(), Action::OrderExpire, Verdict::Expired.as_str())
            .team(Some(&order.team))
            .order(&order.id)
            .detail(detail(&order, None));
        let order = order
            .expired(now)
            .map_err(|wrong| Error::Internal(wrong.into()))?;
        if self.core.store.decide_approval(&order, &row).await? {
            self.announce(&order, Verdict::Expired);
        }
        Ok(())
    }

    /// Dispatches the order if it was approved, and notifies the requests that wait for the order.
    fn announce(&self, order: &Order, verdict: Verdict) {
        tracing::info!(order_id = %order.id, team = %order.team, verdict = verdict.as_str(), "order approval decided");
        metrics::counter!(APPROVALS_TOTAL, "decision" => verdict.as_str()).increment(1);
        if order.state == State::Queued {
            self.start_dispatch(order.id.clone(), order.team.clone());
        }
        self.changes.notify(&order.id);
    }
}

/// The detail of the audit row: the approved fingerprint and rule, the orderer and the comment.
fn detail(order: &Order, comment: Option<&str>) -> serde_json::Value {
    let approval = order.approval.as_ref();
    json!({
        "fingerprint": approval.map(|approval| &approval.fingerprint),
        "rule": approval.map(|approval| &approval.rule),
        "ordered_by": { "issuer": order.issuer, "subject": order.created_by },
        "comment": comment,
    })
}
