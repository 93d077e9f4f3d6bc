//! A running `numberdesk dev` without its demo, with the variables that it prints for scripts.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::binary::{command, end, send_sigterm};
use super::eventually;

/// A running `numberdesk dev --json`.
pub(crate) struct Dev {
    pub(crate) child: Child,
    /// What it has printed to stdout.
    pub(crate) variables: Value,
    folder: PathBuf,
    client: reqwest::Client,
}

impl Dev {
    /// Starts it in the folder, on free ports, and waits until it is ready.
    pub(crate) async fn start(folder: &Path, arguments: &[&str]) -> Self {
        let arguments = [&["dev", "--json", "--port", "0"], arguments].concat();
        let mut dev = command(folder, &arguments);
        // Tests poll more often than an app may.
        dev.env("NUMBERDESK_LIMITS__REQUESTS_PER_MINUTE", "0");
        Self::run(folder, dev).await
    }

    /// Runs the command, which must be one of `dev --json`, and waits until the service is ready.
    pub(crate) async fn run(folder: &Path, mut command: Command) -> Self {
        let file = |name: &str| File::create(folder.join(name)).expect("the file can be written");
        let child = command
            .stdout(file("dev.out"))
            .stderr(file("dev.err"))
            .spawn()
            .expect("dev can be started");
        let printed = eventually("dev prints its variables", || async {
            let printed = std::fs::read_to_string(folder.join("dev.out")).expect("the file can be read");
            printed.ends_with('\n').then_some(printed)
        });
        let variables = serde_json::from_str(&printed.await).expect("dev prints JSON");
        Self {
            child,
            variables,
            folder: folder.to_owned(),
            client: reqwest::Client::builder().no_proxy().build().expect("a client"),
        }
    }

    /// Returns a variable, such as `API` or `ALICE`.
    pub(crate) fn variable(&self, name: &str) -> &str {
        self.variables[name].as_str().expect("dev prints the variable")
    }

    pub(crate) fn stdout(&self) -> String {
        std::fs::read_to_string(self.folder.join("dev.out")).expect("the file can be read")
    }

    pub(crate) fn stderr(&self) -> String {
        std::fs::read_to_string(self.folder.join("dev.err")).expect("the file can be read")
    }

    /// Sends a request as a persona, and returns status and JSON.
    pub(crate) async fn send(
        &self,
        who: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let method = method.parse().expect("a method");
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.variable("API")))
            .bearer_auth(self.variable(who));
        if let Some(body) = body {
            request = request.json(&body);
        }
        respond(request).await
    }

    /// Orders a number with this idempotency key.
    pub(crate) async fn order(&self, who: &str, key: &str, body: Value) -> (u16, Value) {
        let url = format!("{}/v1/orders", self.variable("API"));
        let request = self.client.post(url).bearer_auth(self.variable(who));
        respond(request.header("Idempotency-Key", key).json(&body)).await
    }

    /// Reads a path as a persona; the status must be 200.
    pub(crate) async fn get(&self, who: &str, path: &str) -> Value {
        let (status, body) = self.send(who, "GET", path, None).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    /// Arms a fault of the simulated Close.
    pub(crate) async fn arm(&self, fault: Value) {
        let url = format!("{}/_control/faults", self.variable("CLOSE"));
        let (status, body) = respond(self.client.post(url).json(&fault)).await;
        assert_eq!(status, 201, "{body}");
    }

    /// Returns the numbers that the simulated Close has rented out.
    pub(crate) async fn numbers_in_close(&self) -> Value {
        let url = format!("{}/_control/numbers", self.variable("CLOSE"));
        respond(self.client.get(url)).await.1
    }

    /// Kills it, as a crash would.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("dev can be killed");
    }

    /// Stops it, and asserts that it exits well.
    pub(crate) async fn stop(mut self) {
        send_sigterm(&self.child).await;
        assert_eq!(end(&mut self.child).await, 0);
    }
}

/// Returns a small order that dev's policy allows Alice.
pub(crate) fn small_order(country: &str) -> Value {
    json!({ "country": country, "carrier_type": "local" })
}

async fn respond(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.expect("the server responds");
    let status = response.status().as_u16();
    (status, response.json().await.expect("the response is JSON"))
}
