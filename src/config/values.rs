//! Types of values that several sections share: addresses, URLs that are safe to call, paths and texts.

use std::net::SocketAddr;
use std::ops::Deref;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use crate::domain::input::fault::Fault;
use crate::domain::input::values::Text;
use crate::domain::json_schema::PATH;
use crate::domain::loopback::is_loopback;
use crate::domain::schema::{ComposeSchema, format, string, string_schema};

/// A text that is not blank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Text<2_048>")]
pub struct NonBlank(String);

impl TryFrom<Text<2_048>> for NonBlank {
    type Error = &'static str;
    fn try_from(text: Text<2_048>) -> Result<Self, &'static str> {
        let text = String::from(text);
        if text.trim().is_empty() {
            Err("must not be empty")
        } else {
            Ok(Self(text))
        }
    }
}
impl Deref for NonBlank {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}
string_schema! {
    NonBlank: "A text of at most 2048 characters.", pattern: r"\S", max_length: 2_048, example: "https://idp.example.com/"
}

/// The path of a file, absolute or relative to the working directory.
///
/// A relative path in the settings starts at their folder. `files::resolve` adds that folder before serde reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "NonBlank")]
pub struct FilePath(PathBuf);

impl From<NonBlank> for FilePath {
    fn from(text: NonBlank) -> Self {
        Self(text.0.into())
    }
}
impl Deref for FilePath {
    type Target = PathBuf;
    fn deref(&self) -> &PathBuf {
        &self.0
    }
}
impl ComposeSchema for FilePath {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        string()
            .description(Some("A path. A relative one starts at the folder of this file."))
            .pattern(Some(r"\S"))
            .max_length(Some(2_048))
            .format(Some(format(PATH)))
            .into()
    }
}
impl ToSchema for FilePath {}

/// An address to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Address(SocketAddr);

impl Address {
    /// The port on the loopback interface.
    pub(super) fn loopback(port: u16) -> Self {
        Self(([127, 0, 0, 1], port).into())
    }

    /// Whether two listeners can't have these addresses at once. Port 0 means any free port, so it never collides.
    pub(super) fn collides_with(&self, other: &Self) -> bool {
        let same = self.0.ip() == other.ip() || self.0.ip().is_unspecified() || other.0.ip().is_unspecified();
        self.0.port() != 0 && self.0.port() == other.0.port() && same
    }
}
impl TryFrom<String> for Address {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, &'static str> {
        text.parse()
            .map(Self)
            .map_err(|_| "must be an address and a port, like \"127.0.0.1:8080\" or \"[::1]:8080\"")
    }
}
impl Deref for Address {
    type Target = SocketAddr;
    fn deref(&self) -> &SocketAddr {
        &self.0
    }
}
string_schema! {
    Address: "An IP address and a port. Port 0 is any free port.", pattern: "^([0-9.]+|\\[[0-9A-Fa-f:.%]+\\]):[0-9]{1,5}$",
    example: "[::]:8080"
}

/// An origin of web pages, as browsers write it in the header `Origin`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Origin(String);

impl TryFrom<String> for Origin {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, &'static str> {
        let wrong = "must be one origin, like \"https://app.example.com\": https (http only for a loopback host), a host \
                     without wildcards, maybe a port, and no path";
        let url: Url = text.parse().map_err(|_| wrong)?;
        let origin = url.origin().ascii_serialization();
        // Everything after the origin would be lost silently.
        let whole = url.as_str().trim_end_matches('/') == origin && !text.ends_with('/');
        if whole && is_callable(&url) && !origin.contains('*') {
            Ok(Self(origin))
        } else {
            Err(wrong)
        }
    }
}
impl Deref for Origin {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}
string_schema! {
    Origin: "An origin of web pages: https (http for a loopback host), a host, and maybe a port.",
    pattern: r"^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@*\s]+$", format: "uri", example: "https://app.example.com"
}

/// A URL that may be called: https, or http to a loopback host; without user, password and fragment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct WebUrl(Url);

impl TryFrom<String> for WebUrl {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, &'static str> {
        let url = text.parse().ok().filter(is_callable);
        let url: Url = url.ok_or("must be an https URL (http only for a loopback host)")?;
        if has_credentials(&url) {
            return Err(CREDENTIALS);
        }
        Ok(Self(url))
    }
}
impl Deref for WebUrl {
    type Target = Url;
    fn deref(&self) -> &Url {
        &self.0
    }
}
string_schema! {
    WebUrl: "An https URL. http is allowed for a loopback host.", pattern: "^[Hh][Tt][Tt][Pp][Ss]?://", format: "uri",
    example: "https://idp.example.com/jwks"
}

/// A URL that may be called, without a query, so that paths can be added to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WebUrl")]
pub struct BaseUrl(Url);

impl TryFrom<WebUrl> for BaseUrl {
    type Error = &'static str;
    fn try_from(WebUrl(url): WebUrl) -> Result<Self, &'static str> {
        if url.query().is_some() {
            Err("must not contain a query")
        } else {
            Ok(Self(url))
        }
    }
}
impl Deref for BaseUrl {
    type Target = Url;
    fn deref(&self) -> &Url {
        &self.0
    }
}
string_schema! {
    BaseUrl: "An https URL without a query. http is allowed for a loopback host.",
    pattern: r"^[Hh][Tt][Tt][Pp][Ss]?://[^?#]+$", format: "uri", example: "https://numberdesk.example.com"
}

/// Adds a fault if a section has authorities for a URL that is not https.
pub(super) fn no_effect_without_tls(section: &Value, url: &str, faults: &mut Vec<Fault>) {
    let plain = section.get(url).and_then(Value::as_str);
    if section.get("ca_file").is_some_and(|file| !file.is_null())
        && plain.is_some_and(|url| url.to_ascii_lowercase().starts_with("http:"))
    {
        faults.push(Fault {
            pointer: "/ca_file".to_owned(),
            message: format!("has no effect: `{url}` is not https"),
        });
    }
}

pub(super) const CREDENTIALS: &str = "must not contain a user, a password or a fragment";

/// Whether a URL has a part that could be a secret, or that has no meaning in a request.
pub(super) fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some() || url.fragment().is_some()
}

/// Whether a URL is https, or http to a loopback host.
pub(super) fn is_callable(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url))
}
