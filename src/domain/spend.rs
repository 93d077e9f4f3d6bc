//! What a month cost. Close bills a number's month when it is rented, and then month by month: so a number counts once in
//! every month in which some team held it at any moment, at the price last in force for it then, for the team that held
//! it first. It is reckoned from the ledger's entries alone, which the caps are enforced by as well.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::caller::Team;
use crate::domain::money::Money;
use crate::domain::month::Month;
use crate::domain::number::words;
use crate::domain::time::Timestamp;

words! {
    /// What a month's cost is told by.
    GroupBy {
        /// The team that held the number first in the month.
        Team = "team",
        /// The number's country.
        Country = "country",
        /// Who ordered the number.
        User = "user",
    }
}

/// One change of what a team holds, by one number: an entry of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booking {
    /// When.
    pub at: Timestamp,
    /// Whose books.
    pub team: Team,
    /// How many more numbers it holds: 1, 0 or -1.
    pub numbers: i64,
    /// How much more it pays a month.
    pub monthly: Money,
}

/// What one number costs in a month, and whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The team that held it first.
    pub team: Team,
    /// The monthly price last in force.
    pub monthly: Money,
}

/// One number's bookings, as they come in, and what they make of a month.
#[derive(Debug)]
pub struct Tally {
    month: Month,
    begun: bool,
    held: BTreeMap<Team, i64>,
    monthly: Money,
    share: Option<Share>,
}

impl Tally {
    /// Nothing yet.
    pub fn new(month: Month) -> Self {
        Self {
            month,
            begun: false,
            held: BTreeMap::new(),
            monthly: Money::ZERO,
            share: None,
        }
    }

    /// Takes in the next booking, in the order of the ledger.
    pub fn book(&mut self, booking: Booking) {
        let Booking {
            at,
            team,
            numbers,
            monthly,
        } = booking;
        if at >= self.month.end() {
            return;
        }
        if at >= self.month.start() {
            self.begin();
        }
        *self.held.entry(team.clone()).or_default() += numbers;
        self.monthly = self.monthly.plus(monthly);
        if self.begun {
            let held: i64 = self.held.values().sum();
            if numbers > 0 {
                // Clocks of two replicas may let it leave before it came; it was held all the same.
                let price = if held > 0 { self.monthly } else { monthly };
                self.share.get_or_insert(Share { team, monthly: price });
            }
            if let Some(share) = self.share.as_mut().filter(|_| held > 0) {
                share.monthly = self.monthly;
            }
        }
    }

    /// What the number costs in the month, if it was held in it.
    pub fn share(mut self) -> Option<Share> {
        self.begin();
        self.share
    }

    /// Whoever holds it when the month begins holds it first.
    fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            let holder = self.held.iter().find(|(_, count)| **count > 0);
            self.share = holder.map(|(team, _)| Share {
                team: team.clone(),
                monthly: self.monthly,
            });
        }
    }
}

/// How many numbers there were, and what they cost together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// Numbers.
    pub numbers: u64,
    /// US dollars.
    pub amount: Money,
}

impl Sum {
    /// One number more.
    pub fn add(&mut self, monthly: Money) {
        self.numbers += 1;
        self.amount = self.amount.plus(monthly);
    }
}

/// What a month cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spend {
    /// Which month.
    pub month: Month,
    /// By what it is told.
    pub by: GroupBy,
    /// What each of them cost; `None` is nobody, or no known country.
    pub groups: BTreeMap<Option<String>, Sum>,
}

impl Spend {
    /// All of it.
    pub fn total(&self) -> Sum {
        let mut total = Sum::default();
        for sum in self.groups.values() {
            total.numbers += sum.numbers;
            total.amount = total.amount.plus(sum.amount);
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn team(name: &str) -> Team {
        name.parse().unwrap()
    }

    fn month(text: &str) -> Month {
        text.parse().unwrap()
    }

    /// `day team numbers cents`, from January to March.
    fn share(of: &str, bookings: &[(&str, &str, i64, i64)]) -> Option<(String, i64)> {
        let mut tally = Tally::new(month(of));
        for (day, name, numbers, cents) in bookings {
            tally.book(Booking {
                at: format!("2026-{day}T12:00:00Z").parse().unwrap(),
                team: team(name),
                numbers: *numbers,
                monthly: Money::from_cents(*cents),
            });
        }
        tally
            .share()
            .map(|share| (share.team.to_string(), share.monthly.cents()))
    }

    fn is(name: &str, cents: i64) -> (String, i64) {
        (name.to_owned(), cents)
    }

    #[test]
    fn a_number_counts_in_every_month_in_which_it_was_held() {
        let held = [("01-31", "a", 1, 500), ("03-01", "a", -1, -500)];
        assert_eq!(share("2025-12", &held), None);
        for text in ["2026-01", "2026-02", "2026-03"] {
            assert_eq!(share(text, &held), Some(is("a", 500)), "{text}");
        }
        assert_eq!(share("2026-04", &held), None);
        let a_moment = [("02-01", "a", 1, 500), ("02-01", "a", -1, -500)];
        assert_eq!(share("2026-02", &a_moment), Some(is("a", 500)));
        assert_eq!(share("2026-03", &a_moment), None);
        assert_eq!(share("2026-02", &[]), None);
    }

    #[test]
    fn the_price_is_the_last_in_force_in_the_month_while_it_was_held() {
        let billed = [
            ("01-10", "a", 1, 500),
            ("01-20", "a", 0, -385),
            ("02-20", "a", 0, 5),
            ("02-21", "a", -1, -120),
        ];
        assert_eq!(share("2026-01", &billed), Some(is("a", 115)));
        assert_eq!(share("2026-02", &billed), Some(is("a", 120)));
        assert_eq!(share("2026-02", &billed[..2]), Some(is("a", 115)));
        // What Close billed may be known a moment before the order is settled.
        let early = [("01-10", "a", 0, -385), ("01-10", "a", 1, 500)];
        assert_eq!(share("2026-01", &early), Some(is("a", 115)));
    }

    #[test]
    fn a_number_that_moves_counts_for_whom_it_was_first() {
        for swapped in [false, true] {
            let mut moved = vec![
                ("01-10", "b", 1, 500),
                ("02-10", "a", 1, 500),
                ("02-10", "b", -1, -500),
            ];
            if swapped {
                moved.swap(1, 2);
            }
            assert_eq!(share("2026-01", &moved), Some(is("b", 500)));
            assert_eq!(share("2026-02", &moved), Some(is("b", 500)));
            assert_eq!(share("2026-03", &moved), Some(is("a", 500)));
            let same_month = moved
                .iter()
                .map(|one| ("02-10", one.1, one.2, one.3))
                .collect::<Vec<_>>();
            assert_eq!(share("2026-02", &same_month), Some(is("b", 500)));
            moved.push(("02-20", "a", -1, -500));
            assert_eq!(share("2026-02", &moved), Some(is("b", 500)));
        }
    }

    #[test]
    fn what_came_and_went_by_two_clocks_was_held_all_the_same() {
        let crossed = [("02-01", "a", -1, -500), ("02-02", "a", 1, 500)];
        assert_eq!(share("2026-02", &crossed), Some(is("a", 500)));
        assert_eq!(share("2026-03", &crossed), None);
    }

    proptest! {
        /// The books at the end of a month are what the numbers cost that are still held.
        #[test]
        fn nothing_left_means_the_month_costs_what_is_held(
            steps in proptest::collection::vec((1..=28_u8, 0..3_u8, 0..3_usize, 1..900_i64), 0..12),
        ) {
            let mut steps = steps;
            steps.sort_by_key(|step| step.0);
            let teams = ["a", "b", "c"].map(team);
            let mut tally = Tally::new(month("2026-02"));
            let (mut first, mut holder, mut price) = (None, None, 0);
            for (day, kind, who, cents) in steps {
                let at: Timestamp = format!("2026-02-{day:02}T00:00:00Z").parse().unwrap();
                let mut book = |who: usize, numbers, cents| tally.book(Booking {
                    at, team: teams[who].clone(), numbers, monthly: Money::from_cents(cents),
                });
                match (kind, holder) {
                    (_, None) => {
                        book(who, 1, cents);
                        (holder, price) = (Some(who), cents);
                        first.get_or_insert(who);
                    }
                    (0, Some(has)) => {
                        book(has, 0, cents - price);
                        price = cents;
                    }
                    (_, Some(has)) if has != who => {
                        book(who, 1, price);
                        book(has, -1, -price);
                        holder = Some(who);
                    }
                    _ => {}
                }
            }
            let share = tally.share();
            prop_assert_eq!(share.as_ref().map(|share| share.monthly.cents()), holder.map(|_| price));
            prop_assert_eq!(share.map(|share| share.team), first.map(|who| teams[who].clone()));
        }
    }
}
