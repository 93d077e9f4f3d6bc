//! The steps of the demo.

use anyhow::ensure;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::client::{Answer, Client};
use super::find::{Found, Wanted, find};
use super::print::{denial, heading, left_out, number, request, result, text};

/// Countries that the demo prefers for numbers.
const PREFERRED: [&str; 3] = ["DE", "FR", "GB"];

/// An order that got its number.
pub(super) struct Rented {
    key: String,
    body: Value,
    /// The order, as the service answered.
    pub(super) answer: Value,
}

/// The steps, which share a client and a name for idempotency keys.
pub(super) struct Steps<'a> {
    client: &'a Client<'a>,
    /// Part of every idempotency key.
    run: String,
}

impl<'a> Steps<'a> {
    pub(super) fn new(client: &'a Client<'a>) -> Self {
        let run = uuid::Uuid::new_v4().to_string();
        Self { client, run }
    }

    pub(super) async fn rents_a_number(&self) -> anyhow::Result<Option<Rented>> {
        heading("1  Alice's app rents a number")?;
        let body = match find(self.client, &PREFERRED, Wanted::Allowed).await? {
            Found::Order(body) => body,
            Found::Nothing(why) => {
                left_out(&why)?;
                return Ok(None);
            }
        };
        let key = self.key("rent");
        let placed = self.client.order("alice", &key, &body).await?;
        let Some(answer) = self.fulfilled(placed).await? else {
            return Ok(None);
        };
        result("201", &format!("{} {}", text(&answer, "state"), number(&answer)))?;
        Ok(Some(Rented { key, body, answer }))
    }

    pub(super) async fn is_denied_a_country(&self) -> anyhow::Result<()> {
        heading("2  Her team's policy does not allow every country")?;
        match find(self.client, &["US", "JP", "BR", "AU"], Wanted::CountryDenied).await? {
            Found::Order(body) => self.is_denied("country", &body).await,
            Found::Nothing(why) => {
                left_out(&why)?;
                Ok(())
            }
        }
    }

    pub(super) async fn is_denied_a_group_number(&self) -> anyhow::Result<()> {
        heading("3  A number for several people needs a permission that her token does not have")?;
        let mut body = match find(self.client, &PREFERRED, Wanted::Allowed).await? {
            Found::Order(body) => body,
            Found::Nothing(why) => {
                left_out(&why)?;
                return Ok(());
            }
        };
        body["sharing"] = json!("group");
        if self.client.validate("alice", &body).await?["allowed"] == true {
            left_out("the policy allows Alice numbers for several people")?;
            return Ok(());
        }
        self.is_denied("group", &body).await
    }

    pub(super) async fn repeats_the_request(&self, rented: Option<&Rented>) -> anyhow::Result<()> {
        heading(
            "4  The app repeats its first request with the same idempotency key, as after a lost connection",
        )?;
        let Some(rented) = rented else {
            left_out("step 1 rented nothing")?;
            return Ok(());
        };
        let again = self.client.order("alice", &rented.key, &rented.body).await?;
        ensure!(
            again.body["id"] == rented.answer["id"],
            "the same idempotency key gave another order: {}",
            again.body
        );
        result(
            again.status.as_str(),
            &format!(
                "{} the same order: the number was rented only once",
                number(&again.body)
            ),
        )?;
        Ok(())
    }

    pub(super) async fn lists_the_numbers(&self) -> anyhow::Result<()> {
        heading("5  The numbers of the team, from the inventory of the service")?;
        let held = self.client.get("alice", "/v1/phone-numbers").await?;
        let held = held["data"].as_array().cloned().unwrap_or_default();
        for number in &held {
            let line = [
                text(number, "number"),
                text(number, "country"),
                text(number, "label"),
            ];
            result("200", &line.join("  "))?;
        }
        if held.is_empty() {
            result("200", "none")?;
        }
        Ok(())
    }

    /// Orders a number, loses Close's response, and waits until the service finds the number.
    pub(super) async fn recovers_a_lost_response(&self) -> anyhow::Result<()> {
        heading("6  Close rents a number, but its response is lost, so the result of the order is unknown")?;
        let body = match find(self.client, &["FR", "DE", "GB"], Wanted::Allowed).await? {
            Found::Order(body) => body,
            Found::Nothing(why) => {
                left_out(&why)?;
                return Ok(());
            }
        };
        let lost = json!({ "method": "POST", "country": body["country"], "times": 1,
            "effect": true, "answer": "drop_before_headers" });
        self.client.control((Method::POST, "/faults"), &lost).await?;
        let unknown = self.client.order("alice", &self.key("lost"), &body).await?;
        if unknown.status == StatusCode::ACCEPTED {
            let line = format!(
                "{}: {}",
                text(&unknown.body, "state"),
                text(&unknown.body, "reason")
            );
            result("202", &line)?;
        }
        let Some(found) = self.fulfilled(unknown).await? else {
            return Ok(());
        };
        result(
            "200",
            &format!(
                "{} {}, {}: the service found the number in Close and did not rent a second one",
                text(&found, "state"),
                number(&found),
                text(&found, "evidence")
            ),
        )?;
        Ok(())
    }

    /// Places an order that waits, and approves it as the lead of the team.
    pub(super) async fn needs_an_approval(&self) -> anyhow::Result<()> {
        heading("7  An order of Alice's needs the approval of Lena, the team's lead")?;
        let body = match find(self.client, &["CH"], Wanted::NeedsApproval).await? {
            Found::Order(body) => body,
            Found::Nothing(why) => {
                left_out(&why)?;
                return Ok(());
            }
        };
        let waits = self.client.order("alice", &self.key("approval"), &body).await?;
        let rule = text(&waits.body["approval"], "rule");
        result(
            waits.status.as_str(),
            &format!("{}  {rule}", text(&waits.body, "state")),
        )?;
        let path = format!("/v1/orders/{}/approve", text(&waits.body, "id"));
        let approved = self.client.post("lena", &path).await?;
        let status = approved.status;
        if let Some(order) = self.fulfilled(approved).await? {
            result(
                status.as_str(),
                &format!("{} {}", text(&order, "state"), number(&order)),
            )?;
        }
        Ok(())
    }

    /// Changes a label in Close, and waits for the event and the new label.
    pub(super) async fn sees_a_change_in_close(&self, rented: Option<&Value>) -> anyhow::Result<()> {
        heading(
            "8  A user renames the number in Close: Close notifies the service, which notifies the team",
        )?;
        let Some(rented) = rented else {
            left_out("step 1 rented nothing")?;
            return Ok(());
        };
        self.client.until_subscribed().await?;
        let id = text(rented, "id");
        let label = json!({ "label": "Front desk" });
        let after = self.client.last_event().await?;
        let after = after.map_or_else(String::new, |last| format!("?after={last}"));
        let route = format!("/numbers/{id}");
        self.client.control((Method::PATCH, &route), &label).await?;
        let path = format!("/v1/events{after}");
        let is_rename = |event: &&Value| {
            let changed = event["data"]["changed"].as_array();
            event["data"]["phone_number_id"] == id
                && changed.is_some_and(|fields| fields.contains(&json!("label")))
        };
        let found = |page: Value| page["data"].as_array()?.iter().find(is_rename).cloned();
        let event = self
            .client
            .until("the service has no event about the change", &path, found)
            .await?;
        request(&format!("GET {path}"))?;
        result(
            "200",
            &format!("{}  {}", text(&event, "type"), event["data"]["changed"]),
        )?;
        let number = self
            .client
            .get("alice", &format!("/v1/phone-numbers/{id}"))
            .await?;
        result(
            "200",
            &format!("{}  {}", text(&number, "number"), text(&number, "label")),
        )?;
        ensure!(
            number["label"] == label["label"],
            "the service shows another label"
        );
        Ok(())
    }

    pub(super) async fn reads_the_audit_trail(&self) -> anyhow::Result<()> {
        heading("9  The audit trail, for the team lead")?;
        let audit = self
            .client
            .get("lena", "/v1/audit?action=order.create&limit=5")
            .await?;
        for row in audit["data"].as_array().into_iter().flatten() {
            result(
                "200",
                &format!(
                    "{}  {:13} {:10} {}",
                    text(row, "at"),
                    text(row, "action"),
                    text(row, "outcome"),
                    text(row, "rule")
                ),
            )?;
        }
        if audit["data"].as_array().is_none_or(Vec::is_empty) {
            result("200", "none")?;
        }
        Ok(())
    }

    fn key(&self, step: &str) -> String {
        format!("demo-{step}-{}", self.run)
    }

    async fn is_denied(&self, step: &str, body: &Value) -> anyhow::Result<()> {
        let denied = self.client.order("alice", &self.key(step), body).await?;
        ensure!(
            denied.status == StatusCode::FORBIDDEN,
            "expected 403, got {}: {}",
            denied.status,
            denied.body
        );
        denial(&denied.body)?;
        Ok(())
    }

    /// Returns the order once it has its number. Prints why, if it gets none.
    async fn fulfilled(&self, answer: Answer) -> anyhow::Result<Option<Value>> {
        let Answer { status, body } = answer;
        if status.is_client_error() || status.is_server_error() {
            result(
                status.as_str(),
                &format!("{}  {}", text(&body, "type"), text(&body, "detail")),
            )?;
            left_out("the rest of this step, because the order got no number")?;
            return Ok(None);
        }
        let order = if body["finished_at"].is_string() {
            body
        } else {
            self.client.finished_order(&body).await?
        };
        if order["state"] == "fulfilled" {
            return Ok(Some(order));
        }
        result(
            "200",
            &format!("{}: {}", text(&order, "state"), text(&order, "reason")),
        )?;
        left_out("the rest of this step, because the order got no number")?;
        Ok(None)
    }
}
