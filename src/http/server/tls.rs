//! TLS on a connection: the handshake, with the certificate that is in force at that moment. It does not know where
//! certificates come from.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{Error, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::telemetry::metrics::TLS_HANDSHAKES_FAILED_TOTAL;

/// What a listener proves itself with. Clones share it.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    in_force: Arc<InForce>,
}

#[derive(Debug)]
struct InForce(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for InForce {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl Tls {
    /// TLS 1.2 and 1.3, for HTTP/2 and HTTP/1.1. What comes before the end of the handshake (0-RTT) is not taken: whoever
    /// records it could send it again.
    pub fn new(certified: Arc<CertifiedKey>) -> Self {
        let in_force = Arc::new(InForce(ArcSwap::new(certified)));
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has what both versions ask for")
            .with_no_client_auth()
            .with_cert_resolver(in_force.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            in_force,
        }
    }

    /// From the next handshake on, this one; connections that are there go on as they are.
    pub fn adopt(&self, certified: Arc<CertifiedKey>) {
        self.in_force.0.store(certified);
    }

    /// The connection once both sides agree; one that does not get there within `patience` is counted and dropped.
    pub(in crate::http) async fn shake_hands(
        &self,
        stream: TcpStream,
        patience: Duration,
    ) -> Option<TlsStream<TcpStream>> {
        let reason = match tokio::time::timeout(patience, self.acceptor.accept(stream)).await {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => reason(&error),
            Err(_) => "too_slow",
        };
        metrics::counter!(TLS_HANDSHAKES_FAILED_TOTAL, "reason" => reason).increment(1);
        tracing::debug!(reason, "a TLS handshake failed");
        None
    }
}

/// Why there was no handshake, in few words: they are labels.
fn reason(error: &io::Error) -> &'static str {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match tls {
        None => "hung_up",
        // It says by an alert that it does not take our certificate, or nothing that we offer.
        Some(Error::AlertReceived(_)) => "refused_by_client",
        Some(Error::PeerIncompatible(_) | Error::NoApplicationProtocol) => "nothing_in_common",
        Some(_) => "not_tls",
    }
}
