//! The demo of `numberdesk dev`: sends real requests to the running service and prints the responses.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

/// A person or app of the demo, with a token.
pub(super) struct Persona {
    pub(super) name: &'static str,
    pub(super) does: &'static str,
    pub(super) token: String,
}

/// The running service and everything around it.
pub(super) struct Environment {
    /// Base URL of the API.
    pub(super) api: String,
    /// Base URL of health and metrics.
    pub(super) ops: String,
    /// Base URL of the simulated Close, without `/api/v1`.
    pub(super) close: String,
    pub(super) folder: PathBuf,
    pub(super) personas: Vec<Persona>,
}

/// Sends every request of the demo. Fails at the first unexpected response.
pub(super) async fn run(environment: &Environment) -> anyhow::Result<()> {
    let demo = Demo {
        environment,
        client: Client::builder().build()?,
        key: uuid::Uuid::new_v4().to_string(),
    };
    heading("Numberdesk rents Close phone numbers for your apps");
    let berlin = json!({ "country": "DE", "carrier_type": "local", "prefix": "30", "label": "Berlin line" });

    heading("1  Alice's app rents a number in Berlin");
    let rented = demo
        .order("alice", &demo.key, &berlin, StatusCode::CREATED)
        .await?;
    result(
        "201",
        &format!(
            "{} {}",
            rented["state"].as_str().unwrap_or_default(),
            number(&rented)
        ),
    );

    heading("2  Her team's policy does not allow numbers in the US");
    let body = json!({ "country": "US", "carrier_type": "local" });
    let refused = demo
        .order("alice", "demo-us", &body, StatusCode::FORBIDDEN)
        .await?;
    print_denial(&refused);

    heading("3  A group number needs a permission that her token does not have");
    let body = json!({ "country": "DE", "carrier_type": "local", "sharing": "group" });
    let refused = demo
        .order("alice", "demo-group", &body, StatusCode::FORBIDDEN)
        .await?;
    print_denial(&refused);

    heading("4  The app repeats its first request with the same idempotency key, as after a lost connection");
    let again = demo
        .order("alice", &demo.key, &berlin, StatusCode::CREATED)
        .await?;
    ensure!(
        again["id"] == rented["id"],
        "the same idempotency key gave another order"
    );
    result(
        "201",
        &format!(
            "{} the same order: the number was rented only once",
            number(&again)
        ),
    );

    heading("5  The numbers of the team, from the inventory of the service");
    let held = demo.get("alice", "/v1/phone-numbers").await?;
    for held in held["data"].as_array().into_iter().flatten() {
        let field = |name: &str| held[name].as_str().unwrap_or("-").to_owned();
        result(
            "200",
            &format!("{}  {}  {}", field("number"), field("country"), field("label")),
        );
    }

    heading("6  Close rents a number, but its response is lost, so the result of the order is unknown");
    demo.recovers_a_lost_response().await?;

    heading("7  A user renames the number in Close: Close notifies the service, which notifies the team");
    demo.renamed(&rented).await?;

    heading("8  The audit trail, for the team lead");
    let audit = demo.get("lena", "/v1/audit?limit=5").await?;
    for row in audit["data"].as_array().into_iter().flatten() {
        let field = |name: &str| row[name].as_str().unwrap_or("-").to_owned();
        result(
            "200",
            &format!(
                "{}  {:13} {:10} {}",
                field("at"),
                field("action"),
                field("outcome"),
                field("rule")
            ),
        );
    }
    Ok(())
}

struct Demo<'a> {
    environment: &'a Environment,
    client: Client,
    key: String,
}

impl Demo<'_> {
    async fn order(&self, who: &str, key: &str, body: &Value, expected: StatusCode) -> anyhow::Result<Value> {
        request(&format!("POST /v1/orders  {body}"));
        let url = format!("{}/v1/orders", self.environment.api);
        let request = self
            .client
            .post(url)
            .bearer_auth(self.token(who))
            .header("Idempotency-Key", key);
        self.answer(request.json(body), expected).await
    }

    async fn get(&self, who: &str, path: &str) -> anyhow::Result<Value> {
        request(&format!("GET {path}"));
        let request = self
            .client
            .get(format!("{}{path}", self.environment.api))
            .bearer_auth(self.token(who));
        self.answer(request, StatusCode::OK).await
    }

    /// Orders a number, loses Close's response, and waits until the service finds the number.
    async fn recovers_a_lost_response(&self) -> anyhow::Result<()> {
        self.lose_next_response().await?;
        let paris = json!({ "country": "FR", "carrier_type": "local", "label": "Paris line" });
        let unknown = self
            .order("alice", "demo-lost", &paris, StatusCode::ACCEPTED)
            .await?;
        let field = |order: &Value, name: &str| order[name].as_str().unwrap_or("-").to_owned();
        result(
            "202",
            &format!("{}: {}", field(&unknown, "state"), field(&unknown, "reason")),
        );
        let found = self.finished_order("alice", &unknown).await?;
        ensure!(
            found["state"] == "fulfilled",
            "the service did not find the number: {found}"
        );
        result(
            "200",
            &format!(
                "{} {}, {}: the service found the number in Close and did not rent a second one",
                field(&found, "state"),
                number(&found),
                field(&found, "evidence")
            ),
        );
        Ok(())
    }

    /// Makes Close execute the next rent, but close the connection before it responds.
    async fn lose_next_response(&self) -> anyhow::Result<()> {
        let lost = json!({ "method": "POST", "country": "FR", "times": 1,
            "effect": true, "answer": "drop_before_headers" });
        request(&format!(
            "POST {}/_control/faults  {lost}",
            self.environment.close
        ));
        let armed = self
            .client
            .post(format!("{}/_control/faults", self.environment.close))
            .json(&lost);
        self.answer(armed, StatusCode::CREATED).await.map(drop)
    }

    /// Changes a label in Close, and waits for the event and the new label.
    async fn renamed(&self, rented: &Value) -> anyhow::Result<()> {
        let ready = format!("{}/readyz", self.environment.ops);
        let subscribed = |ready: Value| (ready["webhooks"] == "ok").then_some(());
        self.until("Close sends the service no webhooks", &ready, subscribed)
            .await?;
        let id = rented["phone_number"]["id"].as_str().unwrap_or_default();
        let label = json!({ "label": "Berlin front desk" });
        let last = self.last_event().await?;
        let route = format!("/_control/numbers/{id}");
        request(&format!("PATCH {}{route}  {label}", self.environment.close));
        let change = self
            .client
            .patch(format!("{}{route}", self.environment.close))
            .json(&label);
        self.answer(change, StatusCode::OK).await?;
        let path = format!("/v1/events?after={last}");
        let is_rename = |event: &&Value| {
            let changed = event["data"]["changed"].as_array();
            event["data"]["phone_number_id"] == id
                && changed.is_some_and(|fields| fields.contains(&json!("label")))
        };
        let found = |page: Value| page["data"].as_array()?.iter().find(is_rename).cloned();
        let url = format!("{}{path}", self.environment.api);
        let event = self
            .until("the service has no event about the change", &url, found)
            .await?;
        request(&format!("GET {path}"));
        result(
            "200",
            &format!(
                "{}  {}",
                event["type"].as_str().unwrap_or_default(),
                event["data"]["changed"]
            ),
        );
        let number = self.get("alice", &format!("/v1/phone-numbers/{id}")).await?;
        result(
            "200",
            &format!(
                "{}  {}",
                number["number"].as_str().unwrap_or_default(),
                number["label"].as_str().unwrap_or_default()
            ),
        );
        ensure!(
            number["label"] == label["label"],
            "the service shows another label"
        );
        Ok(())
    }

    /// Returns the id of the newest event of the team.
    async fn last_event(&self) -> anyhow::Result<String> {
        let mut last = String::new();
        loop {
            let after = if last.is_empty() {
                String::new()
            } else {
                format!("&after={last}")
            };
            let url = format!("{}/v1/events?limit=200{after}", self.environment.api);
            let page = self.client.get(url).bearer_auth(self.token("alice"));
            let page = self.answer(page, StatusCode::OK).await?;
            match page["data"].as_array().and_then(|events| events.last()) {
                Some(event) => event["id"].as_str().unwrap_or_default().clone_into(&mut last),
                None => return Ok(last),
            }
        }
    }

    /// Requests the URL until `found` returns a value, for 30 seconds at most.
    async fn until<T>(
        &self,
        problem: &str,
        url: &str,
        found: impl Fn(Value) -> Option<T>,
    ) -> anyhow::Result<T> {
        for _ in 0..150 {
            let request = self.client.get(url).bearer_auth(self.token("alice"));
            let answer = request.send().await.context("the service does not respond")?;
            if let Some(found) = found(answer.json().await.unwrap_or_default()) {
                return Ok(found);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        bail!("{problem} within 30 seconds")
    }

    /// Waits until the order is finished, and returns it.
    async fn finished_order(&self, who: &str, order: &Value) -> anyhow::Result<Value> {
        let path = format!("/v1/orders/{}", order["id"].as_str().unwrap_or_default());
        for _ in 0..60 {
            let url = format!("{}{path}", self.environment.api);
            let poll = self.client.get(url).bearer_auth(self.token(who));
            let order = self.answer(poll, StatusCode::OK).await?;
            if order["finished_at"].is_string() {
                request(&format!("GET {path}"));
                return Ok(order);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        bail!("the order was not finished within 30 seconds")
    }

    async fn answer(&self, request: reqwest::RequestBuilder, expected: StatusCode) -> anyhow::Result<Value> {
        let answer = request.send().await.context("the service does not respond")?;
        let status = answer.status();
        let body: Value = answer.json().await.context("the response is not JSON")?;
        ensure!(status == expected, "expected {expected}, got {status}: {body}");
        Ok(body)
    }

    fn token(&self, who: &str) -> &str {
        self.environment
            .personas
            .iter()
            .find(|persona| persona.name == who)
            .map_or("", |persona| &persona.token)
    }
}

/// Prints URLs, tokens and commands to try.
pub(super) fn print_next_steps(environment: &Environment) {
    let Environment {
        api,
        ops,
        close,
        folder,
        personas,
    } = environment;
    heading("Try it yourself");
    println!("     Swagger UI       {api}/docs");
    println!("     OpenAPI          {api}/openapi.json");
    println!("     health, metrics  {ops}/readyz  {ops}/metrics");
    println!("     simulated Close  {close}/_control/requests");
    println!(
        "     policy           {}/policy.toml  (changes apply within seconds)",
        folder.display()
    );
    println!();
    println!(
        "     # These variables, and API, OPS and CLOSE:  . {}/env",
        folder.display()
    );
    for persona in personas {
        println!("     # {}", persona.does);
        println!("     {}='{}'", persona.name.to_uppercase(), persona.token);
    }
    println!();
    println!("     curl -sS {api}/v1/orders -H \"Authorization: Bearer $ALICE\" \\");
    println!("       -H 'Idempotency-Key: my-first-number' -H 'Content-Type: application/json' \\");
    println!("       -d '{{\"country\":\"DE\",\"carrier_type\":\"mobile\",\"label\":\"My first number\"}}'");
    println!();
    println!("     Press Ctrl-C to stop.");
}

fn number(order: &Value) -> String {
    let number = order["phone_number"]["number"].as_str().unwrap_or_default();
    format!("{number}  order {}", order["id"].as_str().unwrap_or_default())
}

fn print_denial(problem: &Value) {
    let decision = &problem["decision"];
    result("403", decision["rule"].as_str().unwrap_or_default());
    result(
        "",
        &format!("have {}, need {}", decision["have"], decision["need"]),
    );
    result("", decision["hint"].as_str().unwrap_or_default());
}

fn heading(text: &str) {
    println!("\n  {}", paint("1", text));
}
fn request(line: &str) {
    println!("     {}", paint("2", line));
}
fn result(status: &str, line: &str) {
    let colour = if status == "403" { "33" } else { "32" };
    println!("     {} {line}", paint(colour, &format!("{status:3}")));
}

fn paint(code: &str, text: &str) -> String {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if plain || !std::io::stdout().is_terminal() {
        text.to_owned()
    } else {
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}
