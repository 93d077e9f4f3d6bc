//! `/v1/phone-numbers`: lists, reads, changes, releases, keeps and transfers numbers.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use utoipa::IntoParams;

use crate::desk::{NumberFilter, Released};
use crate::domain::id::PhoneNumberId;
use crate::domain::input::fields::{Fields, Node};
use crate::domain::number::Number;
use crate::domain::permission::needs;
use crate::domain::team::Team;
use crate::http::extract::conditional::etag;
use crate::http::extract::{
    Caller, Filter, Id, IfMatch, IfMatchHeader, IfNoneMatch, IfNoneMatchHeader, JsonBody, List, NoQuery,
    PatchBody, QueryFields, flag,
};
use crate::http::problem::Problem;
use crate::http::state::Http;
use crate::http::view::{self, CountryCode, NumberPatch, NumberView, PageView, ReleaseView, TransferBody};

/// List phone numbers
///
/// Numberdesk reads the numbers from its own inventory, a continuously updated copy of the numbers in Close.
/// `desk.as_of` is the time of a number's last update from Close.
#[utoipa::path(
    get, path = "/v1/phone-numbers", tag = "phone numbers", operation_id = "list_phone_numbers", params(ListParams),
    responses((status = 200, description = "A page of numbers", body = PageView<NumberView>)),
)]
pub(in crate::http) async fn list(
    State(http): State<Http>,
    caller: Caller<needs::NumbersRead>,
    list: List<NumberFilter>,
) -> Result<Json<PageView<Value>>, Problem> {
    let after = list.after(&http, &caller)?;
    let team = list.team.as_ref();
    let page = http
        .desk
        .numbers
        .list(caller.call(), team, &list.filter, list.limit, after.as_deref())
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
        ("id" = String, Path, description = "The id of the number in Close", pattern = "^phon_[A-Za-z0-9]{1,64}$", example = "phon_0DYgvcsvwhAAHzTgdOPg9nPAnYlDdb6sCxSbWtxBIRe"),
        IfNoneMatchHeader,
    ),
    responses(
        (status = 200, description = "The number", body = NumberView, headers(("ETag" = String, description = "The version of the number"))),
        (status = 304, description = "The version that you have is current", headers(("ETag" = String, description = "The version of the number"))),
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
        ("id" = String, Path, description = "The id of the number in Close", pattern = "^phon_[A-Za-z0-9]{1,64}$", example = "phon_0DYgvcsvwhAAHzTgdOPg9nPAnYlDdb6sCxSbWtxBIRe"),
        IfMatchHeader,
    ),
    request_body(content(
        (NumberPatch = "application/merge-patch+json"),
        (NumberPatch = "application/json"),
    )),
    responses((status = 200, description = "The changed number", body = NumberView, headers(("ETag" = String, description = "The version of the number")))),
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
/// can cancel the release.
#[utoipa::path(
    delete, path = "/v1/phone-numbers/{id}", tag = "phone numbers", operation_id = "release_phone_number",
    params(("id" = String, Path, description = "The id of the number in Close", pattern = "^phon_[A-Za-z0-9]{1,64}$", example = "phon_0DYgvcsvwhAAHzTgdOPg9nPAnYlDdb6sCxSbWtxBIRe")),
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
) -> Result<Response, Problem> {
    Ok(match http.desk.numbers.release(caller.call(), &id).await? {
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
    params(("id" = String, Path, description = "The id of the number in Close", pattern = "^phon_[A-Za-z0-9]{1,64}$", example = "phon_0DYgvcsvwhAAHzTgdOPg9nPAnYlDdb6sCxSbWtxBIRe")),
    responses((status = 200, description = "The number, without a scheduled release", body = NumberView, headers(("ETag" = String, description = "The version of the number")))),
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
#[utoipa::path(
    put, path = "/v1/phone-numbers/{id}/team", tag = "phone numbers", operation_id = "transfer_phone_number",
    params(("id" = String, Path, description = "The id of the number in Close", pattern = "^phon_[A-Za-z0-9]{1,64}$", example = "phon_0DYgvcsvwhAAHzTgdOPg9nPAnYlDdb6sCxSbWtxBIRe")),
    request_body = TransferBody,
    responses((status = 200, description = "The number with its new team", body = NumberView, headers(("ETag" = String, description = "The version of the number")))),
)]
pub(in crate::http) async fn transfer(
    State(http): State<Http>,
    caller: Caller<needs::NumbersAdmin>,
    Id(id): Id<PhoneNumberId>,
    _: NoQuery,
    body: JsonBody,
) -> Result<Response, Problem> {
    let number = http
        .desk
        .numbers
        .transfer(caller.call(), &id, &body.read(new_team)?)
        .await?;
    Ok(with_etag(&number))
}

fn new_team(node: Node<'_>) -> Option<Team> {
    let mut fields = node.fields()?;
    let team = fields.required("team", |node| node.parse());
    fields.finish()?;
    team
}

fn with_etag(number: &Number) -> Response {
    ([(ETAG, etag(&number.version()))], Json(view::number(number))).into_response()
}

impl QueryFields for NumberFilter {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let country = fields.optional("country", |node| node.parse());
        let number = fields.optional("number", |node| number(&node));
        let kind = fields.optional("type", |node| node.text(32));
        let label = fields.optional("label", |node| node.text(255));
        let participant = fields.optional("participant", |node| node.parse());
        let orphan = fields.optional("orphan", |node| flag(&node));
        Some(Self {
            country: country?,
            number: number?,
            kind: kind?,
            label: label?,
            participant: participant?,
            orphan: orphan?,
        })
    }
}
impl Filter for NumberFilter {
    const LIST: &'static str = "phone-numbers";
}

/// Parses a number.
///
/// In a query, an unescaped `+` means a space, so a leading space counts as `+`.
fn number(node: &Node<'_>) -> Option<String> {
    let text = node.text(32)?;
    Some(
        text.strip_prefix(' ')
            .map_or_else(|| text.clone(), |digits| format!("+{digits}")),
    )
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `NumberFilter` reads")]
struct ListParams {
    /// Only numbers of this team.
    #[param(pattern = "^[A-Za-z0-9._-]{1,64}$")]
    team: Option<String>,
    /// Only numbers of this country.
    #[param(value_type = Option<CountryCode>)]
    country: Option<String>,
    /// Only this number, in E.164, such as `+4930901820`.
    #[param(max_length = 32)]
    number: Option<String>,
    /// Only numbers of this type: `internal`, `external` or `virtual`.
    #[param(max_length = 32)]
    r#type: Option<String>,
    /// Only numbers whose label contains this text.
    #[param(max_length = 255)]
    label: Option<String>,
    /// Only numbers that ring for this user or belong to this user.
    #[param(pattern = "^user_[A-Za-z0-9]{1,64}$")]
    participant: Option<String>,
    /// `true`: only orphans, which are numbers without a team. `false`: only numbers with a team.
    orphan: Option<bool>,
    /// Maximum number of rows in a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the previous page. Send the same filters again.
    cursor: Option<String>,
}
