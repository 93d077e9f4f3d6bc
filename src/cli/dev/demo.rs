//! The demo of `numberdesk dev`: sends real requests to the running service and prints the responses.
//!
//! The policy may be any valid one. Each step first asks the service what the policy allows, and leaves itself out with
//! one line if that is not enough.

mod client;
mod find;
mod print;
mod steps;
mod summary;

use serde_json::Value;

use self::client::Client;
use self::print::{heading, left_out};
use self::steps::Steps;
use super::environment::Environment;
use crate::cli::env_file;
use crate::cli::output::{OutputError, outln};

/// Shows the demo: all steps with an empty database, and only the present state with any other.
///
/// Fails if the service does not respond as it should.
pub(super) async fn run(environment: &Environment) -> anyhow::Result<()> {
    heading("Numberdesk rents Close phone numbers for your apps")?;
    let client = Client::new(environment)?;
    if client.has_orders().await? {
        return summary::show(&client).await;
    }
    if let Some(why) = &environment.no_rules {
        return Ok(left_out(&format!("all steps: {why}"))?);
    }
    let steps = Steps::new(&client);
    let rented = steps.rents_a_number().await?;
    steps.is_denied_a_country().await?;
    steps.is_denied_a_group_number().await?;
    steps.repeats_the_request(rented.as_ref()).await?;
    steps.lists_the_numbers().await?;
    steps.recovers_a_lost_response().await?;
    steps.needs_an_approval().await?;
    let number = rented.as_ref().map(|rented| &rented.answer["phone_number"]);
    steps
        .sees_a_change_in_close(number.filter(|number| number["id"] != Value::Null))
        .await?;
    steps.reads_the_audit_trail().await
}

/// Prints URLs, personas and commands to try.
pub(super) fn print_next_steps(environment: &Environment) -> Result<(), OutputError> {
    let Environment {
        api,
        ops,
        close,
        folder,
        personas,
        no_rules,
    } = environment;
    let (env, folder) = (env_file::path(folder), folder.display());
    heading("Try it yourself")?;
    outln!("     Swagger UI       {api}/docs")?;
    outln!("     OpenAPI          {api}/openapi.json")?;
    outln!("     health, metrics  {ops}/readyz  {ops}/metrics")?;
    outln!("     simulated Close  {close}/_control/requests")?;
    outln!("     policy           {folder}/policy.toml  (changes apply within seconds)")?;
    outln!("")?;
    outln!(
        "     # These variables, and API, OPS and CLOSE:  . {}",
        env.display()
    )?;
    for persona in personas {
        outln!("     # {}", persona.does)?;
        outln!("     {}='{}'", persona.name.to_uppercase(), persona.token)?;
    }
    outln!("")?;
    if let Some(why) = no_rules {
        outln!("     ALICE, BOB, LENA and GRETA may order nothing: {why}")?;
    } else {
        print_first_order(api)?;
    }
    outln!("")?;
    outln!("     The next start keeps the numbers; `--fresh` begins anew. Press Ctrl-C to stop.")
}

fn print_first_order(api: &str) -> Result<(), OutputError> {
    outln!("     curl -sS {api}/v1/orders -H \"Authorization: Bearer $ALICE\" \\")?;
    outln!("       -H 'Idempotency-Key: my-first-number' -H 'Content-Type: application/json' \\")?;
    outln!("       -d '{{\"country\":\"DE\",\"carrier_type\":\"mobile\",\"label\":\"My first number\"}}'")
}
