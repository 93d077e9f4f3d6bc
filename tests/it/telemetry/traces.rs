//! One request is one trace: from its caller through the desk to Close, in the log, and at the collector.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Told;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
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
    an_app_that_is_told_of_an_event_can_go_on_with_the_trace,
}

on_sqlite! {
    a_rented_number_is_one_trace_from_its_caller_to_close,
    a_refusal_is_told_by_its_name_and_nobody_waited_for_close,
    what_is_recorded_is_up_to_callers_with_a_token_and_never_to_who_delivers_from_outside,
    a_collector_that_never_answers_costs_no_request_and_no_clean_end,
    without_a_collector_a_trace_goes_through_and_its_id_is_in_the_log,
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A desk as a process of its own that tells the collector.
async fn traced(database: Database, collector: &Receiver, config: TestConfig) -> (TestServer, ServerProcess) {
    let mut server = TestServer::with(database, config).await;
    server.stop().await;
    let endpoint = format!("http://127.0.0.1:{}/v1/traces", collector.port());
    // Quicker than every five seconds, by the variable that the specification has for it.
    let environment = [
        ("NUMBERDESK_TRACES__ENDPOINT", endpoint.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=sales"),
    ];
    let desk = server.start_process_with(&environment).await;
    server.wait_until_ready().await;
    (server, desk)
}

fn spans(collector: &Receiver) -> Vec<Span> {
    let told = collector.got().into_iter().map(|got| {
        assert_eq!(got.path, "/v1/traces");
        assert_eq!(got.header("x-tenant"), "sales");
        ExportTraceServiceRequest::decode(got.body).expect("what is exported is OTLP")
    });
    told.flat_map(|told| told.resource_spans)
        .flat_map(|of| of.scope_spans)
        .flat_map(|of| of.spans)
        .collect()
}

/// The collector's spans of a trace, once one of this name is among them.
async fn recorded(collector: &Receiver, trace: &str, name: &str) -> Vec<Span> {
    eventually("the trace is at the collector", || async {
        let mut spans = spans(collector);
        spans.retain(|span| hex::encode(&span.trace_id) == trace);
        spans.iter().any(|span| span.name == name).then_some(spans)
    })
    .await
}

fn said(span: &Span, key: &str) -> Option<String> {
    let value = span.attributes.iter().find(|it| it.key == key)?.value.clone()?;
    match value.value? {
        Told::StringValue(text) => Some(text),
        Told::IntValue(number) => Some(number.to_string()),
        other => panic!("{other:?}"),
    }
}

/// The line of the log about the request with this client's own id.
fn line(desk: &ServerProcess, id: &str) -> Value {
    let log = desk.log();
    let line = log
        .lines()
        .find(|line| line.contains(&format!(r#""client_request_id":"{id}""#)));
    serde_json::from_str(line.expect("the request is in the log")).expect("a line is JSON")
}

async fn a_rented_number_is_one_trace_from_its_caller_to_close(database: Database) {
    let collector = Receiver::start().await;
    let (server, mut desk) = traced(database, &collector, TestConfig::default()).await;
    server.close.set(json!({ "rent_latency": "20ms" })).await;
    let order = server
        .request_as(&ALICE, "POST", "/v1/orders")
        .header("Idempotency-Key", "k1")
        .header("X-Request-Id", "mine-1")
        .header("traceparent", format!("00-{TRACE}-{PARENT}-01"))
        .header("tracestate", "vendor=secret")
        .json(&json!({ "country": "DE" }));
    assert_eq!(send(order).await.status, 201);

    let told = line(&desk, "mine-1");
    assert_eq!(told["trace_id"], TRACE);
    assert_eq!(told["outcome"], "fulfilled");
    assert_eq!(told["team"], "sales");
    assert!(told["upstream_ms"].as_u64().unwrap() >= 20, "{told}");
    assert!(
        told["duration_ms"].as_u64().unwrap() >= told["upstream_ms"].as_u64().unwrap(),
        "{told}"
    );

    let spans = recorded(&collector, TRACE, "POST /v1/orders").await;
    let request = spans.iter().find(|span| span.name == "POST /v1/orders").unwrap();
    assert_eq!(hex::encode(&request.parent_span_id), PARENT);
    assert_eq!(request.kind(), SpanKind::Server);
    assert_eq!(said(request, "outcome").as_deref(), Some("fulfilled"));
    assert_eq!(said(request, "http.response.status_code").as_deref(), Some("201"));
    assert_eq!(said(request, "team").as_deref(), Some("sales"));
    assert_eq!(
        said(request, "request_id").as_deref(),
        told["request_id"].as_str()
    );

    // Close is told of the very span that waited for it, and of nothing else.
    let rented = &server.close.requests("POST", RENT).await[0]["headers"];
    let parent = rented["traceparent"].as_str().unwrap();
    let call = recorded(&collector, TRACE, "rent").await;
    let call = call.iter().find(|span| span.name == "rent").unwrap();
    assert_eq!(parent, format!("00-{TRACE}-{}-01", hex::encode(&call.span_id)));
    assert_eq!(call.parent_span_id, request.span_id);
    assert_eq!(call.kind(), SpanKind::Client);
    assert!(rented.get("tracestate").is_none());

    assert_eq!(desk.terminate().await, 0);
}

async fn a_refusal_is_told_by_its_name_and_nobody_waited_for_close(database: Database) {
    let collector = Receiver::start().await;
    let (server, mut desk) = traced(database, &collector, TestConfig::default()).await;
    let order = server
        .request_as(&ALICE, "POST", "/v1/orders")
        .header("Idempotency-Key", "k1")
        .header("X-Request-Id", "mine-2")
        .json(&json!({ "country": "JP" }));
    assert_eq!(send(order).await.status, 403);
    let told = line(&desk, "mine-2");
    assert_eq!(told["outcome"], "policy-denied");
    assert_eq!(told["upstream_ms"], 0);
    let trace = told["trace_id"].as_str().unwrap();
    recorded(&collector, trace, "POST /v1/orders").await;
    assert_eq!(desk.terminate().await, 0);
}

async fn what_is_recorded_is_up_to_callers_with_a_token_and_never_to_who_delivers_from_outside(
    database: Database,
) {
    let collector = Receiver::start().await;
    let (server, mut desk) = traced(database, &collector, TestConfig::default()).await;
    let silent = "11111111111111111111111111111111";
    let foreign = "22222222222222222222222222222222";
    let asked = |trace: &str, flags: &str| {
        server
            .request_as(&ALICE, "GET", "/v1/me")
            .header("traceparent", format!("00-{trace}-{PARENT}-{flags}"))
    };
    assert_eq!(
        send(asked(silent, "00").header("X-Request-Id", "mine-3"))
            .await
            .status,
        200
    );
    assert_eq!(line(&desk, "mine-3")["trace_id"], silent);
    let body = delivery(&event("1", "updated", "phon_nobody"));
    let delivered = webhook::signed(&server, webhook::now(), &body)
        .header("traceparent", format!("00-{foreign}-{PARENT}-01"));
    assert_eq!(send(delivered).await.status, 204);
    assert_eq!(send(asked(TRACE, "01")).await.status, 200);
    recorded(&collector, TRACE, "GET /v1/me").await;
    // The last words of a process include all that it has recorded.
    assert_eq!(desk.terminate().await, 0);
    let spans = spans(&collector);
    let traces: BTreeSet<String> = spans.iter().map(|span| hex::encode(&span.trace_id)).collect();
    assert!(
        !traces.contains(silent) && !traces.contains(foreign),
        "{traces:?}"
    );
    assert!(spans.iter().any(|span| span.name == "POST /webhooks/close"));
}

async fn an_app_that_is_told_of_an_event_can_go_on_with_the_trace(database: Database) {
    let (collector, app) = (Receiver::start().await, Receiver::start().await);
    let config = TestConfig {
        webhooks: webhooks_to(&[app.port()]),
        ..TestConfig::default()
    };
    let (server, mut desk) = traced(database, &collector, config).await;
    let endpoint =
        json!({ "url": format!("http://localhost:{}/hook", app.port()), "types": ["order.fulfilled"] });
    let manager = ALICE.with("webhooks:manage");
    let made = server
        .request_as(&manager, "POST", "/v1/webhook-endpoints")
        .json(&endpoint);
    assert_eq!(send(made).await.status, 201);
    server.rent(&ALICE, "k1", "DE").await;
    let got = &app.gets(1).await[0];
    let parent: Vec<&str> = got.header("traceparent").split('-').collect();
    let spans = recorded(&collector, parent[1], "webhook").await;
    assert!(spans.iter().any(|span| hex::encode(&span.span_id) == parent[2]));
    assert_eq!(desk.terminate().await, 0);
}

async fn a_collector_that_never_answers_costs_no_request_and_no_clean_end(database: Database) {
    let collector = Receiver::start().await;
    collector.answers(Reply::Hang);
    let (server, mut desk) = traced(database, &collector, TestConfig::default()).await;
    collector.gets(1).await;
    server.rent(&ALICE, "k1", "DE").await;
    assert_eq!(server.get(&ALICE, "/v1/phone-numbers").await.status, 200);
    assert_eq!(desk.terminate().await, 0);
}

/// Without a collector nothing is exported, and requests are in traces all the same.
async fn without_a_collector_a_trace_goes_through_and_its_id_is_in_the_log(database: Database) {
    let mut server = TestServer::with(database, TestConfig::default()).await;
    server.stop().await;
    let mut desk = server.start_process().await;
    server.wait_until_ready().await;
    let order = server
        .request_as(&ALICE, "POST", "/v1/orders")
        .header("Idempotency-Key", "k1")
        .header("X-Request-Id", "mine-4")
        .header("traceparent", format!("00-{TRACE}-{PARENT}-01"))
        .json(&json!({ "country": "DE" }));
    assert_eq!(send(order).await.status, 201);
    assert_eq!(line(&desk, "mine-4")["trace_id"], TRACE);
    let rented = &server.close.requests("POST", RENT).await[0]["headers"];
    assert!(rented["traceparent"].as_str().unwrap().contains(TRACE));
    assert_eq!(desk.terminate().await, 0);
}
