//! A cluster's keys as an API server hands them out: over TLS by an authority of its own, to who shows a token, and as what
//! RFC 7517 says that they are.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, AUTHORIZATION};
use axum::http::{HeaderMap, StatusCode, Uri};
use numberdesk::auth::{Access, Auth, IssuerKind, IssuerSettings, KeySource, Rejection};
use numberdesk::domain::service_account::Identity;
use numberdesk::domain::time::Clock;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::idp::{Signer, jwks, of_account};
use super::{START, clock, settings};
use crate::support::tls::{Authority, Pair};

/// An API server. It answers what is asked for in these ways alone: with its token, and taking what it has.
struct ApiServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

struct Shared {
    keys: Value,
    /// Whose token is let in.
    token: Mutex<String>,
    /// What was shown, by path.
    shown: Mutex<Vec<(String, String)>>,
    address: SocketAddr,
}

/// What the desk has of it: the files that a pod would have.
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
            ca_file: Some(self.file("ca.crt")),
            token_file: Some(self.file("token")),
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
            // Who does not believe the certificate hangs up.
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
            shown: Mutex::default(),
            address,
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
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

    fn lets_in(&self, token: &str) {
        token.clone_into(&mut self.shared.token.lock().unwrap());
    }

    /// What was shown to it by now.
    fn shown(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.shared.shown.lock().unwrap())
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(
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
    let (shown, accepted) = (header(AUTHORIZATION), header(ACCEPT));
    let path = uri.path().to_owned();
    shared.shown.lock().unwrap().push((path.clone(), shown.clone()));
    if shown.is_empty() {
        return Err(StatusCode::FORBIDDEN);
    }
    if shown != format!("Bearer {}", shared.token.lock().unwrap()) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let (kind, document) = match path.as_str() {
        "/openid/v1/jwks" => ("application/jwk-set+json", shared.keys.clone()),
        "/.well-known/openid-configuration" => (
            "application/json",
            // By its own address, as an API server has it: the certificate must hold for that as well.
            json!({
                "issuer": format!("https://localhost:{}", shared.address.port()),
                "jwks_uri": format!("https://{}/openid/v1/jwks", shared.address),
                "response_types_supported": ["id_token"], "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }),
        ),
        _ => return Err(StatusCode::NOT_FOUND),
    };
    if accepted.split(',').any(|one| [kind, "*/*"].contains(&one.trim())) {
        Ok(document.to_string())
    } else {
        Err(StatusCode::NOT_ACCEPTABLE)
    }
}

fn trusting(server: &ApiServer, keys: KeySource, access: Access, clock: &Clock) -> anyhow::Result<Auth> {
    let settings = IssuerSettings {
        kind: IssuerKind::Kubernetes,
        access,
        ..settings(&server.issuer(), keys)
    };
    Auth::new(vec![settings], clock.clone())
}

async fn is_dialer(auth: &Auth, server: &ApiServer, signer: &Signer) -> Result<bool, Rejection> {
    let claims = of_account(&server.issuer(), "crm", "dialer", START);
    match auth.authenticate(&signer.sign_for_account(&claims)).await? {
        Identity::ServiceAccount(account) => {
            Ok(account.name.to_string() == "system:serviceaccount:crm:dialer")
        }
        Identity::Caller(_) => Ok(false),
    }
}

#[tokio::test]
async fn a_cluster_s_keys_come_from_its_api_server_by_its_authority_and_for_a_token() {
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
        let auth = trusting(&server, keys, mounted.access(), &clock).unwrap();
        assert_eq!(
            is_dialer(&auth, &server, &signer).await,
            Ok(true),
            "{:?}",
            auth.report()
        );
        let expected: Vec<_> = paths
            .iter()
            .map(|path| ((*path).to_owned(), "Bearer eyJ.desk.sig".to_owned()))
            .collect();
        assert_eq!(server.shown(), expected);
    }
}

#[tokio::test]
async fn a_token_and_an_authority_that_were_renewed_are_the_ones_that_are_used() {
    let (first, second) = (Authority::new().issue(), Authority::new().issue());
    let (signer, clock) = (Signer::new("RS256", "c"), clock());
    let server = ApiServer::start(&first, &signer, "token-1").await;
    let mounted = Mounted::new(&first.authority, "token-1");
    let auth = trusting(&server, server.keys(), mounted.access(), &clock).unwrap();
    auth.refresh().await;
    assert_eq!(auth.report()[0].last_error, None);

    let after_a_while = async || {
        clock.advance(Duration::from_mins(4));
        auth.refresh().await;
        auth.report().remove(0)
    };
    server.lets_in("token-2");
    let said = after_a_while().await.last_error.unwrap();
    assert!(said.contains("401"), "{said}");
    mounted.write("token", "token-2");
    assert_eq!(after_a_while().await.last_error, None);
    // Both at once, as while an authority is replaced.
    mounted.write("ca.crt", &second.authority);
    let said = after_a_while().await.last_error.unwrap();
    assert!(said.contains("can't be reached"), "{said}");
    mounted.write("ca.crt", &format!("{}{}", second.authority, first.authority));
    assert_eq!(after_a_while().await.last_error, None);
    // A file that is gone, or broken, keeps what is known.
    for (file, text, fault) in [
        ("ca.crt", "nothing", "has no certificate"),
        ("token", "two words", "has no token"),
    ] {
        let before = std::fs::read_to_string(mounted.file(file)).unwrap();
        mounted.write(file, text);
        let report = after_a_while().await;
        let said = report.last_error.unwrap();
        assert!(
            said.contains(fault) && report.usable && report.keys == 1,
            "{said}"
        );
        mounted.write(file, &before);
    }
    assert_eq!(after_a_while().await.last_error, None);
}

#[tokio::test]
async fn whom_the_authority_does_not_vouch_for_sees_no_token() {
    let (impostor, cluster) = (Authority::new().issue(), Authority::new().issue());
    let (signer, clock) = (Signer::new("RS256", "c"), clock());
    let server = ApiServer::start(&impostor, &signer, "canary").await;
    let mounted = Mounted::new(&cluster.authority, "canary");
    for keys in [server.keys(), KeySource::Discovery] {
        let auth = trusting(&server, keys, mounted.access(), &clock).unwrap();
        let refused = is_dialer(&auth, &server, &signer).await;
        assert_eq!(refused, Err(Rejection::KeysUnavailable));
        let said = format!("{:?}", auth.report());
        assert!(!said.contains("canary"), "{said}");
    }
    assert_eq!(server.shown(), []);

    // Nor is it believed where nothing is said of authorities.
    let auth = trusting(&server, server.keys(), Access::default(), &clock).unwrap();
    assert_eq!(
        is_dialer(&auth, &server, &signer).await,
        Err(Rejection::KeysUnavailable)
    );
    let alone = Access {
        ca_file: None,
        ..mounted.access()
    };
    let fault = trusting(&server, server.keys(), alone, &clock).err().unwrap();
    assert!(format!("{fault:#}").contains("needs a `ca_file`"), "{fault:#}");
}

#[tokio::test]
async fn a_token_of_an_app_is_never_shown_to_the_api_server() {
    let (authority, signer, clock) = (Authority::new().issue(), Signer::new("RS256", "c"), clock());
    let server = ApiServer::start(&authority, &signer, "desk").await;
    let mounted = Mounted::new(&authority.authority, "desk");
    let auth = trusting(&server, server.keys(), mounted.access(), &clock).unwrap();
    for kid in ["c", "unknown", "c"] {
        let by = Signer::new("RS256", kid);
        let _ = is_dialer(&auth, &server, &by).await;
    }
    let shown = server.shown();
    assert!(
        !shown.is_empty() && shown.iter().all(|(_, shown)| shown == "Bearer desk"),
        "{shown:?}"
    );
}
