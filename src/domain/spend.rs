//! The cost of a month.
//!
//! Close bills a number when it is rented, and then every month. A number therefore counts once in every month in which
//! any team held it at any moment: at the last price in force in that month, for the team that held it first. The
//! calculation uses only the ledger, which also enforces the caps.

use std::collections::BTreeMap;

use crate::domain::money::Money;
use crate::domain::month::Month;
use crate::domain::string_enum::string_enum;
use crate::domain::team::Team;
use crate::domain::time::Timestamp;

string_enum! {
    /// The dimension by which a spend report groups the cost.
    GroupBy {
        /// The team that first held the number in the month.
        Team = "team",
        /// The number's country.
        Country = "country",
        /// The person who ordered the number.
        User = "user",
    }
}

string_enum! {
    /// The format of a report.
    ReportFormat {
        /// A JSON document.
        Json = "json",
        /// Comma-separated values with a header line.
        Csv = "csv",
    }
}

/// An entry of the ledger: a change of one number in a team's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booking {
    /// When the entry was booked.
    pub at: Timestamp,
    /// The team whose account changes.
    pub team: Team,
    /// The change of the count of numbers: 1, 0 or -1.
    pub numbers: i64,
    /// The change of the monthly price, in US dollars.
    pub monthly: Money,
}

/// The cost of one number in a month, and the team that bears it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The team that first held the number.
    pub team: Team,
    /// The last monthly price in force, in US dollars.
    pub monthly: Money,
}

/// Computes the cost of one number in a month from its ledger entries.
#[derive(Debug)]
pub struct Tally {
    month: Month,
    begun: bool,
    held: BTreeMap<Team, i64>,
    monthly: Money,
    share: Option<Share>,
}

impl Tally {
    /// Creates a tally without entries.
    pub fn new(month: Month) -> Self {
        Self {
            month,
            begun: false,
            held: BTreeMap::new(),
            monthly: Money::ZERO,
            share: None,
        }
    }

    /// Adds the next entry, in the order of the ledger.
    pub fn book(&mut self, booking: &Booking) {
        let (team, numbers, monthly) = (&booking.team, booking.numbers, booking.monthly);
        let at = booking.at;
        if at >= self.month.end() {
            return;
        }
        if at >= self.month.start() {
            self.begin();
        }
        match self.held.get_mut(team) {
            Some(held) => *held += numbers,
            None => {
                self.held.insert(team.clone(), numbers);
            }
        }
        self.monthly = self.monthly.plus(monthly);
        if self.begun {
            let held: i64 = self.held.values().sum();
            if numbers > 0 {
                // The clocks of two replicas can differ, so that the ledger books the end of a holding before its
                // start. The number still counts.
                let price = if held > 0 { self.monthly } else { monthly };
                self.share.get_or_insert_with(|| Share {
                    team: team.clone(),
                    monthly: price,
                });
            }
            if let Some(share) = self.share.as_mut().filter(|_| held > 0) {
                share.monthly = self.monthly;
            }
        }
    }

    /// Returns the number's cost in the month; `None` if no team held it.
    pub fn share(mut self) -> Option<Share> {
        self.begin();
        self.share
    }

    /// Begins the month: the team that holds the number at this moment is the first holder.
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

/// The cost of one number in several months in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonthlyShare {
    /// The first month.
    pub from: Month,
    /// The last month; `None`: all months from the first one on.
    pub until: Option<Month>,
    /// The cost in each of them.
    pub share: Share,
}

/// Computes the cost of one number in all months, from all its ledger entries in their order.
///
/// Months in a row with the same cost are one range, but a range with an end never goes beyond the end of a year: so the
/// ranges that have a month are found among those that end in its year, however long the history is.
pub fn monthly_shares(bookings: &[Booking]) -> Vec<MonthlyShare> {
    let of = |month: Month| {
        let mut tally = Tally::new(month);
        for booking in bookings {
            tally.book(booking);
        }
        tally.share()
    };
    let mut months: Vec<Month> = bookings
        .iter()
        .filter_map(|booking| Month::of(booking.at))
        .collect();
    months.sort_by_key(|month| month.start());
    months.dedup();
    let mut shares: Vec<MonthlyShare> = Vec::new();
    let mut add = |from: Month, until: Option<Month>| {
        let Some(share) = of(from) else { return };
        match shares.last_mut() {
            Some(last) if last.share == share && last.until.and_then(Month::next) == Some(from) => {
                last.until = until;
            }
            _ => shares.push(MonthlyShare { from, until, share }),
        }
    };
    for (index, month) in months.iter().enumerate() {
        add(*month, Some(*month));
        let Some(next) = month.next() else { continue };
        match months.get(index + 1) {
            None => add(next, None),
            Some(later) if *later != next => add(next, later.previous()),
            Some(_) => {}
        }
    }
    shares.into_iter().flat_map(split_by_year).collect()
}

/// Divides a range with an end into ranges that lie in one year each.
fn split_by_year(share: MonthlyShare) -> Vec<MonthlyShare> {
    let mut parts = Vec::new();
    let mut rest = share;
    while let (Some(until), Some(end)) = (rest.until, rest.from.last_of_year())
        && until.number() > end.number()
        && let Some(next) = end.next()
    {
        parts.push(MonthlyShare {
            until: Some(end),
            ..rest.clone()
        });
        rest.from = next;
    }
    parts.push(rest);
    parts
}

/// A count of numbers and their total cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// The count of numbers.
    pub numbers: u64,
    /// The total cost in US dollars.
    pub amount: Money,
}

impl Sum {
    /// Adds a number with this monthly price.
    pub fn add(&mut self, monthly: Money) {
        self.numbers += 1;
        self.amount = self.amount.plus(monthly);
    }
}

/// The spend report of a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spend {
    /// The month.
    pub month: Month,
    /// The dimension of the groups.
    pub by: GroupBy,
    /// The cost of each group; `None` is an unknown person or country.
    pub groups: BTreeMap<Option<String>, Sum>,
}

impl Spend {
    /// Returns the sum of all groups.
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

    /// Returns the share of `in_month` after bookings in 2026 of `(day, team, numbers, cents)`.
    fn share(in_month: &str, bookings: &[(&str, &str, i64, i64)]) -> Option<(String, i64)> {
        let mut tally = Tally::new(month(in_month));
        for (day, name, numbers, cents) in bookings {
            tally.book(&Booking {
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

    fn expected(name: &str, cents: i64) -> (String, i64) {
        (name.to_owned(), cents)
    }

    #[test]
    fn a_number_counts_in_every_month_in_which_it_was_held() {
        let held = [("01-31", "a", 1, 500), ("03-01", "a", -1, -500)];
        assert_eq!(share("2025-12", &held), None);
        for text in ["2026-01", "2026-02", "2026-03"] {
            assert_eq!(share(text, &held), Some(expected("a", 500)), "{text}");
        }
        assert_eq!(share("2026-04", &held), None);
        let a_moment = [("02-01", "a", 1, 500), ("02-01", "a", -1, -500)];
        assert_eq!(share("2026-02", &a_moment), Some(expected("a", 500)));
        assert_eq!(share("2026-03", &a_moment), None);
        assert_eq!(share("2026-02", &[]), None);
    }

    #[test]
    fn the_cost_is_the_last_price_of_the_month_while_the_number_was_held() {
        let billed = [
            ("01-10", "a", 1, 500),
            ("01-20", "a", 0, -385),
            ("02-20", "a", 0, 5),
            ("02-21", "a", -1, -120),
        ];
        assert_eq!(share("2026-01", &billed), Some(expected("a", 115)));
        assert_eq!(share("2026-02", &billed), Some(expected("a", 120)));
        assert_eq!(share("2026-02", &billed[..2]), Some(expected("a", 115)));
        // The service can learn the billed price shortly before it settles the order.
        let early = [("01-10", "a", 0, -385), ("01-10", "a", 1, 500)];
        assert_eq!(share("2026-01", &early), Some(expected("a", 115)));
    }

    #[test]
    fn a_moved_number_counts_for_its_first_team_of_the_month() {
        for swapped in [false, true] {
            let mut moved = vec![
                ("01-10", "b", 1, 500),
                ("02-10", "a", 1, 500),
                ("02-10", "b", -1, -500),
            ];
            if swapped {
                moved.swap(1, 2);
            }
            assert_eq!(share("2026-01", &moved), Some(expected("b", 500)));
            assert_eq!(share("2026-02", &moved), Some(expected("b", 500)));
            assert_eq!(share("2026-03", &moved), Some(expected("a", 500)));
            let same_month = moved
                .iter()
                .map(|one| ("02-10", one.1, one.2, one.3))
                .collect::<Vec<_>>();
            assert_eq!(share("2026-02", &same_month), Some(expected("b", 500)));
            moved.push(("02-20", "a", -1, -500));
            assert_eq!(share("2026-02", &moved), Some(expected("b", 500)));
        }
    }

    #[test]
    fn a_number_counts_even_if_its_end_is_booked_before_its_start() {
        let crossed = [("02-01", "a", -1, -500), ("02-02", "a", 1, 500)];
        assert_eq!(share("2026-02", &crossed), Some(expected("a", 500)));
        assert_eq!(share("2026-03", &crossed), None);
    }

    proptest! {
        #[test]
        fn the_shares_of_all_months_are_those_of_each_month(
            steps in proptest::collection::vec((0..700_i64, 0..3_usize, -1..=1_i64, -500..900_i64), 0..12),
        ) {
            let start: Timestamp = "2025-01-01T00:00:00Z".parse().unwrap();
            let mut steps = steps;
            steps.sort_by_key(|step| step.0);
            let bookings: Vec<Booking> = steps
                .iter()
                .map(|(day, who, numbers, cents)| Booking {
                    at: start.plus(std::time::Duration::from_hours(24 * day.unsigned_abs())),
                    team: ["a", "b", "c"].map(team)[*who].clone(),
                    numbers: *numbers,
                    monthly: Money::from_cents(*cents),
                })
                .collect();
            let shares = monthly_shares(&bookings);
            let mut at = Some(month("2024-11"));
            for _ in 0..40 {
                let one = at.unwrap();
                let mut tally = Tally::new(one);
                for booking in &bookings {
                    tally.book(booking);
                }
                let covering: Vec<_> = shares
                    .iter()
                    .filter(|share| share.from.number() <= one.number()
                        && share.until.is_none_or(|until| until.number() >= one.number()))
                    .map(|share| share.share.clone())
                    .collect();
                prop_assert_eq!(covering, tally.share().into_iter().collect::<Vec<_>>(), "{}", one);
                at = one.next();
            }
            for share in &shares {
                let end = share.until.unwrap_or(share.from);
                prop_assert_eq!(share.from.number() / 12, end.number() / 12, "{:?}", share);
            }
        }

        #[test]
        fn a_number_held_at_the_end_of_the_month_costs_its_last_price(
            steps in proptest::collection::vec((1..=28_u8, 0..3_u8, 0..3_usize, 1..900_i64), 0..12),
        ) {
            let mut steps = steps;
            steps.sort_by_key(|step| step.0);
            let teams = ["a", "b", "c"].map(team);
            let mut tally = Tally::new(month("2026-02"));
            let (mut first, mut holder, mut price) = (None, None, 0);
            for (day, kind, who, cents) in steps {
                let at: Timestamp = format!("2026-02-{day:02}T00:00:00Z").parse().unwrap();
                let mut book = |who: usize, numbers, cents| tally.book(&Booking {
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
