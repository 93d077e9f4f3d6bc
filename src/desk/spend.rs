//! The cost of a month, for the teams that the caller may see.

use std::collections::BTreeMap;

use crate::desk::core::Core;
use crate::domain::authority::CallContext;
use crate::domain::month::Month;
use crate::domain::permission::needs;
use crate::domain::scope::Scope;
use crate::domain::spend::{GroupBy, Spend, Tally};
use crate::domain::team::Team;
use crate::error::Error;
use crate::store::LedgerRow;

/// Entries read at once. Only these and the groups are in memory.
const PAGE: u32 = 1_000;

/// Adds up the cost of a month.
#[derive(Clone)]
pub struct Spending {
    core: Core,
}

impl Spending {
    pub(in crate::desk) fn new(core: Core) -> Self {
        Self { core }
    }

    /// The cost of the month by team, country or ordering user.
    pub async fn of_month(
        &self,
        ctx: CallContext<'_, needs::SpendRead>,
        team: Option<&Team>,
        month: Month,
        group_by: GroupBy,
    ) -> Result<Spend, Error> {
        let authority = ctx.authorize(team)?;
        let scope = authority.scope();
        let mut sum = Sum {
            scope,
            spend: Spend {
                month,
                by: group_by,
                groups: BTreeMap::new(),
            },
            number: None,
        };
        let mut last: Option<(String, String)> = None;
        // A month in the future has no cost.
        while month.start() <= self.core.now() {
            let after = last.as_ref().map(|(number, id)| (number.as_str(), id.as_str()));
            let page = self
                .core
                .store
                .ledger_entries(scope, month.end(), after, PAGE)
                .await?;
            let Some(end) = page.last() else { break };
            last = Some((end.number.clone(), end.id.clone()));
            for booked in page {
                sum.add(booked);
            }
        }
        Ok(sum.finish())
    }
}

/// Adds up the cost of a month, number by number.
struct Sum<'a> {
    scope: &'a Scope,
    spend: Spend,
    number: Option<CurrentNumber>,
}

/// The number whose entries are being added.
struct CurrentNumber {
    id: String,
    country: Option<String>,
    user: Option<String>,
    tally: Tally,
}

impl Sum<'_> {
    fn add(&mut self, booked: LedgerRow) {
        let LedgerRow {
            number: id,
            booking,
            country,
            ordered,
            ..
        } = booked;
        if self.number.as_ref().is_none_or(|number| number.id != id) {
            self.finish_number();
        }
        let number = self.number.get_or_insert_with(|| CurrentNumber {
            id,
            country: country.map(|country| country.as_str().to_owned()),
            // A user of another team is not shown.
            user: ordered
                .filter(|(team, _)| self.scope.covers(team))
                .map(|(_, subject)| subject),
            tally: Tally::new(self.spend.month),
        });
        number.tally.book(booking);
    }

    /// Finishes the current number, and adds its share to its group.
    fn finish_number(&mut self) {
        let Some(number) = self.number.take() else { return };
        let Some(share) = number
            .tally
            .share()
            .filter(|share| self.scope.covers(&share.team))
        else {
            return;
        };
        let key = match self.spend.by {
            GroupBy::Team => Some(share.team.into()),
            GroupBy::Country => number.country,
            GroupBy::User => number.user,
        };
        self.spend.groups.entry(key).or_default().add(share.monthly);
    }

    fn finish(mut self) -> Spend {
        self.finish_number();
        self.spend
    }
}
