//! `numberdesk policy explain`: shows the decision on an order, without creating it.

use serde_json::Value;

use super::failure::Failure;
use super::load::{ConfigFile, load};
use super::output::out;
use super::values::{claims, count};
use crate::domain::caller::Caller;
use crate::domain::country::Country;
use crate::domain::decision::Usage;
use crate::domain::id::UserId;
use crate::domain::identity::TokenIdentity;
use crate::domain::later_word::LaterMembers;
use crate::domain::money::Money;
use crate::domain::number::{CarrierType, Sharing};
use crate::domain::order::Request;
use crate::domain::permission::Permission;
use crate::domain::team::Team;
use crate::policy::{self, Members};

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
    /// Team that orders the number
    #[arg(long)]
    team: Team,
    /// Country of the number, as two letters
    #[arg(long)]
    country: Country,
    /// For one person (personal) or for several (group)
    #[arg(long, default_value = "personal")]
    sharing: Sharing,
    /// Carrier type: local, national, mobile or tollfree
    #[arg(long)]
    carrier_type: Option<CarrierType>,
    /// Ids of the Close users that get the number, separated by commas
    #[arg(long, value_delimiter = ',')]
    assign_to: Vec<UserId>,
    /// Permissions of the caller, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "numbers:rent")]
    permissions: Vec<Permission>,
    /// Id of the caller's user in Close, as in the token
    #[arg(long)]
    close_user: Option<UserId>,
    /// Other claims of the token as a JSON object, for rules that use them
    #[arg(long, default_value = "{}", value_parser = claims)]
    claims: Value,
    /// How many numbers the team already holds
    #[arg(long, default_value_t = 0, value_parser = count)]
    numbers_held: i64,
    /// How many orders the team had in the last 24 hours
    #[arg(long, default_value_t = 0, value_parser = count)]
    orders_last_day: i64,
    /// What the team's numbers already cost per month
    #[arg(long, default_value = "0.00")]
    monthly_held: Money,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (_, policy) = load(&arguments.config.path)?;
    let caller = Caller::of_token(TokenIdentity {
        teams: vec![arguments.team.clone()],
        permissions: arguments.permissions.iter().map(ToString::to_string).collect(),
        close_user: arguments.close_user.clone(),
        claims: arguments.claims.clone(),
        ..TokenIdentity::named("", "explain")
    });
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
        later: LaterMembers::new(),
    };
    let usage = Usage {
        numbers_held: arguments.numbers_held,
        orders_last_day: arguments.orders_last_day,
        monthly_held: arguments.monthly_held,
        ..Usage::default()
    };
    out!(
        "{}",
        policy::explain(&policy, &caller, &arguments.team, &request, &usage)
    )?;
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
        Err(Failure::Negative)
    }
}
