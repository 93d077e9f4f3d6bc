//! A server in this process with a simulated Close behind it, both on free ports, on its own database.

use std::net::SocketAddr;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use close_sandbox as sandbox;
use numberdesk::app::{self, App};
use numberdesk::auth::DevIssuer;
use numberdesk::config;
use numberdesk::telemetry::Metrics;
use reqwest::{Method, RequestBuilder};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::binary::ServerProcess;
use crate::support::close::FakeClose;
pub(crate) use crate::support::config::{MASTER, POLICY, TestConfig, WEBHOOK_KEY, webhooks_to, write_files};
use crate::support::database::Database;
use crate::support::personas::{ISSUER, Persona};
use crate::support::response::ApiResponse;
use crate::support::{eventually, eventually_or};

/// A server, the simulated Close, a database, and a client with tokens for the test users.
pub(crate) struct TestServer {
    pub(crate) close: FakeClose,
    pub(crate) issuer: DevIssuer,
    pub(crate) folder: TempDir,
    pub(crate) database: Database,
    users: Vec<String>,
    client: reqwest::Client,
    app: Option<App>,
    pub(crate) api: String,
    pub(crate) ops: String,
}

impl TestServer {
    /// Starts with the default configuration and waits for the first sync with Close.
    pub(crate) async fn new(database: Database) -> Self {
        Self::with(database, TestConfig::default()).await
    }

    /// Starts with this configuration and waits for the first sync with Close.
    ///
    /// If the configuration names another Close than the simulated one, it waits only until the server is ready.
    pub(crate) async fn with(database: Database, config: TestConfig) -> Self {
        let other_close = config.close_url.is_some();
        // Boxed, because the future that starts a service is large and would be part of every test's future.
        let server = Box::pin(Self::unsynced(database, config)).await;
        if other_close {
            server.wait_until_ready().await;
        } else {
            server.wait_until_synced().await;
        }
        server
    }

    /// Starts without waiting for the first sync with Close.
    pub(crate) async fn unsynced(database: Database, config: TestConfig) -> Self {
        let mut server = Self::prepare(database, config).await;
        server.start().await;
        server
    }

    /// Starts the server as a process with its own metrics, and waits for the first sync with Close.
    pub(crate) async fn as_process(database: Database, config: TestConfig) -> (Self, ServerProcess) {
        let mut server = Box::pin(Self::prepare(database, config)).await;
        let desk = server.start_process().await;
        server.wait_until_synced().await;
        (server, desk)
    }

    /// Starts the simulated Close and writes the configuration files, but does not start the server.
    pub(crate) async fn prepare(database: Database, config: TestConfig) -> Self {
        let close = FakeClose::start(config.close.clone()).await;
        let folder = tempfile::tempdir().expect("a folder can be made");
        let issuer = DevIssuer::load_or_create(folder.path(), ISSUER).expect("an issuer can be made");
        let close_url = config.close_url.clone().unwrap_or_else(|| close.base_url());
        write_files(
            folder.path(),
            &config,
            &close_url,
            close.api_key(),
            database.url().expose_secret(),
        );
        let mut client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(256)
            // Shorter than the server keeps an idle connection, so that no request meets a closing one.
            .pool_idle_timeout(Duration::from_secs(3));
        if let Some(pair) = &config.tls {
            let authority = reqwest::Certificate::from_pem(pair.authority.as_bytes());
            client = client.tls_certs_only([authority.expect("a certificate")]);
        }
        let client = client.build().expect("a client is built");
        let users = close.users();
        let (api, ops) = (api("", config.tls.is_some()), String::new());
        Self {
            close,
            issuer,
            folder,
            database,
            users,
            client,
            app: None,
            api,
            ops,
        }
    }

    /// Starts the server from the files in the folder.
    pub(crate) async fn start(&mut self) {
        let file = self.folder.path().join("numberdesk.toml");
        let config = config::load(&file, std::iter::empty()).expect("the configuration is fine");
        let policy = app::policy(&config).expect("the policy is fine");
        let app = App::start(&config, policy, metrics())
            .await
            .expect("the server starts");
        self.api = api(&app.address.to_string(), config.server.tls.is_some());
        self.ops = format!("http://{}", app.ops_address);
        self.app = Some(app);
    }

    /// Shuts the server down gracefully.
    pub(crate) async fn stop(&mut self) {
        self.app.take().expect("the server runs").stop().await;
    }

    /// Starts the server as a process and sends all later requests to it.
    pub(crate) async fn start_process(&mut self) -> ServerProcess {
        self.start_process_with(&[]).await
    }

    /// Starts the server as a process with more environment variables.
    pub(crate) async fn start_process_with(&mut self, environment: &[(&str, &str)]) -> ServerProcess {
        let desk = ServerProcess::start_with(self.folder.path(), environment).await;
        let encrypted = self.api.starts_with("https:");
        (self.api, self.ops) = (api(&desk.address, encrypted), desk.ops.clone());
        desk
    }

    /// Returns once the server has compared its inventory with Close.
    pub(crate) async fn wait_until_synced(&self) {
        eventually("the server compares its inventory with Close", || async {
            let readiness = self.at_ops("/readyz").await.json();
            let loaded = readiness["inventory"] == "ok";
            (loaded && readiness["inventory_as_of"].is_string()).then_some(())
        })
        .await;
    }

    /// Returns once the server is ready.
    pub(crate) async fn wait_until_ready(&self) {
        eventually("the server is ready", || async {
            (self.at_ops("/readyz").await.status == 200).then_some(())
        })
        .await;
    }

    /// Stops the simulated Close and returns its address, on which nothing listens from then on.
    pub(crate) async fn stop_close(&mut self) -> SocketAddr {
        let elsewhere = FakeClose::start(sandbox::Options::default()).await;
        let close = std::mem::replace(&mut self.close, elsewhere);
        let address = close.address();
        close.stop().await;
        address
    }

    /// Starts a simulated Close at the address that the server calls.
    pub(crate) async fn start_close_at(&mut self, listen: SocketAddr) {
        // Five existing numbers take the first ids, so that later rents get other ids than before.
        let options = sandbox::Options {
            listen,
            numbers: 5,
            ..sandbox::Options::default()
        };
        self.close = FakeClose::start(options).await;
    }

    /// Returns the id of one of Close's users.
    pub(crate) fn user(&self, index: usize) -> &str {
        &self.users[index]
    }

    pub(crate) fn token(&self, person: &Persona) -> String {
        person.token(&self.issuer, &self.users)
    }

    /// Builds a request without a token.
    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        self.client.request(method, format!("{}{path}", self.api))
    }

    /// Builds a request with the token of a user.
    pub(crate) fn request_as(&self, person: &Persona, method: &str, path: &str) -> RequestBuilder {
        self.request(method, path).bearer_auth(self.token(person))
    }

    pub(crate) async fn get(&self, person: &Persona, path: &str) -> ApiResponse {
        send(self.request_as(person, "GET", path)).await
    }

    /// Returns the rows of a list that fits on one page.
    pub(crate) async fn list(&self, person: &Persona, path: &str) -> Vec<Value> {
        let page = self.get(person, path).await.expect(200);
        assert_eq!(page["next_cursor"], Value::Null, "{path} has more pages");
        page["data"].as_array().expect("a list has data").clone()
    }

    /// Sends a GET request to the ops port.
    pub(crate) async fn at_ops(&self, path: &str) -> ApiResponse {
        let request = self.client.get(format!("{}{path}", self.ops));
        send(request).await
    }

    /// Orders a number and waits for the final state.
    pub(crate) async fn order(&self, person: &Persona, key: &str, body: &Value) -> ApiResponse {
        send(
            self.request_as(person, "POST", "/v1/orders")
                .header("Idempotency-Key", key)
                .json(body),
        )
        .await
    }

    /// Orders a number without waiting for the final state.
    pub(crate) async fn order_at_once(&self, person: &Persona, key: &str, body: &Value) -> ApiResponse {
        let request = self
            .request_as(person, "POST", "/v1/orders")
            .header("Idempotency-Key", key);
        send(request.header("Prefer", "wait=0").json(body)).await
    }

    /// Rents a number and returns its id.
    pub(crate) async fn rent(&self, person: &Persona, key: &str, country: &str) -> String {
        let body = serde_json::json!({ "country": country, "carrier_type": "local" });
        let order = self.order(person, key, &body).await.expect(201);
        text(&order["phone_number"]["id"])
    }

    pub(crate) async fn patch(&self, person: &Persona, number: &str, body: &Value) -> ApiResponse {
        send(
            self.request_as(person, "PATCH", &format!("/v1/phone-numbers/{number}"))
                .json(body),
        )
        .await
    }

    pub(crate) async fn release(&self, person: &Persona, number: &str) -> ApiResponse {
        send(self.request_as(person, "DELETE", &format!("/v1/phone-numbers/{number}"))).await
    }

    /// Returns once the order is in this state.
    pub(crate) async fn wait_for_state(&self, person: &Persona, order: &str, state: &str) -> Value {
        let last = Mutex::new(Value::Null);
        let read_order = || async {
            let order = self.get(person, &format!("/v1/orders/{order}")).await.expect(200);
            *last.lock().expect("the lock is not poisoned") = order.clone();
            (order["state"] == state).then_some(order)
        };
        eventually_or(
            || {
                format!(
                    "{order} becomes {state}: {}",
                    last.lock().expect("the lock is not poisoned")
                )
            },
            read_order,
        )
        .await
    }

    /// Asserts that no order is stored and nothing was sent to Close.
    pub(crate) async fn assert_nothing_happened(&self) {
        let orders = self.list(&crate::support::personas::OLGA, "/v1/orders").await;
        assert!(orders.is_empty(), "an order was stored: {orders:?}");
        let rents = self.close.rents().await;
        assert!(rents.is_empty(), "a number was rented: {rents:?}");
    }
}

fn api(address: &str, encrypted: bool) -> String {
    format!("http{}://{address}", if encrypted { "s" } else { "" })
}

/// Sends a request and reads the whole response.
pub(crate) async fn send(request: RequestBuilder) -> ApiResponse {
    let (client, request) = request.build_split();
    let request = request.expect("a request that can be sent");
    let asked = format!("{} {}", request.method(), request.url());
    let response = client.execute(request).await.expect("the server responds");
    ApiResponse::read(asked, response).await
}

/// Returns the text of a JSON string.
#[track_caller]
pub(crate) fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("not a text: {value}"))
        .to_owned()
}

/// Returns the metrics recorder of this process, which all servers in it share.
fn metrics() -> Metrics {
    static HANDLE: OnceLock<Metrics> = OnceLock::new();
    HANDLE
        .get_or_init(|| Metrics::install().expect("metrics are installed once"))
        .clone()
}
