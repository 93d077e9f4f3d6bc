//! The section `[[auth.issuers]]`: the trusted issuers of tokens.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use crate::config::claims::Claims;
use crate::config::secret::is_set;
use crate::config::values::{FilePath, NonBlank, WebUrl, is_callable};
use crate::domain::input::fault::Fault;
use crate::domain::input::list::{Distinct, Item};
use crate::domain::input::read::{Input, part};
use crate::domain::input::values::BoundedSpan;
use crate::domain::schema::{ComposeSchema, closed_enum, string_schema};
use crate::domain::string_enum::string_enum;

/// The authentication of callers.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// The trusted issuers of tokens. At least one is required, and each only once.
    #[serde(default)]
    #[schema(min_items = 1)]
    pub issuers: Vec<IssuerConfig>,
}

/// A trusted issuer of tokens.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// The `iss` of its tokens, exactly.
    pub issuer: NonBlank,
    /// The accepted values of `aud`. Tokens for other services are rejected.
    pub audiences: Distinct<Audience, 1, { usize::MAX }>,
    /// The URL of its keys. Set `jwks_url`, `jwks_file`, or neither.
    ///
    /// With neither, the `/.well-known/openid-configuration` of the issuer names the URL.
    jwks_url: Option<WebUrl>,
    /// The file with its keys.
    jwks_file: Option<FilePath>,
    /// The algorithms that its keys may have.
    #[serde(default = "usual_algorithms")]
    #[schema(default = usual_algorithms)]
    pub algorithms: Distinct<Algorithm, 1, { usize::MAX }>,
    /// The only accepted `typ` in the header of its tokens. Without it, both types and tokens without a type are accepted.
    pub typ: Option<TokenType>,
    /// The accepted difference between the issuer's clock and the service's clock.
    #[serde(default = "usual_leeway")]
    #[schema(default = usual_leeway)]
    pub leeway: BoundedSpan<0, 's', 5, 'm'>,
    /// The longest accepted life of its tokens, from `iat` to `exp`. A token that is valid for longer is refused.
    #[serde(default = "usual_max_lifetime")]
    #[schema(default = usual_max_lifetime)]
    pub max_lifetime: BoundedSpan<1, 'm', 365, 'd'>,
    /// The kind of identities that its tokens name.
    #[serde(default)]
    #[schema(default = "oidc")]
    kind: KindName,
    /// The claims that Numberdesk reads. Only for `kind = "oidc"`.
    claims: Option<Claims>,
    /// PEM certificates of authorities to trust for the URL of its keys, besides the system's. With `kind = "kubernetes"`
    /// or `token_file`, only these.
    ca_file: Option<FilePath>,
    /// A file with a bearer token for the URL of its keys. It needs `ca_file`.
    token_file: Option<FilePath>,
}

/// The kind of identities that an issuer's tokens name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssuerKind {
    /// People and apps, with teams and permissions in claims.
    Oidc(Claims),
    /// Service accounts of a cluster, with teams and permissions in the policy.
    Kubernetes,
}

/// Where an issuer's keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Jwks {
    /// At a URL; https unless the host is loopback.
    Url(Url),
    /// In a file.
    File(PathBuf),
    /// At the address in the issuer's discovery document.
    Discovery,
}

impl IssuerConfig {
    /// Returns where its keys are.
    pub fn jwks(&self) -> Jwks {
        match (&self.jwks_url, &self.jwks_file) {
            (Some(url), _) => Jwks::Url((**url).clone()),
            (None, Some(file)) => Jwks::File((**file).clone()),
            (None, None) => Jwks::Discovery,
        }
    }
    /// Returns the kind of identities that its tokens name.
    pub fn kind(&self) -> IssuerKind {
        match self.kind {
            KindName::Oidc => IssuerKind::Oidc(self.claims.clone().unwrap_or_default()),
            KindName::Kubernetes => IssuerKind::Kubernetes,
        }
    }
    /// Returns the file with authorities to trust for the address of its keys.
    pub fn ca_file(&self) -> Option<PathBuf> {
        self.ca_file.as_deref().cloned()
    }
    /// Returns the file with a bearer token for fetching its keys.
    pub fn token_file(&self) -> Option<PathBuf> {
        self.token_file.as_deref().cloned()
    }
}

impl Input for Auth {
    fn check(auth: &Value, faults: &mut Vec<Fault>) {
        let issuers = auth.get("issuers");
        if auth.is_object() && issuers.is_none_or(|issuers| *issuers == Value::Array(Vec::new())) {
            faults.push(Fault {
                pointer: String::new(),
                message: "needs at least one [[auth.issuers]]: without an issuer, no token is valid"
                    .to_owned(),
            });
        }
        let mut seen = BTreeSet::new();
        let issuers = issuers.and_then(Value::as_array);
        for (index, entry) in issuers.into_iter().flatten().enumerate() {
            let mut fault = |key: &str, message: &str| {
                faults.push(Fault {
                    pointer: format!("/issuers/{index}{key}"),
                    message: message.to_owned(),
                });
            };
            if let Some(issuer) = part::<NonBlank>(entry, "/issuer")
                && !seen.insert(issuer.to_string())
            {
                fault(
                    "",
                    "another entry has the same `issuer`: write one entry, with all audiences, and with lists of pointers \
                     in `claims` if its tokens differ",
                );
            }
            if entry.get("kind").is_some_and(|kind| kind == "kubernetes") && is_set(entry, "claims") {
                fault(
                    "/claims",
                    "does not apply to `kind = \"kubernetes\"`: the permissions of a service account are in the policy, \
                     under [[service_accounts]]",
                );
            }
            keys(entry, &mut fault);
        }
    }
}

/// Checks how an issuer's keys are fetched.
fn keys(entry: &Value, fault: &mut impl FnMut(&str, &str)) {
    let issuer: Option<NonBlank> = part(entry, "/issuer");
    let has_ca = is_set(entry, "ca_file");
    // `None` if a faulty value decides.
    let https = match (is_set(entry, "jwks_url"), is_set(entry, "jwks_file")) {
        (true, true) => {
            fault("", "has `jwks_url` and `jwks_file`: set only one of the two");
            None
        }
        (true, false) => part::<WebUrl>(entry, "/jwks_url").map(|url| url.scheme() == "https"),
        (false, true) => Some(false),
        (false, false) => match issuer.map(|issuer| issuer.parse::<Url>()) {
            Some(Ok(url)) if is_callable(&url) => Some(url.scheme() == "https"),
            Some(_) => {
                fault(
                    "",
                    "needs `jwks_url` or `jwks_file`: keys are discovered only from an issuer that is an https URL",
                );
                None
            }
            None => None,
        },
    };
    if has_ca && https == Some(false) {
        fault(
            "",
            "`ca_file` has no effect: it is used only for keys at an https URL",
        );
    }
    if is_set(entry, "token_file") && !has_ca {
        fault(
            "",
            "`token_file` needs `ca_file`: the token is sent only to a server with a certificate of that authority",
        );
    }
}

/// A value of `aud`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "NonBlank")]
pub struct Audience(String);

impl From<NonBlank> for Audience {
    fn from(text: NonBlank) -> Self {
        Self(text.to_string())
    }
}
impl Deref for Audience {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}
impl Item for Audience {
    const PLURAL: &'static str = "audiences";
    const NONE: Option<&'static str> =
        Some("must name at least one audience: tokens for other services must be rejected");
}
string_schema! {
    Audience: "A value of `aud`.", pattern: r"\S", max_length: 2_048, example: "numberdesk"
}

string_enum! {
    /// A signature algorithm of tokens.
    Algorithm {
        /// RSA with SHA-256, PKCS #1 v1.5.
        Rs256 = "RS256",
        /// RSA with SHA-256, PSS.
        Ps256 = "PS256",
        /// ECDSA on P-256 with SHA-256.
        Es256 = "ES256",
        /// ECDSA on P-384 with SHA-384.
        Es384 = "ES384",
        /// Ed25519.
        EdDsa = "EdDSA",
        /// Ed25519, by its name of RFC 9864. The two names mean the same.
        Ed25519 = "Ed25519",
    }
}
impl Item for Algorithm {
    const PLURAL: &'static str = "algorithms";
    const NONE: Option<&'static str> = Some("must name at least one of RS256, PS256, ES256, ES384, EdDSA");
}

string_enum! {
    /// A type of tokens.
    TokenType {
        /// Access tokens of RFC 9068.
        AccessToken = "at+jwt",
        /// Tokens of any purpose.
        Jwt = "JWT",
    }
}

fn usual_max_lifetime() -> BoundedSpan<1, 'm', 365, 'd'> {
    BoundedSpan::of(24, 'h')
}

fn usual_leeway() -> BoundedSpan<0, 's', 5, 'm'> {
    BoundedSpan::of(30, 's')
}

fn usual_algorithms() -> Distinct<Algorithm, 1, { usize::MAX }> {
    Distinct(vec![Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa])
}

/// The names of kinds in the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
enum KindName {
    #[default]
    Oidc,
    Kubernetes,
}

impl TryFrom<String> for KindName {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, &'static str> {
        match text.as_str() {
            "oidc" => Ok(Self::Oidc),
            "kubernetes" => Ok(Self::Kubernetes),
            _ => Err("must be \"oidc\" or \"kubernetes\""),
        }
    }
}
impl ComposeSchema for KindName {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        closed_enum(
            &["The kind of identities that its tokens name."],
            &[
                ("oidc", "People and apps, with teams and permissions in claims."),
                (
                    "kubernetes",
                    "Service accounts of a cluster, with teams and permissions in the policy.",
                ),
            ],
        )
    }
}
impl ToSchema for KindName {}
