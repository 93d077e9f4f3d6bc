//! The ledger matches the holdings of the teams after random sequences of operations. A failure prints its seed.

use numberdesk::store::Transferred;

use super::*;

/// A pseudorandom number generator: the same seed gives the same sequence.
struct Random(u64);

impl Random {
    /// Returns a number from 0 to `limit` - 1.
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

const TEAMS: [&str; 3] = ["red", "green", "blue"];
const CAPS: Caps = Caps {
    max_numbers: Some(6),
    max_orders_per_day: None,
    max_refused_per_hour: None,
    monthly_budget: Some(Money::from_cents(4000)),
};

/// Runs one random operation on the store.
async fn random_operation(store: &Store, random: &mut Random, round: usize) {
    let name = *random.pick(&TEAMS);
    let number = format!("N{}", random.below(12));
    let now = later(round as u64 * 200);
    let orders = store
        .orders(
            &Scope::system("test"),
            &numberdesk::store::OrderFilter::default(),
            numberdesk::domain::page::Limit::default(),
            None,
        )
        .await
        .unwrap()
        .rows;
    match random.below(12) {
        0 | 1 => {
            let country = *random.pick(&["DE", "FR", "GB", "US", "ES"]);
            let mut order = order(name, &format!("key-{}", random.below(40)), country);
            order.terms.monthly = Money::from_cents(100 + i64::try_from(random.below(900)).unwrap());
            insert(store, &order, &CAPS).await;
        }
        2 if !orders.is_empty() => drop(claim(store, &random.pick(&orders).id, now).await),
        3 | 4 if !orders.is_empty() => {
            // Often the order is not renting in the database. Then the store must change nothing.
            let mut order = random.pick(&orders).clone();
            order.state = State::Renting;
            let settlement = match random.below(5) {
                0 => refused(),
                1 => unverified(),
                2 => Settlement::Requeued {
                    not_before: now,
                    reason: "429".into(),
                },
                _ => fulfilled(&number),
            };
            let settled = order.settled(settlement, now).unwrap();
            let (seen, row) = (observation(&number, now), audit_row(Action::OrderSettle));
            // A number of another order is an error, and must change nothing.
            drop(store.settle_order(&settled, Some(&seen), &row).await);
        }
        5 if !orders.is_empty() => {
            let mut order = random.pick(&orders).clone();
            order.state = State::Queued;
            store
                .cancel_order(&order.cancelled(now).unwrap(), &audit_row(Action::OrderCancel))
                .await
                .unwrap();
        }
        6 => {
            let mut observation = observation(&number, now);
            observation.facts.billed =
                (random.below(2) == 0).then(|| Money::from_cents(i64::try_from(random.below(900)).unwrap()));
            store.observe(&[observation]).await.unwrap();
        }
        7 => {
            let known = store
                .number(&Scope::system("test"), &number_id(&number))
                .await
                .unwrap();
            let Some(known) = known else { return };
            let done = store
                .transfer(
                    &known,
                    &team(name),
                    &CAPS,
                    now,
                    &audit_row(Action::NumberTransfer),
                )
                .await;
            assert!(!matches!(done, Ok(Transferred::Done(number)) if number.team != Some(team(name))));
        }
        8..=10 => {
            let Some(known) = store
                .number(&Scope::system("test"), &number_id(&number))
                .await
                .unwrap()
            else {
                return;
            };
            let audit_row = AuditRow::new(now, Actor::desk(), Action::NumberRelease, "test");
            let id = &known.facts.id;
            match random.below(6) {
                0 => drop(store.schedule_release(&known, now, &audit_row).await.unwrap()),
                1 => drop(store.cancel_release(&known, &audit_row).await.unwrap()),
                2 => drop(store.mark_releasing(&known, &audit_row).await.unwrap()),
                3 => store.abort_release(id, now, &audit_row).await.unwrap(),
                4 => store.postpone_release(id, now, now, &audit_row).await.unwrap(),
                _ => drop(store.finish_release(id, now, &audit_row).await.unwrap()),
            }
        }
        _ => drop(
            store
                .mark_gone(&number_id(&number), now, &audit_row(Action::NumberGone))
                .await
                .unwrap(),
        ),
    }
}

on_both_stores! {
    the_ledger_matches_the_holdings_after_a_random_sequence,
    the_ledger_matches_the_holdings_after_concurrent_sequences,
}

async fn the_ledger_matches_the_holdings_after_a_random_sequence(database: Database) {
    let store = database.store().await;
    let seed = u64::try_from(numberdesk::domain::time::Clock::system().now().as_micros()).unwrap();
    println!("seed {seed}");
    let mut random = Random(seed);
    for round in 0..400 {
        random_operation(&store, &mut random, round).await;
        if round % 50 == 49 {
            assert_books_balance(&database).await;
        }
    }
    let kinds = database
        .query_integer("SELECT COUNT(DISTINCT kind) FROM ledger")
        .await;
    println!(
        "{} ledger entries of {kinds} kinds",
        database.query_integer("SELECT COUNT(*) FROM ledger").await
    );
    assert!(kinds >= 4, "the sequence had too few kinds of operations");
}

async fn the_ledger_matches_the_holdings_after_concurrent_sequences(database: Database) {
    run_concurrently(&database, 24, |store, index| async move {
        let mut random = Random(index as u64);
        for round in 0..15 {
            random_operation(&store, &mut random, round).await;
        }
    })
    .await;
    assert_books_balance(&database).await;
}
