//! TLS for one test: a certificate authority, its certificates, and connections to the server.
//!
//! The certificates are written to a folder as Kubernetes would mount them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::raw::address;
use super::volume;
use crate::support::server::TestServer;

/// A certificate, its key, and the certificate of the authority that issued it, all in PEM.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) authority: String,
}

/// A certificate authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// Issues a certificate for this machine that is valid from 2020 to 2090.
    pub(crate) fn issue(&self) -> Pair {
        self.issue_for(2020, 2090)
    }

    /// Issues a certificate for this machine, valid from the start of one year to the start of another.
    pub(crate) fn issue_for(&self, from: i32, until: i32) -> Pair {
        self.issue_to(&["localhost", "127.0.0.1"], from, until)
    }

    /// Issues a certificate for these names, valid from the start of one year to the start of another.
    pub(crate) fn issue_to(&self, names: &[&str], from: i32, until: i32) -> Pair {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        let key = KeyPair::generate().unwrap();
        Pair {
            certificate: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
            authority: self.pem.clone(),
        }
    }
}

/// A server in front of another one that accepts TLS and passes on the bytes. It ends when it is dropped.
pub(crate) struct TlsFront {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TlsFront {
    /// Starts a server with this certificate in front of the address.
    pub(crate) async fn start(pair: &Pair, behind: SocketAddr) -> Self {
        Self::with_request(pair, behind, false).await
    }

    /// Starts a server with this certificate in front of a PostgreSQL, whose clients first ask for TLS in plain text.
    pub(crate) async fn of_postgres(pair: &Pair, behind: SocketAddr) -> Self {
        Self::with_request(pair, behind, true).await
    }

    async fn with_request(pair: &Pair, behind: SocketAddr, requested: bool) -> Self {
        let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    if requested {
                        // The message `SSLRequest`, and the answer that TLS may begin.
                        stream.read_exact(&mut [0; 8]).await.unwrap();
                        stream.write_all(b"S").await.unwrap();
                    }
                    // A client that refuses the certificate ends the handshake.
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let mut server = TcpStream::connect(behind).await.unwrap();
                    let _ = copy_bidirectional(&mut stream, &mut server).await;
                });
            }
        });
        Self { address, task }
    }
}

/// The section `[server.tls]` for the files that [`mount`] writes.
pub(crate) const SECTION: &str =
    "[server.tls]\ncertificate_file = \"tls/tls.crt\"\nkey_file = \"tls/tls.key\"\n";

/// Writes the certificate and the key into the subfolder `tls` of `folder`.
pub(crate) fn mount(folder: &Path, certificate: &str, key: &str) {
    volume::mount(&folder.join("tls"), &[("tls.crt", certificate), ("tls.key", key)]);
}

/// Connects to the server with a full TLS handshake.
///
/// The connection trusts only this authority, and resumes no earlier session.
pub(crate) async fn connect(
    server: &TestServer,
    authority: &str,
    protocol: &str,
    versions: &[&'static SupportedProtocolVersion],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.as_bytes()).unwrap();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let stream = TcpStream::connect(address(server)).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// Returns the certificate that the server presents to a new connection, in DER.
pub(crate) async fn shown(server: &TestServer, pair: &Pair) -> Vec<u8> {
    let stream = connect(server, &pair.authority, "http/1.1", rustls::ALL_VERSIONS)
        .await
        .expect("the certificate of the server is trusted");
    let (_, session) = stream.get_ref();
    session
        .peer_certificates()
        .expect("the server presents a certificate")[0]
        .to_vec()
}

/// Returns the certificate of a pair in DER, to be compared with [`shown`].
pub(crate) fn of(pair: &Pair) -> Vec<u8> {
    CertificateDer::from_pem_slice(pair.certificate.as_bytes())
        .unwrap()
        .to_vec()
}
