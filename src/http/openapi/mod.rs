//! The OpenAPI document for apps.
//!
//! utoipa collects the operations and their schemas from the handlers, which declare only their own responses.
//! [`complete`] adds the error responses of `problems` and the requests of `webhooks`. Then it makes the document small
//! and easy for generators: `optional`, `parameters`, `schemas` and `references` each change one kind of part. `v3_0`
//! renders the document for tools that know only OpenAPI 3.0.

pub(super) mod v3_0;

mod headers;
mod optional;
mod parameters;
mod problems;
mod references;
mod schemas;
mod walk;
mod webhooks;

use serde_json::Value;
use utoipa::OpenApi as _;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi, RefOr};

use crate::domain::country::Country;
use crate::domain::id::{DeliveryId, EndpointId, EventId, GroupId, OrderId, PhoneNumberId, UserId};
use crate::domain::input::values::{Text, Whole};
use crate::domain::month::Month;
use crate::domain::order::IdempotencyKey;
use crate::domain::page::Limit;
use crate::domain::spend::{GroupBy, ReportFormat};
use crate::domain::team::Team;
use crate::domain::time::Timestamp;
use crate::http::openapi::headers::{HEADERS, REQUEST_ID, header, header_ref};
use crate::http::problem::document::Document;
use crate::http::routes::{events, numbers};
use crate::http::view::{AuditView, EventView};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "numberdesk",
        description = include_str!("introduction.md"),
        contact(name = "The operators of this service"),
    ),
    servers((url = "/", description = "This service")),
    tags(
        (name = "orders", description = "Rent numbers. An order is durable: it continues after a disconnect, a crash or a deploy."),
        (name = "phone numbers", description = "List, change, release and transfer the numbers of your teams."),
        (name = "me", description = "The caller, its teams, and their remaining quota and budget."),
        (name = "audit", description = "The record of every action: its actor, its outcome, and the rule that allowed or denied it."),
        (name = "events", description = "Changes of orders, numbers and policy, as a list or as a stream."),
        (name = "spend", description = "The cost of a month, by team, country or user."),
        (name = "webhooks", description = "Endpoints of your apps that receive events in signed requests (Standard Webhooks)."),
        (name = webhooks::TAG, description = "What your endpoints receive: the service sends these requests."),
    ),
    security(("bearer" = [])),
    // utoipa finds the schemas of bodies, but not those of parameters, and it writes the rows of a page inline.
    components(schemas(
        Document, Country, DeliveryId, EndpointId, EventId, GroupBy, IdempotencyKey, Limit, Month, OrderId,
        GroupId, PhoneNumberId, ReportFormat, Text<32>, Team, Timestamp, UserId,
        Whole<0, 9_007_199_254_740_991>, events::EventTypes, numbers::WrittenNumber, AuditView, EventView,
    )),
)]
struct Base;

/// Returns the document without paths: its title, tags, security scheme and shared components.
pub(super) fn base() -> OpenApi {
    let mut document = Base::openapi();
    env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
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
    for (name, description) in HEADERS {
        let header = header(name, description);
        components.headers.insert((*name).to_owned(), RefOr::T(header));
    }
    problems::add_components(components);
    document
}

/// Completes the document of the operations, and renders it in OpenAPI 3.1.
pub(super) fn complete(mut document: OpenApi) -> Value {
    for item in document.paths.paths.values_mut() {
        let methods = [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
            &mut item.patch,
        ];
        for operation in methods.into_iter().flatten() {
            for response in operation.responses.responses.values_mut() {
                if let RefOr::T(response) = response {
                    let shared = |name: &String| HEADERS.iter().any(|(known, _)| known == name);
                    for (name, header) in &mut response.headers {
                        if shared(name) {
                            *header = header_ref(name);
                        }
                    }
                    response
                        .headers
                        .insert(REQUEST_ID.to_owned(), header_ref(REQUEST_ID));
                }
            }
            problems::add_to(operation);
        }
    }
    webhooks::add_to(&mut document);
    let mut document = serde_json::to_value(document).expect("the document is made of texts and lists");
    // The builders of utoipa cannot express that every response has a header.
    document["components"]["headers"][REQUEST_ID]["required"] = true.into();
    optional::remove_null(&mut document);
    parameters::share(&mut document);
    schemas::simplify(&mut document);
    parameters::describe(&mut document);
    references::remove_unused(&mut document);
    document
}

#[cfg(test)]
mod tests {
    use crate::http::router::document;

    #[test]
    fn every_operation_lists_its_problems_and_the_header_with_the_request_id() {
        let document = document();
        assert_eq!(document["openapi"], "3.1.0");
        for (path, item) in document["paths"].as_object().unwrap() {
            assert!(path.starts_with("/v1/"), "{path}");
            for (method, operation) in item.as_object().unwrap() {
                let responses = operation["responses"].as_object().unwrap();
                for status in ["400", "401", "403", "404", "429", "500", "503"] {
                    assert!(responses.contains_key(status), "{method} {path} {status}");
                }
                for (status, response) in responses {
                    let response = match response["$ref"].as_str() {
                        Some(reference) => document.pointer(&reference[1..]).unwrap(),
                        None => response,
                    };
                    assert!(
                        response["headers"]["X-Request-Id"].is_object(),
                        "{method} {path} {status}"
                    );
                }
            }
        }
    }
}
