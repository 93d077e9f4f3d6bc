//! What an app does first, with the client that progenitor makes of the OpenAPI 3.0 rendering.

use std::env::var;
use std::time::{SystemTime, UNIX_EPOCH};

use futures::TryStreamExt as _;
use numberdesk::Client;
use numberdesk::types::{CarrierType, Order, OrderRequest, Problem};
use progenitor_client::{ByteStream, Error, ResponseValue};
use reqwest::header::{AUTHORIZATION, HeaderMap};

/// The generated client.
#[allow(clippy::all, clippy::pedantic, reason = "generated")]
mod numberdesk {
    progenitor::generate_api!(
        spec = "../../../target/generators/openapi-3.0.json",
        interface = Builder
    );
}

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, format!("Bearer {}", var("TOKEN")?).parse()?);
    let http = reqwest::Client::builder().default_headers(headers).build()?;
    let client = Client::new_with_client(&var("API")?, http);

    let rented = order(&client, "DE").await?.into_inner();
    let number = rented.phone_number.ok_or("no number")?;
    println!("rents {} {}", *rented.id, number.number);

    let mut pages = Vec::new();
    let mut cursor = None;
    while pages.len() < 2 {
        let mut request = client.list_orders().limit(1);
        if let Some(cursor) = cursor {
            request = request.cursor::<String>(cursor);
        }
        let page = request.send().await?.into_inner();
        pages.extend(page.data.iter().map(|order| order.id.to_string()));
        cursor = page.next_cursor;
    }
    println!("pages {}", pages.join(" "));

    match order(&client, "US").await {
        // progenitor has types for `application/json` alone, so the body of a problem comes as bytes.
        Err(Error::ErrorResponse(response)) => {
            let body: Vec<_> = response.into_inner().into_inner().try_collect().await?;
            let problem: Problem = serde_json::from_slice(&body.concat())?;
            let decision = problem.decision.as_ref().ok_or("no decision")?;
            println!("problem {} {}", problem.type_, decision.rule);
        }
        Err(other) => return Err(other.to_string().into()),
        Ok(order) => return Err(format!("not denied: {}", *order.id).into()),
    }
    Ok(())
}

async fn order(client: &Client, country: &str) -> Result<ResponseValue<Order>, Error<ByteStream>> {
    let order = OrderRequest::builder()
        .country(country)
        .carrier_type(CarrierType::Local);
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    client
        .create_order()
        .idempotency_key(format!("{country}-{nanos}"))
        .body(order)
        .send()
        .await
}
