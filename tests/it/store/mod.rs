//! The store, on both databases: its guarantees under any interleaving.

mod approval;
mod audit_chain;
mod claims;
mod events;
mod inventory;
mod ledger;
mod list;
mod number_claims;
mod open;
mod order;
mod plans;
mod policy;
mod refetch_queue;
mod release;
mod retention;
mod server;
mod settlement;
mod snapshot;
mod spend;
mod transition;

use std::time::Duration;

use numberdesk::domain::audit::{Action, Actor, AuditRow};
use numberdesk::domain::decision::Caps;
use numberdesk::domain::id::{OrderId, PhoneNumberId};
use numberdesk::domain::later_word::LaterMembers;
use numberdesk::domain::money::Money;
use numberdesk::domain::number::{Facts, Sharing};
use numberdesk::domain::order::transition::Settlement;
use numberdesk::domain::order::{Evidence, Order, Request, State, Terms};
use numberdesk::domain::scope::Scope;
use numberdesk::domain::team::Team;
use numberdesk::domain::time::Timestamp;
use numberdesk::store::{Claim, Inserted, Observation, Store};
use serde_json::Map;

use crate::support::books::assert_books_balance;
use crate::support::database::{Database, on_both_stores};

const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);
const LEASE: Duration = Duration::from_mins(1);
const NO_CAPS: Caps = Caps {
    max_numbers: None,
    max_orders_per_day: None,
    max_refused_per_hour: None,
    monthly_budget: None,
};

/// Returns the whole chain of an error, as a log shows it.
fn chain(error: &numberdesk::error::Error) -> String {
    let first: &dyn std::error::Error = error;
    std::iter::successors(Some(first), |error| error.source())
        .map(|error| format!("{error} {error:?} "))
        .collect::<Vec<_>>()
        .concat()
}

fn team(name: &str) -> Team {
    name.parse().unwrap()
}

fn scope(name: &str) -> Scope {
    Scope::system("test").only(&[team(name)])
}

fn later(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

/// A queued order for a number in `country`, at 5.00 a month.
fn order(team_name: &str, key: &str, country: &str) -> Order {
    Order {
        id: OrderId::generate(NOW),
        team: team(team_name),
        issuer: "https://idp.example.com/".into(),
        created_by: "alice@example.com".into(),
        idempotency_key: key.parse().unwrap(),
        request: Request {
            country: country.parse().unwrap(),
            sharing: Sharing::Personal,
            prefix: Some("30".into()),
            carrier_type: None,
            bundle_id: None,
            with_sms: None,
            with_mms: None,
            assign_to: None,
            label: None,
            later: LaterMembers::new(),
        },
        terms: Terms {
            carrier_type: None,
            assign_to: None,
            monthly: Money::from_cents(500),
            later: LaterMembers::new(),
        },
        approval: None,
        state: State::Queued,
        attempt: 0,
        sent_at: None,
        close_sent_after: None,
        absent_since: None,
        not_before: None,
        phone_number_id: None,
        close_status: None,
        reason: None,
        close_errors: None,
        evidence: None,
        created_at: NOW,
        updated_at: NOW,
        finished_at: None,
    }
}

/// A row of the service itself.
fn audit_row(action: Action) -> AuditRow {
    AuditRow::new(NOW, Actor::desk(), action, "test")
}

async fn insert(store: &Store, order: &Order, caps: &Caps) -> Inserted {
    store
        .insert_order(
            order,
            "fingerprint",
            caps,
            &audit_row(Action::OrderCreate).order(&order.id),
        )
        .await
        .unwrap()
}

/// Claims an order for `replica-1`.
async fn claim(store: &Store, id: &OrderId, now: Timestamp) -> Claim {
    store
        .claim_order(
            id,
            "replica-1",
            now,
            LEASE,
            &audit_row(Action::OrderSend).order(id),
        )
        .await
        .unwrap()
}

/// Inserts an order and claims it.
async fn renting(store: &Store, order: &Order) -> Order {
    assert_eq!(insert(store, order, &NO_CAPS).await, Inserted::New);
    match claim(store, &order.id, NOW).await {
        Claim::Claimed(order) => order,
        other => panic!("the order was not claimed: {other:?}"),
    }
}

/// Settles an order that was claimed; returns whether the store changed it.
async fn settle(store: &Store, order: &Order, settlement: Settlement, found: Option<&Observation>) -> bool {
    let settled = order.clone().settled(settlement, NOW).unwrap();
    store
        .settle_order(&settled, found, &audit_row(Action::OrderSettle).order(&order.id))
        .await
        .unwrap()
}

fn fulfilled(id: &str) -> Settlement {
    Settlement::Fulfilled {
        phone_number_id: number_id(id),
        evidence: Evidence::Close201,
    }
}

fn refused() -> Settlement {
    Settlement::Refused {
        close_status: Some("has-voice-only".into()),
        reason: Some("No numbers with SMS".into()),
        close_errors: None,
        evidence: Evidence::CloseRefusal,
    }
}

fn unverified() -> Settlement {
    Settlement::Unverified {
        reason: "the connection was reset".into(),
    }
}

/// Inserts, claims and fulfils an order of a team; returns it as it is stored.
async fn rented(store: &Store, team_name: &str, id: &str) -> Order {
    let order = renting(store, &order(team_name, id, "DE")).await;
    assert!(settle(store, &order, fulfilled(id), Some(&observation(id, NOW))).await);
    store
        .order(&Scope::system("test"), &order.id)
        .await
        .unwrap()
        .expect("the order is stored")
}

fn number_id(id: &str) -> PhoneNumberId {
    format!("phon_{id}").parse().unwrap()
}

/// An observation of a German number that Close has not billed yet, estimated at 6.00 a month.
fn observation(id: &str, as_of: Timestamp) -> Observation {
    Observation {
        facts: Facts {
            organization: None,
            id: number_id(id),
            number: "+4930901820".into(),
            country: Some("DE".parse().unwrap()),
            kind: "internal".into(),
            label: Some("Berlin line".into()),
            carrier_type: Some("local".into()),
            participants: vec!["user_anna".parse().unwrap()],
            participant_groups: Vec::new(),
            user: None,
            group: false,
            sms: Some(false),
            billed: None,
            created_at: Some(NOW),
            updated_at: Some(NOW),
            object: Map::from_iter([("custom".to_owned(), "kept \u{0}".into())]).into(),
        },
        as_of,
        estimate: Some(Money::from_cents(600)),
    }
}

/// Runs `operation` concurrently for each index below `count`, on two stores, as two replicas would.
async fn run_concurrently<T, F>(
    database: &Database,
    count: usize,
    operation: impl Fn(Store, usize) -> F,
) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let stores = [database.store().await, database.store().await];
    for store in &stores {
        // Opens all connections first, so that the tasks compete for the database and not for connections.
        futures::future::join_all((0..20).map(|_| store.ping())).await;
    }
    let gate = std::sync::Arc::new(tokio::sync::Barrier::new(count));
    let tasks: Vec<_> = (0..count)
        .map(|index| {
            let work = operation(stores[index % 2].clone(), index);
            let gate = gate.clone();
            tokio::spawn(async move {
                gate.wait().await;
                work.await
            })
        })
        .collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}
