//! The demo with a database that an earlier start has filled: shows what is there, and rents nothing.

use serde_json::Value;

use super::client::Client;
use super::print::{heading, left_out, result, text};
use crate::cli::output::OutputError;

/// How many objects of each kind are shown.
const SHOWN: usize = 5;

/// Prints numbers, orders and limits of the team.
pub(super) async fn show(client: &Client<'_>) -> anyhow::Result<()> {
    left_out("the demo's rents, because this database already has orders; `--fresh` begins anew")?;

    heading("The numbers of the team")?;
    let page = client
        .get("alice", &format!("/v1/phone-numbers?limit={SHOWN}"))
        .await?;
    for number in rows(&page) {
        let line = [
            text(number, "number"),
            text(number, "country"),
            text(number, "label"),
        ];
        result("200", &line.join("  "))?;
    }
    more(&page)?;

    heading("Its newest orders")?;
    let page = client.get("alice", &format!("/v1/orders?limit={SHOWN}")).await?;
    for order in rows(&page) {
        let country = text(&order["request"], "country");
        let number = text(&order["phone_number"], "number");
        result(
            "200",
            &format!(
                "{}  {:17} {country}  {number}",
                text(order, "created_at"),
                text(order, "state")
            ),
        )?;
    }
    more(&page)?;

    heading("What is left of quota and budget")?;
    let me = client.get("alice", "/v1/me").await?;
    for team in me["teams"].as_array().into_iter().flatten() {
        result("200", &format!("{}  {}", text(team, "team"), team["left"]))?;
    }
    Ok(())
}

fn rows(page: &Value) -> impl Iterator<Item = &Value> {
    page["data"].as_array().into_iter().flatten()
}

fn more(page: &Value) -> Result<(), OutputError> {
    if rows(page).next().is_none() {
        result("200", "none")?;
    } else if page["next_cursor"].is_string() {
        result("", "… and more")?;
    }
    Ok(())
}
