//! Converts errors of use cases to problems. No other code does so, and no rule is added here.

use serde_json::{Map, Value, json};

use crate::domain::decision::{Caps, Explanation, Refusal, Usage};
use crate::domain::input::pointer;
use crate::domain::service_account::ServiceAccountName;
use crate::error::Error;
use crate::http::problem::Problem;
use crate::http::problem::problem_type::ProblemType;

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(faults) => Self::invalid(&faults),
            Error::NotFound => Self::new(ProblemType::NotFound),
            Error::TeamRequired { teams } => {
                let teams: Vec<String> = teams.into_iter().map(String::from).collect();
                Self::new(ProblemType::TeamRequired).member("teams", teams)
            }
            Error::PermissionMissing { need } => Self::new(ProblemType::PermissionMissing)
                .detail(format!(
                    "The request requires the permission `{need}`, which the token does not have."
                ))
                .member("need", need.as_str()),
            Error::ServiceAccountUnmapped { name, issuer } => unmapped(&name, &issuer),
            Error::Denied {
                refusal,
                explanation,
                caps,
            } => denied(refusal, &explanation, caps),
            Error::IdempotencyKeyMissing => Self::new(ProblemType::IdempotencyKeyMissing),
            Error::IdempotencyKeyReused { order_id } => {
                Self::new(ProblemType::IdempotencyKeyReused).member("order_id", order_id.as_str())
            }
            Error::OrderNotCancellable { state } => Self::new(ProblemType::OrderNotCancellable)
                .detail(format!(
                    "The order is {state}. An order can be cancelled only before Numberdesk sends it to Close."
                ))
                .member("state", state.as_str()),
            Error::OrderNotInReview { state } => Self::new(ProblemType::OrderNotInReview)
                .detail(format!("The order is {state}."))
                .member("state", state.as_str()),
            Error::SettleContradicted { reason } => {
                Self::new(ProblemType::SettleContradicted).detail(format!("{reason}."))
            }
            Error::OwnOrder => Self::new(ProblemType::OwnOrder),
            Error::OrderNotAwaitingApproval { state } => Self::new(ProblemType::OrderNotAwaitingApproval)
                .detail(format!("The order is {state}, so it does not await approval."))
                .member("state", state.as_str()),
            Error::ReleaseUnderWay => Self::new(ProblemType::ReleaseUnderWay),
            Error::PreconditionFailed => Self::new(ProblemType::PreconditionFailed),
            Error::WebhooksOff { missing } => Self::new(ProblemType::WebhooksOff)
                .detail(format!("The operator of the service has not set {missing}."))
                .member("missing", missing),
            Error::TooManyEndpoints { limit } => Self::new(ProblemType::TooManyEndpoints)
                .detail(format!(
                    "The team has {limit} webhook endpoints, which is the maximum."
                ))
                .member("limit", limit),
            Error::EndpointDisabled => Self::new(ProblemType::EndpointDisabled),
            Error::CloseRefused {
                close_status,
                message,
                errors,
            } => close_refused(Some(&close_status), message.as_deref(), errors.as_ref()),
            Error::Busy { reason } => Self::new(ProblemType::Busy)
                .detail(format!("{}{}.", reason[..1].to_uppercase(), &reason[1..]))
                .retry_after(5),
            Error::CloseUnavailable { reason } => Self::new(ProblemType::CloseUnavailable).cause(reason),
            Error::StoreUnavailable(cause) => Self::new(ProblemType::StoreUnavailable)
                .retry_after(5)
                .cause(cause),
            Error::Internal(cause) => Self::new(ProblemType::Internal).cause(cause),
        }
    }
}

/// Returns the problem `close-refused`, with Close's status, message and field errors.
pub(in crate::http) fn close_refused(
    close_status: Option<&str>,
    message: Option<&str>,
    errors: Option<&Map<String, Value>>,
) -> Problem {
    let mut problem = Problem::new(ProblemType::CloseRefused).member("close_status", close_status);
    if let Some(message) = message.filter(|message| !message.is_empty()) {
        problem = problem.detail(message);
    }
    if let Some(fields) = errors.filter(|fields| !fields.is_empty()) {
        let mut list = Vec::new();
        for (name, value) in fields {
            list_field_errors(&mut list, &pointer::child("", name), value);
        }
        problem = problem.member("errors", list);
    }
    problem
}

/// Flattens Close's field errors, which nest like the input, into JSON pointers and messages.
fn list_field_errors(list: &mut Vec<Value>, pointer: &str, value: &Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                list_field_errors(list, &pointer::child(pointer, name), value);
            }
        }
        Value::String(message) => list.push(json!({"pointer": pointer, "message": message})),
        other => list.push(json!({"pointer": pointer, "message": other.to_string()})),
    }
}

/// Returns the problem `service-account-unmapped`, with the policy entry that the account needs.
fn unmapped(name: &ServiceAccountName, issuer: &str) -> Problem {
    let (namespace, name) = (name.namespace(), name.name());
    // The issuer comes from the configuration, and its JSON string is a TOML string too.
    let entry = format!(
        "[[service_accounts]]\nissuer = {}\nnamespace = \"{namespace}\"\nname = \"{name}\"\nteam = \"YOUR TEAM\"\n\
         permissions = [\"numbers:read\", \"numbers:rent\"]\n",
        json!(issuer)
    );
    Problem::new(ProblemType::ServiceAccountUnmapped)
        .detail(format!(
            "The policy has no entry [[service_accounts]] with namespace = \"{namespace}\" and name = \"{name}\"."
        ))
        .member("namespace", namespace)
        .member("name", name)
        .member("issuer", issuer)
        .member("entry", entry)
}

fn denied(refusal: Refusal, explanation: &Explanation, caps: Option<(Caps, Usage)>) -> Problem {
    let problem_type = match refusal {
        Refusal::Policy => ProblemType::PolicyDenied,
        Refusal::Quota => ProblemType::QuotaExceeded,
        Refusal::Budget => ProblemType::BudgetExceeded,
    };
    let mut problem = Problem::new(problem_type)
        .detail(format!(
            "The rule {} denies the request: {}.",
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

/// Returns the figures of the exceeded cap. The name of the rule tells which of the two quotas it is.
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
mod tests;
