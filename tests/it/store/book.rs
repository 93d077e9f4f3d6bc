//! The books balance whatever happens: random sequences against the sums, the seed printed when one fails.

use numberdesk::store::Transferred;

use super::*;

/// A small generator of numbers that look random: the same seed, the same sequence.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.throw(all.len())]
    }
}

const TEAMS: [&str; 3] = ["red", "green", "blue"];
const CAPS: Caps = Caps {
    max_numbers: Some(6),
    max_orders_per_day: None,
    monthly_budget: Some(Money::from_cents(4000)),
};

/// One random act of the desk.
async fn act(store: &Store, dice: &mut Dice, round: usize) {
    let name = *dice.pick(&TEAMS);
    let number = format!("N{}", dice.throw(12));
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
    match dice.throw(12) {
        0 | 1 => {
            let country = *dice.pick(&["DE", "FR", "GB", "US", "ES"]);
            let mut order = order(name, &format!("key-{}", dice.throw(40)), country);
            order.terms.monthly = Money::from_cents(100 + i64::try_from(dice.throw(900)).unwrap());
            accept(store, &order, &CAPS).await;
        }
        2 if !orders.is_empty() => drop(claim(store, &dice.pick(&orders).id, now).await),
        3 | 4 if !orders.is_empty() => {
            // As often as not it is not renting, and the store must say no.
            let mut order = dice.pick(&orders).clone();
            order.state = State::Renting;
            let end = match dice.throw(5) {
                0 => refused(),
                1 => unverified(),
                2 => Settlement::Requeued {
                    not_before: now,
                    reason: "429".into(),
                },
                _ => fulfilled(&number),
            };
            let settled = order.settled(end, now).unwrap();
            // A number that another order has is an error, and must change nothing.
            drop(
                store
                    .settle_order(&settled, Some(&seen(&number, now)), &note(Action::OrderSettle))
                    .await,
            );
        }
        5 if !orders.is_empty() => {
            let mut order = dice.pick(&orders).clone();
            order.state = State::Queued;
            store
                .cancel_order(&order.cancelled(now).unwrap(), &note(Action::OrderCancel))
                .await
                .unwrap();
        }
        6 => {
            let mut seen = seen(&number, now);
            seen.facts.billed =
                (dice.throw(2) == 0).then(|| Money::from_cents(i64::try_from(dice.throw(900)).unwrap()));
            store.observe(&[seen]).await.unwrap();
        }
        7 => {
            let done = store
                .transfer(
                    &number_id(&number),
                    &team(name),
                    &CAPS,
                    now,
                    &note(Action::NumberTransfer),
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
            let note = AuditRow::new(now, Actor::desk(), Action::NumberRelease, "test");
            let id = &known.facts.id;
            match dice.throw(6) {
                0 => drop(store.schedule_release(&known, now, &note).await.unwrap()),
                1 => drop(store.cancel_release(&known, &note).await.unwrap()),
                2 => drop(store.mark_releasing(&known, &note).await.unwrap()),
                3 => store.abort_release(id, now, &note).await.unwrap(),
                4 => store.postpone_release(id, now, now, &note).await.unwrap(),
                _ => drop(store.finish_release(id, now, &note).await.unwrap()),
            }
        }
        _ => drop(
            store
                .mark_gone(&number_id(&number), now, &note(Action::NumberGone))
                .await
                .unwrap(),
        ),
    }
}

on_both_stores! {
    the_ledger_is_what_teams_hold_after_any_sequence,
    the_ledger_is_what_teams_hold_after_many_at_once,
}

async fn the_ledger_is_what_teams_hold_after_any_sequence(database: Database) {
    let store = database.store().await;
    let seed = u64::try_from(numberdesk::domain::time::Clock::system().now().as_micros()).unwrap();
    println!("seed {seed}");
    let mut dice = Dice(seed);
    for round in 0..400 {
        act(&store, &mut dice, round).await;
        if round % 50 == 49 {
            assert_books_balance(&database).await;
        }
    }
    let kinds = database.ask("SELECT COUNT(DISTINCT kind) FROM ledger").await;
    println!(
        "{} ledger entries of {kinds} kinds",
        database.ask("SELECT COUNT(*) FROM ledger").await
    );
    assert!(kinds >= 4, "the sequence did too little to mean anything");
}

async fn the_ledger_is_what_teams_hold_after_many_at_once(database: Database) {
    at_once(&database, 24, |store, index| async move {
        let mut dice = Dice(index as u64);
        for round in 0..15 {
            act(&store, &mut dice, round).await;
        }
    })
    .await;
    assert_books_balance(&database).await;
}
