//! The OpenAPI document: what stands at its head, and what is the same for every operation, so that handlers say
//! only what is their own. The problems an operation may answer come from the table of kinds.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, HeaderBuilder, OpenApi, Ref, RefOr};
use utoipa::{OpenApi as _, ToSchema};

use crate::http::problem::problem_type::ProblemType;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "numberdesk",
        description = include_str!("openapi.md"),
    ),
    servers((url = "/", description = "This service")),
    tags(
        (name = "orders", description = "Renting numbers. An order is durable: it outlives your request, a crash and a deploy."),
        (name = "phone numbers", description = "The numbers your teams hold, and what may be done to them."),
        (name = "me", description = "You, your teams, and what is left of quota and budget."),
        (name = "audit", description = "Who did what, and which rule allowed or denied it."),
        (name = "events", description = "What changed, as it changes."),
        (name = "spend", description = "What a month cost, by team, country or user."),
        (name = "webhooks of Close", description = "Where Close tells what happened. Nothing for apps."),
        (name = "webhooks", description = "Where your apps are told of events, by signed requests (Standard Webhooks)."),
        (name = "documents", description = "This document and its companions. No token needed."),
    ),
    security(("bearer" = [])),
    components(schemas(ProblemDoc)),
)]
struct Base;

/// What went wrong, by RFC 9457. Kinds of problem add members of their own, such as `decision`, `need`, `limit`.
#[derive(ToSchema)]
#[schema(as = Problem)]
#[expect(dead_code, reason = "describes what `Problem` writes")]
struct ProblemDoc {
    /// The kind of problem: a path on this service, with a page that explains it. Never changes.
    #[schema(example = "/problems/invalid-request")]
    r#type: String,
    /// The kind's name for people.
    #[schema(example = "The request is not valid")]
    title: String,
    /// The HTTP status.
    #[schema(example = 400)]
    status: u16,
    /// What happened this time.
    #[schema(example = "/country: must be a string, not a number.")]
    detail: String,
    /// The path that was asked for.
    #[schema(example = "/v1/orders")]
    instance: String,
    /// The request's id, as in the header `X-Request-Id` and in the log.
    #[schema(example = "req_01KATV8ZJ3E0T9C4M6N2P5Q7RS")]
    request_id: String,
    /// Every fault of an invalid request, or Close's field errors.
    #[schema(nullable = false)]
    errors: Option<Vec<FaultDoc>>,
}

/// One fault.
#[derive(ToSchema)]
#[schema(as = Fault)]
#[expect(dead_code, reason = "describes what `Problem` writes")]
struct FaultDoc {
    /// JSON pointer into the body, or `/query/…` and `/headers/…`.
    #[schema(example = "/country")]
    pointer: String,
    /// What is wrong and what would be right.
    #[schema(example = "must be a string, not a number")]
    message: String,
}

/// What any request may be answered.
const ALWAYS: &[ProblemType] = &[
    ProblemType::InvalidRequest,
    ProblemType::UriTooLong,
    ProblemType::HeadersTooLarge,
    ProblemType::Internal,
    ProblemType::Busy,
];
/// What any request that needs a token may be answered.
const WITH_TOKEN: &[ProblemType] = &[
    ProblemType::Unauthorized,
    ProblemType::PermissionMissing,
    ProblemType::NotFound,
    ProblemType::RateLimited,
    ProblemType::StoreUnavailable,
    ProblemType::KeysUnavailable,
];
/// What any request with a body may be answered.
const WITH_BODY: &[ProblemType] = &[
    ProblemType::BodyTooSlow,
    ProblemType::BodyTooLarge,
    ProblemType::UnsupportedMediaType,
];

/// What an operation may be answered besides.
fn own(operation: &str) -> &'static [ProblemType] {
    match operation {
        "create_order" => &[
            ProblemType::TeamRequired,
            ProblemType::IdempotencyKeyMissing,
            ProblemType::IdempotencyKeyInvalid,
            ProblemType::PolicyDenied,
            ProblemType::QuotaExceeded,
            ProblemType::BudgetExceeded,
            ProblemType::ApprovalRejected,
            ProblemType::OrderCancelled,
            ProblemType::IdempotencyKeyReused,
            ProblemType::CloseRefused,
        ],
        "cancel_order" => &[ProblemType::OrderNotCancellable],
        "settle_order" => &[
            ProblemType::OrderNotInReview,
            ProblemType::SettleContradicted,
            ProblemType::CloseUnavailable,
        ],
        "approve_order" | "reject_order" => &[ProblemType::OwnOrder, ProblemType::OrderNotAwaitingApproval],
        "update_phone_number" => &[
            ProblemType::PolicyDenied,
            ProblemType::PreconditionFailed,
            ProblemType::CloseRefused,
            ProblemType::CloseUnavailable,
        ],
        "keep_phone_number" => &[ProblemType::ReleaseUnderWay],
        "release_phone_number" => &[ProblemType::CloseRefused, ProblemType::CloseUnavailable],
        "transfer_phone_number" => &[
            ProblemType::PolicyDenied,
            ProblemType::QuotaExceeded,
            ProblemType::BudgetExceeded,
        ],
        "receive_webhook" => &[ProblemType::NotFromClose, ProblemType::StoreUnavailable],
        "create_webhook_endpoint" => &[
            ProblemType::TeamRequired,
            ProblemType::WebhooksOff,
            ProblemType::TooManyEndpoints,
        ],
        "update_webhook_endpoint" | "get_webhook_secret" | "rotate_webhook_secret" => {
            &[ProblemType::WebhooksOff]
        }
        "replay_webhook_delivery" | "replay_webhooks" | "test_webhook_endpoint" => {
            &[ProblemType::WebhooksOff, ProblemType::EndpointDisabled]
        }
        "docs_file" | "problem" => &[ProblemType::NotFound],
        _ => &[],
    }
}

/// The head of the document.
pub(super) fn base() -> OpenApi {
    let mut document = Base::openapi();
    env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
    document.info.license = None;
    document.info.contact = None;
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some(
            "A JWT of an issuer that the service trusts; for an app in Kubernetes, the projected token of its service account. \
             Paste the token alone, without `Bearer`.",
        ))
        .build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    document
}

/// Adds to every operation what all have: the problems it may answer, and the request's id.
pub(super) fn complete(mut document: OpenApi) -> OpenApi {
    for (path, item) in &mut document.paths.paths {
        let methods = [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
            &mut item.patch,
        ];
        for operation in methods.into_iter().flatten() {
            add_problems(path, operation);
            for response in operation.responses.responses.values_mut() {
                if let RefOr::T(response) = response {
                    let id = text_header("The request's id, as in the log; name it when you ask for help");
                    response.headers.insert("X-Request-Id".to_owned(), RefOr::T(id));
                }
            }
        }
    }
    document
}

fn add_problems(path: &str, operation: &mut Operation) {
    let open = operation.security.is_some();
    let id = operation.operation_id.as_deref().unwrap_or_default();
    let mut by_status: BTreeMap<u16, Vec<ProblemType>> = BTreeMap::new();
    let with_token = if open { &[] } else { WITH_TOKEN };
    let with_body = if operation.request_body.is_some() {
        WITH_BODY
    } else {
        &[]
    };
    for kind in [ALWAYS, with_token, with_body, own(id)].concat() {
        by_status.entry(kind.status().as_u16()).or_default().push(kind);
    }
    for (status, kinds) in by_status {
        operation
            .responses
            .responses
            .insert(status.to_string(), RefOr::T(answer(path, &kinds)));
    }
}

fn answer(path: &str, kinds: &[ProblemType]) -> utoipa::openapi::Response {
    let said: Vec<String> = kinds
        .iter()
        .map(|kind| format!("[{}]({}): {}", kind.name(), kind.uri(), kind.title()))
        .collect();
    let mut content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem")));
    for kind in kinds {
        let example = ExampleBuilder::new()
            .summary(kind.title())
            .value(Some(example(path, *kind)));
        content = content.examples_from_iter([(kind.name(), example.build())]);
    }
    let mut response = ResponseBuilder::new()
        .description(said.join("; "))
        .content("application/problem+json", content.build());
    if kinds.contains(&ProblemType::RateLimited) {
        let quota = text_header(
            "What is left of the team's quota, as in every answer to a token that holds (draft-ietf-httpapi-ratelimit-headers)",
        );
        response = response.header("RateLimit", quota);
    }
    if kinds.contains(&ProblemType::Unauthorized) {
        response = response.header("WWW-Authenticate", text_header("How to come back (RFC 6750)"));
    }
    if kinds
        .iter()
        .any(|kind| matches!(kind.status().as_u16(), 429 | 503))
    {
        response = response.header("Retry-After", text_header("Seconds after which to try again"));
    }
    response.build()
}

fn text_header(description: &str) -> utoipa::openapi::Header {
    let text = ObjectBuilder::new().schema_type(Type::String);
    HeaderBuilder::new()
        .schema(Some(text))
        .description(Some(description))
        .build()
}

fn example(path: &str, kind: ProblemType) -> Value {
    let mut problem = json!({
        "type": kind.uri(), "title": kind.title(), "status": kind.status().as_u16(), "detail": kind.meaning(),
        "instance": path, "request_id": "req_01KATV8ZJ3E0T9C4M6N2P5Q7RS",
    });
    let decision = |rule: &str, have: Value, need: Value, hint: &str| json!({"rule": rule, "have": have, "need": need, "hint": hint});
    let members = match kind {
        ProblemType::InvalidRequest => {
            json!({"errors": [{"pointer": "/query/limit", "message": "must be a whole number from 1 to 200"}]})
        }
        ProblemType::TeamRequired => json!({"teams": ["sales-emea", "support"]}),
        ProblemType::PermissionMissing => json!({"need": "numbers:rent"}),
        ProblemType::PolicyDenied => {
            json!({"decision": decision("teams.sales-emea.countries", json!("US"), json!(["DE", "FR"]), "order in one of the countries the team may have")})
        }
        ProblemType::QuotaExceeded => json!({"limit": 50, "used": 49, "reserved": 1,
            "decision": decision("teams.sales-emea.max_numbers", json!({"held": 49, "reserved": 1}), json!(50), "release a number")}),
        ProblemType::BudgetExceeded => json!({"limit": "120.00", "used": "118.45", "reserved": "1.15",
            "decision": decision("teams.sales-emea.monthly_budget", json!({"held": "118.45", "reserved": "1.15", "price": "1.15"}), json!("120.00"), "release a number")}),
        ProblemType::OrderCancelled | ProblemType::ApprovalRejected | ProblemType::IdempotencyKeyReused => {
            json!({"order_id": "ord_01KATV8ZJ3E0T9C4M6N2P5Q7RS"})
        }
        ProblemType::WebhooksOff => json!({"missing": "webhooks.secret_file"}),
        ProblemType::TooManyEndpoints => json!({"limit": 20}),
        ProblemType::OrderNotCancellable => json!({"state": "renting"}),
        ProblemType::OrderNotInReview => json!({"state": "unverified"}),
        ProblemType::OrderNotAwaitingApproval => json!({"state": "cancelled"}),
        ProblemType::CloseRefused => {
            json!({"close_status": "has-voice-only", "order_id": "ord_01KATV8ZJ3E0T9C4M6N2P5Q7RS", "evidence": "close-refusal"})
        }
        _ => json!({}),
    };
    if let (Value::Object(problem), Value::Object(members)) = (&mut problem, members) {
        problem.extend(members);
    }
    problem
}

#[cfg(test)]
mod tests {
    use crate::domain::close_event::WEBHOOK_PATH;
    use crate::http::router::document;

    #[test]
    fn every_operation_tells_its_problems_and_the_request_s_id() {
        let document = serde_json::to_value(document()).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let responses = operation["responses"].as_object().unwrap();
                let open = operation["security"].is_array();
                // Close shows a signature where others show a token.
                let proved = !open || path == WEBHOOK_PATH;
                assert_eq!(responses.contains_key("401"), proved, "{method} {path}");
                assert_eq!(path.starts_with("/v1/"), !open, "{method} {path}");
                assert!(responses.contains_key("500"), "{method} {path}");
                for (status, response) in responses {
                    assert!(
                        response["headers"]["X-Request-Id"].is_object(),
                        "{method} {path} {status}"
                    );
                }
            }
        }
    }
}
