//! Settles orders in review by the finding of a person, where the evidence was not sufficient.
//!
//! The person names the number of the order, or states that there is none. The service checks the finding against Close
//! before it accepts the finding.

use crate::desk::account::Refetched;
use crate::desk::errors::unavailable;
use crate::desk::orders::Orders;
use crate::desk::orders::evidence::{could_answer, first_send};
use crate::desk::orders::order_with_number::OrderWithNumber;
use crate::desk::orders::origin::Origin;
use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::authority::CallContext;
use crate::domain::id::{OrderId, PhoneNumberId};
use crate::domain::order::transition::Settlement;
use crate::domain::order::{Evidence, Order, State};
use crate::domain::permission::needs;
use crate::domain::phone::sharing_calling_code;
use crate::domain::scope::Scope;
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
        // The finding is checked against orphans and numbers of other teams, and its answers name them.
        authority.also_without_team()?;
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
            grant: authority.grant(Some(&order.team)),
            ..row
        };
        if !self.record_settlement(&order, settlement, row).await? {
            return Err(contradicted(
                "the order was settled, or the number was assigned to another order, a moment ago",
            ));
        }
        self.with_number(authority.scope(), id).await
    }

    async fn check_number(&self, order: &Order, id: &PhoneNumberId) -> Result<Settlement, Error> {
        self.account.verify_organization().await?;
        match self.account.refetch_number(id).await? {
            Refetched::Current => {}
            Refetched::Failed { reason } => return Err(unavailable(reason)),
            Refetched::Missing => return self.check_released(order, id).await,
            Refetched::Unreadable(record) => {
                return Err(contradicted(format!(
                    "Close shows the number `{id}` in a form that can't be read: {}",
                    record.fault
                )));
            }
        }
        let number = self
            .core
            .store
            .number(&Scope::system("manual review"), id)
            .await?
            .ok_or_else(|| contradicted(format!("Close no longer has the number `{id}`")))?;
        if !order.matches(&number.facts) {
            return Err(contradicted(format!(
                "`{id}` does not match the order: its number is {}, its kind is {}, its carrier type is {}",
                number.facts.number,
                number.facts.kind,
                number.facts.carrier_type.as_deref().unwrap_or("unknown"),
            )));
        }
        // The order's own team may have adopted the number meanwhile.
        if let Some(team) = number.team.as_ref().filter(|team| **team != order.team) {
            return Err(contradicted(format!("`{id}` belongs to the team `{team}`")));
        }
        Ok(Settlement::Fulfilled {
            phone_number_id: id.clone(),
            evidence: Evidence::SettledByPerson,
        })
    }

    /// Checks a number that was rented for the order and has been released since. Without it, no finding would be true.
    async fn check_released(&self, order: &Order, id: &PhoneNumberId) -> Result<Settlement, Error> {
        let known = self.possible_answers(std::slice::from_ref(order)).await?;
        let fits = known.iter().any(|unassigned| {
            let number = &unassigned.number;
            number.facts.id == *id && number.team.is_none() && could_answer(order, unassigned)
        });
        if !fits {
            return Err(contradicted(format!("Close has no number `{id}`")));
        }
        Ok(Settlement::Fulfilled {
            phone_number_id: id.clone(),
            evidence: Evidence::SettledByPerson,
        })
    }

    async fn check_absent(&self, order: &Order) -> Result<Settlement, Error> {
        let alone = std::slice::from_ref(order);
        let sent = first_send(alone).unwrap_or_else(|| self.account.close_not_before());
        let view = self.collect_evidence(sent).await?;
        let unassigned = self.possible_answers(alone).await?;
        let countries = sharing_calling_code(order.request.country);
        let open = self.core.store.unsettled_orders(&countries).await?;
        let own = open.iter().filter(|open| open.order.id == order.id).collect();
        let candidates = self.candidates(&[own], &[], &unassigned, &view);
        let ours: Vec<&str> = candidates
            .iter()
            .filter(|candidate| candidate.origin == Origin::Desk && !candidate.adopted)
            .map(|candidate| candidate.id.as_str())
            .collect();
        if !ours.is_empty() {
            return Err(contradicted(format!(
                "Close shows numbers that the service's API key rented and that belong to no order and no team: {}",
                ours.join(", ")
            )));
        }
        Ok(Settlement::Refused {
            close_status: None,
            reason: Some("a person stated that Close rented no number for this order".to_owned()),
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
