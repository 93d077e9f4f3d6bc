//! The section `[webhooks]`: webhooks to apps.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::config::secret::{MasterSecret, SecretSource, forbid_both};
use crate::config::values::FilePath;
use crate::domain::input::fault::Fault;
use crate::domain::input::list::{Item, NonEmpty};
use crate::domain::input::read::Input;
use crate::domain::input::values::{BoundedSpan, Whole};
use crate::domain::network::{HostPattern, Network};

type Port = Whole<1, 65_535>;

/// The webhooks to apps. There are none without a secret, or with neither hosts nor networks.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Webhooks {
    /// The hosts that webhooks may go to.
    pub hosts: Vec<HostPattern>,
    /// The ranges of addresses that webhooks may go to although they are not public.
    pub networks: Vec<Network>,
    /// The ports that webhooks may go to.
    ports: NonEmpty<Port>,
    /// Whether webhooks may use plain http. Only to addresses in `networks`.
    pub allow_http: bool,
    /// The secret from which the secrets of all endpoints are derived. Only in the environment.
    #[schema(default = json!(null))]
    secret: Option<MasterSecret>,
    /// The file with the secret from which the secrets of all endpoints are derived: at least 32 bytes, such as the
    /// output of `openssl rand -base64 32`. None by default.
    ///
    /// Numberdesk reads it every 5 s. A new secret changes the secret of every endpoint.
    secret_file: Option<FilePath>,
    /// PEM certificates of authorities to trust for receivers, besides the system's.
    ///
    /// Numberdesk reads the file every 5 s.
    pub ca_file: Option<FilePath>,
    /// How long a receiver may take to answer.
    pub timeout: BoundedSpan<1, 's', 60, 's'>,
    /// How long Numberdesk repeats a delivery. An endpoint without success for this time is disabled.
    pub retry_for: BoundedSpan<1, 'm', 30, 'd'>,
    /// How long the previous secret of an endpoint also signs after a rotation.
    pub overlap: BoundedSpan<0, 's', 30, 'd'>,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            networks: Vec::new(),
            ports: NonEmpty(vec![Whole(443)]),
            allow_http: false,
            secret: None,
            secret_file: None,
            ca_file: None,
            timeout: BoundedSpan::of(10, 's'),
            retry_for: BoundedSpan::of(72, 'h'),
            overlap: BoundedSpan::of(24, 'h'),
        }
    }
}

impl Webhooks {
    /// Returns the ports that webhooks may go to.
    pub fn ports(&self) -> Vec<u16> {
        self.ports.iter().map(|port| port.get()).collect()
    }
    /// Returns the source of the secret; `None` if there are no webhooks.
    pub fn secret(&self) -> Option<SecretSource> {
        let value = self.secret.as_ref().map(|MasterSecret(secret)| secret);
        SecretSource::from_either(value, self.secret_file.as_ref())
    }
}

impl Input for Webhooks {
    fn check(webhooks: &Value, faults: &mut Vec<Fault>) {
        forbid_both(webhooks, "webhooks.secret", faults);
    }
}

impl Item for Port {
    const PLURAL: &'static str = "ports";
    const NONE: Option<&'static str> = Some("must name at least one port");
}
