//! `/v1/phone-numbers`: lists, reads, changes, releases, keeps and transfers numbers.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::desk::{NumberFilter, Released};
use crate::domain::country::Country;
use crate::domain::id::{PhoneNumberId, UserId};
use crate::domain::input::read::Input;
use crate::domain::input::values::Text;
use crate::domain::number::Number;
use crate::domain::number_patch::NumberPatch;
use crate::domain::page::Limit;
use crate::domain::permission::needs;
use crate::domain::schema::string_schema;
use crate::domain::team::Team;
use crate::http::extract::conditional::etag;
use crate::http::extract::{Caller, Id, IfMatch, IfNoneMatch, JsonBody, List, ListQuery, NoQuery, PatchBody};
use crate::http::problem::Problem;
use crate::http::state::Http;
use crate::http::view::{self, NumberView, PageView, ReleaseView};

/// List phone numbers
///
/// Numberdesk reads the numbers from its own inventory, a continuously updated copy of the numbers in Close.
/// `desk.as_of` is the time of a number's last update from Close.
#[utoipa::path(
    get, path = "/v1/phone-numbers", tag = "phone numbers", operation_id = "list_phone_numbers", params(ListNumbers),
    responses((status = 200, description = "A page of numbers", body = PageView<NumberView>)),
)]
pub(in crate::http) async fn list(
    State(http): State<Http>,
    caller: Caller<needs::NumbersRead>,
    list: List<ListNumbers>,
) -> Result<Json<PageView<Value>>, Problem> {
    let after = list.after(&http, &caller)?;
    let query = &list.query;
    let page = http
        .desk
        .numbers
        .list(
            caller.call(),
            query.team.as_ref(),
            &query.filter(),
            query.limit,
            after.as_deref(),
        )
        .await?;
    Ok(list.page(&http, &caller, page, |number| view::number(&number)))
}

/// Get a phone number
///
/// Numberdesk reads the number from its own inventory. Store the `ETag`. Send it in `If-None-Match` to get the number
/// only if it has changed, and in `If-Match` to prevent a lost update.
#[utoipa::path(
    get, path = "/v1/phone-numbers/{id}", tag = "phone numbers", operation_id = "get_phone_number",
    params(
        ("id" = PhoneNumberId, Path),
        IfNoneMatch,
    ),
    responses(
        (status = 200, description = "The number", body = NumberView, headers(("ETag"))),
        (status = 304, description = "The version that you have is current", headers(("ETag"))),
    ),
)]
pub(in crate::http) async fn get(
    State(http): State<Http>,
    caller: Caller<needs::NumbersRead>,
    Id(id): Id<PhoneNumberId>,
    _: NoQuery,
    IfNoneMatch(known): IfNoneMatch,
) -> Result<Response, Problem> {
    let number = http.desk.numbers.find(caller.call(), &id).await?;
    let version = number.version();
    if known.is_some_and(|known| known.names(&version)) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, etag(&version))]).into_response());
    }
    Ok(with_etag(&number))
}

/// Change a phone number
///
/// A JSON merge patch of the fields that Close allows you to change. The team's policy limits forwarding and assignees.
/// Send `If-Match` to change the number only if it is still the version that you read.
#[utoipa::path(
    patch, path = "/v1/phone-numbers/{id}", tag = "phone numbers", operation_id = "update_phone_number",
    params(
        ("id" = PhoneNumberId, Path),
        IfMatch,
    ),
    request_body(content = NumberPatch, description = "The members to change (RFC 7396). The service takes `application/merge-patch+json` too"),
    responses((status = 200, description = "The changed number", body = NumberView, headers(("ETag")))),
)]
pub(in crate::http) async fn update(
    State(http): State<Http>,
    caller: Caller<needs::NumbersUpdate>,
    Id(id): Id<PhoneNumberId>,
    _: NoQuery,
    IfMatch(expected): IfMatch,
    PatchBody(patch): PatchBody,
) -> Result<Response, Problem> {
    let number = http
        .desk
        .numbers
        .update(caller.call(), &id, &patch, expected.as_ref())
        .await?;
    Ok(with_etag(&number))
}

/// Release a phone number
///
/// Releases the number in Close. Nobody can undo a release. If the team's policy has a `release_delay`, Numberdesk
/// asks Close only after that time. Until then, the number belongs to the team and counts towards its limits, and you
/// can cancel the release. Send `If-Match` to release the number only if it is still the version that you read.
#[utoipa::path(
    delete, path = "/v1/phone-numbers/{id}", tag = "phone numbers", operation_id = "release_phone_number",
    params(
        ("id" = PhoneNumberId, Path),
        IfMatch,
    ),
    responses(
        (status = 204, description = "Released"),
        (status = 202, description = "`release_scheduled`: Numberdesk asks Close at `release_at`; a repeated request does not change that time. `releasing`: Numberdesk does not know yet whether Close has released the number, and is finding out", body = ReleaseView),
    ),
)]
pub(in crate::http) async fn release(
    State(http): State<Http>,
    caller: Caller<needs::NumbersRelease>,
    Id(id): Id<PhoneNumberId>,
    _: NoQuery,
    IfMatch(expected): IfMatch,
) -> Result<Response, Problem> {
    let released = http.desk.numbers.release(caller.call(), &id, expected.as_ref());
    Ok(match released.await? {
        Released::Done => StatusCode::NO_CONTENT.into_response(),
        Released::Pending => (StatusCode::ACCEPTED, Json(view::release(&id, None))).into_response(),
        Released::Scheduled(at) => (StatusCode::ACCEPTED, Json(view::release(&id, Some(at)))).into_response(),
    })
}

/// Keep a phone number
///
/// Cancels a scheduled release. If no release is scheduled, nothing changes. After Numberdesk has asked Close to
/// release the number, you can no longer cancel the release.
#[utoipa::path(
    post, path = "/v1/phone-numbers/{id}/keep", tag = "phone numbers", operation_id = "keep_phone_number",
    params(("id" = PhoneNumberId, Path)),
    responses((status = 200, description = "The number, without a scheduled release", body = NumberView, headers(("ETag")))),
)]
pub(in crate::http) async fn keep(
    State(http): State<Http>,
    caller: Caller<needs::NumbersRelease>,
    Id(id): Id<PhoneNumberId>,
    _: NoQuery,
) -> Result<Response, Problem> {
    Ok(with_etag(
        &http.desk.numbers.cancel_release(caller.call(), &id).await?,
    ))
}

/// Transfer a phone number to a team
///
/// Adopts a number that has no team, or moves a number to another team. The quota and budget of the new team apply.
/// Send `If-Match` to transfer the number only if it is still the version that you read.
#[utoipa::path(
    put, path = "/v1/phone-numbers/{id}/team", tag = "phone numbers", operation_id = "transfer_phone_number",
    params(
        ("id" = PhoneNumberId, Path),
        IfMatch,
    ),
    request_body = TransferRequest,
    responses((status = 200, description = "The number with its new team", body = NumberView, headers(("ETag")))),
)]
pub(in crate::http) async fn transfer(
    State(http): State<Http>,
    caller: Caller<needs::NumbersAdmin>,
    Id(id): Id<PhoneNumberId>,
    _: NoQuery,
    IfMatch(expected): IfMatch,
    JsonBody(TransferRequest { team }): JsonBody<TransferRequest>,
) -> Result<Response, Problem> {
    let transferred = http
        .desk
        .numbers
        .transfer(caller.call(), &id, &team, expected.as_ref());
    let number = transferred.await?;
    Ok(with_etag(&number))
}

fn with_etag(number: &Number) -> Response {
    ([(ETAG, etag(&number.version()))], Json(view::number(number))).into_response()
}

/// The team that gets a number.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct TransferRequest {
    /// The name of the team.
    team: Team,
}

impl Input for TransferRequest {}

/// The query of the list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ListNumbers {
    /// Only numbers of this team.
    team: Option<Team>,
    /// Only numbers of this country.
    country: Option<Country>,
    /// Only this number, in E.164, such as `+4930901820`.
    number: Option<WrittenNumber>,
    /// Only numbers of this type: `internal`, `external` or `virtual`.
    ///
    /// Close may add types, so any other word is allowed, and matches the numbers that have it.
    r#type: Option<Text<32>>,
    /// Only numbers whose label contains this text.
    label: Option<Text<255>>,
    /// Only numbers that ring for this user or belong to this user.
    participant: Option<UserId>,
    /// `true`: only orphans, which are numbers without a team. `false`: only numbers with a team.
    orphan: Option<bool>,
    /// Maximum number of rows in a page.
    #[serde(default)]
    limit: Limit,
    /// The `next_cursor` of the previous page. Send the same filters again.
    cursor: Option<String>,
}

impl ListQuery for ListNumbers {
    const LIST: &'static str = "phone-numbers";
    fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }
}

impl ListNumbers {
    fn filter(&self) -> NumberFilter {
        NumberFilter {
            country: self.country,
            number: self.number.clone().map(|WrittenNumber(number)| number),
            kind: self.r#type.clone().map(String::from),
            label: self.label.clone().map(String::from),
            participant: self.participant.clone(),
            orphan: self.orphan,
        }
    }
}

/// A number in the form of E.164. It need not be valid, because a number from Close need not be either.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub(in crate::http) struct WrittenNumber(String);

impl TryFrom<String> for WrittenNumber {
    type Error = &'static str;
    /// In a query, an unescaped `+` means a space, so a leading space counts as `+`.
    fn try_from(text: String) -> Result<Self, &'static str> {
        let digits = text.strip_prefix(['+', ' ']).unwrap_or_default();
        if (1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(format!("+{digits}")))
        } else {
            Err("must be a phone number in E.164: `+`, the country code and the number, without spaces")
        }
    }
}
string_schema! {
    WrittenNumber: "A phone number in E.164.", pattern: r"^\+[0-9]{1,15}$", example: "+4930901820"
}
