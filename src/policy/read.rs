//! The policy file, as people write it: unknown, impossible and incomplete entries are faults with file, line and key.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::input::document::{Document, FileFault};
use crate::domain::input::fault::Fault;
use crate::domain::input::read::{Input, read_with};
use crate::domain::json_schema;
use crate::domain::money::Money;
use crate::domain::schema::{ComposeSchema, string};
use crate::policy::amount::Amount;
use crate::policy::check;
use crate::policy::file::{Policy, Source, fingerprint};
use crate::policy::grant_entry::{self, GrantEntry};
use crate::policy::grants::{Grant, Grants};
use crate::policy::issuers::Issuers;
use crate::policy::rules::TeamRules;
use crate::policy::service_accounts::{self, ServiceAccountEntry};
use crate::policy::warnings;

/// What each team may do. Numberdesk denies everything that this file does not allow.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    /// The rules of each team, by its name. The rules of `"*"` apply to every team without rules of its own.
    #[serde(default)]
    teams: Teams,
    /// Permissions for the members of groups and roles of the company's identity provider.
    #[serde(default)]
    grants: Vec<GrantEntry>,
    /// The service accounts of Kubernetes clusters that may call Numberdesk.
    #[serde(default)]
    service_accounts: Vec<ServiceAccountEntry>,
    /// The monthly price of a number in each country, until Close reports the billed price. `default` is the price in
    /// all other countries.
    #[serde(default)]
    prices: Prices,
}

impl Input for PolicyFile {
    fn check(root: &Value, faults: &mut Vec<Fault>) {
        check::check(root, faults);
        grant_entry::check(root, faults);
    }
}

/// The rules of teams, by name.
#[derive(Debug, Default, Deserialize)]
struct Teams(BTreeMap<String, TeamRules>);

impl ComposeSchema for Teams {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        let name = string().pattern(Some(r"^([A-Za-z0-9._-]{1,64}|\*)$"));
        by_name(
            name,
            RefOr::Ref(utoipa::openapi::Ref::from_schema_name(TeamRules::name())),
        )
    }
}
impl ToSchema for Teams {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((TeamRules::name().into_owned(), TeamRules::schema()));
        TeamRules::schemas(schemas);
    }
}

/// Prices, by country or `default`.
#[derive(Debug, Default, Deserialize)]
struct Prices(BTreeMap<String, Amount>);

impl ComposeSchema for Prices {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        by_name(string().pattern(Some("^([A-Z]{2}|default)$")), Amount::schema())
    }
}
impl ToSchema for Prices {}

fn by_name(name: ObjectBuilder, value: RefOr<Schema>) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .property_names(Some(name))
        .additional_properties(Some(value))
        .into()
}

/// Returns the JSON Schema of the policy file.
pub fn schema() -> Value {
    json_schema::published::<PolicyFile>("The policy of Numberdesk (policy.toml)")
}

impl Policy {
    /// Parses a policy file without service accounts; `file` is the file name in faults.
    ///
    /// An empty text is a policy that allows nothing.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<FileFault>> {
        Self::parse_for(file, text, &Issuers::default())
    }

    /// Parses a policy file that may give permissions to tokens of these issuers.
    pub fn parse_for(file: &str, text: &str, issuers: &Issuers) -> Result<Self, Vec<FileFault>> {
        let (name, document) = (file, Document::parse(file, text)?);
        let clusters = &issuers.clusters;
        let accounts = service_accounts::check(document.root(), clusters);
        let file: PolicyFile =
            read_with(document.root(), accounts).map_err(|faults| document.locate(faults))?;
        let Prices(mut prices) = file.prices;
        let grants: Vec<Grant> = file.grants.into_iter().map(Grant::from).collect();
        let mut warnings = document.locate(warnings::about(&grants, &file.teams.0, issuers));
        if file.teams.0.is_empty() {
            warnings.insert(0, denies_everything(name, text));
        }
        Ok(Self {
            teams: file.teams.0,
            grants: Grants::new(grants),
            warnings,
            service_accounts: service_accounts::by_cluster(file.service_accounts, clusters),
            default_price: prices.remove(check::DEFAULT).map(|Amount(price)| price),
            prices: prices
                .into_iter()
                .filter_map(|(country, Amount(price))| Some((country.parse().ok()?, price)))
                .collect::<BTreeMap<_, Money>>(),
            fingerprint: fingerprint(text),
            source: Source::File(text.into()),
        })
    }
}

/// Returns the warning about a file without teams.
fn denies_everything(file: &str, text: &str) -> FileFault {
    let message = if text.trim().is_empty() {
        "is empty, so everything is denied. A running service keeps its last valid policy instead, because an editor \
         may be writing the file: to deny everything there too, write a comment into it"
    } else {
        "has no [teams.…], so every order is denied"
    };
    FileFault {
        file: file.to_owned(),
        line: None,
        column: None,
        key: String::new(),
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests;
