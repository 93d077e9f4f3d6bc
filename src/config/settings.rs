//! The whole configuration. Each section is a struct in a module of its own.
//!
//! The structs are what serde reads, and their doc comments are the descriptions in the published JSON Schema.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::config::close::CloseConfig;
use crate::config::events::Events;
use crate::config::inventory::Inventory;
use crate::config::issuer::{Auth, IssuerKind};
use crate::config::limits::Limits;
use crate::config::log::Log;
use crate::config::orders::Orders;
use crate::config::policy::PolicySettings;
use crate::config::proxy::ProxySettings;
use crate::config::server::Server;
use crate::config::store::Store;
use crate::config::traces::Traces;
use crate::config::webhooks::Webhooks;
use crate::domain::input::fault::Fault;
use crate::domain::input::read::{Input, check_part};

/// The settings of Numberdesk.
///
/// An environment variable overrides each key: `NUMBERDESK_` and the path, joined by two underscores, such as
/// `NUMBERDESK_SERVER__LISTEN`.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The listeners, and the limits of a request.
    #[serde(default)]
    pub server: Server,
    /// The limits of load. Numberdesk rejects requests above them.
    #[serde(default)]
    pub limits: Limits,
    /// The database.
    #[serde(default)]
    pub store: Store,
    /// The connection to Close.
    #[serde(default)]
    pub close: CloseConfig,
    /// The proxies by which Numberdesk reaches Close, issuers and the collector of traces.
    #[serde(default)]
    pub proxy: ProxySettings,
    /// The authentication of callers.
    #[serde(default)]
    pub auth: Auth,
    /// The file with the rules of teams.
    #[serde(default)]
    pub policy: PolicySettings,
    /// The processing of orders.
    #[serde(default)]
    pub orders: Orders,
    /// The synchronization of the inventory with Close.
    #[serde(default)]
    pub inventory: Inventory,
    /// The events for apps.
    #[serde(default)]
    pub events: Events,
    /// The webhooks to apps. There are none without a secret, or with neither hosts nor networks.
    #[serde(default)]
    pub webhooks: Webhooks,
    /// The export of traces.
    #[serde(default)]
    pub traces: Traces,
    /// The log.
    #[serde(default)]
    pub log: Log,
}

impl Input for Config {
    fn check(root: &Value, faults: &mut Vec<Fault>) {
        check_part::<Server>(root, "/server", faults);
        check_part::<Store>(root, "/store", faults);
        check_part::<CloseConfig>(root, "/close", faults);
        check_part::<ProxySettings>(root, "/proxy", faults);
        check_part::<Auth>(root, "/auth", faults);
        check_part::<Webhooks>(root, "/webhooks", faults);
        check_part::<Traces>(root, "/traces", faults);
    }
}

impl Config {
    /// The issuers that are Kubernetes clusters.
    pub fn clusters(&self) -> Vec<String> {
        let clusters = self
            .auth
            .issuers
            .iter()
            .filter(|issuer| issuer.kind() == IssuerKind::Kubernetes);
        clusters.map(|cluster| cluster.issuer.to_string()).collect()
    }
}
