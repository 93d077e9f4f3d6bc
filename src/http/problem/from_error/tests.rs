//! Tests of the problem that each error becomes.

use super::*;
use crate::domain::input::fault::Fault;
use crate::domain::money::Money;
use crate::domain::order::State;
use crate::domain::permission::Permission;
use std::collections::BTreeSet;

fn document(error: Error) -> Value {
    json!(Problem::from(error).document("/v1/orders", "req_1"))
}
fn explanation(rule: &str) -> Box<Explanation> {
    Box::new(Explanation {
        rule: rule.into(),
        have: json!(1),
        need: json!(2),
        hint: "ask".into(),
    })
}

#[test]
fn a_problem_contains_each_fault_with_its_pointer_and_the_request() {
    let faults = vec![Fault {
        pointer: "/country".into(),
        message: "must be a string, not a number".into(),
    }];
    assert_eq!(
        document(Error::Invalid(faults)),
        json!({
            "type": "/problems/invalid-request", "title": "The request is not valid", "status": 400,
            "detail": "/country: must be a string, not a number.",
            "instance": "/v1/orders", "request_id": "req_1",
            "errors": [{"pointer": "/country", "message": "must be a string, not a number"}],
        })
    );
}

fn team_required() -> Error {
    Error::TeamRequired {
        teams: vec![],
        ignored: vec![],
        overage: false,
    }
}

fn permission_missing() -> Error {
    Error::PermissionMissing {
        need: Permission::NumbersRent,
        team: None,
    }
}

#[test]
fn every_error_has_its_status_and_type() {
    let usage = Usage {
        numbers_held: 2,
        numbers_reserved: 1,
        orders_last_day: 4,
        refused_last_hour: 0,
        refused_wait_seconds: 0,
        ..Usage::default()
    };
    let caps = Caps {
        max_numbers: Some(3),
        max_orders_per_day: Some(4),
        max_refused_per_hour: None,
        monthly_budget: None,
    };
    let cases = [
        (Error::NotFound, 404, "not-found"),
        (team_required(), 400, "team-required"),
        (permission_missing(), 403, "permission-missing"),
        (
            Error::Denied {
                refusal: Refusal::Policy,
                explanation: explanation("a.countries"),
                caps: None,
            },
            403,
            "policy-denied",
        ),
        (
            Error::Denied {
                refusal: Refusal::Quota,
                explanation: explanation("a.max_numbers"),
                caps: Some(Box::new((caps, usage))),
            },
            403,
            "quota-exceeded",
        ),
        (Error::IdempotencyKeyMissing, 400, "idempotency-key-missing"),
        (
            Error::IdempotencyKeyReused {
                order_id: "ord_1".parse().unwrap(),
            },
            422,
            "idempotency-key-reused",
        ),
        (
            Error::OrderNotCancellable {
                state: State::Renting,
            },
            409,
            "order-not-cancellable",
        ),
        (
            Error::OrderNotInReview { state: State::Queued },
            409,
            "order-not-in-review",
        ),
        (
            Error::SettleContradicted { reason: "x".into() },
            409,
            "settle-contradicted",
        ),
        (Error::OwnOrder, 403, "own-order"),
        (
            Error::OrderNotAwaitingApproval {
                state: State::Cancelled,
            },
            409,
            "order-not-awaiting-approval",
        ),
        (Error::PreconditionFailed, 412, "precondition-failed"),
        (
            Error::CloseRefused {
                close_status: "error".into(),
                message: None,
                errors: None,
            },
            422,
            "close-refused",
        ),
        (
            Error::CloseUnavailable {
                reason: "reset".into(),
            },
            502,
            "close-unavailable",
        ),
        (Error::StoreUnavailable("gone".into()), 503, "store-unavailable"),
        (Error::Internal("oops".into()), 500, "internal"),
    ];
    assert_problems(cases);
}

#[test]
fn the_problem_of_an_unmapped_account_contains_the_policy_entry_that_it_needs() {
    let issuer = "https://kubernetes.default.svc.cluster.local";
    let document = document(Error::ServiceAccountUnmapped {
        name: ServiceAccountName::new("crm", "dialer").unwrap(),
        issuer: issuer.into(),
    });
    assert_eq!(
        (&document["status"], &document["type"]),
        (&json!(403), &json!("/problems/service-account-unmapped"))
    );
    assert_eq!(
        (&document["namespace"], &document["name"], &document["issuer"]),
        (&json!("crm"), &json!("dialer"), &json!(issuer))
    );
    assert_eq!(
        document["entry"],
        "[[service_accounts]]\nissuer = \"https://kubernetes.default.svc.cluster.local\"\nnamespace = \"crm\"\n\
         name = \"dialer\"\nteam = \"YOUR TEAM\"\npermissions = [\"numbers:read\", \"numbers:rent\"]\n"
    );
}

#[test]
fn every_webhook_error_has_its_status_and_type() {
    let missing = "webhooks.hosts";
    assert_problems([
        (Error::WebhooksOff { missing }, 409, "webhooks-off"),
        (
            Error::TooManyEndpoints { limit: 20 },
            409,
            "too-many-webhook-endpoints",
        ),
        (Error::EndpointDisabled, 409, "webhook-endpoint-disabled"),
    ]);
}

#[track_caller]
fn assert_problems(cases: impl IntoIterator<Item = (Error, u16, &'static str)>) {
    for (error, status, name) in cases {
        let document = document(error);
        assert_eq!(document["status"], status, "{name}");
        assert_eq!(document["type"], format!("/problems/{name}"));
    }
}

#[test]
fn the_problem_of_a_reached_cap_contains_its_figures() {
    let usage = Usage {
        numbers_held: 2,
        numbers_reserved: 1,
        orders_last_day: 4,
        refused_last_hour: 0,
        refused_wait_seconds: 0,
        monthly_held: Money::from_cents(230),
        monthly_reserved: Money::from_cents(115),
    };
    let caps = Caps {
        max_numbers: Some(3),
        max_orders_per_day: Some(4),
        max_refused_per_hour: None,
        monthly_budget: Some(Money::from_cents(400)),
    };
    let figures = |refusal, rule: &str| {
        let document = document(Error::Denied {
            refusal,
            explanation: explanation(rule),
            caps: Some(Box::new((caps, usage))),
        });
        json!([document["limit"], document["used"], document["reserved"]])
    };
    assert_eq!(figures(Refusal::Quota, "teams.a.max_numbers"), json!([3, 2, 1]));
    assert_eq!(
        figures(Refusal::Quota, "teams.a.max_orders_per_day"),
        json!([4, 4, 0])
    );
    assert_eq!(
        figures(Refusal::Budget, "teams.a.monthly_budget"),
        json!(["4.00", "2.30", "1.15"])
    );
}

#[test]
fn an_internal_cause_is_in_the_log_and_not_in_the_response() {
    for error in [
        Error::Internal("the secret is 42".into()),
        Error::StoreUnavailable("the secret is 42".into()),
        Error::CloseUnavailable {
            reason: "the secret is 42".into(),
        },
    ] {
        let problem = Problem::from(error);
        assert!(!json!(problem.document("/", "req_1")).to_string().contains("42"));
        assert_eq!(problem.chain().unwrap(), "the secret is 42");
    }
}

#[test]
fn field_errors_of_close_are_listed_with_their_pointers() {
    let fields = json!({"country": "Field required", "a/b": {"c": ["x"]}});
    let problem = close_refused(Some("error"), Some("No."), fields.as_object());
    let document = json!(problem.document("/", "req_1"));
    assert_eq!(document["detail"], "No.");
    assert_eq!(
        document["errors"],
        json!([{"pointer": "/country", "message": "Field required"}, {"pointer": "/a~1b/c", "message": "[\"x\"]"}])
    );
}

#[test]
fn a_refusal_without_a_message_is_described_by_its_status_and_its_faults() {
    let detail = |status, message, errors: Value| {
        let problem = close_refused(status, message, errors.as_object());
        json!(problem.document("/", "req_1"))["detail"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        detail(Some("billing-error"), None, Value::Null),
        "Close refused the request and gave no message. `close_status` is `billing-error`: the Close account needs funds."
    );
    assert_eq!(
        detail(Some("brand-new"), Some(" "), Value::Null),
        "Close refused the request and gave no message. `close_status` is `brand-new`."
    );
    assert_eq!(
        detail(Some("error"), None, json!({"country": "Not supported."})),
        "Close refused the request because of /country: Not supported. `close_status` is `error`."
    );
    assert_eq!(
        detail(None, None, json!({"a": "x", "b": "y"})),
        "Close refused the request because of 2 fields, which `errors` lists."
    );
}

#[test]
fn no_detail_ends_with_two_full_stops() {
    let fault = |message: &str| Problem::fault("/query/limt", message);
    for (problem, expected) in [
        (
            fault("unknown key `limt`; did you mean `limit`?"),
            "/query/limt: unknown key `limt`; did you mean `limit`?",
        ),
        (fault("must be a number"), "/query/limt: must be a number."),
        (fault("is refused."), "/query/limt: is refused."),
        (
            Problem::from(Error::SettleContradicted {
                reason: "Close has no number.".into(),
            }),
            "Close has no number.",
        ),
    ] {
        assert_eq!(json!(problem.document("/", "req_1"))["detail"], expected);
    }
}

#[test]
fn no_two_problem_types_share_a_name() {
    let names: BTreeSet<_> = ProblemType::ALL
        .iter()
        .map(|problem_type| problem_type.name())
        .collect();
    assert_eq!(names.len(), ProblemType::ALL.len());
}
