//! `numberdesk policy explain`: the decision on an order that nobody places.

use std::path::PathBuf;

use serde_json::Value;

use super::{Failure, serve};
use crate::domain::caller::{Caller, Permission, Team};
use crate::domain::country::Country;
use crate::domain::decision::Usage;
use crate::domain::id::UserId;
use crate::domain::money::Money;
use crate::domain::number::{CarrierType, Sharing};
use crate::domain::order::Request;
use crate::policy::{self, Members};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(long, env = "NUMBERDESK_CONFIG", default_value = "numberdesk.toml")]
    config: PathBuf,
    /// For which team
    #[arg(long)]
    team: Team,
    /// Where the number is to be
    #[arg(long)]
    country: Country,
    /// personal or group
    #[arg(long, default_value = "personal")]
    sharing: Sharing,
    /// local, national, mobile or tollfree
    #[arg(long)]
    carrier_type: Option<CarrierType>,
    /// Users in Close who get it, comma separated
    #[arg(long, value_delimiter = ',')]
    assign_to: Vec<UserId>,
    /// What the caller's token permits, comma separated
    #[arg(long, value_delimiter = ',', default_value = "numbers:rent")]
    permissions: Vec<Permission>,
    /// The caller's own user in Close, as the token would name it
    #[arg(long)]
    close_user: Option<UserId>,
    /// Other claims of the token, as a JSON object, for rules that point into it
    #[arg(long, default_value = "{}", value_parser = |text: &str| serde_json::from_str::<Value>(text))]
    claims: Value,
    /// How many numbers the team holds already
    #[arg(long, default_value_t = 0)]
    numbers_held: i64,
    /// How many orders the team had in the last 24 hours
    #[arg(long, default_value_t = 0)]
    orders_last_day: i64,
    /// What the team's numbers cost a month already
    #[arg(long, default_value = "0.00")]
    monthly_held: Money,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (_, policy) = serve::load(&arguments.config)?;
    let caller = Caller {
        issuer: String::new(),
        subject: "explain".to_owned(),
        teams: vec![arguments.team.clone()],
        permissions: arguments.permissions.iter().map(ToString::to_string).collect(),
        close_user: arguments.close_user.clone(),
        claims: arguments.claims.clone(),
    };
    let request = Request {
        country: arguments.country,
        sharing: arguments.sharing,
        prefix: None,
        carrier_type: arguments.carrier_type,
        bundle_id: None,
        with_sms: None,
        with_mms: None,
        assign_to: (!arguments.assign_to.is_empty()).then(|| arguments.assign_to.clone()),
        label: None,
    };
    let usage = Usage {
        numbers_held: arguments.numbers_held,
        orders_last_day: arguments.orders_last_day,
        monthly_held: arguments.monthly_held,
        ..Usage::default()
    };
    print!(
        "{}",
        policy::explain(&policy, &caller, &arguments.team, &request, &usage)
    );
    let ruling = policy::decide_rent(
        &policy,
        &caller,
        &arguments.team,
        &request,
        &usage,
        &Members::new(),
    );
    if ruling.decision.allowed() {
        Ok(())
    } else {
        Err(Failure::No)
    }
}
