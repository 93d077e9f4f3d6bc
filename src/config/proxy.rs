//! The section `[proxy]`: the proxies of outgoing requests.

use std::ops::Deref;

use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::config::secret::{is_set, read_secret};
use crate::config::values::FilePath;
use crate::domain::input::fault::Fault;
use crate::domain::input::read::Input;
use crate::domain::proxy::{Exception, NotAProxy, ProxyUrl};
use crate::domain::schema::string_schema;

/// The proxies by which Numberdesk reaches Close, issuers and the collector of traces.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProxySettings {
    /// The proxy. It takes the place of `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` in the environment.
    url: Option<ProxyAddress>,
    /// A file with the URL, for a URL with a user and a password. Set `url` or `url_file`. Numberdesk reads it every 5 s.
    url_file: Option<FilePath>,
    /// The destinations that are reached without a proxy, besides loopback and those of `NO_PROXY`: a host, which includes
    /// all hosts below it, an address, a range of addresses, or `*`.
    pub except: Vec<Exception>,
    /// Whether the variables `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` count, if there is no `url`.
    pub environment: bool,
    /// Whether webhooks to apps use the proxy, too. Then the proxy must refuse internal addresses: it resolves the names
    /// of receivers by itself, and may find other addresses than those that Numberdesk has checked.
    pub webhooks: bool,
}

impl Default for ProxySettings {
    fn default() -> Self {
        Self {
            url: None,
            url_file: None,
            except: Vec::new(),
            environment: true,
            webhooks: false,
        }
    }
}

impl ProxySettings {
    /// Returns the proxy and the key that names it, if the settings name one. The error never contains its URL.
    pub fn url(&self) -> Result<Option<(ProxyUrl, &'static str)>, String> {
        match (&self.url, &self.url_file) {
            (Some(url), _) => Ok(Some(((**url).clone(), "proxy.url"))),
            (None, Some(file)) => {
                let text = read_secret(file)?;
                let url = text
                    .expose_secret()
                    .parse()
                    .map_err(|wrong: NotAProxy| format!("the content of {} {wrong}", file.display()))?;
                Ok(Some((url, "proxy.url_file")))
            }
            (None, None) => Ok(None),
        }
    }

    /// Whether the proxy is in a file, which may change.
    pub fn in_file(&self) -> bool {
        self.url.is_none() && self.url_file.is_some()
    }
}

impl Input for ProxySettings {
    fn check(proxy: &Value, faults: &mut Vec<Fault>) {
        if is_set(proxy, "url") && is_set(proxy, "url_file") {
            faults.push(Fault {
                pointer: String::new(),
                message: "has `url` and `url_file`: set only one of the two".to_owned(),
            });
        }
    }
}

/// The URL of a proxy in the settings, which must not contain a secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct ProxyAddress(ProxyUrl);

impl TryFrom<String> for ProxyAddress {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let url: ProxyUrl = text.parse().map_err(|wrong: NotAProxy| wrong.to_string())?;
        if url.has_credentials() {
            return Err(
                "must not contain a user or a password: put the URL into a file, and name it in `url_file`"
                    .to_owned(),
            );
        }
        Ok(Self(url))
    }
}
impl From<ProxyAddress> for String {
    fn from(ProxyAddress(url): ProxyAddress) -> String {
        url.to_string()
    }
}
impl Deref for ProxyAddress {
    type Target = ProxyUrl;
    fn deref(&self) -> &ProxyUrl {
        &self.0
    }
}
string_schema! {
    ProxyAddress: "The http or https URL of a proxy, without user and password.", pattern: r"^[^@\s]+$",
    example: "http://proxy.example.com:3128"
}
