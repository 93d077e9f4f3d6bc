//! TLS of the listener: runs handshakes with the current certificate.
//!
//! `app` reads the certificate from its files and replaces it here.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{Error, ServerConfig};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::http::server::socket::Socket;
use crate::telemetry::metrics::TLS_HANDSHAKES_FAILED_TOTAL;

/// The TLS side of a listener. Clones share the certificate.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
}

/// The certificate in use.
#[derive(Debug)]
struct Certificate(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl Tls {
    /// Creates a TLS configuration for TLS 1.2 and 1.3, with HTTP/2 and HTTP/1.1.
    ///
    /// Early data (0-RTT) is disabled, because an attacker could replay it.
    pub fn new(certified: Arc<CertifiedKey>) -> Self {
        let certificate = Arc::new(Certificate(ArcSwap::new(certified)));
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider supports both versions")
            .with_no_client_auth()
            .with_cert_resolver(certificate.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificate,
        }
    }

    /// Replaces the certificate for the next handshakes. Open connections are not affected.
    pub fn replace(&self, certified: Arc<CertifiedKey>) {
        self.certificate.0.store(certified);
    }

    /// Runs the handshake. Returns `None` if it fails or takes longer than `limit`, and counts the failure.
    pub(in crate::http) async fn handshake(
        &self,
        stream: Socket,
        limit: Duration,
    ) -> Option<TlsStream<Socket>> {
        let reason = match tokio::time::timeout(limit, self.acceptor.accept(stream)).await {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => reason(&error),
            Err(_) => "too_slow",
        };
        metrics::counter!(TLS_HANDSHAKES_FAILED_TOTAL, "reason" => reason).increment(1);
        tracing::debug!(reason, "TLS handshake failed");
        None
    }
}

/// Returns the reason why a handshake failed, as a metric label.
fn reason(error: &io::Error) -> &'static str {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match tls {
        None => "hung_up",
        // The client sent an alert: it does not accept the certificate, or no parameter that the server offers.
        Some(Error::AlertReceived(_)) => "refused_by_client",
        Some(Error::PeerIncompatible(_) | Error::NoApplicationProtocol) => "nothing_in_common",
        Some(_) => "not_tls",
    }
}
