//! The URL of Close's API, and the host of a simulated Close.

use std::ops::Deref;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::config::values::{CREDENTIALS, has_credentials, is_callable};
use crate::domain::input::fault::Fault;
use crate::domain::input::read::part;
use crate::domain::schema::string_schema;

/// The real Close, which is never a simulated one.
const REAL: &str = "https://api.close.com/api/v1";

/// The URL of Close's API. `check` decides where http is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct CloseUrl(Url);

impl TryFrom<String> for CloseUrl {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, &'static str> {
        let url: Option<Url> = text.parse().ok();
        let url = url
            .filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
            .ok_or("must be an https URL")?;
        if has_credentials(&url) {
            return Err(CREDENTIALS);
        }
        if url.query().is_some() {
            return Err("must not contain a query");
        }
        Ok(Self(url))
    }
}
impl Default for CloseUrl {
    fn default() -> Self {
        Self(REAL.parse().expect("the default is a URL"))
    }
}
impl Deref for CloseUrl {
    type Target = Url;
    fn deref(&self) -> &Url {
        &self.0
    }
}
string_schema! {
    CloseUrl: "An https URL without a query. http is allowed for a loopback host, and for the one in `sandbox_host`.",
    pattern: r"^[Hh][Tt][Tt][Pp][Ss]?://[^?#]+$", format: "uri", example: "https://api.close.com/api/v1"
}

/// The name of a host inside the cluster: a Service, alone or with its namespace and `svc`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct SandboxHost(String);

impl TryFrom<String> for SandboxHost {
    type Error = &'static str;
    fn try_from(name: String) -> Result<Self, &'static str> {
        let is_label = |label: &&str| {
            let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            (1..=63).contains(&label.len())
                && label.bytes().all(fits)
                && label.contains(|c: char| c.is_ascii_lowercase())
        };
        let labels: Vec<&str> = name.split('.').collect();
        let in_cluster = labels.len() == 1 || labels.get(2) == Some(&"svc");
        if in_cluster && labels.iter().all(is_label) {
            Ok(Self(name))
        } else {
            Err(
                "must be the name of a Service in the cluster, such as `close-sandbox` or `close-sandbox.dev.svc`",
            )
        }
    }
}
string_schema! {
    SandboxHost: "The name of a Service in the cluster, alone or as `name.namespace.svc`.",
    pattern: r"^[a-z0-9-]+(\.[a-z0-9-]+\.svc(\.[a-z0-9.-]+)?)?$", example: "close-sandbox"
}

/// Adds the faults of `base_url` and `sandbox_host`: http only to this machine and to the simulated Close that is named.
pub(super) fn check(close: &Value, faults: &mut Vec<Fault>) {
    let (url, host) = (
        part::<CloseUrl>(close, "/base_url"),
        part::<SandboxHost>(close, "/sandbox_host"),
    );
    let mut fault = |pointer: &str, message: String| {
        faults.push(Fault {
            pointer: pointer.to_owned(),
            message,
        });
    };
    match (url, host) {
        (Some(url), None) if !is_callable(&url) => fault(
            "/base_url",
            "must be an https URL (http only for a loopback host, or for a simulated Close that `sandbox_host` names)"
                .to_owned(),
        ),
        (url, Some(SandboxHost(host))) => {
            let url = url.unwrap_or_default();
            if url.host_str() != Some(&host) {
                let real = url.host_str().unwrap_or_default();
                fault(
                    "/sandbox_host",
                    format!("names a simulated Close, but `base_url` names {real}: remove it, or change `base_url`"),
                );
            }
        }
        _ => {}
    }
}
