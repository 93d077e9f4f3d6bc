//! The section `[close]`: the connection to Close, and its secrets.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::config::close_url::{self, CloseUrl, SandboxHost};
use crate::config::secret::{ApiKey, SecretSource, SignatureKeys, forbid_both};
use crate::config::values::{FilePath, no_effect_without_tls};
use crate::domain::id::OrganizationId;
use crate::domain::input::fault::Fault;
use crate::domain::input::read::Input;
use crate::domain::input::values::BoundedSpan;

/// The connection to Close.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CloseConfig {
    /// The URL of Close's API.
    pub base_url: CloseUrl,
    /// The host of `base_url`, if that is a simulated Close inside the cluster: then http is allowed.
    ///
    /// None by default. Refused beside any other host, such as `api.close.com`.
    sandbox_host: Option<SandboxHost>,
    /// PEM certificates of authorities to trust for `base_url`, besides the system's: for a proxy that inspects TLS.
    ///
    /// Numberdesk reads the file every 5 s.
    pub ca_file: Option<FilePath>,
    /// The API key of Close. Only in the environment.
    #[schema(default = json!(null))]
    api_key: Option<ApiKey>,
    /// The file with the API key of Close. Required, unless `NUMBERDESK_CLOSE__API_KEY` has the key.
    ///
    /// Numberdesk reads it every 5 s. A new key needs no restart: Numberdesk uses it once Close has accepted it for the
    /// same organization, and the previous key until then.
    api_key_file: Option<FilePath>,
    /// The Close organization that the API key belongs to: `orga_…`.
    ///
    /// Needed only if the key's user is a member of several organizations, and the key sees neither numbers nor events yet.
    /// None by default: Numberdesk finds it out, and refuses to start if it cannot.
    pub organization_id: Option<OrganizationId>,
    /// The signature keys of a webhook subscription. Only in the environment.
    #[schema(default = json!(null))]
    webhook_signature_key: Option<SignatureKeys>,
    /// The file with the signature key of a webhook subscription that you created yourself: 64 hexadecimal digits, or
    /// several such lines during a rotation. Numberdesk reads it every 5 s.
    ///
    /// None by default: see `subscribe`.
    webhook_signature_key_file: Option<FilePath>,
    /// Whether Numberdesk creates a webhook subscription of its own, if no signature key is set. Use `false` if Close
    /// cannot reach Numberdesk.
    pub subscribe: bool,
    /// The deadline of the paid call, and of other calls with their retries.
    pub timeout: BoundedSpan<1, 's', 120, 's'>,
    /// The maximum age of a signed webhook of Close.
    pub webhook_tolerance: BoundedSpan<1, 'm', 30, 'd'>,
}

impl Default for CloseConfig {
    fn default() -> Self {
        Self {
            base_url: CloseUrl::default(),
            sandbox_host: None,
            ca_file: None,
            api_key: None,
            api_key_file: None,
            organization_id: None,
            webhook_signature_key: None,
            webhook_signature_key_file: None,
            subscribe: true,
            timeout: BoundedSpan::of(30, 's'),
            webhook_tolerance: BoundedSpan::of(72, 'h'),
        }
    }
}

impl CloseConfig {
    /// Whether the settings name a simulated Close, where nothing is paid.
    pub fn is_simulated(&self) -> bool {
        self.sandbox_host.is_some()
    }

    /// Returns the source of the API key.
    pub fn api_key(&self) -> SecretSource {
        let value = self.api_key.as_ref().map(|ApiKey(key)| key);
        SecretSource::from_either(value, self.api_key_file.as_ref()).expect("one of the two is required")
    }
    /// Returns the source of the signature keys of webhooks. Without one, see `subscribe`.
    pub fn webhook_key(&self) -> Option<SecretSource> {
        let value = self
            .webhook_signature_key
            .as_ref()
            .map(|SignatureKeys(keys)| keys);
        SecretSource::from_either(value, self.webhook_signature_key_file.as_ref())
    }
}

impl Input for CloseConfig {
    fn check(close: &Value, faults: &mut Vec<Fault>) {
        forbid_both(close, "close.api_key", faults);
        forbid_both(close, "close.webhook_signature_key", faults);
        close_url::check(close, faults);
        no_effect_without_tls(close, "base_url", faults);
        // A key in the file is present, although it is a fault.
        let is_missing = |key| close.get(key).is_none();
        if close.is_object() && is_missing("api_key") && is_missing("api_key_file") {
            faults.push(Fault {
                pointer: String::new(),
                message: "`api_key_file` is required (or NUMBERDESK_CLOSE__API_KEY in the environment)"
                    .to_owned(),
            });
        }
    }
}
