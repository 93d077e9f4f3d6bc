//! Documents that an issuer publishes: their limits, a reader of files, and the errors of a load.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use reqwest::StatusCode;

use crate::egress::{Failure, TrustError};

/// The maximum time of one load, discovery included.
pub(super) const LOAD_TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum size of a document.
pub(super) const MAX_BYTES: usize = 1024 * 1024;

/// Why a document could not be loaded.
///
/// The messages leave out the address. Operators know it from the settings, and other people can see these errors too.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error("the issuer did not answer within {} s", LOAD_TIMEOUT.as_secs())]
    Timeout,
    #[error("the issuer can't be reached: {0}")]
    Unreachable(Failure),
    #[error("the issuer answered with status {0}")]
    Status(StatusCode),
    #[error("the issuer answered with a redirect, which is not followed")]
    Redirect,
    #[error("the document is larger than 1 MiB")]
    TooLarge,
    #[error("the file can't be read")]
    File(#[source] std::io::Error),
    #[error(transparent)]
    Authorities(#[from] TrustError),
    #[error("{0}")]
    Access(&'static str, #[source] Option<std::io::Error>),
    #[error("the discovery document {0}")]
    Discovery(&'static str),
    #[error("the discovery document is of the issuer `{0}`: the setting `issuer` must be exactly that text")]
    OtherIssuer(String),
}

/// Reads a file of at most [`MAX_BYTES`].
pub(super) fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_BYTES {
        Err(std::io::Error::other("it is larger than 1 MiB"))
    } else {
        Ok(bytes)
    }
}
