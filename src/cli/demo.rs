//! The tour that `numberdesk dev` gives: real requests to the desk that is running, and what came back.

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::cli::dev::Stage;

/// Sends every request of the tour; an answer that is not what the desk promises ends it with an error.
pub(super) async fn walk(stage: &Stage) -> anyhow::Result<()> {
    let guide = Guide {
        stage,
        client: Client::builder().build()?,
        key: uuid::Uuid::new_v4().to_string(),
    };
    say("numberdesk: a desk between your apps and Close", "");
    let berlin = json!({ "country": "DE", "carrier_type": "local", "prefix": "30", "label": "Berlin line" });

    say("1  Alice's app rents a number in Berlin", "");
    let rented = guide
        .order("alice", &guide.key, &berlin, StatusCode::CREATED)
        .await?;
    result(
        "201",
        &format!(
            "{} {}",
            rented["state"].as_str().unwrap_or_default(),
            number(&rented)
        ),
    );

    say("2  It tries a country that her team's policy does not name", "");
    let body = json!({ "country": "US", "carrier_type": "local" });
    let refused = guide
        .order("alice", "tour-us", &body, StatusCode::FORBIDDEN)
        .await?;
    explain(&refused);

    say(
        "3  It tries a group number, which needs a permission that her token lacks",
        "",
    );
    let body = json!({ "country": "DE", "carrier_type": "local", "sharing": "group" });
    let refused = guide
        .order("alice", "tour-group", &body, StatusCode::FORBIDDEN)
        .await?;
    explain(&refused);

    say(
        "4  The connection broke, so the app sends its first request again, under the same key",
        "",
    );
    let again = guide
        .order("alice", &guide.key, &berlin, StatusCode::CREATED)
        .await?;
    ensure!(again["id"] == rented["id"], "the same key gave another order");
    result(
        "201",
        &format!("{} the same order, the same number, rented once", number(&again)),
    );

    say(
        "5  What the team holds, answered from the desk's own inventory",
        "",
    );
    let held = guide.get("alice", "/v1/phone-numbers").await?;
    for held in held["data"].as_array().into_iter().flatten() {
        let field = |name: &str| held[name].as_str().unwrap_or("-").to_owned();
        result(
            "200",
            &format!("{}  {}  {}", field("number"), field("country"), field("label")),
        );
    }

    say(
        "6  Close rents, and its answer is lost on the way: nobody knows what became of the order",
        "",
    );
    guide.lost_and_found().await?;

    say(
        "7  Somebody renames the number in Close itself: Close tells the desk, and the desk tells the team",
        "",
    );
    guide.renamed(&rented).await?;

    say("8  Who did what, for the lead", "");
    let audit = guide.get("lena", "/v1/audit?limit=5").await?;
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

struct Guide<'a> {
    stage: &'a Stage,
    client: Client,
    key: String,
}

impl Guide<'_> {
    async fn order(&self, who: &str, key: &str, body: &Value, expected: StatusCode) -> anyhow::Result<Value> {
        request(&format!("POST /v1/orders  {body}"));
        let url = format!("{}/v1/orders", self.stage.api);
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
            .get(format!("{}{path}", self.stage.api))
            .bearer_auth(self.token(who));
        self.answer(request, StatusCode::OK).await
    }

    /// A rent whose answer is lost, and what becomes of its order.
    async fn lost_and_found(&self) -> anyhow::Result<()> {
        self.loses_the_next_answer().await?;
        let paris = json!({ "country": "FR", "carrier_type": "local", "label": "Paris line" });
        let unknown = self
            .order("alice", "tour-lost", &paris, StatusCode::ACCEPTED)
            .await?;
        let field = |order: &Value, name: &str| order[name].as_str().unwrap_or("-").to_owned();
        result(
            "202",
            &format!("{}: {}", field(&unknown, "state"), field(&unknown, "reason")),
        );
        let found = self.ends("alice", &unknown).await?;
        ensure!(
            found["state"] == "fulfilled",
            "the lost number was not found: {found}"
        );
        result(
            "200",
            &format!(
                "{} {}, {}: looked up in Close, never sent again",
                field(&found, "state"),
                number(&found),
                field(&found, "evidence")
            ),
        );
        Ok(())
    }

    /// Close does what the next rent asks for, and the connection breaks before it can say so.
    async fn loses_the_next_answer(&self) -> anyhow::Result<()> {
        let lost = json!({ "method": "POST", "country": "FR", "times": 1,
            "effect": true, "answer": "drop_before_headers" });
        request(&format!("POST {}/_control/faults  {lost}", self.stage.close));
        let armed = self
            .client
            .post(format!("{}/_control/faults", self.stage.close))
            .json(&lost);
        self.answer(armed, StatusCode::CREATED).await.map(drop)
    }

    /// A change that is not made through the desk.
    async fn renamed(&self, rented: &Value) -> anyhow::Result<()> {
        let ready = format!("{}/readyz", self.stage.ops);
        let listens = |ready: Value| (ready["webhooks"] == "ok").then_some(());
        self.until("Close does not tell the desk what happens", &ready, listens)
            .await?;
        let id = rented["phone_number"]["id"].as_str().unwrap_or_default();
        let label = json!({ "label": "Berlin front desk" });
        let last = self.last_event().await?;
        let route = format!("/_control/numbers/{id}");
        request(&format!("PATCH {}{route}  {label}", self.stage.close));
        let change = self
            .client
            .patch(format!("{}{route}", self.stage.close))
            .json(&label);
        self.answer(change, StatusCode::OK).await?;
        let path = format!("/v1/events?after={last}");
        let is_it = |event: &&Value| {
            let changed = event["data"]["changed"].as_array();
            event["data"]["phone_number_id"] == id
                && changed.is_some_and(|fields| fields.contains(&json!("label")))
        };
        let found = |page: Value| page["data"].as_array()?.iter().find(is_it).cloned();
        let url = format!("{}{path}", self.stage.api);
        let event = self
            .until("the desk does not tell of the change", &url, found)
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
        ensure!(number["label"] == label["label"], "the desk shows another label");
        Ok(())
    }

    /// The id of the last event that the team was told of.
    async fn last_event(&self) -> anyhow::Result<String> {
        let mut last = String::new();
        loop {
            let after = if last.is_empty() {
                String::new()
            } else {
                format!("&after={last}")
            };
            let url = format!("{}/v1/events?limit=200{after}", self.stage.api);
            let page = self.client.get(url).bearer_auth(self.token("alice"));
            let page = self.answer(page, StatusCode::OK).await?;
            match page["data"].as_array().and_then(|events| events.last()) {
                Some(event) => event["id"].as_str().unwrap_or_default().clone_into(&mut last),
                None => return Ok(last),
            }
        }
    }

    /// What is found at the URL, as soon as it is there.
    async fn until<T>(
        &self,
        else_: &str,
        url: &str,
        found: impl Fn(Value) -> Option<T>,
    ) -> anyhow::Result<T> {
        for _ in 0..150 {
            let looked = self.client.get(url).bearer_auth(self.token("alice"));
            let answer = looked.send().await.context("the desk does not answer")?;
            if let Some(found) = found(answer.json().await.unwrap_or_default()) {
                return Ok(found);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        bail!("{else_}, in 30 seconds")
    }

    /// The order once it has ended.
    async fn ends(&self, who: &str, order: &Value) -> anyhow::Result<Value> {
        let path = format!("/v1/orders/{}", order["id"].as_str().unwrap_or_default());
        for _ in 0..60 {
            let url = format!("{}{path}", self.stage.api);
            let looked = self.client.get(url).bearer_auth(self.token(who));
            let order = self.answer(looked, StatusCode::OK).await?;
            if order["finished_at"].is_string() {
                request(&format!("GET {path}"));
                return Ok(order);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        bail!("the order did not end within 30 seconds")
    }

    async fn answer(&self, request: reqwest::RequestBuilder, expected: StatusCode) -> anyhow::Result<Value> {
        let answer = request.send().await.context("the desk does not answer")?;
        let status = answer.status();
        let body: Value = answer.json().await.context("the desk's answer is not JSON")?;
        ensure!(status == expected, "expected {expected}, got {status}: {body}");
        Ok(body)
    }

    fn token(&self, who: &str) -> &str {
        self.stage
            .personas
            .iter()
            .find(|persona| persona.name == who)
            .map_or("", |persona| &persona.token)
    }
}

/// What a reader goes on with.
pub(super) fn print_lines_to_copy(stage: &Stage) {
    let Stage {
        api,
        ops,
        close,
        folder,
        personas,
    } = stage;
    say("Now you", "");
    println!("     Swagger UI       {api}/docs");
    println!("     OpenAPI          {api}/openapi.json");
    println!("     health, metrics  {ops}/readyz  {ops}/metrics");
    println!("     simulated Close  {close}/_control/requests");
    println!(
        "     policy           {}/policy.toml  (edit it; it takes effect within seconds)",
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
    println!("     Ctrl-C stops it.");
}

fn number(order: &Value) -> String {
    let number = order["phone_number"]["number"].as_str().unwrap_or_default();
    format!("{number}  order {}", order["id"].as_str().unwrap_or_default())
}

fn explain(problem: &Value) {
    let decision = &problem["decision"];
    result("403", decision["rule"].as_str().unwrap_or_default());
    result(
        "",
        &format!("have {}, need {}", decision["have"], decision["need"]),
    );
    result("", decision["hint"].as_str().unwrap_or_default());
}

fn say(heading: &str, rest: &str) {
    println!("\n  {}{rest}", paint("1", heading));
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
