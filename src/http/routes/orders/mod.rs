//! `/v1/orders`: asking for a number, and following what became of it.

pub(in crate::http) mod approve;
pub(in crate::http) mod settle;

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header::{LOCATION, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use utoipa::IntoParams;

use crate::desk::{OrderFilter, Placed};
use crate::domain::id::OrderId;
use crate::domain::input::fields::Fields;
use crate::domain::order;
use crate::domain::order::approval::Verdict;
use crate::domain::order::request::OrderBody;
use crate::domain::time::Timestamp;
use crate::http::extract::{
    Caller, Filter, Id, JsonBody, Key, List, NoQuery, OrderHeaders, Query, QueryFields, Wait, flag,
};
use crate::http::middleware::access_log::Outcome;
use crate::http::problem::Problem;
use crate::http::problem::from_error;
use crate::http::problem::problem_type::ProblemType;
use crate::http::state::Http;
use crate::http::view::{self, OrderBodyDoc, OrderView, PageView, StateEnum, ValidationView};

/// Rent a phone number
///
/// Decides by the team's policy, makes the order durable, asks Close, and waits for the end as long as `Prefer`
/// says. The order goes on when you hang up. Send the same `Idempotency-Key` again, with the same body, to learn
/// what became of it: it never rents twice.
///
/// With `validate_only=true` nothing is stored and Close is not asked: the answer says whether the order would be
/// accepted, which rule decides, and what is left of quota and budget.
#[utoipa::path(
    post, path = "/v1/orders", tag = "orders", operation_id = "create_order",
    params(
        ("validate_only" = Option<bool>, Query, description = "`true`: only ask. Left out or `false`: rent, which costs money.", example = true),
        OrderHeaders,
    ),
    request_body(content = OrderBodyDoc, examples(
        ("A line in Berlin" = (value = json!({"country": "DE", "prefix": "30", "carrier_type": "local", "label": "Berlin line"}))),
        ("The least there is" = (value = json!({"country": "DE"}))),
        ("A number for two" = (value = json!({"team": "sales-emea", "country": "FR", "sharing": "group", "carrier_type": "mobile"}))),
    )),
    responses(
        (status = 200, description = "What the policy would say; only with `validate_only=true`", body = ValidationView),
        (status = 201, description = "Rented", body = OrderView, headers(
            ("Location" = String, description = "The order"),
            ("Preference-Applied" = Option<String>, description = "`wait=N`, if you asked for it"))),
        (status = 202, description = "Not decided yet, or awaiting a second person's approval: look again, or send the same key again", body = OrderView, headers(
            ("Location" = String, description = "The order"),
            ("Retry-After" = u32, description = "Seconds after which to look again"),
            ("Preference-Applied" = Option<String>, description = "`wait=N`, if you asked for it"))),
    ),
)]
pub(in crate::http) async fn create(
    State(http): State<Http>,
    caller: Caller,
    Query(Asked { validate_only }): Query<Asked>,
    Key(key): Key,
    Wait(wait): Wait,
    body: JsonBody,
) -> Result<Response, Problem> {
    let OrderBody { team, request } = body.read(OrderBody::read)?;
    if validate_only {
        let validation = http.desk.validate(caller.by(), team.as_ref(), &request).await?;
        return Ok(Json(view::validation(validation)).into_response());
    }
    // Where too many wait already, the order goes on and is looked at again.
    let seat = http.load_shed.acquire_wait();
    let wait = if seat.is_some() {
        wait
    } else {
        Some(Duration::ZERO)
    };
    let placed = http
        .desk
        .order(caller.by(), team.as_ref(), request, key, wait)
        .await?;
    answer(placed, wait, http.desk.now())
}

/// List orders
///
/// Newest first; those of all your teams, or of the one you name.
#[utoipa::path(
    get, path = "/v1/orders", tag = "orders", operation_id = "list_orders", params(ListParams),
    responses((status = 200, description = "A page of orders", body = PageView<OrderView>)),
)]
pub(in crate::http) async fn list(
    State(http): State<Http>,
    caller: Caller,
    list: List<OrderFilter>,
) -> Result<Json<PageView<OrderView>>, Problem> {
    let after = list.after(&http, &caller)?;
    let team = list.team.as_ref();
    let page = http
        .desk
        .list_orders(caller.by(), team, &list.filter, list.limit, after.as_deref())
        .await?;
    Ok(list.page(&http, &caller, page, view::order))
}

/// Get an order
///
/// While it is not final, look again after a while, or send the order again under its key.
#[utoipa::path(
    get, path = "/v1/orders/{id}", tag = "orders", operation_id = "get_order",
    params(("id" = String, Path, description = "The order's id", pattern = "^ord_[A-Za-z0-9]{1,64}$", example = "ord_01KATV8ZJ3E0T9C4M6N2P5Q7RS")),
    responses((status = 200, description = "The order, whatever became of it", body = OrderView)),
)]
pub(in crate::http) async fn get(
    State(http): State<Http>,
    caller: Caller,
    Id(id): Id<OrderId>,
    _: NoQuery,
) -> Result<Json<OrderView>, Problem> {
    Ok(Json(view::order(http.desk.find_order(caller.by(), &id).await?)))
}

/// Cancel an order
///
/// Possible while nothing has been sent to Close, also while it awaits approval. What was reserved is given back.
#[utoipa::path(
    post, path = "/v1/orders/{id}/cancel", tag = "orders", operation_id = "cancel_order",
    params(("id" = String, Path, description = "The order's id", pattern = "^ord_[A-Za-z0-9]{1,64}$", example = "ord_01KATV8ZJ3E0T9C4M6N2P5Q7RS")),
    responses((status = 200, description = "The order, cancelled", body = OrderView)),
)]
pub(in crate::http) async fn cancel(
    State(http): State<Http>,
    caller: Caller,
    Id(id): Id<OrderId>,
    _: NoQuery,
) -> Result<Json<OrderView>, Problem> {
    Ok(Json(view::order(http.desk.cancel(caller.by(), &id).await?)))
}

/// What the query of an order may say.
pub(in crate::http) struct Asked {
    validate_only: bool,
}

impl QueryFields for Asked {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let validate_only = fields.optional("validate_only", |node| flag(&node))?;
        Some(Self {
            validate_only: validate_only.unwrap_or(false),
        })
    }
}

impl QueryFields for OrderFilter {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let state = fields.optional("state", |node| node.parse());
        let idempotency_key = fields.optional("idempotency_key", |node| node.parse());
        Some(Self {
            state: state?,
            idempotency_key: idempotency_key?,
        })
    }
}
impl Filter for OrderFilter {
    const LIST: &'static str = "orders";
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `OrderFilter` reads")]
struct ListParams {
    /// Only orders of this team.
    #[param(pattern = "^[A-Za-z0-9._-]{1,64}$")]
    team: Option<String>,
    /// Only orders in this state.
    #[param(value_type = Option<StateEnum>)]
    state: Option<String>,
    /// Only the order with this key; an admin may find one for each team.
    #[param(min_length = 1, max_length = 255, pattern = "^[!-~]+$")]
    idempotency_key: Option<String>,
    /// Rows of a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before, with the same filters.
    cursor: Option<String>,
}

/// How an order is answered to who asked for it, or repeats the request.
fn answer(placed: Placed, wait: Option<Duration>, now: Timestamp) -> Result<Response, Problem> {
    use order::State::{
        AwaitingApproval, Cancelled, Fulfilled, NeedsReview, Queued, Refused, Renting, Unverified,
    };
    let order = &placed.order;
    let again = match order.state {
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
    let status = if again.is_some() {
        StatusCode::ACCEPTED
    } else {
        StatusCode::CREATED
    };
    let mut response = (status, [(LOCATION, location)], Json(view::order(placed))).into_response();
    response.extensions_mut().insert(Outcome(state));
    let headers = response.headers_mut();
    headers.extend(again.map(|seconds: u64| (RETRY_AFTER, HeaderValue::from(seconds))));
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

/// Nothing was sent, and nothing will be; the order says why if somebody said so.
fn ended(kind: ProblemType, order: &order::Order) -> Problem {
    let problem = Problem::new(kind).member("order_id", order.id.as_str());
    match &order.reason {
        Some(reason) => {
            let reason = reason.trim_end_matches('.');
            problem.detail(format!("The order is {}: {reason}.", order.state))
        }
        None => problem,
    }
}

fn refused(order: &order::Order) -> Problem {
    from_error::refused(
        order.close_status.as_deref(),
        order.reason.as_deref(),
        order.close_errors.as_ref(),
    )
    .member("order_id", order.id.as_str())
    .member("evidence", order.evidence.map(order::Evidence::as_str))
}
