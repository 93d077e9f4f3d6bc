//! `POST /v1/orders`: rents a number, or validates an order.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header::{LOCATION, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::desk::OrderWithNumber;
use crate::domain::input::fields::Fields;
use crate::domain::order;
use crate::domain::order::approval::Verdict;
use crate::domain::order::request::OrderBody;
use crate::domain::permission::needs;
use crate::domain::time::Timestamp;
use crate::http::extract::{Caller, JsonBody, Key, OrderHeaders, Query, QueryFields, Wait, flag};
use crate::http::middleware::access_log::Outcome;
use crate::http::problem::Problem;
use crate::http::problem::from_error;
use crate::http::problem::problem_type::ProblemType;
use crate::http::state::Http;
use crate::http::view::{self, OrderBodyDoc, OrderView, ValidationView};

/// Rent a phone number
///
/// Numberdesk checks the team's policy, stores the order, and sends it to Close. It waits for the end of the order, at
/// most for the time in `Prefer`. The order continues if you disconnect. To read its state, send the same
/// `Idempotency-Key` and body again: Numberdesk never rents two numbers for one key.
///
/// With `validate_only=true`, Numberdesk stores nothing and sends nothing to Close. The response contains whether
/// Numberdesk would accept the order, which rule decides, and what is left of quota and budget.
#[utoipa::path(
    post, path = "/v1/orders", tag = "orders", operation_id = "create_order",
    params(
        ("validate_only" = Option<bool>, Query, description = "`true`: only validate. `false` (the default): rent, which costs money.", example = true),
        OrderHeaders,
    ),
    request_body(content = OrderBodyDoc, examples(
        ("A line in Berlin" = (value = json!({"country": "DE", "prefix": "30", "carrier_type": "local", "label": "Berlin line"}))),
        ("The smallest order" = (value = json!({"country": "DE"}))),
        ("A number for a group" = (value = json!({"team": "sales-emea", "country": "FR", "sharing": "group", "carrier_type": "mobile"}))),
    )),
    responses(
        (status = 200, description = "The decision of the policy; only with `validate_only=true`", body = ValidationView),
        (status = 201, description = "Rented", body = OrderView, headers(
            ("Location" = String, description = "The path of the order"),
            ("Preference-Applied" = Option<String>, description = "`wait=N`, if the request has it too"))),
        (status = 202, description = "Not final yet, or waiting for the approval of a second person. Read the order later, or send the same key again", body = OrderView, headers(
            ("Location" = String, description = "The path of the order"),
            ("Retry-After" = u32, description = "Seconds to wait before you read the order again"),
            ("Preference-Applied" = Option<String>, description = "`wait=N`, if the request has it too"))),
    ),
)]
pub(in crate::http) async fn create(
    State(http): State<Http>,
    caller: Caller<needs::NumbersRent>,
    Query(CreateQuery { validate_only }): Query<CreateQuery>,
    Key(key): Key,
    Wait(wait): Wait,
    body: JsonBody,
) -> Result<Response, Problem> {
    let OrderBody { team, request } = body.read(OrderBody::read)?;
    if validate_only {
        let validation = http
            .desk
            .orders
            .validate(caller.call(), team.as_ref(), &request)
            .await?;
        return Ok(Json(view::validation(validation)).into_response());
    }
    // Without a permit, the request does not wait: the order continues, and the client reads it later.
    let permit = http.load_shed.acquire_wait();
    let wait = if permit.is_some() {
        wait
    } else {
        Some(Duration::ZERO)
    };
    let placed = http
        .desk
        .orders
        .create(caller.call(), team.as_ref(), request, key, wait)
        .await?;
    answer(placed, wait, http.desk.now())
}

/// The query of a new order.
pub(in crate::http) struct CreateQuery {
    validate_only: bool,
}

impl QueryFields for CreateQuery {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let validate_only = fields.optional("validate_only", |node| flag(&node))?;
        Some(Self {
            validate_only: validate_only.unwrap_or(false),
        })
    }
}

/// Renders the response to a new or repeated order.
fn answer(placed: OrderWithNumber, wait: Option<Duration>, now: Timestamp) -> Result<Response, Problem> {
    use order::State::{
        AwaitingApproval, Cancelled, Fulfilled, NeedsReview, Queued, Refused, Renting, Unverified,
    };
    let order = &placed.order;
    let retry_after = match order.state {
        Fulfilled => None,
        Renting => Some(2),
        Queued => Some(
            order
                .not_before
                .map_or(0, |time| time.since(now).as_secs())
                .clamp(2, 300),
        ),
        Unverified => Some(30),
        NeedsReview | AwaitingApproval => Some(60),
        Refused if rejected(order) => return Err(ended(ProblemType::ApprovalRejected, order)),
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
    let mut response = (status, [(LOCATION, location)], Json(view::order(placed))).into_response();
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
    let problem = Problem::new(problem_type).member("order_id", order.id.as_str());
    match &order.reason {
        Some(reason) => {
            let reason = reason.trim_end_matches('.');
            problem.detail(format!("The order is {}: {reason}.", order.state))
        }
        None => problem,
    }
}

fn refused(order: &order::Order) -> Problem {
    from_error::close_refused(
        order.close_status.as_deref(),
        order.reason.as_deref(),
        order.close_errors.as_ref(),
    )
    .member("order_id", order.id.as_str())
    .member("evidence", order.evidence.map(order::Evidence::as_str))
}
