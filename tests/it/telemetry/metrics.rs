//! Metrics: their declarations, the guide that is rendered from them, and the values on `/metrics`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use numberdesk::telemetry::metrics::{Kind, Metric, PROCESS, SECTIONS, Unit};
use numberdesk::telemetry::metrics_guide;
use serde_json::json;
use tokio::process::Command;

use crate::support::binary::ServerProcess;
use crate::support::close::RENT;
use crate::support::database::{Database, on_both_stores, on_sqlite};
use crate::support::eventually;
use crate::support::personas::{ALICE, LENA, OLGA};
use crate::support::program::{promtool, provided, root, succeeds};
use crate::support::server::{POLICY, TestConfig, TestServer};

on_both_stores! {
    metrics_report_orders_and_teams_with_only_declared_names_and_labels,
}

on_sqlite! {
    counters_with_known_labels_exist_from_the_start,
    both_formats_satisfy_the_tools_of_prometheus_and_histograms_name_traces,
    the_time_of_an_order_that_ended_is_in_a_histogram,
}

/// The longest time for a tool that checks metrics; the machine may be busy.
const TOOL_TIME: Duration = Duration::from_mins(2);
const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");

/// Returns the declarations of all metrics by name.
fn declared() -> BTreeMap<&'static str, &'static Metric> {
    let sections = SECTIONS.iter().chain([&PROCESS]);
    let metrics = sections.flat_map(|section| section.metrics);
    metrics.map(|metric| (metric.name, metric)).collect()
}

#[test]
fn the_guide_to_metrics_is_up_to_date() {
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(GUIDE, metrics_guide()).expect("the guide can be written");
    }
    let written = std::fs::read_to_string(GUIDE).expect("there is a guide to metrics");
    assert!(
        written == metrics_guide(),
        "docs/metrics.md is out of date: run `make docs`"
    );
}

#[test]
fn every_metric_is_declared_once_with_a_help_text() {
    let count: usize = SECTIONS.iter().map(|section| section.metrics.len()).sum();
    assert_eq!(
        declared().len(),
        count + PROCESS.metrics.len(),
        "a name is declared twice"
    );
    for (name, metric) in declared() {
        assert!(metric.help.ends_with('.'), "{name}: {}", metric.help);
        assert!(
            !metric.help.contains(['|', '\n', '\\', '"']),
            "{name}: {}",
            metric.help
        );
        let base = name.strip_suffix("_total");
        assert_eq!(metric.kind == Kind::Counter, base.is_some(), "{name}");
        let unit = match metric.unit {
            Unit::Seconds => "_seconds",
            Unit::Dollars => "_dollars",
            Unit::Bytes => "_bytes",
            Unit::Count | Unit::Flag => "",
        };
        assert!(base.unwrap_or(name).ends_with(unit), "{name} lacks its unit");
        assert_eq!(
            metric.kind == Kind::Histogram,
            !metric.buckets.is_empty(),
            "{name}"
        );
        assert!(metric.buckets.is_sorted(), "{name}");
    }
}

/// Finds source files with a metric's name as a literal, in a macro such as `counter!` or elsewhere.
fn find_literal_names(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find_literal_names(&path, found);
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let calls = ["counter!(", "gauge!(", "histogram!("];
        let literal = |call: &str| {
            text.split(call)
                .skip(1)
                .any(|after| after.trim_start().starts_with('"'))
        };
        if calls.into_iter().any(literal) {
            found.push(path.display().to_string());
        }
        let all = declared()
            .into_keys()
            .filter(|name| name.starts_with("numberdesk_"));
        let named = all.filter(|name| text.contains(&format!("\"{name}\""))).count();
        if named > 0 && !path.ends_with("src/telemetry/metrics.rs") {
            found.push(path.display().to_string());
        }
    }
}

#[test]
fn only_the_table_of_metrics_has_metric_names_as_literals() {
    let mut found = Vec::new();
    find_literal_names(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(
        found.is_empty(),
        "use the constants of src/telemetry/metrics.rs: {found:?}"
    );
}

/// One sample of `/metrics`.
#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

fn samples(text: &str) -> Vec<Sample> {
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').expect("a line ends with a value");
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let labels = labels
                .trim_end_matches('}')
                .split("\",")
                .filter(|pair| !pair.is_empty());
            Sample {
                name: name.to_owned(),
                labels: labels
                    .map(|pair| pair.split_once("=\"").expect("a label and its value"))
                    .map(|(label, value)| (label.to_owned(), value.trim_end_matches('"').to_owned()))
                    .collect(),
                value: value.parse().expect("a number"),
            }
        })
        .collect()
}

/// Returns the value of the first series with this name and these labels.
fn value(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let matches = |sample: &&Sample| {
        sample.name == name
            && labels
                .iter()
                .all(|(label, value)| sample.labels.get(*label).is_some_and(|found| found == value))
    };
    samples.iter().find(matches).map(|sample| sample.value)
}

async fn metrics_report_orders_and_teams_with_only_declared_names_and_labels(database: Database) {
    let mut config = TestConfig {
        policy: POLICY.replacen("max_numbers = 400\nmonthly_budget = \"5000.00\"\n", "", 1),
        ..TestConfig::default()
    };
    config.close.numbers = 1;
    let mut server = TestServer::with(database, config).await;
    server.stop().await;
    let mut desk = ServerProcess::start(server.folder.path()).await;
    (server.api, server.ops) = (desk.api.clone(), desk.ops.clone());
    server.wait_until_synced().await;

    let rent = async |key: &str, country: &str, wait: &str| {
        let body = json!({ "country": country, "carrier_type": "local" });
        let order = server.request_as(&ALICE, "POST", "/v1/orders").json(&body);
        crate::support::server::send(order.header("Idempotency-Key", key).header("Prefer", wait)).await
    };
    rent("one", "DE", "wait=20").await.expect(201);
    server
        .close
        .fault(json!({ "path": RENT, "times": 1, "effect": false, "answer": "drop_before_headers" }))
        .await;
    rent("two", "FR", "wait=5").await.expect(202);
    for person in [&ALICE, &LENA, &OLGA] {
        for path in [
            "/v1/me",
            "/v1/orders",
            "/v1/nothing",
            "/v1/phone-numbers",
            "/docs",
        ] {
            server.get(person, path).await;
        }
    }

    let scraped = eventually("the metrics report both orders", || async {
        let scraped = samples(&server.at_ops("/metrics").await.text);
        let open = value(
            &scraped,
            "numberdesk_orders_open",
            &[("state", "unverified"), ("country", "FR")],
        );
        // The metrics of teams are updated after those of orders.
        let reserved = value(&scraped, "numberdesk_team_reservations", &[("team", "sales")]);
        (open == Some(1.0) && reserved == Some(1.0)).then_some(scraped)
    })
    .await;
    let metric = |name: &str, labels: &[(&str, &str)]| value(&scraped, name, labels);
    let (sales, support) = ([("team", "sales")], [("team", "support")]);
    assert_eq!(metric("numberdesk_team_numbers", &sales), Some(1.0));
    // The sum of Close's price for the fulfilled order and the policy's estimate for the open one.
    assert!(metric("numberdesk_team_monthly_spend_dollars", &sales) > Some(4.0));
    assert_eq!(
        metric("numberdesk_team_monthly_budget_dollars", &sales),
        Some(5000.0)
    );
    assert_eq!(metric("numberdesk_team_numbers", &support), Some(0.0));
    assert_eq!(
        metric("numberdesk_team_monthly_budget_dollars", &support),
        Some(f64::INFINITY)
    );
    assert_eq!(metric("numberdesk_orphans", &[]), Some(1.0));
    assert_eq!(metric("numberdesk_store_up", &[]), Some(1.0));
    let unverified = [("state", "unverified")];
    assert!(metric("numberdesk_orders_oldest_age_seconds", &unverified).is_some_and(|age| age > 0.0));
    let settled = [("state", "fulfilled"), ("country", "DE")];
    assert_eq!(metric("numberdesk_orders_settled_total", &settled), Some(1.0));
    assert!(metric("process_resident_memory_bytes", &[]).is_some_and(|bytes| bytes > 1e6));

    assert_declared(&scraped);
    assert_described(&server.at_ops("/metrics").await.text);
    assert_eq!(desk.terminate().await, 0);
}

/// Asserts that every sample belongs to a declared metric and has only declared labels.
fn assert_declared(scraped: &[Sample]) {
    let declared = declared();
    for Sample { name, labels, .. } in scraped {
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|part| {
            name.strip_suffix(part)
                .filter(|base| declared.contains_key(*base))
        });
        let metric = declared.get(base.unwrap_or(name));
        let metric = metric.unwrap_or_else(|| panic!("{name} is not declared"));
        for (label, value) in labels.iter().filter(|(label, _)| *label != "le") {
            let declared = metric.labels.iter().find(|declared| declared.name == label);
            let declared =
                declared.unwrap_or_else(|| panic!("{name} has a label {label} that its declaration lacks"));
            assert!(
                declared.values.is_empty() || declared.values.contains(&value.as_str()),
                "{name} has a {label} {value} that its declaration lacks"
            );
        }
    }
}

/// Asserts that every metric has its declared type and help text.
fn assert_described(text: &str) {
    let declared = declared();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').expect("a name and a kind");
        let metric = declared
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not declared"));
        let declared = format!("{:?}", metric.kind).to_lowercase();
        assert_eq!(kind, declared, "{name}");
        assert!(
            text.contains(&format!("# HELP {name} ")),
            "{name} has no help text"
        );
        if name.starts_with("numberdesk_") {
            assert!(
                text.contains(&format!("# HELP {name} {}\n", metric.help)),
                "{name}"
            );
        }
    }
}

async fn counters_with_known_labels_exist_from_the_start(database: Database) {
    let (server, mut desk) = TestServer::as_process(database, TestConfig::default()).await;
    let scraped = samples(&server.at_ops("/metrics").await.text);
    for (name, metric) in declared() {
        let series = match metric.kind {
            Kind::Counter => name.to_owned(),
            Kind::Histogram => format!("{name}_count"),
            Kind::Gauge => continue,
        };
        // One series of each combination, or none if a value of a label comes from outside.
        let known: usize = metric.labels.iter().map(|label| label.values.len()).product();
        let found = scraped.iter().filter(|sample| sample.name == series).count();
        assert!(found >= known, "{series}: {found} of {known} series");
    }
    for (name, labels) in [
        (
            "numberdesk_worker_failures_total",
            [("worker", "sync")].as_slice(),
        ),
        ("numberdesk_jwks_fetch_total", &[("outcome", "failed")]),
        (
            "numberdesk_http_requests_total",
            &[("method", "POST"), ("route", "/v1/orders"), ("status", "503")],
        ),
        (
            "numberdesk_http_requests_total",
            &[
                ("method", "GET"),
                ("route", "/v1/phone-numbers/{id}"),
                ("status", "500"),
            ],
        ),
    ] {
        assert_eq!(value(&scraped, name, labels), Some(0.0), "{name} {labels:?}");
    }
    assert_eq!(desk.terminate().await, 0);
}

async fn both_formats_satisfy_the_tools_of_prometheus_and_histograms_name_traces(database: Database) {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const UNRECORDED: &str = "0af7651916cd43dd8448eb211c80319c";
    let (server, mut desk) = TestServer::as_process(database, TestConfig::default()).await;
    let order = server.request_as(&ALICE, "POST", "/v1/orders");
    let order = order
        .header("Idempotency-Key", "k1")
        .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"));
    crate::support::server::send(order.json(&json!({ "country": "DE" })))
        .await
        .expect(201);
    let read = server.request_as(&ALICE, "GET", "/v1/orders");
    let read = read.header("traceparent", format!("00-{UNRECORDED}-00f067aa0ba902b7-00"));
    crate::support::server::send(read).await.expect(200);

    let folder = tempfile::tempdir().unwrap();
    let scrape = async |accept: &str| {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client
            .get(format!("{}/metrics", desk.ops))
            .header("Accept", accept);
        let response = request.send().await.unwrap();
        let media_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        let file = folder.path().join("scrape.txt");
        std::fs::write(&file, response.text().await.unwrap()).unwrap();
        (media_type, file)
    };

    let (media_type, file) = scrape("*/*").await;
    assert_eq!(media_type, "text/plain; version=0.0.4; charset=utf-8");
    let mut check = Command::new("sh");
    check.args(["-c", "exec \"$0\" check metrics <\"$1\""]);
    succeeds(check.arg(promtool()).arg(&file), TOOL_TIME).await;
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(
        !text.contains("trace_id"),
        "the text format has no exemplars: {text}"
    );

    // What Prometheus 3 sends.
    let accept = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                  application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.2";
    let (media_type, file) = scrape(accept).await;
    assert_eq!(
        media_type,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let mut parser = Command::new(provided(".venv/bin/python"));
    parser.arg(root().join("tests/python/openmetrics_is_valid.py"));
    let exemplars = succeeds(parser.arg(&file), TOOL_TIME).await;
    for bucket in [
        "numberdesk_http_request_duration_seconds_bucket",
        "numberdesk_close_request_seconds_bucket",
    ] {
        assert!(exemplars.contains(&format!("{bucket} {TRACE}")), "{exemplars}");
    }
    assert!(!exemplars.contains(UNRECORDED), "{exemplars}");

    let (media_type, _) = scrape("application/openmetrics-text;q=0, text/plain").await;
    assert!(media_type.starts_with("text/plain"), "{media_type}");
    // The kernel counts in hundredths of a second, so a value may be whole by chance.
    eventually("the processor time has a fraction", || async {
        let scraped = samples(&server.at_ops("/metrics").await.text);
        let used = value(&scraped, "process_cpu_seconds_total", &[])?;
        (used.fract() != 0.0).then_some(())
    })
    .await;
    assert_eq!(desk.terminate().await, 0);
}

async fn the_time_of_an_order_that_ended_is_in_a_histogram(database: Database) {
    let (server, mut desk) = TestServer::as_process(database, TestConfig::default()).await;
    server.rent(&ALICE, "one", "DE").await;
    let refusal = json!({ "status": 400, "body": { "status": "billing-error", "message": "No." } });
    server
        .close
        .fault(json!({ "path": RENT, "times": 1, "answer": refusal }))
        .await;
    server
        .order(
            &ALICE,
            "two",
            &json!({ "country": "DE", "carrier_type": "local" }),
        )
        .await
        .problem(422, "close-refused");
    let scraped = samples(&server.at_ops("/metrics").await.text);
    for (state, count) in [("fulfilled", 1.0), ("refused", 1.0), ("cancelled", 0.0)] {
        for series in ["_count", "_bucket"] {
            let series = format!("numberdesk_order_settling_seconds{series}");
            // Of the buckets, only the one of the objective. Both orders took less.
            let labels = [("state", state), ("le", "60")];
            let labels = &labels[..if series.ends_with("_bucket") { 2 } else { 1 }];
            assert_eq!(value(&scraped, &series, labels), Some(count), "{series} {state}");
        }
    }
    assert_eq!(desk.terminate().await, 0);
}
