//! The `OpenID` provider as a process, and its clients: an app with a secret, and a person who logs in by PKCE.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use url::Url;

use crate::support::program::provided;
use crate::support::server::text;

/// The time limit of an answer. It is generous because a busy machine starts a process slowly.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running provider. It ends with this value, because its standard input ends then.
pub(super) struct Provider {
    pub(super) issuer: String,
    resource: String,
    kid: String,
    client: Client,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

/// The app with a client secret. Clones can run at the same time.
#[derive(Clone)]
pub(super) struct Apps {
    issuer: String,
    resource: String,
    client: Client,
}

impl Provider {
    /// Starts a provider whose access tokens are for this audience.
    pub(super) async fn start(audience: &str) -> Self {
        provided("tests/oidc/node_modules/oidc-provider");
        let mut process = Command::new("node")
            .arg(provided("tests/oidc/provider.mjs"))
            .arg(audience)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node can be run");
        let input = process.stdin.take().expect("the input is a pipe");
        let output = process.stdout.take().expect("the output is a pipe");
        let client = Client::builder().no_proxy().redirect(Policy::none());
        let mut provider = Self {
            issuer: String::new(),
            resource: String::new(),
            kid: String::new(),
            client: client.build().expect("a client is built"),
            input,
            output: BufReader::new(output).lines(),
            _process: process,
        };
        let started = provider.answer().await;
        (provider.issuer, provider.resource) = (text(&started["issuer"]), text(&started["resource"]));
        provider
    }

    /// Adds these claims to the access tokens of people and of apps.
    pub(super) async fn set_claims(&mut self, claims: &Value) {
        self.send(&format!("claims {claims}")).await;
    }

    /// Creates a key that signs from now on. The old one stays published.
    pub(super) async fn rotate(&mut self) {
        self.send("rotate").await;
    }

    /// Publishes only the key that signs.
    pub(super) async fn retire(&mut self) {
        self.send("retire").await;
    }

    /// Returns the id of the key that signs, as the last command left it.
    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    /// Returns the app with a client secret.
    pub(super) fn apps(&self) -> Apps {
        Apps {
            issuer: self.issuer.clone(),
            resource: self.resource.clone(),
            client: self.client.clone(),
        }
    }

    /// Returns an access token of the app.
    pub(super) async fn client_credentials(&self, scope: &str) -> String {
        self.apps().client_credentials(scope).await
    }

    /// Logs a person in by authorization code and PKCE, as a browser does. Returns the answer of the token endpoint.
    pub(super) async fn log_in(&self, name: &str, scope: &str) -> Value {
        let verifier = URL_SAFE_NO_PAD.encode([7; 32]);
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
        let redirect_uri = format!("{}/callback", self.issuer);
        let mut browser = Browser {
            client: self.client.clone(),
            cookies: BTreeMap::new(),
        };
        let parameters = [
            ("client_id", "crm-web"),
            ("response_type", "code"),
            ("scope", scope),
            ("resource", &self.resource),
            ("redirect_uri", &redirect_uri),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("state", "a state"),
        ];
        let address = Url::parse_with_params(&format!("{}/auth", self.issuer), parameters).expect("a URL");
        let login = browser.get(address.as_str()).await;
        let form = [("prompt", "login"), ("login", name), ("password", "any")];
        let continued = browser.post(&login, &form).await;
        let consent = browser.get(&continued).await;
        let continued = browser.post(&consent, &[("prompt", "consent")]).await;
        let callback = Url::parse(&browser.get(&continued).await).expect("a URL");
        assert!(callback.as_str().starts_with(&redirect_uri), "{callback}");
        let parameters: BTreeMap<_, _> = callback.query_pairs().into_owned().collect();
        assert_eq!(parameters["state"], "a state");
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", "crm-web"),
            ("code", &parameters["code"]),
            ("code_verifier", &verifier),
            ("redirect_uri", &redirect_uri),
        ];
        let request = self.client.post(format!("{}/token", self.issuer));
        token_response(with_form(request, &form)).await
    }

    /// Sends a command, and waits until it is done.
    async fn send(&mut self, command: &str) {
        let line = format!("{command}\n");
        self.input
            .write_all(line.as_bytes())
            .await
            .expect("the provider runs");
        self.kid = text(&self.answer().await["kid"]);
    }

    /// Returns the next line of JSON. The provider also prints notices.
    async fn answer(&mut self) -> Value {
        let next = async {
            loop {
                let line = self.output.next_line().await.expect("the output can be read");
                let line = line.expect("the provider runs");
                if let Ok(answer) = serde_json::from_str(&line) {
                    return answer;
                }
            }
        };
        tokio::time::timeout(PATIENCE, next)
            .await
            .expect("the provider answers")
    }
}

impl Apps {
    /// Returns an access token of the app.
    pub(super) async fn client_credentials(&self, scope: &str) -> String {
        let form = [
            ("grant_type", "client_credentials"),
            ("resource", &self.resource),
            ("scope", scope),
        ];
        let request = self.client.post(format!("{}/token", self.issuer));
        let request = request.basic_auth("crm-sync", Some("crm-sync-secret"));
        text(&token_response(with_form(request, &form)).await["access_token"])
    }
}

fn with_form(request: RequestBuilder, pairs: &[(&str, &str)]) -> RequestBuilder {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    request
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(body)
}

async fn token_response(request: RequestBuilder) -> Value {
    let response = request.send().await.expect("the provider answers");
    let (status, body) = (response.status(), response.text().await.expect("a body"));
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

/// Follows redirects one by one, and keeps cookies.
struct Browser {
    client: Client,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    /// Returns the address that the page redirects to.
    async fn get(&mut self, address: &str) -> String {
        let request = self.client.get(address);
        self.redirected(request).await
    }

    /// Sends a form. Returns the address that the answer redirects to.
    async fn post(&mut self, address: &str, form: &[(&str, &str)]) -> String {
        let request = with_form(self.client.post(address), form);
        self.redirected(request).await
    }

    async fn redirected(&mut self, request: RequestBuilder) -> String {
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let response = request.header("Cookie", cookies.join("; ")).send().await;
        let response = response.expect("the provider answers");
        self.keep_cookies(&response);
        let (status, address) = (response.status(), response.url().clone());
        let location = response.headers().get("location").cloned();
        let body = response.text().await.expect("a body");
        let location = location.unwrap_or_else(|| panic!("no redirect: {status} {body}"));
        let location = address.join(location.to_str().expect("an address"));
        location.expect("an address").to_string()
    }

    fn keep_cookies(&mut self, response: &Response) {
        for cookie in response.headers().get_all("set-cookie") {
            let cookie = cookie.to_str().expect("a cookie");
            let pair = cookie.split(';').next().and_then(|pair| pair.split_once('='));
            let (name, value) = pair.expect("a cookie has a name");
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}
