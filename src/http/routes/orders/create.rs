//! `POST /v1/orders`: rents a number.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header::{LOCATION, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::desk::OrderWithNumber;
use crate::domain::order;
use crate::domain::order::Evidence;
use crate::domain::order::approval::Verdict;
use crate::domain::order::request::OrderRequest;
use crate::domain::permission::needs;
use crate::domain::time::Timestamp;
use crate::http::extract::{Caller, JsonBody, Key, NoQuery, Query, Wait};
use crate::http::middleware::access_log::Outcome;
use crate::http::problem::problem_type::ProblemType;
use crate::http::problem::{Problem, from_error, sentence};
use crate::http::routes::orders::validate;
use crate::http::state::Http;
use crate::http::view::{self, OrderView};

/// Rent a phone number
///
/// Numberdesk checks the team's policy, stores the order, and sends it to Close. It waits for the end of the order, at
/// most for the time in `Prefer`. The order continues if you disconnect. To read its state, send the same
/// `Idempotency-Key` and body again: Numberdesk never rents two numbers for one key. The response to a repeated key has
/// the header `Idempotent-Replayed: true`.
#[utoipa::path(
    post, path = "/v1/orders", tag = "orders", operation_id = "create_order",
    params(Key, Wait),
    request_body(content = OrderRequest, examples(
        ("A line in Berlin" = (value = json!({"country": "DE", "prefix": "30", "carrier_type": "local", "label": "Berlin line"}))),
        ("The smallest order" = (value = json!({"country": "FR", "carrier_type": "local"}))),
        ("A mobile number, with the team" = (value = json!({"team": "sales-emea", "country": "GB", "carrier_type": "mobile", "with_sms": true}))),
    )),
    responses(
        (status = 201, description = "Rented", body = OrderView, headers(
            ("Idempotent-Replayed"), ("Location"), ("Preference-Applied"))),
        (status = 202, description = "Not final yet, or waiting for the approval of a second person. Read the order later, or send the same key again", body = OrderView, headers(
            ("Idempotent-Replayed"), ("Location"), ("Retry-After"), ("Preference-Applied"))),
    ),
)]
pub(in crate::http) async fn create(
    State(http): State<Http>,
    caller: Caller<needs::NumbersRent>,
    Query(CreateQuery { validate_only }): Query<CreateQuery>,
    Key(key): Key,
    Wait(wait): Wait,
    JsonBody(body): JsonBody<OrderRequest>,
) -> Result<Response, Problem> {
    if validate_only {
        let validation = validate::validate(State(http), caller, NoQuery {}, JsonBody(body)).await?;
        return Ok(validation.into_response());
    }
    let (team, request) = body.into_parts();
    // Without a permit, the request does not wait: the order continues, and the client reads it later.
    let permit = http.load_shed.acquire_wait();
    let wait = if permit.is_some() {
        wait
    } else {
        Some(Duration::ZERO)
    };
    let accepted = http
        .desk
        .orders
        .create(caller.call(), team.as_ref(), request, key, wait)
        .await?;
    let response = answer(accepted.order, wait, http.desk.now());
    Ok(if accepted.repeated {
        replayed(response)
    } else {
        response.into_response()
    })
}

/// Marks the response to a repeated idempotency key, also if the response is the problem that ended the order.
fn replayed(response: Result<Response, Problem>) -> Response {
    let mut response = response.into_response();
    response
        .headers_mut()
        .insert("idempotent-replayed", HeaderValue::from_static("true"));
    response
}

/// The query of a new order.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct CreateQuery {
    /// `true` validates the order, as [`validate`](super::validate) does. Deprecated, and not in the document.
    #[serde(default)]
    validate_only: bool,
}

/// Renders the response to a new or repeated order.
fn answer(current: OrderWithNumber, wait: Option<Duration>, now: Timestamp) -> Result<Response, Problem> {
    use order::State::{
        AwaitingApproval, Cancelled, Fulfilled, Later, NeedsReview, Queued, Refused, Renting, Unverified,
    };
    let order = &current.order;
    let retry_after = match order.state {
        Fulfilled => None,
        Renting | Later(_) => Some(2),
        Queued => Some(
            order
                .not_before
                .map_or(0, |time| time.since(now).as_secs())
                .clamp(2, 300),
        ),
        Unverified => Some(30),
        NeedsReview | AwaitingApproval => Some(60),
        Refused if rejected(order) => return Err(ended(ProblemType::ApprovalRejected, order)),
        Refused if not_rented(order) => return Err(absent(order)),
        Refused => return Err(refused(order)),
        Cancelled => return Err(ended(ProblemType::OrderCancelled, order)),
    };
    let state = order.state.as_str();
    let location = HeaderValue::from_str(&format!("/v1/orders/{}", order.id)).expect("an id is plain ASCII");
    let status = if retry_after.is_some() {
        StatusCode::ACCEPTED
    } else {
        StatusCode::CREATED
    };
    let mut response = (status, [(LOCATION, location)], Json(view::order(current))).into_response();
    response.extensions_mut().insert(Outcome(state));
    let headers = response.headers_mut();
    headers.extend(retry_after.map(|seconds: u64| (RETRY_AFTER, HeaderValue::from(seconds))));
    if let Some(wait) = wait {
        let applied =
            HeaderValue::from_str(&format!("wait={}", wait.as_secs())).expect("digits are plain ASCII");
        headers.insert("preference-applied", applied);
    }
    Ok(response)
}

fn rejected(order: &order::Order) -> bool {
    order
        .approval
        .as_ref()
        .is_some_and(|approval| approval.decision == Verdict::Rejected)
}

/// Returns the problem of an order that was rejected or cancelled, with the order's reason.
fn ended(problem_type: ProblemType, order: &order::Order) -> Problem {
    let problem = Problem::new(problem_type).with(|members| members.order_id = Some(order.id.clone()));
    match &order.reason {
        Some(reason) => problem.detail(sentence(&format!("The order is {}: {reason}", order.state))),
        None => problem,
    }
}

/// Whether the order ended because Close had rented nothing, as reconciliation or a person found out.
const fn not_rented(order: &order::Order) -> bool {
    matches!(
        order.evidence,
        Some(Evidence::AbsentAfterReconciliation | Evidence::SettledByPerson)
    )
}

/// Returns the problem of an order whose outcome was unknown, and for which Close had rented nothing.
fn absent(order: &order::Order) -> Problem {
    let found = if order.evidence == Some(Evidence::SettledByPerson) {
        "The outcome of the order was unknown, and a person found that Close rented no number for it."
    } else {
        "Close did not answer the order, and has shown no matching number since, so no number was rented."
    };
    Problem::new(ProblemType::NotRented)
        .detail(format!("{found} You can safely order again under a new key."))
        .with(|members| {
            members.order_id = Some(order.id.clone());
            members.evidence = order.evidence;
        })
}

fn refused(order: &order::Order) -> Problem {
    from_error::close_refused(
        order.close_status.as_deref(),
        order.reason.as_deref(),
        order.close_errors.as_ref(),
    )
    .with(|members| {
        members.order_id = Some(order.id.clone());
        members.evidence = order.evidence;
    })
}
