//! A person settles what the desk could not: which number is the order's, or that there is none. What they say is held
//! against Close first.

use crate::desk::orders::verdict::Origin;
use crate::desk::{By, Desk, Placed};
use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::caller::{Permission, Scope};
use crate::domain::id::{OrderId, PhoneNumberId};
use crate::domain::order::transition::Settlement;
use crate::domain::order::{Evidence, Order, State};
use crate::error::Error;

/// What a person found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// This number was rented for the order.
    Number(PhoneNumberId),
    /// None was.
    Absent,
}

impl Desk {
    /// Ends an order in review by what a person found out. The order as it then stands.
    pub async fn settle_review(&self, by: By<'_>, id: &OrderId, finding: &Finding) -> Result<Placed, Error> {
        let order = self
            .0
            .store
            .order(&by.caller.scope(None)?, id)
            .await?
            .ok_or(Error::NotFound)?;
        by.caller.need(Permission::NumbersAdmin)?;
        if order.state != State::NeedsReview {
            return Err(Error::OrderNotInReview { state: order.state });
        }
        let settlement = match finding {
            Finding::Number(number) => self.check_number(&order, number).await?,
            Finding::Absent => self.check_absent(&order).await?,
        };
        let row = self.settlement_row(&order, Actor::from(by.caller), Some(by.request_id));
        let row = AuditRow {
            action: Action::OrderReview,
            ..row
        };
        if !self.settle_once(&order, settlement, None, row).await? {
            return Err(contradicted(
                "the order was settled, or the number given away, a moment before",
            ));
        }
        self.placed(&Scope::Teams(vec![order.team]), id).await
    }

    async fn check_number(&self, order: &Order, id: &PhoneNumberId) -> Result<Settlement, Error> {
        self.ours().await?;
        if !self.look_again(id).await? {
            return Err(contradicted(format!("Close knows no number {id}")));
        }
        let number = self
            .0
            .store
            .number(&Scope::All, id)
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
        let look = self.look(sent).await?;
        let candidates = self.candidates(std::slice::from_ref(order), &look).await?;
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
