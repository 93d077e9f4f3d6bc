//! A process of the service and one alert about it.
//!
//! The test records what it scrapes from `/metrics`, and promtool evaluates the alert's expression on the record. Each
//! scrape counts as one minute, so that minutes pass in seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use numberdesk::domain::time::Clock;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::Instant;

use crate::support::binary::{CommandOutput, ServerProcess, run};
use crate::support::database::Database;
use crate::support::personas::OLGA;
use crate::support::program::{promtool, root};
use crate::support::server::{TestConfig, TestServer};

/// The minutes that a lasting state is recorded for: longer than the time range of any alert.
const LASTING_MINUTES: usize = 200;
/// The usual time between two scrapes.
const SCRAPE_INTERVAL: Duration = Duration::from_millis(500);
/// The longest wait for the alert. It is generous because the machine may be busy.
const ALERT_TIMEOUT: Duration = Duration::from_secs(90);

/// An alert's name and expression.
#[derive(Clone)]
pub(in crate::operation::runbooks) struct Rule {
    pub(in crate::operation::runbooks) name: String,
    expr: String,
    /// The recording rules that the expression uses, as a file of rules.
    recorded: Option<String>,
}

/// The files with alerts about the service. Those of `backups.yaml` are about jobs of the cluster alone.
const FILES: [&str; 3] = ["alerts", "limits", "objectives"];

/// Reads all alerts of these files.
pub(in crate::operation::runbooks) fn rules() -> Vec<Rule> {
    FILES.into_iter().flat_map(rules_in).collect()
}

fn rules_in(file: &str) -> Vec<Rule> {
    let file = root().join(format!("k8s/components/monitoring/{file}.yaml"));
    let text = std::fs::read_to_string(file).unwrap();
    let recorded = text.contains("- record: ").then(|| {
        let object: Value = serde_norway::from_str(&text).unwrap();
        object["spec"].to_string()
    });
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
            recorded: recorded.clone(),
        });
    }
    rules
}

/// The alert of a scenario, and a database for it.
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

    /// Replaces the threshold at the end of the expression, for faults that would need hours to reach it.
    pub(in crate::operation::runbooks) fn shortened(mut self, threshold: &str, shorter: &str) -> Self {
        let expr = &mut self.rule.expr;
        assert!(expr.ends_with(threshold), "{expr} must end with {threshold}");
        *expr = expr.replace(threshold, shorter);
        self
    }
}

/// A running process of the service, and the alert about it.
pub(in crate::operation::runbooks) struct Scenario {
    pub(in crate::operation::runbooks) server: TestServer,
    pub(in crate::operation::runbooks) desk: ServerProcess,
    pub(in crate::operation::runbooks) alert: AlertMonitor,
}

impl Scenario {
    /// Starts the process, and asserts that the alert is not active as long as there is no fault.
    pub(in crate::operation::runbooks) async fn new(case: Case, config: TestConfig) -> Self {
        let (server, desk) = TestServer::as_process(case.database, config).await;
        let mut alert = AlertMonitor::new(&case.rule, &desk.ops);
        alert.record_scrape(1).await;
        alert.record_scrape(LASTING_MINUTES).await;
        assert!(
            !alert.is_active().await,
            "{} is active without a fault",
            case.rule.name
        );
        Self { server, desk, alert }
    }

    /// Restarts the process, as a rollout does.
    pub(in crate::operation::runbooks) async fn restart(&mut self) {
        self.desk.terminate().await;
        self.start().await;
    }

    /// Starts the process after it has ended.
    pub(in crate::operation::runbooks) async fn start(&mut self) {
        self.desk = self.server.start_process().await;
        self.alert.ops.clone_from(&self.desk.ops);
    }

    /// Returns the path of a file in the folder of the process.
    pub(in crate::operation::runbooks) fn file(&self, name: &str) -> PathBuf {
        self.server.folder.path().join(name)
    }

    /// Writes a file into the folder of the process.
    pub(in crate::operation::runbooks) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.file(name), text).unwrap();
    }

    /// Replaces a text that occurs once in the configuration.
    pub(in crate::operation::runbooks) fn reconfigure(&self, before: &str, after: &str) {
        let text = std::fs::read_to_string(self.file("numberdesk.toml")).unwrap();
        assert_eq!(text.matches(before).count(), 1, "{before} in {text}");
        self.write("numberdesk.toml", &text.replace(before, after));
    }

    /// Runs `numberdesk … --config numberdesk.toml`.
    pub(in crate::operation::runbooks) async fn run(&self, command: &str) -> CommandOutput {
        let words = command.split(' ').chain(["--config", "numberdesk.toml"]);
        run(self.server.folder.path(), &words.collect::<Vec<_>>()).await
    }

    /// Asserts that one line of the log contains all these parts.
    #[track_caller]
    pub(in crate::operation::runbooks) fn assert_logged(&self, parts: &[&str]) {
        let log = self.desk.log();
        let found = log
            .lines()
            .any(|line| parts.iter().all(|part| line.contains(part)));
        assert!(found, "no line of the log contains all of {parts:?}");
    }

    /// Returns the value of a metric without labels.
    pub(in crate::operation::runbooks) async fn metric(&self, name: &str) -> f64 {
        let text = self.server.at_ops("/metrics").await.text;
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.expect("the metric is exposed").parse().unwrap()
    }

    /// Asserts that no order is in this state.
    pub(in crate::operation::runbooks) async fn assert_no_order_is(&self, state: &str) {
        let orders = self
            .server
            .list(&OLGA, &format!("/v1/orders?state={state}"))
            .await;
        assert!(orders.is_empty(), "{state}: {orders:?}");
    }

    /// Returns a field of `/readyz`.
    pub(in crate::operation::runbooks) async fn readyz(&self, field: &str) -> String {
        let ready = self.server.at_ops("/readyz").await.json();
        ready[field].as_str().unwrap_or_default().to_owned()
    }
}

/// The record of the series that an alert reads.
pub(in crate::operation::runbooks) struct AlertMonitor {
    expr: String,
    recorded: Option<String>,
    ops: String,
    client: reqwest::Client,
    folder: TempDir,
    /// Series that do not come from the service, such as those of the kubelet.
    pub(in crate::operation::runbooks) external: BTreeMap<&'static str, f64>,
    /// Seconds that are added to the current time in expressions that call `time()`.
    pub(in crate::operation::runbooks) clock_offset: f64,
    /// For each scrape, the series with their values, and the minutes that it counts for.
    record: Vec<(BTreeMap<String, String>, usize)>,
    pub(in crate::operation::runbooks) scrape_interval: Duration,
}

impl AlertMonitor {
    fn new(rule: &Rule, ops: &str) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            expr: rule.expr.clone(),
            recorded: rule.recorded.clone(),
            ops: ops.to_owned(),
            client,
            folder: tempfile::tempdir().unwrap(),
            external: BTreeMap::new(),
            clock_offset: 0.0,
            record: Vec::new(),
            scrape_interval: SCRAPE_INTERVAL,
        }
    }

    /// Scrapes until the alert is active.
    pub(in crate::operation::runbooks) async fn wait_until_active(&mut self) {
        self.wait_until_active_while(|| async {}).await;
    }

    /// Does work before each scrape, and scrapes until the alert is active.
    pub(in crate::operation::runbooks) async fn wait_until_active_while<F: Future<Output = ()>>(
        &mut self,
        work: impl FnMut() -> F,
    ) {
        self.wait_until(true, work).await;
    }

    /// Records the state after the fault for so long that no alert sees what was before.
    pub(in crate::operation::runbooks) async fn record_recovery(&mut self) {
        self.record_scrape(LASTING_MINUTES).await;
    }

    /// Scrapes until the alert is not active, and asserts that this lasts.
    pub(in crate::operation::runbooks) async fn wait_until_inactive(&mut self) {
        self.wait_until_inactive_while(|| async {}).await;
    }

    /// Does work before each scrape, scrapes until the alert is not active, and asserts that this lasts.
    pub(in crate::operation::runbooks) async fn wait_until_inactive_while<F: Future<Output = ()>>(
        &mut self,
        mut work: impl FnMut() -> F,
    ) {
        self.wait_until(false, &mut work).await;
        for _ in 0..2 {
            work().await;
            self.record_scrape(1).await;
            assert!(
                !self.is_active().await,
                "the alert is active again: {}",
                self.description()
            );
        }
    }

    async fn wait_until<F: Future<Output = ()>>(&mut self, active: bool, mut work: impl FnMut() -> F) {
        let deadline = Instant::now() + ALERT_TIMEOUT;
        loop {
            work().await;
            self.record_scrape(1).await;
            if self.is_active().await == active {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "the alert does not become {}: {}",
                if active { "active" } else { "inactive" },
                self.description()
            );
            // The pace of Prometheus.
            tokio::time::sleep(self.scrape_interval).await;
        }
    }

    /// Scrapes the process, and records the result as lasting for some minutes.
    async fn record_scrape(&mut self, minutes: usize) {
        let text = async |path: &str| {
            let answer = self.client.get(format!("{}{path}", self.ops)).send().await.ok()?;
            Some((answer.status().is_success(), answer.text().await.ok()?))
        };
        let (scraped, ready) = (text("/metrics").await, text("/readyz").await);
        let sample = |fact: bool| u8::from(fact).to_string();
        let unavailable = sample(!ready.is_some_and(|(ready, _)| ready));
        let mut series = BTreeMap::from([
            ("up{job=\"numberdesk-ops\"}".to_owned(), sample(scraped.is_some())),
            // kube-state-metrics derives this from the readiness probe.
            (
                "kube_deployment_status_replicas_unavailable{deployment=\"numberdesk\"}".to_owned(),
                unavailable,
            ),
        ]);
        for (name, value) in &self.external {
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
        let recorded = self.recorded.as_deref().unwrap_or_default();
        let is_used = |series: &str| {
            let name = series.split('{').next().unwrap_or_default();
            self.expr.contains(name) || recorded.contains(name)
        };
        series.retain(|series, _| is_used(series));
        self.record.push((series, minutes));
    }

    /// Returns each series over time, in promtool's notation.
    fn series(&self) -> BTreeMap<&str, String> {
        let names: BTreeSet<_> = self.record.iter().flat_map(|(series, _)| series.keys()).collect();
        let over_time = |name: &String| {
            let mut values = String::new();
            for (series, minutes) in &self.record {
                // `_x3` is three missing samples. `1+0x3` is a sample of 1, and three more of the same value.
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

    /// Returns whether the alert's expression is true at the last scrape.
    async fn is_active(&self) -> bool {
        let inputs: Vec<_> = self.series().into_iter().collect();
        let inputs = inputs
            .iter()
            .map(|(series, values)| json!({ "series": series, "values": values }));
        let end = self.record.iter().map(|(_, minutes)| minutes).sum::<usize>() - 1;
        // In promtool's tests, time begins in 1970. The metrics contain real times.
        let time = Clock::system().now().as_seconds().to_string();
        let expr = self
            .expr
            .replace("time()", &format!("({time} + {})", self.clock_offset));
        let rules = self.recorded.as_ref().map(|rules| {
            std::fs::write(self.folder.path().join("rules.yaml"), rules).unwrap();
            "rules.yaml"
        });
        let test = json!({ "rule_files": rules.into_iter().collect::<Vec<_>>(), "evaluation_interval": "1m", "tests": [{
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
        let printed =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        // Either the test passes or promtool reports a 0. Anything else is an error of this test.
        let inactive = printed.contains("got: {} 0E+00");
        assert!(output.status.success() != inactive, "promtool: {printed}\n{test}");
        !inactive
    }

    /// Describes the expression and the record for a failure message.
    fn description(&self) -> String {
        format!("{}\n{:#?}", self.expr, self.series())
    }
}
