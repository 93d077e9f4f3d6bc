//! The listener's TLS identity: a certificate chain and its key, read from two files.
//!
//! Errors never repeat text of the key.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::Decode as _;
use x509_cert::time::Time;

use crate::config::secret::read_secret;
use crate::config::values::FilePath;
use crate::domain::time::Timestamp;

/// The listener's certificate and key. Both are required.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// PEM: the server's own certificate first, then the intermediate certificates.
    #[serde(rename = "certificate_file")]
    pub certificate: FilePath,
    /// PEM: the key of the first certificate, not encrypted. RSA of 2048 bits or more, ECDSA, or Ed25519.
    #[serde(rename = "key_file")]
    pub key: FilePath,
}

/// A certificate with its key and its validity.
#[derive(Debug, Clone)]
pub struct Identity {
    /// In the form that rustls uses.
    pub certified: Arc<CertifiedKey>,
    /// When the certificate becomes valid.
    pub not_before: Timestamp,
    /// When it expires.
    pub not_after: Timestamp,
}

/// The error, and which of the two files has it.
pub(super) struct FileError {
    pub(super) in_key: bool,
    pub(super) message: String,
}

impl TlsFiles {
    /// Reads both files. An expired certificate is not an error here; see [`Identity::out_of_time`].
    pub fn read(&self) -> Result<Identity, String> {
        self.load().map_err(|error| error.message)
    }

    /// Reads both files; the error names the file.
    pub(super) fn load(&self) -> Result<Identity, FileError> {
        let of_certificate = |message: String| FileError {
            in_key: false,
            message,
        };
        let of_key = |message: String| FileError {
            in_key: true,
            message,
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
                    "{}: TLS can't use this certificate: {why}",
                    self.certificate.display()
                )),
                _ => of_key(format!(
                    "{} is not a key that TLS can use: RSA of 2048 bits or more, ECDSA or Ed25519",
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
    /// Why clients reject the certificate at this moment; `None` if it is valid.
    pub fn out_of_time(&self, now: Timestamp) -> Option<String> {
        if now < self.not_before {
            Some(format!("it becomes valid at {}", self.not_before.in_words()))
        } else if now > self.not_after {
            Some(format!("it expired at {}", self.not_after.in_words()))
        } else {
            None
        }
    }

    /// Whether both have the same certificate chain.
    pub fn is(&self, other: &Self) -> bool {
        self.certified.cert == other.certified.cert
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = read_secret(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.expose_secret().as_bytes()).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(format!(
            "{} has no PEM certificate: a block that begins with -----BEGIN CERTIFICATE-----",
            path.display()
        )),
        Err(_) => Err(format!("{} is not well-formed PEM", path.display())),
    }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let text = read_secret(path)?;
    // The cause is left out, because it may repeat a line of the key.
    PrivateKeyDer::from_pem_slice(text.expose_secret().as_bytes()).map_err(|_| {
        format!(
            "{} has no unencrypted PEM key: a block that begins with -----BEGIN PRIVATE KEY-----",
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
