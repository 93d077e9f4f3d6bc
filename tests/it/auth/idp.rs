//! An identity provider for the tests: keys that sign tokens, and a key server on loopback that counts its requests.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaPublicKeyComponents,
};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Response, Uri};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::sync::Notify;
use url::Url;

/// All tests share these two RSA keys, because generating one is slow.
pub(super) static RSA: LazyLock<RsaKeyPair> =
    LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
static OTHER_RSA: LazyLock<RsaKeyPair> = LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());

/// A private key with its `kid` and algorithm.
pub(crate) struct Signer {
    pub(super) kid: String,
    pub(super) alg: &'static str,
    key: PrivateKey,
}

enum PrivateKey {
    Rsa(&'static RsaKeyPair, &'static dyn RsaEncoding),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Signer {
    pub(crate) fn new(alg: &'static str, kid: &str) -> Self {
        let ec = |curve| PrivateKey::Ec(EcdsaKeyPair::generate(curve).unwrap());
        let key = match alg {
            "RS256" => PrivateKey::Rsa(&RSA, &RSA_PKCS1_SHA256),
            "PS256" => PrivateKey::Rsa(&OTHER_RSA, &RSA_PSS_SHA256),
            "ES256" => ec(&ECDSA_P256_SHA256_FIXED_SIGNING),
            "ES384" => ec(&ECDSA_P384_SHA384_FIXED_SIGNING),
            "EdDSA" => PrivateKey::Ed(Ed25519KeyPair::generate().unwrap()),
            _ => panic!("no such algorithm in the tests"),
        };
        Self {
            kid: kid.to_owned(),
            alg,
            key,
        }
    }

    /// Returns the public key as a JWK without `alg`: the service must derive the algorithm from the key.
    pub(super) fn jwk(&self) -> Value {
        let mut jwk = match &self.key {
            PrivateKey::Rsa(key, _) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(key.public_key());
                json!({"kty": "RSA", "n": base64(&public.n), "e": base64(&public.e)})
            }
            PrivateKey::Ec(key) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(key.public_key().as_ref().len() / 2);
                let curve = if x.len() == 32 { "P-256" } else { "P-384" };
                json!({"kty": "EC", "crv": curve, "x": base64(x), "y": base64(y)})
            }
            PrivateKey::Ed(key) => json!({"kty": "OKP", "crv": "Ed25519", "x": base64(key.public_key())}),
        };
        jwk["kid"] = self.kid.as_str().into();
        jwk["use"] = "sig".into();
        jwk
    }

    pub(super) fn header(&self) -> Value {
        json!({"alg": self.alg, "kid": self.kid, "typ": "JWT"})
    }

    pub(super) fn sign(&self, claims: &Value) -> String {
        self.sign_texts(&self.header().to_string(), &claims.to_string())
    }

    /// Signs as a Kubernetes API server does: without `typ`.
    pub(crate) fn sign_as_kubernetes(&self, claims: &Value) -> String {
        let header = json!({"alg": self.alg, "kid": self.kid});
        self.sign_texts(&header.to_string(), &claims.to_string())
    }

    /// Signs any texts as header and claims, also malformed ones.
    pub(super) fn sign_texts(&self, header: &str, claims: &str) -> String {
        compact(header, claims, |message| match &self.key {
            PrivateKey::Rsa(key, encoding) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(*encoding, &SystemRandom::new(), message, &mut signature)
                    .unwrap();
                signature
            }
            PrivateKey::Ec(key) => key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            PrivateKey::Ed(key) => key.sign(message).as_ref().to_vec(),
        })
    }
}

pub(super) fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes base64url.
pub(super) fn bytes(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

pub(super) fn compact(header: &str, claims: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", base64(header), base64(claims));
    let signature = base64(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

pub(crate) fn jwks(signers: &[&Signer]) -> Value {
    json!({"keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>()})
}

/// Returns the claims of a projected service account token that is valid for an hour from `now`, in seconds since 1970.
pub(crate) fn service_account_claims(issuer: &str, namespace: &str, name: &str, now: i64) -> Value {
    json!({
        "aud": ["numberdesk"], "exp": now + 3_600, "iat": now, "iss": issuer,
        "jti": "6b7bd0f3-2d0f-4d3b-9a8e-5f4f1f6f0001",
        "kubernetes.io": {
            "namespace": namespace,
            "node": {"name": "node-1", "uid": "0c8b0c1e-7f3e-4a55-8d40-5f4f1f6f0002"},
            "pod": {"name": format!("{name}-7d9c5"), "uid": "5a1b1c1e-7f3e-4a55-8d40-5f4f1f6f0003"},
            "serviceaccount": {"name": name, "uid": "7e5b3c1e-7f3e-4a55-8d40-5f4f1f6f0004"},
        },
        "nbf": now, "sub": format!("system:serviceaccount:{namespace}:{name}"),
    })
}

/// The response to a request for keys.
#[derive(Clone)]
pub(super) enum IdpResponse {
    Json(Value),
    Text(String),
    Status(u16),
    Redirect(Url),
    /// A body of this many bytes, without a `Content-Length`.
    Endless(usize),
    /// The keys, after the gate was notified.
    Gated(Value, Arc<Notify>),
}

/// A key server. Every path except discovery gets the same response.
pub(super) struct Idp {
    pub(super) url: Url,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

struct Shared {
    response: Mutex<IdpResponse>,
    discovery: Mutex<Value>,
    hits: AtomicUsize,
    sent: Arc<AtomicUsize>,
    requested: Notify,
}

impl Idp {
    pub(super) async fn start(response: IdpResponse) -> Self {
        let shared = Arc::new(Shared {
            response: Mutex::new(response),
            discovery: Mutex::new(Value::Null),
            hits: AtomicUsize::new(0),
            sent: Arc::default(),
            requested: Notify::new(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        let router = Router::new().fallback(respond).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, server }
    }

    pub(super) async fn with_keys(signers: &[&Signer]) -> Self {
        Self::start(IdpResponse::Json(jwks(signers))).await
    }

    pub(super) fn set_response(&self, response: IdpResponse) {
        *self.shared.response.lock().unwrap() = response;
    }

    pub(super) fn set_discovery(&self, document: Value) {
        *self.shared.discovery.lock().unwrap() = document;
    }

    /// Returns the number of requests, for any path.
    pub(super) fn request_count(&self) -> usize {
        self.shared.hits.load(Ordering::SeqCst)
    }

    /// Returns the number of bytes of an endless response that were sent.
    pub(super) fn sent(&self) -> usize {
        self.shared.sent.load(Ordering::SeqCst)
    }

    /// Returns once a request has arrived.
    pub(super) async fn wait_for_request(&self) {
        self.shared.requested.notified().await;
    }
}

impl Drop for Idp {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn respond(State(shared): State<Arc<Shared>>, uri: Uri) -> Response<Body> {
    shared.hits.fetch_add(1, Ordering::SeqCst);
    shared.requested.notify_one();
    if uri.path().ends_with("/.well-known/openid-configuration") {
        return Response::new(shared.discovery.lock().unwrap().to_string().into());
    }
    let response = shared.response.lock().unwrap().clone();
    match response {
        IdpResponse::Json(value) => Response::new(value.to_string().into()),
        IdpResponse::Text(text) => Response::new(text.into()),
        IdpResponse::Status(status) => Response::builder().status(status).body(Body::empty()).unwrap(),
        IdpResponse::Redirect(to) => Response::builder()
            .status(302)
            .header("location", to.as_str())
            .body(Body::empty())
            .unwrap(),
        IdpResponse::Endless(bytes) => {
            const CHUNK: usize = 64 * 1024;
            let sent = Arc::clone(&shared.sent);
            let chunks = (0..bytes / CHUNK).map(move |_| {
                sent.fetch_add(CHUNK, Ordering::SeqCst);
                Ok::<_, std::io::Error>(Bytes::from(vec![b' '; CHUNK]))
            });
            Response::new(Body::from_stream(futures::stream::iter(chunks)))
        }
        IdpResponse::Gated(value, gate) => {
            gate.notified().await;
            Response::new(value.to_string().into())
        }
    }
}
