//! Names the reason why a connection failed, in a fixed text without URLs and addresses.

use std::error::Error;
use std::fmt;
use std::io;

use rustls::CertificateError;

/// Why a request got no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// Whether the connection to the proxy failed, and not the one to the server behind it.
    at_proxy: bool,
    cause: &'static str,
}

/// The reasons, in the words of the service.
mod cause {
    pub(super) const TIMEOUT: &str = "no connection was made in time";
    pub(super) const DNS: &str = "the host name could not be resolved";
    pub(super) const REFUSED: &str = "the connection was refused";
    pub(super) const OTHER: &str = "no connection could be made";
    pub(super) const NO_ANSWER: &str = "no answer in time";
    pub(super) const BROKEN: &str = "the connection broke before an answer";
    pub(super) const HANDSHAKE: &str = "the TLS handshake failed";
    pub(super) const NOT_TLS: &str = "the server does not speak TLS";
    pub(super) const REFUSED_BY_SERVER: &str = "the server refused the TLS handshake";
    pub(super) const EXPIRED: &str = "the certificate has expired";
    pub(super) const NOT_YET_VALID: &str = "the certificate is not valid yet";
    pub(super) const UNKNOWN_ISSUER: &str = "the certificate is of an authority that is not trusted";
    pub(super) const OTHER_NAME: &str = "the certificate is for another name";
    pub(super) const SELF_SIGNED: &str = "the certificate is self-signed, or that of an authority";
    pub(super) const REVOKED: &str = "the certificate was revoked";
    pub(super) const INVALID: &str = "the certificate is not valid";
    pub(super) const CREDENTIALS: &str = "it asks for a user and a password that are not in its URL (407)";
    pub(super) const NO_TUNNEL: &str = "it did not connect to the server (its answer to CONNECT was not 200)";
    pub(super) const HUNG_UP: &str = "it closed the connection before it answered CONNECT";
}

impl Failure {
    /// Finds the reason of an error that a request ended with.
    pub fn of(error: &reqwest::Error) -> Self {
        let mut at_proxy = false;
        let mut found = None;
        let mut next: Option<&(dyn Error + 'static)> = error.source();
        while let Some(error) = next {
            if let Some(failed) = error.to_string().strip_prefix(TUNNEL) {
                at_proxy = true;
                found = tunnel(failed).or(found);
            }
            found = known(error).or(found);
            next = error.source();
        }
        let cause = match found {
            _ if !error.is_connect() && error.is_timeout() => cause::NO_ANSWER,
            _ if !error.is_connect() => cause::BROKEN,
            Some(found) => found,
            None if error.is_timeout() => cause::TIMEOUT,
            None if error.is_dns() => cause::DNS,
            None => cause::OTHER,
        };
        Self { at_proxy, cause }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.at_proxy {
            "the proxy can't be used: "
        } else {
            ""
        };
        write!(f, "{prefix}{}", self.cause)
    }
}

/// The begin of the HTTP client's errors of a tunnel through a proxy.
///
/// The type is private to the library, so its text is all there is. The tests of proxies would notice another text.
const TUNNEL: &str = "tunnel error: ";

/// Returns the reason that the rest of such a text names; `None` if the cause of the error says more.
fn tunnel(failed: &str) -> Option<&'static str> {
    match failed {
        "proxy authorization required" => Some(cause::CREDENTIALS),
        "unexpected end of file" | "io error establishing tunnel" => Some(cause::HUNG_UP),
        "failed to create underlying connection" => None,
        _ => Some(cause::NO_TUNNEL),
    }
}

/// Returns the reason that an error of the system or of TLS names.
fn known(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(tls(error));
    }
    let error = error.downcast_ref::<io::Error>()?;
    // `source` of an `io::Error` skips the error that it wraps.
    if let Some(inner) = error.get_ref()
        && let Some(found) = known(inner)
    {
        return Some(found);
    }
    (error.kind() == io::ErrorKind::ConnectionRefused).then_some(cause::REFUSED)
}

fn tls(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InvalidCertificate(error) => certificate(error),
        rustls::Error::AlertReceived(_) => cause::REFUSED_BY_SERVER,
        rustls::Error::InvalidMessage(_) => cause::NOT_TLS,
        _ => cause::HANDSHAKE,
    }
}

fn certificate(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => cause::EXPIRED,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => cause::NOT_YET_VALID,
        // The second one: a trusted authority has the issuer's name, but another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => cause::UNKNOWN_ISSUER,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            cause::OTHER_NAME
        }
        CertificateError::Revoked => cause::REVOKED,
        // The library names this one only in its text.
        CertificateError::Other(error) if error.to_string().contains("CaUsedAsEndEntity") => {
            cause::SELF_SIGNED
        }
        _ => cause::INVALID,
    }
}
