//! Traces: one request is one trace from the client to Close, in the log and at the collector.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AttributeValue;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use prost::Message as _;
use serde_json::{Value, json};

use crate::support::binary::ServerProcess;
use crate::support::close::RENT;
use crate::support::database::{Database, on_both_stores, on_sqlite};
use crate::support::eventually;
use crate::support::personas::ALICE;
use crate::support::receiver::{Receiver, Reply};
use crate::support::server::{TestConfig, TestServer, send, webhooks_to};
use crate::support::webhook::{self, delivery, event};

on_both_stores! {
    a_webhook_carries_the_trace_context_of_its_delivery,
}

on_sqlite! {
    an_order_is_one_trace_from_the_client_to_close,
    a_refused_order_is_logged_with_its_problem_type_and_without_time_in_close,
    only_clients_with_a_token_decide_whether_a_trace_is_recorded,
    a_collector_that_hangs_blocks_no_request_and_no_shutdown,
    without_a_collector_the_trace_context_is_still_propagated_and_logged,
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// Starts a process of the service that exports its traces to the collector.
async fn start_traced(
    database: Database,
    collector: &Receiver,
    config: TestConfig,
) -> (TestServer, ServerProcess) {
    let mut server = TestServer::with(database, config).await;
    server.stop().await;
    let endpoint = format!("http://127.0.0.1:{}/v1/traces", collector.port());
    // OTEL_BSP_SCHEDULE_DELAY, in milliseconds, makes the export faster than the usual five seconds.
    let environment = [
        ("NUMBERDESK_TRACES__ENDPOINT", endpoint.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=sales"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "k8s.namespace.name=prod,k8s.pod.name=numberdesk-0",
        ),
    ];
    let desk = server.start_process_with(&environment).await;
    server.wait_until_ready().await;
    (server, desk)
}

/// Returns all exported spans.
fn spans(collector: &Receiver) -> Vec<Span> {
    let exports = collector.got().into_iter().map(|request| {
        assert_eq!(request.path, "/v1/traces");
        assert_eq!(request.header("x-tenant"), "sales");
        ExportTraceServiceRequest::decode(request.body).expect("the export is OTLP")
    });
    exports
        .flat_map(|export| export.resource_spans)
        .inspect(assert_comes_from_the_pod)
        .flat_map(|resource| resource.scope_spans)
        .flat_map(|scope| scope.spans)
        .collect()
}

/// Asserts that the spans name the service, its version, its instance and its pod, as its log lines do.
fn assert_comes_from_the_pod(spans: &ResourceSpans) {
    let resource = spans.resource.as_ref().expect("spans have a resource");
    for (name, value) in [
        ("service.name", "numberdesk"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("service.instance.id", "prod.numberdesk-0"),
        ("k8s.namespace.name", "prod"),
        ("k8s.pod.name", "numberdesk-0"),
    ] {
        let found = resource.attributes.iter().find(|attribute| attribute.key == name);
        let found = found.and_then(|attribute| attribute.value.clone()?.value);
        assert_eq!(
            found,
            Some(AttributeValue::StringValue(value.to_owned())),
            "{name}"
        );
    }
}

/// Returns the exported spans of a trace, once a span with this name is among them.
async fn wait_for_span(collector: &Receiver, trace: &str, name: &str) -> Vec<Span> {
    eventually("the span is exported to the collector", || async {
        let mut spans = spans(collector);
        spans.retain(|span| hex::encode(&span.trace_id) == trace);
        spans.iter().any(|span| span.name == name).then_some(spans)
    })
    .await
}

/// Returns an attribute of a span as text.
fn attribute(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.clone()?.value? {
        AttributeValue::StringValue(text) => Some(text),
        AttributeValue::IntValue(number) => Some(number.to_string()),
        other => panic!("{other:?}"),
    }
}

/// Returns the log line of the request that the client sent with this `X-Request-Id`.
async fn log_line(desk: &ServerProcess, id: &str) -> Value {
    let field = format!(r#""client_request_id":"{id}""#);
    eventually("the request is in the log", || async {
        let log = desk.log();
        let line = log.lines().find(|line| line.contains(&field))?;
        serde_json::from_str(line).ok()
    })
    .await
}

async fn an_order_is_one_trace_from_the_client_to_close(database: Database) {
    let collector = Receiver::start().await;
    let (server, mut desk) = start_traced(database, &collector, TestConfig::default()).await;
    server.close.set(json!({ "rent_latency": "20ms" })).await;
    let order = server
        .request_as(&ALICE, "POST", "/v1/orders")
        .header("Idempotency-Key", "k1")
        .header("X-Request-Id", "mine-1")
        .header("traceparent", format!("00-{TRACE}-{PARENT}-01"))
        .header("tracestate", "vendor=secret")
        .json(&json!({ "country": "DE" }));
    assert_eq!(send(order).await.status, 201);

    let logged = log_line(&desk, "mine-1").await;
    assert_eq!(logged["trace_id"], TRACE);
    assert_eq!(logged["outcome"], "fulfilled");
    assert_eq!(logged["team"], "sales");
    assert!(logged["upstream_ms"].as_f64().unwrap() >= 20.0, "{logged}");
    assert!(
        logged["duration_ms"].as_f64().unwrap() >= logged["upstream_ms"].as_f64().unwrap(),
        "{logged}"
    );

    let spans = wait_for_span(&collector, TRACE, "POST /v1/orders").await;
    let request = spans.iter().find(|span| span.name == "POST /v1/orders").unwrap();
    assert_eq!(hex::encode(&request.parent_span_id), PARENT);
    assert_eq!(request.kind(), SpanKind::Server);
    assert_eq!(attribute(request, "outcome").as_deref(), Some("fulfilled"));
    assert_eq!(
        attribute(request, "http.response.status_code").as_deref(),
        Some("201")
    );
    assert_eq!(attribute(request, "team").as_deref(), Some("sales"));
    assert_eq!(
        attribute(request, "request_id").as_deref(),
        logged["request_id"].as_str()
    );

    // Close receives the id of the span that waits for it, and no other context.
    let rented = &server.close.requests("POST", RENT).await[0]["headers"];
    let parent = rented["traceparent"].as_str().unwrap();
    let call = wait_for_span(&collector, TRACE, "rent").await;
    let call = call.iter().find(|span| span.name == "rent").unwrap();
    assert_eq!(parent, format!("00-{TRACE}-{}-01", hex::encode(&call.span_id)));
    assert_eq!(call.parent_span_id, request.span_id);
    assert_eq!(call.kind(), SpanKind::Client);
    assert!(rented.get("tracestate").is_none());

    assert_eq!(desk.terminate().await, 0);
}

async fn a_refused_order_is_logged_with_its_problem_type_and_without_time_in_close(database: Database) {
    let collector = Receiver::start().await;
    let (server, mut desk) = start_traced(database, &collector, TestConfig::default()).await;
    let order = server
        .request_as(&ALICE, "POST", "/v1/orders")
        .header("Idempotency-Key", "k1")
        .header("X-Request-Id", "mine-2")
        .json(&json!({ "country": "JP" }));
    assert_eq!(send(order).await.status, 403);
    let logged = log_line(&desk, "mine-2").await;
    assert_eq!(logged["outcome"], "policy-denied");
    assert_eq!(logged["upstream_ms"], 0.0);
    let trace = logged["trace_id"].as_str().unwrap();
    wait_for_span(&collector, trace, "POST /v1/orders").await;
    assert_eq!(desk.terminate().await, 0);
}

async fn only_clients_with_a_token_decide_whether_a_trace_is_recorded(database: Database) {
    let collector = Receiver::start().await;
    let (server, mut desk) = start_traced(database, &collector, TestConfig::default()).await;
    let not_sampled = "11111111111111111111111111111111";
    let foreign = "22222222222222222222222222222222";
    let request_in_trace = |trace: &str, flags: &str| {
        server
            .request_as(&ALICE, "GET", "/v1/me")
            .header("traceparent", format!("00-{trace}-{PARENT}-{flags}"))
    };
    assert_eq!(
        send(request_in_trace(not_sampled, "00").header("X-Request-Id", "mine-3"))
            .await
            .status,
        200
    );
    assert_eq!(log_line(&desk, "mine-3").await["trace_id"], not_sampled);
    let body = delivery(&event("1", "updated", "phon_nobody"));
    let delivered = webhook::signed(&server, webhook::now(), &body)
        .header("traceparent", format!("00-{foreign}-{PARENT}-01"));
    assert_eq!(send(delivered).await.status, 204);
    assert_eq!(send(request_in_trace(TRACE, "01")).await.status, 200);
    wait_for_span(&collector, TRACE, "GET /v1/me").await;
    // At shutdown the process exports all spans that it has recorded.
    assert_eq!(desk.terminate().await, 0);
    let spans = spans(&collector);
    let traces: BTreeSet<String> = spans.iter().map(|span| hex::encode(&span.trace_id)).collect();
    assert!(
        !traces.contains(not_sampled) && !traces.contains(foreign),
        "{traces:?}"
    );
    assert!(spans.iter().any(|span| span.name == "POST /webhooks/close"));
}

async fn a_webhook_carries_the_trace_context_of_its_delivery(database: Database) {
    let (collector, app) = (Receiver::start().await, Receiver::start().await);
    let config = TestConfig {
        webhooks: webhooks_to(&[app.port()]),
        ..TestConfig::default()
    };
    let (server, mut desk) = start_traced(database, &collector, config).await;
    let endpoint =
        json!({ "url": format!("http://localhost:{}/hook", app.port()), "types": ["order.fulfilled"] });
    let manager = ALICE.with("webhooks:manage");
    let registration = server
        .request_as(&manager, "POST", "/v1/webhook-endpoints")
        .json(&endpoint);
    assert_eq!(send(registration).await.status, 201);
    server.rent(&ALICE, "k1", "DE").await;
    let webhook = &app.gets(1).await[0];
    let parent: Vec<&str> = webhook.header("traceparent").split('-').collect();
    let spans = wait_for_span(&collector, parent[1], "webhook").await;
    assert!(spans.iter().any(|span| hex::encode(&span.span_id) == parent[2]));
    assert_eq!(desk.terminate().await, 0);
}

async fn a_collector_that_hangs_blocks_no_request_and_no_shutdown(database: Database) {
    let collector = Receiver::start().await;
    collector.answers(Reply::Hang);
    let (server, mut desk) = start_traced(database, &collector, TestConfig::default()).await;
    collector.gets(1).await;
    server.rent(&ALICE, "k1", "DE").await;
    assert_eq!(server.get(&ALICE, "/v1/phone-numbers").await.status, 200);
    assert_eq!(desk.terminate().await, 0);
}

async fn without_a_collector_the_trace_context_is_still_propagated_and_logged(database: Database) {
    let (server, mut desk) = TestServer::as_process(database, TestConfig::default()).await;
    server.wait_until_ready().await;
    let order = server
        .request_as(&ALICE, "POST", "/v1/orders")
        .header("Idempotency-Key", "k1")
        .header("X-Request-Id", "mine-4")
        .header("traceparent", format!("00-{TRACE}-{PARENT}-01"))
        .json(&json!({ "country": "DE" }));
    assert_eq!(send(order).await.status, 201);
    assert_eq!(log_line(&desk, "mine-4").await["trace_id"], TRACE);
    let rented = &server.close.requests("POST", RENT).await[0]["headers"];
    assert!(rented["traceparent"].as_str().unwrap().contains(TRACE));
    assert_eq!(desk.terminate().await, 0);
}
