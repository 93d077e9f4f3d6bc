//! Converts errors of use cases to problems. No other code does so, and no rule is added here.

use serde_json::{Map, Value, json};

use crate::domain::decision::{Caps, Explanation, Refusal, Usage};
use crate::domain::input::fault::Fault;
use crate::domain::input::pointer;
use crate::domain::order::State;
use crate::domain::service_account::ServiceAccountName;
use crate::error::Error;
use crate::http::problem::document::FieldError;
use crate::http::problem::problem_type::ProblemType;
use crate::http::problem::{Problem, sentence};
use crate::http::view::{OVERAGE, ignored_team};

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(faults) => Self::invalid(&faults),
            Error::NotFound => Self::new(ProblemType::NotFound),
            Error::TeamRequired {
                teams,
                ignored,
                overage,
            } => Self::new(ProblemType::TeamRequired)
                .detail(team_required(!teams.is_empty(), !ignored.is_empty(), overage))
                .with(|members| {
                    members.teams = Some(teams);
                    members.ignored_teams = Some(ignored.iter().map(ignored_team).collect())
                        .filter(|ignored: &Vec<_>| !ignored.is_empty());
                }),
            Error::EventNotKept => Self::event_not_kept("/query/after"),
            Error::PermissionMissing { need, team } => Self::new(ProblemType::PermissionMissing)
                .detail(match team {
                    Some(team) => format!(
                        "The request requires the permission `{need}` in the team `{team}`, where you do not have it."
                    ),
                    None => format!(
                        "The request requires the permission `{need}`, which neither your token nor the policy gives you."
                    ),
                })
                .with(|members| members.need = Some(need.to_string())),
            Error::PermissionNotEverywhere { need } => Self::new(ProblemType::PermissionMissing)
                .detail(format!(
                    "The request requires the permission `{need}` in all teams, and you have it only in some."
                ))
                .with(|members| members.need = Some(need.to_string())),
            Error::ServiceAccountUnmapped { name, issuer } => unmapped(&name, &issuer),
            Error::Denied {
                refusal,
                explanation,
                caps,
            } => denied(refusal, &explanation, caps.map(|caps| *caps)),
            Error::IdempotencyKeyMissing => Self::header_fault(
                ProblemType::IdempotencyKeyMissing,
                &Fault {
                    pointer: "/headers/Idempotency-Key".to_owned(),
                    message: "is required: send a new key, such as a UUID, for each number that you want, and the same \
                              key when you retry"
                        .to_owned(),
                },
            ),
            Error::IdempotencyKeyReused { order_id } => {
                Self::new(ProblemType::IdempotencyKeyReused).with(|members| members.order_id = Some(order_id))
            }
            Error::OrderNotCancellable { state } => Self::new(ProblemType::OrderNotCancellable)
                .detail(match state {
                    State::Cancelled => "The order is already cancelled: an earlier request cancelled it, or nobody \
                                         approved it in time. Nothing is left to do."
                        .to_owned(),
                    state => format!(
                        "The order is {state}. An order can be cancelled only before Numberdesk sends it to Close."
                    ),
                })
                .with(|members| members.state = Some(state)),
            Error::OrderNotInReview { state } => Self::new(ProblemType::OrderNotInReview)
                .detail(format!("The order is {state}."))
                .with(|members| members.state = Some(state)),
            Error::SettleContradicted { reason } => {
                Self::new(ProblemType::SettleContradicted).detail(sentence(&reason))
            }
            Error::OwnOrder => Self::new(ProblemType::OwnOrder),
            Error::OrderNotAwaitingApproval { state } => Self::new(ProblemType::OrderNotAwaitingApproval)
                .detail(format!("The order is {state}, so it does not await approval."))
                .with(|members| members.state = Some(state)),
            Error::ReleaseUnderWay => Self::new(ProblemType::ReleaseUnderWay),
            Error::PreconditionFailed => Self::new(ProblemType::PreconditionFailed),
            Error::WebhooksOff { missing } => Self::new(ProblemType::WebhooksOff)
                .detail(format!("The operator of the service has not set {missing}."))
                .with(|members| members.missing = Some(missing)),
            Error::TooManyEndpoints { limit } => Self::new(ProblemType::TooManyEndpoints)
                .detail(format!(
                    "The team has {limit} webhook endpoints, which is the maximum."
                ))
                .with(|members| members.limit = Some(limit.into())),
            Error::EndpointDisabled => Self::new(ProblemType::EndpointDisabled),
            Error::CloseRefused {
                close_status,
                message,
                errors,
            } => close_refused(Some(&close_status), message.as_deref(), errors.as_ref()),
            Error::OrdersOnHold { reason } => Self::new(ProblemType::OrdersOnHold)
                .detail(sentence(&format!("Orders and releases are on hold: {reason}")))
                .retry_after(60),
            Error::Busy { detail } => Self::new(ProblemType::Busy).detail(detail).retry_after(5),
            Error::ShareUsedUp { detail } => {
                Self::new(ProblemType::RateLimited).detail(detail).retry_after(5)
            }
            Error::CloseUnavailable { reason } => Self::new(ProblemType::CloseUnavailable).cause(reason),
            Error::StoreUnavailable(cause) => Self::new(ProblemType::StoreUnavailable)
                .retry_after(5)
                .cause(cause),
            Error::Internal(cause) => Self::new(ProblemType::Internal).cause(cause),
        }
    }
}

/// Says why the team of a request is unknown.
fn team_required(several: bool, ignored: bool, overage: bool) -> String {
    if several {
        return "You belong to several teams, and the request names none.".to_owned();
    }
    let why = if overage {
        format!(". {OVERAGE}")
    } else if ignored {
        ": no name in the token is that of a team (see `ignored_teams`), and no grant of the policy gives you one."
            .to_owned()
    } else {
        ": the token names none, and no grant of the policy gives you one.".to_owned()
    };
    format!("You belong to no team{why}")
}

/// Returns the problem `close-refused`, with Close's status, message and field errors.
pub(in crate::http) fn close_refused(
    close_status: Option<&str>,
    message: Option<&str>,
    errors: Option<&Map<String, Value>>,
) -> Problem {
    let mut list = Vec::new();
    for (name, value) in errors.into_iter().flatten() {
        list_field_errors(&mut list, &pointer::child("", name), value);
    }
    let detail = message
        .filter(|message| !message.trim().is_empty())
        .map_or_else(|| refusal_in_words(close_status, &list), str::to_owned);
    Problem::new(ProblemType::CloseRefused)
        .detail(detail)
        .with(|members| {
            members.close_status = Some(close_status.into());
            members.errors = Some(list).filter(|list| !list.is_empty());
        })
}

/// Describes a refusal without a message, by the faults and the status in Close's response.
fn refusal_in_words(close_status: Option<&str>, errors: &[FieldError]) -> String {
    let faults = match errors {
        [] => "Close refused the request and gave no message.".to_owned(),
        [only] => sentence(&format!(
            "Close refused the request because of {}: {}",
            only.pointer, only.message
        )),
        many => format!(
            "Close refused the request because of {} fields, which `errors` lists.",
            many.len()
        ),
    };
    let Some(status) = close_status else {
        return faults;
    };
    let hint = match status {
        "has-voice-only" => ": Close has only numbers without SMS, so order with `with_sms: false`",
        "needs-more-info" => ": Close's support needs more information about your organization",
        "billing-error" => ": the Close account needs funds",
        _ => "",
    };
    format!("{faults} `close_status` is `{status}`{hint}.")
}

/// Flattens Close's field errors, which nest like the input, into JSON pointers and messages.
fn list_field_errors(list: &mut Vec<FieldError>, pointer: &str, value: &Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                list_field_errors(list, &pointer::child(pointer, name), value);
            }
        }
        other => list.push(FieldError {
            pointer: pointer.to_owned(),
            message: other.as_str().map_or_else(|| other.to_string(), str::to_owned),
        }),
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
        .with(|members| {
            members.namespace = Some(namespace.to_owned());
            members.name = Some(name.to_owned());
            members.issuer = Some(issuer.to_owned());
            members.entry = Some(entry);
        })
}

fn denied(refusal: Refusal, explanation: &Explanation, caps: Option<(Caps, Usage)>) -> Problem {
    let problem_type = match refusal {
        Refusal::Policy => ProblemType::PolicyDenied,
        Refusal::Quota => ProblemType::QuotaExceeded,
        Refusal::Budget => ProblemType::BudgetExceeded,
        Refusal::Rate => ProblemType::RateLimited,
    };
    let wait = caps.map(|(_, usage)| usage.refused_wait_seconds.max(1));
    let detail = format!(
        "The rule {} denies the request: {}",
        explanation.rule, explanation.hint
    );
    let figures = caps.and_then(|(caps, usage)| figures(refusal, &explanation.rule, &caps, &usage));
    let problem = Problem::new(problem_type)
        .detail(sentence(&detail))
        .with(|members| {
            members.decision = Some(explanation.clone());
            if let Some([limit, used, reserved]) = figures {
                (members.limit, members.used, members.reserved) = (Some(limit), Some(used), Some(reserved));
            }
        });
    match wait.filter(|_| refusal == Refusal::Rate) {
        Some(seconds) => problem.retry_after(seconds),
        None => problem,
    }
}

/// Returns the limit of the exceeded cap, and how much of it is used and reserved.
///
/// The name of the rule distinguishes the two quotas.
fn figures(refusal: Refusal, rule: &str, caps: &Caps, usage: &Usage) -> Option<[Value; 3]> {
    match refusal {
        Refusal::Policy => None,
        Refusal::Quota if rule.ends_with("max_orders_per_day") => Some([
            json!(caps.max_orders_per_day),
            json!(usage.orders_last_day),
            json!(0),
        ]),
        Refusal::Quota => Some([
            json!(caps.max_numbers),
            json!(usage.numbers_held),
            json!(usage.numbers_reserved),
        ]),
        Refusal::Rate => Some([
            json!(caps.max_refused_per_hour),
            json!(usage.refused_last_hour),
            json!(0),
        ]),
        Refusal::Budget => Some([
            json!(caps.monthly_budget),
            json!(usage.monthly_held),
            json!(usage.monthly_reserved),
        ]),
    }
}

#[cfg(test)]
mod tests;
