//! Metrics: their declarations, the guide that is rendered from them, and the values on `/metrics`.

use std::collections::BTreeMap;
use std::path::Path;

use numberdesk::telemetry::metrics::{Kind, Metric, PROCESS, SECTIONS, guide};
use serde_json::json;

use crate::support::binary::ServerProcess;
use crate::support::close::RENT;
use crate::support::database::{Database, on_both_stores};
use crate::support::eventually;
use crate::support::personas::{ALICE, LENA, OLGA};
use crate::support::server::{POLICY, TestConfig, TestServer};

on_both_stores! {
    metrics_report_orders_and_teams_with_only_declared_names_and_labels,
}

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
        std::fs::write(GUIDE, guide()).expect("the guide can be written");
    }
    let written = std::fs::read_to_string(GUIDE).expect("there is a guide to metrics");
    assert!(
        written == guide(),
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
            !metric.help.contains(['|', '\n', '\\']),
            "{name}: {}",
            metric.help
        );
        if metric.kind == Kind::Histogram {
            assert!(name.ends_with("_seconds"), "{name} has no buckets");
        }
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
        for label in labels.keys().filter(|label| *label != "le") {
            assert!(
                metric.labels.contains(&label.as_str()),
                "{name} has a label {label} that its declaration lacks"
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
