//! A person settles an order that the desk could not: they name its number, or say that there is none.
//!
//! The desk checks the finding against Close before it accepts it.

use crate::desk::orders::Orders;
use crate::desk::orders::list::OrderWithNumber;
use crate::desk::orders::verdict::Origin;
use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::authority::{CallContext, Scope};
use crate::domain::caller::needs;
use crate::domain::id::{OrderId, PhoneNumberId};
use crate::domain::order::transition::Settlement;
use crate::domain::order::{Evidence, Order, State};
use crate::error::Error;

/// The finding of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// This number was rented for the order.
    Number(PhoneNumberId),
    /// No number was rented for it.
    Absent,
}

impl Orders {
    /// Settles an order in review by a person's finding, and returns it.
    pub async fn settle_review(
        &self,
        ctx: CallContext<'_, needs::NumbersAdmin>,
        id: &OrderId,
        finding: &Finding,
    ) -> Result<OrderWithNumber, Error> {
        let (order, authority) = self.find_authorized(ctx, id).await?;
        if order.state != State::NeedsReview {
            return Err(Error::OrderNotInReview { state: order.state });
        }
        let settlement = match finding {
            Finding::Number(number) => self.check_number(&order, number).await?,
            Finding::Absent => self.check_absent(&order).await?,
        };
        let row = self.settlement_row(
            &order,
            Actor::from(authority.caller()),
            Some(authority.request_id()),
        );
        let row = AuditRow {
            action: Action::OrderReview,
            ..row
        };
        if !self.record_settlement(&order, settlement, None, row).await? {
            return Err(contradicted(
                "the order was settled, or the number given away, a moment before",
            ));
        }
        self.with_number(authority.scope(), id).await
    }

    async fn check_number(&self, order: &Order, id: &PhoneNumberId) -> Result<Settlement, Error> {
        self.account.verify_organization().await?;
        if !self.account.refetch_number(id).await? {
            return Err(contradicted(format!("Close knows no number {id}")));
        }
        let number = self
            .core
            .store
            .number(&Scope::system("manual review"), id)
            .await?
            .ok_or_else(|| contradicted(format!("Close knew no number {id} a moment ago")))?;
        if !order.matches(&number.facts) {
            return Err(contradicted(format!(
                "{id} is not what was ordered: it is {}, {}, {}",
                number.facts.number,
                number.facts.kind,
                number
                    .facts
                    .carrier_type
                    .as_deref()
                    .unwrap_or("of no known kind of line"),
            )));
        }
        if let Some(team) = &number.team {
            return Err(contradicted(format!("{id} belongs to the team {team}")));
        }
        Ok(Settlement::Fulfilled {
            phone_number_id: id.clone(),
            evidence: Evidence::SettledByPerson,
        })
    }

    async fn check_absent(&self, order: &Order) -> Result<Settlement, Error> {
        let sent = order.sent_at.unwrap_or(order.created_at);
        let view = self.collect_evidence(sent).await?;
        let candidates = self.candidates(std::slice::from_ref(order), &view).await?;
        let ours: Vec<&str> = candidates
            .iter()
            .filter(|candidate| candidate.origin == Origin::Desk)
            .map(|candidate| candidate.id.as_str())
            .collect();
        if !ours.is_empty() {
            return Err(contradicted(format!(
                "Close shows what the desk's own key rented and no order has: {}",
                ours.join(", ")
            )));
        }
        Ok(Settlement::Refused {
            close_status: None,
            reason: Some("a person found that Close rented nothing for it".to_owned()),
            close_errors: None,
            evidence: Evidence::SettledByPerson,
        })
    }
}

fn contradicted(reason: impl Into<String>) -> Error {
    Error::SettleContradicted {
        reason: reason.into(),
    }
}
