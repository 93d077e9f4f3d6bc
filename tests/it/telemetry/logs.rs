//! Log lines: what each names, and which requests have one.

use serde_json::{Value, json};

use crate::support::binary::ServerProcess;
use crate::support::database::{Database, on_sqlite};
use crate::support::eventually;
use crate::support::personas::ALICE;
use crate::support::server::{TestConfig, TestServer, send};

on_sqlite! {
    each_line_names_the_service_and_its_pod,
    of_the_reads_only_errors_and_samples_are_logged_if_the_settings_say_so,
}

/// Starts a process of the service with these environment variables.
async fn start(database: Database, environment: &[(&str, &str)]) -> (TestServer, ServerProcess) {
    let mut server = TestServer::with(database, TestConfig::default()).await;
    server.stop().await;
    let desk = server.start_process_with(environment).await;
    server.wait_until_ready().await;
    (server, desk)
}

/// Returns the lines of requests with the client's own id, once one has this id.
async fn requests(desk: &ServerProcess, last: &str) -> Vec<Value> {
    eventually("the request is in the log", || async {
        let log = desk.log();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let lines: Vec<_> = lines
            .filter(|line| line["client_request_id"].is_string())
            .collect();
        let written = lines.iter().any(|line| line["client_request_id"] == last);
        written.then_some(lines)
    })
    .await
}

async fn each_line_names_the_service_and_its_pod(database: Database) {
    let pod = "k8s.namespace.name=numberdesk-prod,k8s.pod.name=numberdesk-0,k8s.node.name=node-7";
    let (server, mut desk) = start(database, &[("OTEL_RESOURCE_ATTRIBUTES", pod)]).await;
    let read = server.request_as(&ALICE, "GET", "/v1/me");
    assert_eq!(send(read.header("X-Request-Id", "mine")).await.status, 200);
    let read = requests(&desk, "mine").await.pop().unwrap();
    // A read out of memory takes less than a millisecond, or a few on a busy machine.
    let took = read["duration_ms"].as_f64().unwrap();
    assert!(took > 0.0 && took.fract() != 0.0, "{read}");
    assert_eq!(read["upstream_ms"], 0.0);
    assert_eq!(desk.terminate().await, 0);
    let log = desk.log();
    assert!(log.lines().count() > 3, "{log}");
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).expect("a line is JSON");
        for (name, value) in [
            ("service.name", "numberdesk"),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("service.instance.id", "numberdesk-prod.numberdesk-0"),
            ("k8s.namespace.name", "numberdesk-prod"),
            ("k8s.pod.name", "numberdesk-0"),
            ("k8s.node.name", "node-7"),
        ] {
            assert_eq!(line[name], value, "{line}");
        }
    }
}

async fn of_the_reads_only_errors_and_samples_are_logged_if_the_settings_say_so(database: Database) {
    let sampled = [("NUMBERDESK_LOG__REQUESTS", "sampled")];
    let (mut server, mut desk) = start(database, &sampled).await;
    let mut seen = Vec::new();
    for which in ["sampled", "errors"] {
        if which == "errors" {
            assert_eq!(desk.terminate().await, 0);
            desk = server
                .start_process_with(&[("NUMBERDESK_LOG__REQUESTS", which)])
                .await;
            server.wait_until_ready().await;
        }
        let call = async |method: &str, path: &str, id: &str, trace: &str| {
            let id = format!("{which}-{id}");
            let call = server.request_as(&ALICE, method, path).header("X-Request-Id", id);
            let call = call.header(
                "traceparent",
                format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{trace}"),
            );
            send(call.json(&json!({}))).await
        };
        let (recorded, unrecorded) = ("00f067aa0ba902b7-01", "00f067aa0ba902b7-00");
        for nth in 0..100 {
            call("GET", "/v1/me", &format!("quick-{nth}"), unrecorded)
                .await
                .expect(200);
        }
        call("GET", "/v1/me", "traced", recorded).await.expect(200);
        call("GET", "/v1/nothing", "missing", unrecorded)
            .await
            .problem(404, "not-found");
        call("POST", "/v1/orders/validate", "write", unrecorded).await;
        // Both processes write to one log.
        let prefix = format!("{which}-");
        let lines = requests(&desk, &format!("{prefix}write")).await;
        let ids = lines.iter().filter_map(|line| line["client_request_id"].as_str());
        let ids = ids.filter_map(|id| id.strip_prefix(&prefix).map(str::to_owned));
        seen.push(ids.collect::<Vec<_>>());
    }
    // Lines are in the order of the requests, so a line that is not there before that of the last request was not written.
    let quick = seen[0].iter().filter(|id| id.starts_with("quick-")).count();
    assert_eq!(quick, 1, "one of a hundred: {seen:?}");
    assert_eq!(seen[0][1..], ["traced", "missing", "write"], "{seen:?}");
    assert_eq!(seen[1], ["missing", "write"], "{seen:?}");
    assert_eq!(desk.terminate().await, 0);
}
