//! Tests of approvals and of the transition table.

use serde_json::json;

use super::transition::{Settlement, Step, WrongState};
use super::*;
use crate::domain::audit::Actor;
use crate::domain::identity::TokenIdentity;
use crate::domain::later_word::LaterMembers;
use crate::domain::money::Money;

const END: Timestamp = Timestamp::from_seconds(1_795_000_000);

/// Returns an order of Alice, user `user_A` in Close, that awaits approval.
fn waiting() -> Order {
    let request: Request = serde_json::from_value(json!({"country": "DE", "sharing": "personal"})).unwrap();
    let terms = Terms {
        carrier_type: None,
        assign_to: None,
        monthly: Money::from_cents(500),
        later: LaterMembers::new(),
    };
    Order {
        id: "ord_1".parse().unwrap(),
        team: "sales".parse().unwrap(),
        issuer: "https://idp.example.com/".into(),
        created_by: "alice".into(),
        idempotency_key: "key".parse().unwrap(),
        approval: Some(Approval {
            rule: "teams.sales.approval.countries".into(),
            why: "a second person must approve it".into(),
            fingerprint: request.fingerprint(),
            terms: terms.clone(),
            subject: None,
            close_user: Some("user_A".parse().unwrap()),
            decision: Verdict::Pending,
            by: None,
            at: None,
            comment: None,
            expires_at: END,
        }),
        request,
        terms,
        state: State::AwaitingApproval,
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
        created_at: END,
        updated_at: END,
        finished_at: None,
    }
}

fn caller(subject: &str, issuer: &str, close_user: Option<&str>) -> Caller {
    Caller::of_token(TokenIdentity {
        close_user: close_user.map(|user| user.parse().unwrap()),
        ..TokenIdentity::named(issuer, subject)
    })
}

#[test]
fn a_person_decides_before_the_deadline_and_from_then_on_the_order_expires() {
    let before = Timestamp::from_micros(END.as_micros() - 1);
    assert!(waiting().approved(Actor::desk(), None, before).is_ok());
    assert!(waiting().rejected(Actor::desk(), None, before).is_ok());
    assert_eq!(
        waiting().expired(before),
        Err(WrongState(State::AwaitingApproval))
    );
    assert!(waiting().approved(Actor::desk(), None, END).is_err());
    assert!(waiting().rejected(Actor::desk(), None, END).is_err());
    assert_eq!(waiting().expired(END).unwrap().state, State::Cancelled);
}

#[test]
fn a_decided_order_accepts_no_second_decision() {
    let now = Timestamp::from_micros(0);
    let approved = waiting().approved(Actor::desk(), None, now).unwrap();
    assert_eq!(
        approved.clone().rejected(Actor::desk(), None, now),
        Err(WrongState(State::Queued))
    );
    assert_eq!(approved.expired(END), Err(WrongState(State::Queued)));
    let rejected = waiting().rejected(Actor::desk(), None, now).unwrap();
    assert_eq!(
        rejected.approved(Actor::desk(), None, now),
        Err(WrongState(State::Refused))
    );
}

#[test]
fn an_order_belongs_to_callers_with_its_subject_or_with_its_known_close_user() {
    let order = waiting();
    for own in [
        caller("alice", "https://idp.example.com/", None),
        caller("alice", "https://other.example.com/", Some("user_B")),
        caller("app", "https://idp.example.com/", Some("user_A")),
    ] {
        assert!(order.is_own_of(&own), "{own:?}");
    }
    let mut unknown = waiting();
    unknown.approval.as_mut().unwrap().close_user = None;
    for (order, other) in [
        (
            &order,
            caller("petra", "https://idp.example.com/", Some("user_B")),
        ),
        (&order, caller("petra", "https://idp.example.com/", None)),
        (&unknown, caller("petra", "https://idp.example.com/", None)),
        (
            &unknown,
            caller("petra", "https://idp.example.com/", Some("user_A")),
        ),
    ] {
        assert!(!order.is_own_of(&other), "{other:?}");
    }
}

#[test]
fn an_own_order_is_recognised_by_the_subject_of_the_token_and_never_by_the_shown_name() {
    let of = |subject: &str, name: &str| {
        Caller::of_token(TokenIdentity {
            name: name.to_owned(),
            ..TokenIdentity::named("https://idp.example.com/", subject)
        })
    };
    // The order was created while the name of the caller was shown.
    let mut order = waiting();
    order.created_by = "Alice".into();
    let approval = order.approval.as_mut().unwrap();
    (approval.subject, approval.close_user) = (Some("9f2c".into()), None);
    // The same person, also after the setting or the name changed; and another person of that name.
    for name in ["Alice", "9f2c", "Alice Smith"] {
        assert!(order.is_own_of(&of("9f2c", name)), "{name}");
    }
    assert!(!order.is_own_of(&of("7d1e", "Alice")));
    // An order of an earlier version has only `created_by`, which was the subject.
    order.created_by = "9f2c".into();
    order.approval.as_mut().unwrap().subject = None;
    assert!(order.is_own_of(&of("9f2c", "Alice")) && !order.is_own_of(&of("7d1e", "9f2c")));
}

#[test]
fn an_order_that_differs_from_its_approval_may_not_be_sent() {
    assert!(!waiting().is_as_approved());
    let approved = waiting()
        .approved(Actor::desk(), None, Timestamp::from_micros(0))
        .unwrap();
    assert!(approved.is_as_approved());
    let mut other = approved.clone();
    other.request.prefix = Some("30".into());
    assert!(!other.is_as_approved());
    let mut other = approved.clone();
    other.terms.monthly = Money::ZERO;
    assert!(!other.is_as_approved());
    let free = Order {
        approval: None,
        ..approved
    };
    assert!(free.is_as_approved());
}

/// Calls the method of an order that implements `step`; `None` if no method does.
fn moved(order: &Order, step: Step) -> Option<Result<Order, WrongState>> {
    let (order, now) = (order.clone(), Timestamp::from_micros(0));
    let settled = |settlement: Settlement| {
        assert_eq!(settlement.step(), step);
        order.clone().settled(settlement, now)
    };
    Some(match step {
        Step::Approve => order.approved(Actor::desk(), None, now),
        Step::Reject => order.rejected(Actor::desk(), None, now),
        Step::Expire => order.expired(END),
        Step::Cancel => order.cancelled(now),
        Step::Claim => order.claimed(now),
        // Only the store returns a claim.
        Step::Unclaim => return None,
        Step::Requeue => settled(Settlement::Requeued {
            not_before: now,
            reason: "busy".into(),
        }),
        Step::MarkUnverified => settled(Settlement::Unverified {
            reason: "reset".into(),
        }),
        Step::Review => settled(Settlement::Review {
            reason: "two numbers fit".into(),
        }),
        Step::Suspect => order.suspected("restored".into(), now),
        Step::Fulfil => settled(Settlement::Fulfilled {
            phone_number_id: "phon_1".parse().unwrap(),
            evidence: Evidence::Close201,
        }),
        Step::Refuse => settled(Settlement::Refused {
            close_status: None,
            reason: None,
            close_errors: None,
            evidence: Evidence::CloseRefusal,
        }),
    })
}

#[test]
fn every_method_follows_the_transition_table() {
    for &state in State::ALL {
        for &step in Step::ALL {
            let order = Order { state, ..waiting() };
            let Some(result) = moved(&order, step) else {
                continue;
            };
            let expected = step.next(state).ok_or(WrongState(state));
            assert_eq!(result.map(|order| order.state), expected, "{step:?} from {state}");
        }
    }
}

#[test]
fn every_state_is_reachable_and_no_step_leaves_a_final_state() {
    let reached = |state: State| {
        [true, false].map(State::initial).contains(&state)
            || Step::ALL.iter().any(|step| step.to_state() == state)
    };
    for &state in State::ALL {
        assert!(reached(state), "no step leads to {state}");
        let leaves = Step::ALL.iter().any(|step| step.next(state).is_some());
        assert_eq!(leaves, !state.is_final(), "{state}");
    }
}

#[test]
fn the_time_of_an_order_counts_from_its_acceptance_or_from_its_approval() {
    let at = |seconds: i64| Timestamp::from_seconds(1_795_000_000 - 1_000 + seconds);
    let mut order = waiting();
    order.created_at = at(0);
    assert_eq!(order.clone().settling_time(), None);
    assert_eq!(order.clone().cancelled(at(50)).unwrap().settling_time(), None);
    let rejected = order.clone().rejected(Actor::desk(), None, at(50)).unwrap();
    assert_eq!(rejected.settling_time(), None);

    let approved = order.clone().approved(Actor::desk(), None, at(900)).unwrap();
    assert_eq!(approved.settling_time(), None);
    let cancelled = approved.cancelled(at(907)).unwrap();
    assert_eq!(cancelled.settling_time(), Some(Duration::from_secs(7)));

    order.approval = None;
    order.state = State::Queued;
    let cancelled = order.cancelled(at(30)).unwrap();
    assert_eq!(cancelled.settling_time(), Some(Duration::from_secs(30)));
}
