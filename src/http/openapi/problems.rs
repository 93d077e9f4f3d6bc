//! The error responses in the OpenAPI document, from the table of problem types.
//!
//! Problems that many operations have are shared: one response for each status in `components`. Examples are shared
//! too.

use std::collections::BTreeMap;

use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::{Components, ContentBuilder, Ref, RefOr};

use crate::http::openapi::headers::{IDEMPOTENT_REPLAYED, REQUEST_ID, header_ref};
use crate::http::problem::example::example;
use crate::http::problem::problem_type::ProblemType;

/// Problems of every operation. The document has only operations that need a token.
const ALWAYS: &[ProblemType] = &[
    ProblemType::InvalidRequest,
    ProblemType::UriTooLong,
    ProblemType::HeadersTooLarge,
    ProblemType::Internal,
    ProblemType::Busy,
    ProblemType::Unauthorized,
    ProblemType::PermissionMissing,
    ProblemType::ServiceAccountUnmapped,
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

/// Problems that repeat the end of an order: the answers to a repeated idempotency key.
const ENDED: &[ProblemType] = &[
    ProblemType::ApprovalRejected,
    ProblemType::OrderCancelled,
    ProblemType::NotRented,
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
            ProblemType::NotRented,
            ProblemType::OrdersOnHold,
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
        "release_phone_number" => &[
            ProblemType::PreconditionFailed,
            ProblemType::CloseRefused,
            ProblemType::CloseUnavailable,
            ProblemType::OrdersOnHold,
        ],
        "transfer_phone_number" => &[
            ProblemType::PreconditionFailed,
            ProblemType::PolicyDenied,
            ProblemType::QuotaExceeded,
            ProblemType::BudgetExceeded,
        ],
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
        _ => &[],
    }
}

/// The problems of an operation by status.
type ByStatus = BTreeMap<u16, Vec<ProblemType>>;

fn by_status(problem_types: &[ProblemType]) -> ByStatus {
    let mut by_status = ByStatus::new();
    for problem_type in problem_types {
        by_status
            .entry(problem_type.status().as_u16())
            .or_default()
            .push(*problem_type);
    }
    by_status
}

/// Returns the problems that operations share, by status.
fn shared() -> ByStatus {
    by_status(&[ALWAYS, WITH_BODY].concat())
}

/// Returns the name of the shared response with this status, such as `NotFound`.
fn shared_name(problem_types: &[ProblemType]) -> String {
    let reason = problem_types[0].status().canonical_reason().unwrap_or_default();
    let name = reason.split_whitespace().map(|word| {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + &rest.to_lowercase()
    });
    name.collect()
}

/// Adds the shared responses, and an example of every problem type.
pub(super) fn add_components(components: &mut Components) {
    for problem_types in shared().values() {
        let response = response(problem_types);
        components
            .responses
            .insert(shared_name(problem_types), RefOr::T(response));
    }
    for problem_type in ProblemType::ALL {
        let example = ExampleBuilder::new()
            .summary(problem_type.title())
            .value(Some(example(*problem_type)))
            .build();
        components
            .examples
            .insert(problem_type.name().to_owned(), RefOr::T(example));
    }
}

/// Adds the problems of an operation.
pub(super) fn add_to(operation: &mut Operation) {
    let id = operation.operation_id.as_deref().unwrap_or_default();
    let with_body = if operation.request_body.is_some() {
        WITH_BODY
    } else {
        &[]
    };
    let shared = shared();
    for (status, problem_types) in by_status(&[ALWAYS, with_body, specific_problems(id)].concat()) {
        let answer = if shared.get(&status) == Some(&problem_types) {
            RefOr::Ref(Ref::from_response_name(shared_name(&problem_types)))
        } else {
            RefOr::T(response(&problem_types))
        };
        operation.responses.responses.insert(status.to_string(), answer);
    }
}

fn response(problem_types: &[ProblemType]) -> Response {
    let names = problem_types.iter().map(|problem_type| {
        format!(
            "[{}]({}): {}",
            problem_type.name(),
            problem_type.uri(),
            problem_type.title()
        )
    });
    let mut content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem")));
    for problem_type in problem_types {
        let example = Ref::new(format!("#/components/examples/{}", problem_type.name()));
        content = content.examples_from_iter([(problem_type.name(), RefOr::Ref(example))]);
    }
    let mut response = ResponseBuilder::new()
        .description(names.collect::<Vec<_>>().join("; "))
        .content("application/problem+json", content.build())
        .build();
    let has = |wanted: &[ProblemType]| {
        wanted
            .iter()
            .any(|problem_type| problem_types.contains(problem_type))
    };
    let waits = problem_types
        .iter()
        .any(|problem_type| matches!(problem_type.status().as_u16(), 429 | 503));
    for (present, name) in [
        (true, REQUEST_ID),
        (has(&[ProblemType::RateLimited]), "RateLimit"),
        (has(&[ProblemType::Unauthorized]), "WWW-Authenticate"),
        (waits, "Retry-After"),
        (has(ENDED), IDEMPOTENT_REPLAYED),
    ] {
        if present {
            response.headers.insert(name.to_owned(), header_ref(name));
        }
    }
    response
}
