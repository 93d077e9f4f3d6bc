//! The one map from what the desk says went wrong to the problem that is answered. It adds no rule: what is not in
//! the error can't be in the answer.

use serde_json::{Map, Value, json};

use crate::domain::decision::{Caps, Explanation, Refusal, Usage};
use crate::error::Error;
use crate::http::kind::Kind;
use crate::http::problem::Problem;

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(faults) => Self::invalid(&faults),
            Error::NotFound => Self::new(Kind::NotFound),
            Error::TeamRequired { teams } => {
                let teams: Vec<String> = teams.into_iter().map(String::from).collect();
                Self::new(Kind::TeamRequired).member("teams", teams)
            }
            Error::PermissionMissing { need } => Self::new(Kind::PermissionMissing)
                .detail(format!(
                    "This needs the permission `{need}`, which the token does not carry."
                ))
                .member("need", need.as_str()),
            Error::Denied {
                refusal,
                explanation,
                caps,
            } => denied(refusal, &explanation, caps),
            Error::IdempotencyKeyMissing => Self::new(Kind::IdempotencyKeyMissing),
            Error::IdempotencyKeyReused { order_id } => {
                Self::new(Kind::IdempotencyKeyReused).member("order_id", order_id.as_str())
            }
            Error::OrderNotCancellable { state } => Self::new(Kind::OrderNotCancellable)
                .detail(format!(
                    "The order is {state}: only an order of which nothing was sent can be cancelled."
                ))
                .member("state", state.as_str()),
            Error::OrderNotInReview { state } => Self::new(Kind::OrderNotInReview)
                .detail(format!("The order is {state}."))
                .member("state", state.as_str()),
            Error::SettleContradicted { reason } => {
                Self::new(Kind::SettleContradicted).detail(format!("{reason}."))
            }
            Error::OwnOrder => Self::new(Kind::OwnOrder),
            Error::OrderNotAwaitingApproval { state } => Self::new(Kind::OrderNotAwaitingApproval)
                .detail(format!(
                    "The order is {state}: there is nothing to decide about it."
                ))
                .member("state", state.as_str()),
            Error::ReleaseUnderWay => Self::new(Kind::ReleaseUnderWay),
            Error::PreconditionFailed => Self::new(Kind::PreconditionFailed),
            Error::WebhooksOff { missing } => Self::new(Kind::WebhooksOff)
                .detail(format!("Whoever runs the service has not set {missing}."))
                .member("missing", missing),
            Error::TooManyEndpoints { limit } => Self::new(Kind::TooManyEndpoints)
                .detail(format!(
                    "The team has {limit} endpoints, which is as many as it may have."
                ))
                .member("limit", limit),
            Error::EndpointDisabled => Self::new(Kind::EndpointDisabled),
            Error::CloseRefused {
                close_status,
                message,
                errors,
            } => refused(Some(&close_status), message.as_deref(), errors.as_ref()),
            Error::Busy { reason } => Self::new(Kind::Busy)
                .detail(format!("{}{}.", reason[..1].to_uppercase(), &reason[1..]))
                .retry_after(5),
            Error::CloseUnavailable { reason } => Self::new(Kind::CloseUnavailable).cause(reason),
            Error::StoreUnavailable(cause) => Self::new(Kind::StoreUnavailable).retry_after(5).cause(cause),
            Error::Internal(cause) => Self::new(Kind::Internal).cause(cause),
        }
    }
}

/// Close said no: its word, its message and its field errors, the last as every list of errors is written.
pub(super) fn refused(
    close_status: Option<&str>,
    message: Option<&str>,
    errors: Option<&Map<String, Value>>,
) -> Problem {
    let mut problem = Problem::new(Kind::CloseRefused).member("close_status", close_status);
    if let Some(message) = message.filter(|message| !message.is_empty()) {
        problem = problem.detail(message);
    }
    if let Some(fields) = errors.filter(|fields| !fields.is_empty()) {
        let mut list = Vec::new();
        for (name, value) in fields {
            point_out(
                &mut list,
                &format!("/{}", name.replace('~', "~0").replace('/', "~1")),
                value,
            );
        }
        problem = problem.member("errors", list);
    }
    problem
}

/// Close nests field errors as the input was nested.
fn point_out(list: &mut Vec<Value>, pointer: &str, value: &Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                point_out(list, &format!("{pointer}/{name}"), value);
            }
        }
        Value::String(message) => list.push(json!({"pointer": pointer, "message": message})),
        other => list.push(json!({"pointer": pointer, "message": other.to_string()})),
    }
}

fn denied(refusal: Refusal, explanation: &Explanation, caps: Option<(Caps, Usage)>) -> Problem {
    let kind = match refusal {
        Refusal::Policy => Kind::PolicyDenied,
        Refusal::Quota => Kind::QuotaExceeded,
        Refusal::Budget => Kind::BudgetExceeded,
    };
    let mut problem = Problem::new(kind)
        .detail(format!(
            "{} does not allow it: {}.",
            explanation.rule, explanation.hint
        ))
        .member("decision", json!(explanation));
    if let Some((caps, usage)) = caps {
        for (name, value) in figures(refusal, &explanation.rule, &caps, &usage) {
            problem = problem.member(name, value);
        }
    }
    problem
}

/// The figures of the cap that was reached. Of two quotas the rule's name tells which.
fn figures(refusal: Refusal, rule: &str, caps: &Caps, usage: &Usage) -> Vec<(&'static str, Value)> {
    let three = |limit: Value, used: Value, reserved: Value| {
        vec![("limit", limit), ("used", used), ("reserved", reserved)]
    };
    match refusal {
        Refusal::Policy => Vec::new(),
        Refusal::Quota if rule.ends_with("max_orders_per_day") => three(
            json!(caps.max_orders_per_day),
            json!(usage.orders_last_day),
            json!(0),
        ),
        Refusal::Quota => three(
            json!(caps.max_numbers),
            json!(usage.numbers_held),
            json!(usage.numbers_reserved),
        ),
        Refusal::Budget => three(
            json!(caps.monthly_budget),
            json!(usage.monthly_held),
            json!(usage.monthly_reserved),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::caller::Permission;
    use crate::domain::fields::Fault;
    use crate::domain::money::Money;
    use crate::domain::order::State;
    use std::collections::BTreeSet;

    fn said(error: Error) -> Value {
        Problem::from(error).document("/v1/orders", "req_1")
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
    fn a_problem_says_what_where_and_under_which_request() {
        let faults = vec![Fault {
            pointer: "/country".into(),
            message: "must be a string, not a number".into(),
        }];
        assert_eq!(
            said(Error::Invalid(faults)),
            json!({
                "type": "/problems/invalid-request", "title": "The request is not valid", "status": 400,
                "detail": "/country: must be a string, not a number.",
                "instance": "/v1/orders", "request_id": "req_1",
                "errors": [{"pointer": "/country", "message": "must be a string, not a number"}],
            })
        );
    }

    #[test]
    fn every_error_has_its_status_and_type() {
        let usage = Usage {
            numbers_held: 2,
            numbers_reserved: 1,
            orders_last_day: 4,
            ..Usage::default()
        };
        let caps = Caps {
            max_numbers: Some(3),
            max_orders_per_day: Some(4),
            monthly_budget: None,
        };
        let cases = [
            (Error::NotFound, 404, "not-found"),
            (Error::TeamRequired { teams: vec![] }, 400, "team-required"),
            (
                Error::PermissionMissing {
                    need: Permission::NumbersRent,
                },
                403,
                "permission-missing",
            ),
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
                    caps: Some((caps, usage)),
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
        are_said(cases);
    }

    #[test]
    fn what_is_wrong_with_webhooks_has_its_status_and_type() {
        let missing = "webhooks.hosts";
        are_said([
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
    fn are_said(cases: impl IntoIterator<Item = (Error, u16, &'static str)>) {
        for (error, status, name) in cases {
            let document = said(error);
            assert_eq!(document["status"], status, "{name}");
            assert_eq!(document["type"], format!("/problems/{name}"));
        }
    }

    #[test]
    fn a_cap_that_was_reached_tells_its_figures() {
        let usage = Usage {
            numbers_held: 2,
            numbers_reserved: 1,
            orders_last_day: 4,
            monthly_held: Money::from_cents(230),
            monthly_reserved: Money::from_cents(115),
        };
        let caps = Caps {
            max_numbers: Some(3),
            max_orders_per_day: Some(4),
            monthly_budget: Some(Money::from_cents(400)),
        };
        let of = |refusal, rule: &str| {
            let document = said(Error::Denied {
                refusal,
                explanation: explanation(rule),
                caps: Some((caps, usage)),
            });
            json!([document["limit"], document["used"], document["reserved"]])
        };
        assert_eq!(of(Refusal::Quota, "teams.a.max_numbers"), json!([3, 2, 1]));
        assert_eq!(of(Refusal::Quota, "teams.a.max_orders_per_day"), json!([4, 4, 0]));
        assert_eq!(
            of(Refusal::Budget, "teams.a.monthly_budget"),
            json!(["4.00", "2.30", "1.15"])
        );
    }

    #[test]
    fn what_failed_inside_is_for_the_log_alone() {
        for error in [
            Error::Internal("the secret is 42".into()),
            Error::StoreUnavailable("the secret is 42".into()),
            Error::CloseUnavailable {
                reason: "the secret is 42".into(),
            },
        ] {
            let problem = Problem::from(error);
            assert!(!problem.document("/", "req_1").to_string().contains("42"));
            assert_eq!(problem.chain().unwrap(), "the secret is 42");
        }
    }

    #[test]
    fn field_errors_of_close_are_listed_as_every_error_is() {
        let fields = json!({"country": "Field required", "a/b": {"c": ["x"]}});
        let document = refused(Some("error"), Some("No."), fields.as_object()).document("/", "req_1");
        assert_eq!(document["detail"], "No.");
        assert_eq!(
            document["errors"],
            json!([{"pointer": "/country", "message": "Field required"}, {"pointer": "/a~1b/c", "message": "[\"x\"]"}])
        );
    }

    #[test]
    fn no_two_kinds_share_a_name() {
        let names: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), Kind::ALL.len());
        assert!(Kind::ALL.iter().all(|kind| kind.name().parse() == Ok(*kind)));
    }
}
