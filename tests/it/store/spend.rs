//! The cost of each month: counted in batches, again when new entries come, and read with what earlier versions wrote.

use std::collections::BTreeMap;

use numberdesk::domain::month::Month;
use numberdesk::domain::spend::{GroupBy, Sum};

use super::*;

on_both_stores! {
    numbers_are_counted_in_batches_and_again_when_new_entries_come,
    a_range_that_an_earlier_version_wrote_counts_in_all_its_months,
}

const NUMBERS: u32 = 25;

/// Counts until nothing is left; returns the number of batches.
async fn count(store: &Store) -> u32 {
    let (mut last, mut batches) = (None, 0);
    loop {
        last = store.count_spend(last.as_deref(), 10).await.unwrap();
        if last.is_none() {
            return batches;
        }
        batches += 1;
    }
}

async fn spend(store: &Store, month: &str) -> BTreeMap<Option<String>, Sum> {
    let month: Month = month.parse().unwrap();
    let scope = Scope::system("test");
    store.spend(&scope, month, GroupBy::Team).await.unwrap()
}

fn expected(team: &str, numbers: u64, cents: i64) -> BTreeMap<Option<String>, Sum> {
    let sum = Sum {
        numbers,
        amount: Money::from_cents(cents),
    };
    BTreeMap::from([(Some(team.to_owned()), sum)])
}

/// Books an entry of each number.
async fn book(database: &Database, name: &str, at: &str, numbers: i64, cents: i64) {
    let at: Timestamp = at.parse().unwrap();
    for nth in 0..NUMBERS {
        database
            .execute(&format!(
                "INSERT INTO ledger (id, at, team, phone_number_id, kind, numbers_held, numbers_reserved, monthly_held, \
                    monthly_reserved) VALUES ('led_{name}{nth}', {}, 'sales', 'phon_{nth}', 'hold', {numbers}, 0, {cents}, 0)",
                at.as_micros()
            ))
            .await;
    }
}

async fn numbers_are_counted_in_batches_and_again_when_new_entries_come(database: Database) {
    let store = database.store().await;
    let all = u64::from(NUMBERS);
    let cents = |each: i64| each * i64::from(NUMBERS);
    book(&database, "a", "2023-11-05T00:00:00Z", 1, 500).await;
    assert_eq!(count(&store).await, 3);
    assert_eq!(count(&store).await, 0);
    assert!(spend(&store, "2023-10").await.is_empty());
    for month in ["2023-11", "2023-12", "2024-01", "2030-06"] {
        assert_eq!(
            spend(&store, month).await,
            expected("sales", all, cents(500)),
            "{month}"
        );
    }
    // Entries that come later change the months after them, and end an open range.
    book(&database, "b", "2024-02-05T00:00:00Z", 0, -385).await;
    book(&database, "c", "2025-03-05T00:00:00Z", -1, -115).await;
    assert_eq!(count(&store).await, 3);
    for (month, each) in [
        ("2023-11", 500),
        ("2024-01", 500),
        ("2024-02", 115),
        ("2024-12", 115),
        ("2025-01", 115),
        ("2025-03", 115),
    ] {
        assert_eq!(
            spend(&store, month).await,
            expected("sales", all, cents(each)),
            "{month}"
        );
    }
    assert!(spend(&store, "2025-04").await.is_empty());
    // Months with the same cost are one row, within a year.
    let rows = "SELECT COUNT(*) FROM spend_shares WHERE phone_number_id = 'phon_7'";
    assert_eq!(database.query_integer(rows).await, 4);
}

async fn a_range_that_an_earlier_version_wrote_counts_in_all_its_months(database: Database) {
    let store = database.store().await;
    let number = |month: &str| month.parse::<Month>().unwrap().number();
    let (from, until) = (number("2023-11"), number("2025-02"));
    database
        .execute(&format!(
            "INSERT INTO spend_shares (phone_number_id, from_month, until_month, team, monthly) \
             VALUES ('phon_A', {from}, {until}, 'sales', 500)"
        ))
        .await;
    for month in ["2023-11", "2023-12", "2024-01", "2024-12", "2025-01", "2025-02"] {
        assert_eq!(spend(&store, month).await, expected("sales", 1, 500), "{month}");
    }
    for month in ["2023-10", "2025-03"] {
        assert!(spend(&store, month).await.is_empty(), "{month}");
    }
}
