//! The section `[traces]`. The collector is not called.

use std::ops::Deref;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;
use utoipa::ToSchema;

use crate::config::values::{CREDENTIALS, FilePath, has_credentials, no_effect_without_tls};
use crate::domain::input::fault::Fault;
use crate::domain::input::read::Input;
use crate::domain::input::values::Whole;
use crate::domain::schema::string_schema;

/// The export of traces.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Traces {
    /// The collector. Without one, Numberdesk exports no traces.
    pub endpoint: Option<CollectorUrl>,
    /// PEM certificates of authorities to trust for the collector, besides the system's.
    ///
    /// Numberdesk reads the file at each export.
    pub ca_file: Option<FilePath>,
    /// The percentage of requests to record, if the caller's trace context does not decide.
    pub percent: Whole<0, 100>,
}

impl Default for Traces {
    fn default() -> Self {
        Self {
            endpoint: None,
            ca_file: None,
            percent: Whole(100),
        }
    }
}

impl Input for Traces {
    fn check(traces: &Value, faults: &mut Vec<Fault>) {
        no_effect_without_tls(traces, "endpoint", faults);
    }
}

/// The URL of a collector. Plain http is allowed, because spans contain no secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct CollectorUrl(Url);

impl TryFrom<String> for CollectorUrl {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, &'static str> {
        match text.parse::<Url>() {
            Ok(url) if has_credentials(&url) => Err(CREDENTIALS),
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.path() != "/" => Ok(Self(url)),
            _ => Err(
                "must be the whole URL of a collector's OTLP over HTTP, like \"http://collector:4318/v1/traces\"",
            ),
        }
    }
}
impl Deref for CollectorUrl {
    type Target = Url;
    fn deref(&self) -> &Url {
        &self.0
    }
}
string_schema! {
    CollectorUrl: "The whole URL of a collector's OTLP over HTTP.", pattern: "^[Hh][Tt][Tt][Pp][Ss]?://[^/]+/.",
    format: "uri", example: "http://collector:4318/v1/traces"
}
