//! Keys of a Kubernetes cluster: its API server serves them over TLS with its own CA, to clients with a token, and with
//! the media type of RFC 7517.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, AUTHORIZATION};
use axum::http::{HeaderMap, StatusCode, Uri};
use numberdesk::auth::{Access, Auth, IssuerKind, IssuerSettings, KeySource, Rejection};
use numberdesk::domain::identity::Identity;
use numberdesk::domain::time::Clock;
use numberdesk::egress::Trust;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::idp::{Signer, jwks, service_account_claims};
use super::{START, clock, settings};
use crate::support::tls::{Authority, Pair};

/// An API server. It serves keys only to requests with its token and with an `Accept` header of the right media type.
struct ApiServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

struct Shared {
    keys: Value,
    /// The token that it accepts.
    token: Mutex<String>,
    /// Path and `Authorization` header of each request.
    requests: Mutex<Vec<(String, String)>>,
    address: SocketAddr,
}

/// The files that Kubernetes mounts into a pod: the CA and the token.
struct Mounted {
    folder: TempDir,
}

impl Mounted {
    fn new(authority: &str, token: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Self { folder };
        mounted.write("ca.crt", authority);
        mounted.write("token", token);
        mounted
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.file(name), text).unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn access(&self) -> Access {
        Access {
            trust: Trust::Only(self.file("ca.crt")),
            token_file: Some(self.file("token")),
            ..Access::default()
        }
    }
}

struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.listener.accept().await.unwrap();
            // A client that does not trust the certificate aborts the handshake.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl ApiServer {
    async fn start(pair: &Pair, signer: &Signer, token: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap(),
            )
            .unwrap();
        let shared = Arc::new(Shared {
            keys: jwks(&[signer]),
            token: Mutex::new(token.to_owned()),
            requests: Mutex::default(),
            address,
        });
        let router = Router::new().fallback(respond).with_state(Arc::clone(&shared));
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let server =
            tokio::spawn(async move { axum::serve(Tls { listener, acceptor }, router).await.unwrap() });
        Self {
            address,
            shared,
            server,
        }
    }

    fn issuer(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    fn keys(&self) -> KeySource {
        KeySource::Url(format!("{}/openid/v1/jwks", self.issuer()).parse().unwrap())
    }

    fn accept_token(&self, token: &str) {
        token.clone_into(&mut self.shared.token.lock().unwrap());
    }

    /// Takes the requests since the last call.
    fn take_requests(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.shared.requests.lock().unwrap())
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn respond(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<String, StatusCode> {
    let header = |name| {
        headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
            .to_owned()
    };
    let (authorization, accepted) = (header(AUTHORIZATION), header(ACCEPT));
    let path = uri.path().to_owned();
    let request = (path.clone(), authorization.clone());
    shared.requests.lock().unwrap().push(request);
    if authorization.is_empty() {
        return Err(StatusCode::FORBIDDEN);
    }
    if authorization != format!("Bearer {}", shared.token.lock().unwrap()) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let (media_type, document) = match path.as_str() {
        "/openid/v1/jwks" => ("application/jwk-set+json", shared.keys.clone()),
        "/.well-known/openid-configuration" => (
            "application/json",
            // An API server names its own address here: the certificate must be valid for that too.
            json!({
                "issuer": format!("https://localhost:{}", shared.address.port()),
                "jwks_uri": format!("https://{}/openid/v1/jwks", shared.address),
                "response_types_supported": ["id_token"], "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }),
        ),
        _ => return Err(StatusCode::NOT_FOUND),
    };
    if accepted
        .split(',')
        .any(|range| [media_type, "*/*"].contains(&range.trim()))
    {
        Ok(document.to_string())
    } else {
        Err(StatusCode::NOT_ACCEPTABLE)
    }
}

/// Returns an `Auth` whose only issuer is this API server.
fn auth_for(server: &ApiServer, keys: KeySource, access: Access, clock: &Clock) -> anyhow::Result<Auth> {
    let settings = IssuerSettings {
        kind: IssuerKind::Kubernetes,
        access,
        ..settings(&server.issuer(), keys)
    };
    Auth::new(vec![settings], clock.clone())
}

/// Whether a token of the service account crm/dialer identifies it.
async fn identifies_dialer(auth: &Auth, server: &ApiServer, signer: &Signer) -> Result<bool, Rejection> {
    let claims = service_account_claims(&server.issuer(), "crm", "dialer", START);
    match auth.authenticate(&signer.sign_as_kubernetes(&claims)).await? {
        Identity::ServiceAccount(account) => {
            Ok(account.name.to_string() == "system:serviceaccount:crm:dialer")
        }
        Identity::Token(_) => Ok(false),
    }
}

#[tokio::test]
async fn keys_are_loaded_from_the_api_server_with_its_ca_and_a_token() {
    let (authority, signer, clock) = (Authority::new().issue(), Signer::new("RS256", "c"), clock());
    let server = ApiServer::start(&authority, &signer, "eyJ.desk.sig").await;
    let mounted = Mounted::new(&authority.authority, "eyJ.desk.sig\n");
    for (keys, paths) in [
        (server.keys(), &["/openid/v1/jwks"][..]),
        (
            KeySource::Discovery,
            &["/.well-known/openid-configuration", "/openid/v1/jwks"],
        ),
    ] {
        let auth = auth_for(&server, keys, mounted.access(), &clock).unwrap();
        assert_eq!(
            identifies_dialer(&auth, &server, &signer).await,
            Ok(true),
            "{:?}",
            auth.report()
        );
        let expected: Vec<_> = paths
            .iter()
            .map(|path| ((*path).to_owned(), "Bearer eyJ.desk.sig".to_owned()))
            .collect();
        assert_eq!(server.take_requests(), expected);
    }
}

#[tokio::test]
async fn renewed_token_and_ca_files_are_used_and_broken_ones_keep_the_keys() {
    let (first, second) = (Authority::new().issue(), Authority::new().issue());
    let (signer, clock) = (Signer::new("RS256", "c"), clock());
    let server = ApiServer::start(&first, &signer, "token-1").await;
    let mounted = Mounted::new(&first.authority, "token-1");
    let auth = auth_for(&server, server.keys(), mounted.access(), &clock).unwrap();
    auth.refresh().await;
    assert_eq!(auth.report()[0].last_error, None);

    let report_after_refresh = async || {
        clock.advance(Duration::from_mins(4));
        auth.refresh().await;
        auth.report().remove(0)
    };
    server.accept_token("token-2");
    let error = report_after_refresh().await.last_error.unwrap();
    assert!(error.contains("401"), "{error}");
    mounted.write("token", "token-2");
    assert_eq!(report_after_refresh().await.last_error, None);
    // While a CA is replaced, the file has both certificates.
    mounted.write("ca.crt", &second.authority);
    let error = report_after_refresh().await.last_error.unwrap();
    assert!(error.contains("can't be reached"), "{error}");
    mounted.write("ca.crt", &format!("{}{}", second.authority, first.authority));
    assert_eq!(report_after_refresh().await.last_error, None);
    // A broken file keeps the keys that are already loaded.
    for (file, text, expected) in [
        ("ca.crt", "nothing", "has no certificate"),
        ("token", "two words", "has no token"),
    ] {
        let before = std::fs::read_to_string(mounted.file(file)).unwrap();
        mounted.write(file, text);
        let report = report_after_refresh().await;
        let error = report.last_error.unwrap();
        assert!(
            error.contains(expected) && report.usable && report.keys == 1,
            "{error}"
        );
        mounted.write(file, &before);
    }
    assert_eq!(report_after_refresh().await.last_error, None);
}

#[tokio::test]
async fn a_server_without_a_certificate_of_the_ca_never_receives_the_token() {
    let (impostor, cluster) = (Authority::new().issue(), Authority::new().issue());
    let (signer, clock) = (Signer::new("RS256", "c"), clock());
    let server = ApiServer::start(&impostor, &signer, "canary").await;
    let mounted = Mounted::new(&cluster.authority, "canary");
    for keys in [server.keys(), KeySource::Discovery] {
        let auth = auth_for(&server, keys, mounted.access(), &clock).unwrap();
        let refused = identifies_dialer(&auth, &server, &signer).await;
        assert_eq!(refused, Err(Rejection::KeysUnavailable));
        let report = format!("{:?}", auth.report());
        assert!(!report.contains("canary"), "{report}");
    }
    assert_eq!(server.take_requests(), []);

    // Without a configured CA, the public CAs apply, and they do not know the server.
    let auth = auth_for(&server, server.keys(), Access::default(), &clock).unwrap();
    assert_eq!(
        identifies_dialer(&auth, &server, &signer).await,
        Err(Rejection::KeysUnavailable)
    );
    let token_without_ca = Access {
        trust: Trust::Public,
        ..mounted.access()
    };
    let refusal = auth_for(&server, server.keys(), token_without_ca, &clock)
        .err()
        .unwrap();
    assert!(
        format!("{refusal:#}").contains("needs a `ca_file`"),
        "{refusal:#}"
    );
}

#[tokio::test]
async fn an_app_s_token_is_never_sent_to_the_api_server() {
    let (authority, signer, clock) = (Authority::new().issue(), Signer::new("RS256", "c"), clock());
    let server = ApiServer::start(&authority, &signer, "desk").await;
    let mounted = Mounted::new(&authority.authority, "desk");
    let auth = auth_for(&server, server.keys(), mounted.access(), &clock).unwrap();
    for kid in ["c", "unknown", "c"] {
        let unknown_signer = Signer::new("RS256", kid);
        let _ = identifies_dialer(&auth, &server, &unknown_signer).await;
    }
    let received = server.take_requests();
    assert!(
        !received.is_empty() && received.iter().all(|(_, token)| token == "Bearer desk"),
        "{received:?}"
    );
}
