//! Adding up what a month cost, as far as the caller reaches.

use std::collections::BTreeMap;

use super::{By, Desk};
use crate::domain::caller::{Permission, Scope, Team};
use crate::domain::month::Month;
use crate::domain::spend::{GroupBy, Spend, Tally};
use crate::error::Error;
use crate::store::LedgerRow;

/// Entries read at once: only these and the groups are in memory.
const PAGE: u32 = 1_000;

impl Desk {
    /// What the month cost the teams that the caller may see, by team, country or who ordered.
    pub async fn spend(
        &self,
        by: By<'_>,
        team: Option<&Team>,
        month: Month,
        group_by: GroupBy,
    ) -> Result<Spend, Error> {
        let scope = by.caller.scope(team)?;
        by.caller.need(Permission::SpendRead)?;
        let mut adding = Adding {
            scope: &scope,
            spend: Spend {
                month,
                by: group_by,
                groups: BTreeMap::new(),
            },
            number: None,
        };
        let mut last: Option<(String, String)> = None;
        // Nobody holds anything in a month that has not begun.
        while month.start() <= self.now() {
            let after = last.as_ref().map(|(number, id)| (number.as_str(), id.as_str()));
            let page = self
                .0
                .store
                .ledger_entries(&scope, month.end(), after, PAGE)
                .await?;
            let Some(end) = page.last() else { break };
            last = Some((end.number.clone(), end.id.clone()));
            for booked in page {
                adding.book(booked);
            }
        }
        Ok(adding.done())
    }
}

/// A month's cost, number by number.
struct Adding<'a> {
    scope: &'a Scope,
    spend: Spend,
    number: Option<Counted>,
}

/// The number whose entries come in.
struct Counted {
    id: String,
    country: Option<String>,
    user: Option<String>,
    tally: Tally,
}

impl Adding<'_> {
    fn book(&mut self, booked: LedgerRow) {
        let LedgerRow {
            number: id,
            booking,
            country,
            ordered,
            ..
        } = booked;
        if self.number.as_ref().is_none_or(|number| number.id != id) {
            self.close();
        }
        let number = self.number.get_or_insert_with(|| Counted {
            id,
            country: country.map(|country| country.as_str().to_owned()),
            // Who ordered for another team is that team's affair.
            user: ordered
                .filter(|(team, _)| self.scope.covers(team))
                .map(|(_, subject)| subject),
            tally: Tally::new(self.spend.month),
        });
        number.tally.book(booking);
    }

    /// The number is complete.
    fn close(&mut self) {
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

    fn done(mut self) -> Spend {
        self.close();
        self.spend
    }
}
