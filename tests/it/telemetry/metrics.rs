//! What is measured: every metric stands in the guide and every one of the guide exists, labels are bounded, and facts of
//! the business are those of the database.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::json;

use crate::support::binary::Serving;
use crate::support::close::RENT;
use crate::support::database::{Database, on_both_stores};
use crate::support::eventually;
use crate::support::people::{ALICE, LENA, OLGA};
use crate::support::server::{Setup, Stage};

on_both_stores! {
    metrics_tell_how_orders_and_teams_stand_and_have_no_other_label_than_the_guide_says,
}

const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");

/// The labels of every metric in the guide.
fn guide() -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(GUIDE).unwrap();
    let ticked =
        |cell: &str| -> BTreeSet<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    text.lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').collect();
            let name = ticked(cells[1]).pop_first().expect("a row names a metric");
            (name, ticked(cells[3]))
        })
        .collect()
}

/// Names in `counter!("…"`, `gauge!("…"` and `histogram!("…"` of all sources.
fn in_sources(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            in_sources(&path, names);
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for kind in ["counter!(", "gauge!(", "histogram!("] {
            for after in text.split(kind).skip(1) {
                let name = after
                    .trim_start()
                    .strip_prefix('"')
                    .and_then(|rest| rest.split('"').next());
                names.extend(name.map(str::to_owned));
            }
        }
    }
}

#[test]
fn the_guide_names_every_metric_and_no_other() {
    let mut named = BTreeSet::new();
    in_sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut named);
    assert!(named.len() > 40, "the sources were read: {named:?}");
    let guide: BTreeSet<_> = guide()
        .into_keys()
        .filter(|name| name.starts_with("numberdesk_"))
        .collect();
    assert_eq!(guide, named);
}

/// One line of what is scraped.
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
            let (series, value) = line.rsplit_once(' ').expect("a value stands last");
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

/// The value of a series that has these labels, if it is there.
fn value(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let fits = |sample: &&Sample| {
        sample.name == name
            && labels
                .iter()
                .all(|(label, value)| sample.labels.get(*label).is_some_and(|found| found == value))
    };
    samples.iter().find(fits).map(|sample| sample.value)
}

async fn metrics_tell_how_orders_and_teams_stand_and_have_no_other_label_than_the_guide_says(
    database: Database,
) {
    let mut setup = Setup {
        timeout: "2s",
        ..Setup::default()
    };
    setup.policy = setup
        .policy
        .replacen("max_numbers = 400\nmonthly_budget = \"5000.00\"\n", "", 1);
    setup.close.numbers = 1;
    let mut stage = Stage::with(database, setup).await;
    stage.stop().await;
    let mut desk = Serving::start(stage.folder.path()).await;
    (stage.api, stage.ops) = (desk.api.clone(), desk.ops.clone());
    stage.has_looked().await;

    let rent = async |key: &str, country: &str, wait: &str| {
        let body = json!({ "country": country, "carrier_type": "local" });
        let order = stage.by(&ALICE, "POST", "/v1/orders").json(&body);
        crate::support::server::send(order.header("Idempotency-Key", key).header("Prefer", wait)).await
    };
    rent("one", "DE", "wait=20").await.expect(201);
    stage
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
            stage.get(person, path).await;
        }
    }

    let scraped = eventually("what was ordered is told", || async {
        let scraped = samples(&stage.at_ops("/metrics").await.text);
        let open = value(
            &scraped,
            "numberdesk_orders_open",
            &[("state", "unverified"), ("country", "FR")],
        );
        // Teams are counted a moment after orders.
        let reserved = value(&scraped, "numberdesk_team_reservations", &[("team", "sales")]);
        (open == Some(1.0) && reserved == Some(1.0)).then_some(scraped)
    })
    .await;
    let told = |name: &str, labels: &[(&str, &str)]| value(&scraped, name, labels);
    let (sales, support) = ([("team", "sales")], [("team", "support")]);
    assert_eq!(told("numberdesk_team_numbers", &sales), Some(1.0));
    // What Close bills for the one, and the estimate for the other.
    assert!(told("numberdesk_team_monthly_spend_dollars", &sales) > Some(4.0));
    assert_eq!(
        told("numberdesk_team_monthly_budget_dollars", &sales),
        Some(5000.0)
    );
    assert_eq!(told("numberdesk_team_numbers", &support), Some(0.0));
    assert_eq!(
        told("numberdesk_team_monthly_budget_dollars", &support),
        Some(f64::INFINITY)
    );
    assert_eq!(told("numberdesk_orphans", &[]), Some(1.0));
    assert_eq!(told("numberdesk_store_up", &[]), Some(1.0));
    let of_unverified = [("state", "unverified")];
    assert!(told("numberdesk_orders_oldest_age_seconds", &of_unverified).is_some_and(|age| age > 0.0));
    let settled = [("state", "fulfilled"), ("country", "DE")];
    assert_eq!(told("numberdesk_orders_settled_total", &settled), Some(1.0));
    assert!(told("process_resident_memory_bytes", &[]).is_some_and(|bytes| bytes > 1e6));

    let guide = guide();
    for Sample { name, labels, .. } in &scraped {
        let base = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|part| name.strip_suffix(part).filter(|base| guide.contains_key(*base)));
        let known = guide.get(base.unwrap_or(name));
        let known = known.unwrap_or_else(|| panic!("{name} does not stand in docs/metrics.md"));
        for label in labels.keys().filter(|label| *label != "le") {
            assert!(
                known.contains(label),
                "{name} has a label {label} that docs/metrics.md lacks"
            );
        }
    }
    assert_eq!(desk.terminate().await, 0);
}
