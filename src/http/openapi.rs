//! The OpenAPI document: its general part, and the additions that every operation gets.
//!
//! Handlers declare only their own responses. [`complete`] adds the problems, with texts from the table of problem
//! types.

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
        (name = "orders", description = "Rent numbers. An order is durable: it continues after a disconnect, a crash or a deploy."),
        (name = "phone numbers", description = "List, change, release and transfer the numbers of your teams."),
        (name = "me", description = "The caller, its teams, and their remaining quota and budget."),
        (name = "audit", description = "The record of every action: its actor, its outcome, and the rule that allowed or denied it."),
        (name = "events", description = "Changes of orders, numbers and policy, as a list or as a stream."),
        (name = "spend", description = "The cost of a month, by team, country or user."),
        (name = "webhooks of Close", description = "Receives webhooks from Close. Apps do not use this operation."),
        (name = "webhooks", description = "Endpoints of your apps that receive events in signed requests (Standard Webhooks)."),
        (name = "documents", description = "This document, Swagger UI and the pages of the problem types. They need no token."),
    ),
    security(("bearer" = [])),
    components(schemas(ProblemDoc)),
)]
struct Base;

/// An error response (RFC 9457). Some problem types add members, such as `decision`, `need` or `limit`.
#[derive(ToSchema)]
#[schema(as = Problem)]
#[expect(dead_code, reason = "describes what `Problem` writes")]
struct ProblemDoc {
    /// The URI of the problem type: a path on this service, with a page that explains the problem.
    ///
    /// The URI of a type never changes.
    #[schema(example = "/problems/invalid-request")]
    r#type: String,
    /// The title of the problem type.
    #[schema(example = "The request is not valid")]
    title: String,
    /// The HTTP status.
    #[schema(example = 400)]
    status: u16,
    /// An explanation of this occurrence of the problem.
    #[schema(example = "/country: must be a string, not a number.")]
    detail: String,
    /// The path of the request.
    #[schema(example = "/v1/orders")]
    instance: String,
    /// The id of the request, as in the header `X-Request-Id` and in the log.
    #[schema(example = "req_01KATV8ZJ3E0T9C4M6N2P5Q7RS")]
    request_id: String,
    /// All faults of an invalid request, or the field errors of Close.
    #[schema(nullable = false)]
    errors: Option<Vec<FaultDoc>>,
}

/// One fault of a request.
#[derive(ToSchema)]
#[schema(as = Fault)]
#[expect(dead_code, reason = "describes what `Problem` writes")]
struct FaultDoc {
    /// A JSON pointer into the body, `/query/…` for a parameter, or `/headers/…` for a header.
    #[schema(example = "/country")]
    pointer: String,
    /// The fault, and the expected value.
    #[schema(example = "must be a string, not a number")]
    message: String,
}

/// Problems of every operation.
const ALWAYS: &[ProblemType] = &[
    ProblemType::InvalidRequest,
    ProblemType::UriTooLong,
    ProblemType::HeadersTooLarge,
    ProblemType::Internal,
    ProblemType::Busy,
];
/// Problems of every operation that needs a token.
const WITH_TOKEN: &[ProblemType] = &[
    ProblemType::Unauthorized,
    ProblemType::PermissionMissing,
    ProblemType::NotFound,
    ProblemType::RateLimited,
    ProblemType::StoreUnavailable,
    ProblemType::KeysUnavailable,
];
/// Problems of every operation with a body.
const WITH_BODY: &[ProblemType] = &[
    ProblemType::BodyTooSlow,
    ProblemType::BodyTooLarge,
    ProblemType::UnsupportedMediaType,
];

/// Returns the problems of one operation, besides those that many operations share.
fn specific_problems(operation: &str) -> &'static [ProblemType] {
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

/// Returns the document without paths: its title, tags, security scheme and shared schemas.
pub(super) fn base() -> OpenApi {
    let mut document = Base::openapi();
    env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
    document.info.license = None;
    document.info.contact = None;
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some(
            "A JWT from an issuer that the service trusts. An app in Kubernetes uses the projected token of its service account. \
             Paste the token alone, without `Bearer`.",
        ))
        .build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    document
}

/// Adds to every operation its problems and the header `X-Request-Id`.
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
                    let id = text_header(
                        "The id of the request, as in the log. Give it to the operator when you report a problem",
                    );
                    response.headers.insert("X-Request-Id".to_owned(), RefOr::T(id));
                }
            }
        }
    }
    document
}

fn add_problems(path: &str, operation: &mut Operation) {
    // Only operations that need no token override the security of the document.
    let public = operation.security.is_some();
    let id = operation.operation_id.as_deref().unwrap_or_default();
    let mut by_status: BTreeMap<u16, Vec<ProblemType>> = BTreeMap::new();
    let with_token = if public { &[] } else { WITH_TOKEN };
    let with_body = if operation.request_body.is_some() {
        WITH_BODY
    } else {
        &[]
    };
    for problem_type in [ALWAYS, with_token, with_body, specific_problems(id)].concat() {
        by_status
            .entry(problem_type.status().as_u16())
            .or_default()
            .push(problem_type);
    }
    for (status, problem_types) in by_status {
        operation.responses.responses.insert(
            status.to_string(),
            RefOr::T(problem_response(path, &problem_types)),
        );
    }
}

fn problem_response(path: &str, problem_types: &[ProblemType]) -> utoipa::openapi::Response {
    let descriptions: Vec<String> = problem_types
        .iter()
        .map(|problem_type| {
            format!(
                "[{}]({}): {}",
                problem_type.name(),
                problem_type.uri(),
                problem_type.title()
            )
        })
        .collect();
    let mut content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem")));
    for problem_type in problem_types {
        let example = ExampleBuilder::new()
            .summary(problem_type.title())
            .value(Some(example(path, *problem_type)));
        content = content.examples_from_iter([(problem_type.name(), example.build())]);
    }
    let mut response = ResponseBuilder::new()
        .description(descriptions.join("; "))
        .content("application/problem+json", content.build());
    if problem_types.contains(&ProblemType::RateLimited) {
        let quota = text_header(
            "The team's remaining request quota. Every response to a request with a valid token has this header (draft-ietf-httpapi-ratelimit-headers)",
        );
        response = response.header("RateLimit", quota);
    }
    if problem_types.contains(&ProblemType::Unauthorized) {
        response = response.header("WWW-Authenticate", text_header("How to authenticate (RFC 6750)"));
    }
    if problem_types
        .iter()
        .any(|problem_type| matches!(problem_type.status().as_u16(), 429 | 503))
    {
        response = response.header(
            "Retry-After",
            text_header("Seconds to wait before the next attempt"),
        );
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

fn example(path: &str, problem_type: ProblemType) -> Value {
    let mut problem = json!({
        "type": problem_type.uri(), "title": problem_type.title(), "status": problem_type.status().as_u16(), "detail": problem_type.meaning(),
        "instance": path, "request_id": "req_01KATV8ZJ3E0T9C4M6N2P5Q7RS",
    });
    let decision = |rule: &str, have: Value, need: Value, hint: &str| json!({"rule": rule, "have": have, "need": need, "hint": hint});
    let members = match problem_type {
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
    fn every_operation_lists_its_problems_and_the_header_with_the_request_id() {
        let document = serde_json::to_value(document()).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let responses = operation["responses"].as_object().unwrap();
                let open = operation["security"].is_array();
                // The webhook of Close carries a signature instead of a token.
                let authenticated = !open || path == WEBHOOK_PATH;
                assert_eq!(responses.contains_key("401"), authenticated, "{method} {path}");
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
