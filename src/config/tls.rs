//! What the listener proves itself with: a chain of certificates and the key of its first, by two files that are read
//! again when they change. What is wrong with them is said without a word of the key.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use secrecy::ExposeSecret as _;
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::Decode as _;
use x509_cert::time::Time;

use crate::config::read::Reader;
use crate::config::secret::read_secret;
use crate::domain::input::fields::Node;
use crate::domain::time::Timestamp;

/// `[server.tls]`: where certificate and key are.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// `certificate_file`: PEM, the server's own certificate first, then those that lead to an authority.
    pub certificate: PathBuf,
    /// `key_file`: PEM, the key of the first certificate, not encrypted.
    pub key: PathBuf,
}

/// A certificate with its key, and when it is believed.
#[derive(Debug, Clone)]
pub struct Identity {
    /// As TLS takes it.
    pub certified: Arc<CertifiedKey>,
    /// From when on clients believe the certificate.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
}

/// What is wrong, with which of the two files.
struct Wrong {
    with_the_key: bool,
    said: String,
}

impl TlsFiles {
    /// What the files hold now; else what is wrong with them. A certificate out of its time is none of that.
    pub fn read(&self) -> Result<Identity, String> {
        self.look().map_err(|wrong| wrong.said)
    }

    fn look(&self) -> Result<Identity, Wrong> {
        let of_certificate = |said: String| Wrong {
            with_the_key: false,
            said,
        };
        let of_key = |said: String| Wrong {
            with_the_key: true,
            said,
        };
        let chain = certificates(&self.certificate).map_err(of_certificate)?;
        let (not_before, not_after) = validity(&chain[0])
            .ok_or_else(|| of_certificate(format!("{}: no X.509 certificate", self.certificate.display())))?;
        let key = key(&self.key).map_err(of_key)?;
        let certified =
            CertifiedKey::from_der(chain, key, &default_provider()).map_err(|error| match error {
                Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => of_key(format!(
                    "{} is not the key of the first certificate in {}",
                    self.key.display(),
                    self.certificate.display()
                )),
                Error::InvalidCertificate(why) => of_certificate(format!(
                    "{}: TLS takes no such certificate: {why}",
                    self.certificate.display()
                )),
                _ => of_key(format!(
                    "{} is no key that TLS takes: RSA of 2048 bits or more, ECDSA or Ed25519",
                    self.key.display()
                )),
            })?;
        Ok(Identity {
            certified: Arc::new(certified),
            not_before,
            not_after,
        })
    }
}

impl Identity {
    /// Why clients don't believe the certificate at this moment, if so.
    pub fn out_of_time(&self, now: Timestamp) -> Option<String> {
        if now < self.not_before {
            Some(format!("it is believed from {} on", self.not_before))
        } else if now > self.not_after {
            Some(format!("it has expired at {}", self.not_after))
        } else {
            None
        }
    }

    /// Whether it is the same certificate.
    pub fn is(&self, other: &Self) -> bool {
        self.certified.cert == other.certified.cert
    }
}

impl Reader<'_> {
    /// Both files, which must fit together now.
    pub(super) fn tls(&self, node: Node<'_>) -> Option<TlsFiles> {
        let mut fields = node.fields()?;
        let mut at_key = None;
        let certificate = fields.required("certificate_file", |node| Some((self.path(&node)?, node)));
        let key = fields.required("key_file", |node| {
            at_key = Some(node.clone());
            self.path(&node)
        });
        fields.finish()?;
        let ((certificate, at_certificate), key, at_key) = (certificate?, key?, at_key?);
        let files = TlsFiles { certificate, key };
        match files.look() {
            Ok(_) => Some(files),
            Err(wrong) if wrong.with_the_key => at_key.fault(wrong.said),
            Err(wrong) => at_certificate.fault(wrong.said),
        }
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = read_secret(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.expose_secret().as_bytes()).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(format!(
            "{} has no certificate in PEM: a block that begins with -----BEGIN CERTIFICATE-----",
            path.display()
        )),
        Err(_) => Err(format!("{} is no well-formed PEM", path.display())),
    }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let text = read_secret(path)?;
    // The cause is not told: it may repeat a line of the key.
    PrivateKeyDer::from_pem_slice(text.expose_secret().as_bytes()).map_err(|_| {
        format!(
            "{} has no key in PEM that is not encrypted: a block that begins with -----BEGIN PRIVATE KEY-----",
            path.display()
        )
    })
}

fn validity(certificate: &CertificateDer<'_>) -> Option<(Timestamp, Timestamp)> {
    let parsed = CertificateInner::<Raw>::from_der(certificate).ok()?;
    let validity = parsed.tbs_certificate().validity();
    let at = |time: Time| i64::try_from(time.to_unix_duration().as_secs()).map(Timestamp::from_seconds);
    Some((at(validity.not_before).ok()?, at(validity.not_after).ok()?))
}
