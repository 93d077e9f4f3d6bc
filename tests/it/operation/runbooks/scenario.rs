//! A desk as a process of its own, and one alert that watches it: what is scraped is recorded, and promtool says whether
//! the alert's expression holds on the record. A scrape stands for a minute, so that minutes pass in seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use numberdesk::domain::time::Clock;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::Instant;

use crate::support::binary::{CommandOutput, ServerProcess, run};
use crate::support::database::Database;
use crate::support::personas::OLGA;
use crate::support::program::root;
use crate::support::server::{TestConfig, TestServer};

/// How long a state is held that is said to last, in minutes: longer than any alert looks back.
const LONG: usize = 200;
/// Between two scrapes.
const PACE: Duration = Duration::from_millis(500);
/// What is noticed takes some seconds, and the machine is shared.
const PATIENCE: Duration = Duration::from_secs(90);

/// An alert's name and expression.
#[derive(Clone)]
pub(in crate::operation::runbooks) struct Rule {
    pub(in crate::operation::runbooks) name: String,
    expr: String,
}

/// Every alert of the `PrometheusRule`.
pub(in crate::operation::runbooks) fn rules() -> Vec<Rule> {
    let file = root().join("k8s/components/monitoring/alerts.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines = text.lines().map(str::trim);
    let mut rules = Vec::new();
    while let Some(line) = lines.next() {
        let Some(name) = line.strip_prefix("- alert: ") else {
            continue;
        };
        assert_eq!(lines.next(), Some("expr: >-"), "{name}");
        let expr = lines.next().unwrap().to_owned();
        rules.push(Rule {
            name: name.to_owned(),
            expr,
        });
    }
    rules
}

/// What a scenario is about, and a database for it.
pub(in crate::operation::runbooks) struct Case {
    pub(in crate::operation::runbooks) rule: Rule,
    pub(in crate::operation::runbooks) database: Database,
}

impl Case {
    /// The case of the alert that has this name.
    pub(in crate::operation::runbooks) fn new(alert: &str, database: Database) -> Self {
        let rule = rules().into_iter().find(|rule| rule.name == alert);
        Self {
            rule: rule.unwrap_or_else(|| panic!("no alert is named {alert}")),
            database,
        }
    }

    /// With seconds for hours where only time itself could bring the fault about.
    pub(in crate::operation::runbooks) fn shortened(mut self, long: &str, short: &str) -> Self {
        let expr = &mut self.rule.expr;
        assert!(expr.ends_with(long), "{expr} ends in {long}");
        *expr = expr.replace(long, short);
        self
    }
}

/// A desk that serves, with an alert that watches it.
pub(in crate::operation::runbooks) struct Scenario {
    pub(in crate::operation::runbooks) server: TestServer,
    pub(in crate::operation::runbooks) desk: ServerProcess,
    pub(in crate::operation::runbooks) alert: Watch,
}

impl Scenario {
    /// While all is well, the alert does not hold.
    pub(in crate::operation::runbooks) async fn new(case: Case, config: TestConfig) -> Self {
        let (server, desk) = TestServer::as_process(case.database, config).await;
        let mut alert = Watch::new(&case.rule, &desk.ops);
        alert.scrape(1).await;
        alert.scrape(LONG).await;
        assert!(!alert.is_on().await, "{} holds while all is well", case.rule.name);
        Self { server, desk, alert }
    }

    /// Starts the desk again, as a rollout does.
    pub(in crate::operation::runbooks) async fn restart(&mut self) {
        self.desk.terminate().await;
        self.start().await;
    }

    /// Starts the desk that has ended.
    pub(in crate::operation::runbooks) async fn start(&mut self) {
        self.desk = self.server.start_process().await;
        self.alert.ops.clone_from(&self.desk.ops);
    }

    /// Where a file of the desk is.
    pub(in crate::operation::runbooks) fn file(&self, name: &str) -> PathBuf {
        self.server.folder.path().join(name)
    }

    pub(in crate::operation::runbooks) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.file(name), text).unwrap();
    }

    /// Writes something else in the configuration's stead.
    pub(in crate::operation::runbooks) fn reconfigure(&self, before: &str, after: &str) {
        let text = std::fs::read_to_string(self.file("numberdesk.toml")).unwrap();
        assert_eq!(text.matches(before).count(), 1, "{before} in {text}");
        self.write("numberdesk.toml", &text.replace(before, after));
    }

    /// `numberdesk … --config numberdesk.toml`
    pub(in crate::operation::runbooks) async fn run(&self, command: &str) -> CommandOutput {
        let words = command.split(' ').chain(["--config", "numberdesk.toml"]);
        run(self.server.folder.path(), &words.collect::<Vec<_>>()).await
    }

    /// Whether a line of the log has all of this.
    #[track_caller]
    pub(in crate::operation::runbooks) fn log_says(&self, parts: &[&str]) {
        let log = self.desk.log();
        let found = log
            .lines()
            .any(|line| parts.iter().all(|part| line.contains(part)));
        assert!(found, "no line of the log says {parts:?}");
    }

    /// The value of a metric without labels.
    pub(in crate::operation::runbooks) async fn measured(&self, name: &str) -> f64 {
        let text = self.server.at_ops("/metrics").await.text;
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.expect("it is measured").parse().unwrap()
    }

    pub(in crate::operation::runbooks) async fn no_order_is(&self, state: &str) {
        let orders = self
            .server
            .list(&OLGA, &format!("/v1/orders?state={state}"))
            .await;
        assert!(orders.is_empty(), "{state}: {orders:?}");
    }

    /// A field of `/readyz`.
    pub(in crate::operation::runbooks) async fn readyz(&self, field: &str) -> String {
        let ready = self.server.at_ops("/readyz").await.json();
        ready[field].as_str().unwrap_or_default().to_owned()
    }
}

/// A record of what an alert sees.
pub(in crate::operation::runbooks) struct Watch {
    expr: String,
    ops: String,
    client: reqwest::Client,
    folder: TempDir,
    /// What is measured beside the desk: by the kubelet, say.
    pub(in crate::operation::runbooks) beside: BTreeMap<&'static str, f64>,
    /// How many seconds from now it is, for who compares with the time.
    pub(in crate::operation::runbooks) ahead: f64,
    /// Series and their values, and for how many minutes they stay so.
    record: Vec<(BTreeMap<String, String>, usize)>,
    pub(in crate::operation::runbooks) pace: Duration,
}

impl Watch {
    fn new(rule: &Rule, ops: &str) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            expr: rule.expr.clone(),
            ops: ops.to_owned(),
            client,
            folder: tempfile::tempdir().unwrap(),
            beside: BTreeMap::new(),
            ahead: 0.0,
            record: Vec::new(),
            pace: PACE,
        }
    }

    /// The fault is there: waits until the alert holds.
    pub(in crate::operation::runbooks) async fn holds(&mut self) {
        self.holds_while(|| async {}).await;
    }

    /// The same, with something done before each scrape.
    pub(in crate::operation::runbooks) async fn holds_while<F: Future<Output = ()>>(
        &mut self,
        work: impl FnMut() -> F,
    ) {
        self.becomes(true, work).await;
    }

    /// The fault has been mended, and a long time passes. From here on the alert must have no reason to hold.
    pub(in crate::operation::runbooks) async fn mended(&mut self) {
        self.scrape(LONG).await;
    }

    /// Waits until the alert does not hold, and sees that it stays so.
    pub(in crate::operation::runbooks) async fn is_over(&mut self) {
        self.is_over_while(|| async {}).await;
    }

    /// The same, with something done before each scrape.
    pub(in crate::operation::runbooks) async fn is_over_while<F: Future<Output = ()>>(
        &mut self,
        mut work: impl FnMut() -> F,
    ) {
        self.becomes(false, &mut work).await;
        for _ in 0..2 {
            work().await;
            self.scrape(1).await;
            assert!(!self.is_on().await, "it holds again: {}", self.told());
        }
    }

    async fn becomes<F: Future<Output = ()>>(&mut self, on: bool, mut work: impl FnMut() -> F) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            work().await;
            self.scrape(1).await;
            if self.is_on().await == on {
                return;
            }
            assert!(Instant::now() < deadline, "in vain for {on}: {}", self.told());
            tokio::time::sleep(self.pace).await;
        }
    }

    /// Takes down what is shown now, as it stays for so many minutes.
    async fn scrape(&mut self, minutes: usize) {
        let text = async |path: &str| {
            let answer = self.client.get(format!("{}{path}", self.ops)).send().await.ok()?;
            Some((answer.status().is_success(), answer.text().await.ok()?))
        };
        let (scraped, ready) = (text("/metrics").await, text("/readyz").await);
        let number = |fact: bool| u8::from(fact).to_string();
        let unready = number(!ready.is_some_and(|(ready, _)| ready));
        let mut series = BTreeMap::from([
            ("up{job=\"numberdesk-ops\"}".to_owned(), number(scraped.is_some())),
            // What kube-state-metrics makes of the readiness probe.
            (
                "kube_deployment_status_replicas_unavailable{deployment=\"numberdesk\"}".to_owned(),
                unready,
            ),
        ]);
        for (name, value) in &self.beside {
            series.insert((*name).to_owned(), value.to_string());
        }
        let scraped = scraped.map(|(_, text)| text).unwrap_or_default();
        for line in scraped.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, value)) = line.rsplit_once(' ') else {
                continue;
            };
            let (name, labels) = name.split_once('{').unwrap_or((name, "}"));
            series.insert(
                format!("{name}{{job=\"numberdesk-ops\",{labels}"),
                value.to_owned(),
            );
        }
        let asked = |series: &str| self.expr.contains(series.split('{').next().unwrap_or_default());
        series.retain(|series, _| asked(series));
        self.record.push((series, minutes));
    }

    /// Every series over time, as promtool takes it.
    fn series(&self) -> BTreeMap<&str, String> {
        let names: BTreeSet<_> = self.record.iter().flat_map(|(series, _)| series.keys()).collect();
        let over_time = |name: &String| {
            let mut values = String::new();
            for (series, minutes) in &self.record {
                // `_x3` is three times nothing, and `1+0x3` is a one and three more.
                let _ = match series.get(name) {
                    None => write!(values, "_x{minutes} "),
                    Some(value) => write!(values, "{value}+0x{} ", minutes - 1),
                };
            }
            values
        };
        names
            .into_iter()
            .map(|name| (name.as_str(), over_time(name)))
            .collect()
    }

    /// Whether the alert's expression holds at the last scrape.
    async fn is_on(&self) -> bool {
        let inputs: Vec<_> = self.series().into_iter().collect();
        let inputs = inputs
            .iter()
            .map(|(series, values)| json!({ "series": series, "values": values }));
        let end = self.record.iter().map(|(_, minutes)| minutes).sum::<usize>() - 1;
        // The record begins in 1970.
        let time = Clock::system().now().as_seconds().to_string();
        let expr = self.expr.replace("time()", &format!("({time} + {})", self.ahead));
        let test = json!({ "tests": [{
            "interval": "1m",
            "input_series": inputs.collect::<Vec<_>>(),
            "promql_expr_test": [{
                "expr": format!("(count({expr}) > bool 0) or vector(0)"),
                "eval_time": format!("{end}m"),
                "exp_samples": [{ "labels": "{}", "value": 1 }],
            }],
        }] });
        std::fs::write(self.folder.path().join("test.yaml"), test.to_string()).unwrap();
        let mut promtool = Command::new(promtool());
        let promtool = promtool
            .args(["test", "rules", "test.yaml"])
            .current_dir(self.folder.path());
        let output = promtool.output().await.expect("run `make setup`");
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        // It is one or the other; anything else is a fault of this test.
        let off = said.contains("got: {} 0E+00");
        assert!(output.status.success() != off, "promtool: {said}\n{test}");
        !off
    }

    fn told(&self) -> String {
        format!("{}\n{:#?}", self.expr, self.series())
    }
}

/// As `make setup` provides it, where the machine has none of its own.
fn promtool() -> PathBuf {
    let provided = root().join(".tools/promtool");
    if provided.exists() {
        provided
    } else {
        "promtool".into()
    }
}
