//! A Kubernetes service account: what it is called, and what a token of it says. What it may do is not known here:
//! the policy says so.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde_json::Value;

use crate::domain::caller::Caller;

/// What the `sub` of every service account begins with.
const PREFIX: &str = "system:serviceaccount:";
const MAX_NAMESPACE_BYTES: usize = 63;
/// As long as any subject may be.
const MAX_SUBJECT_BYTES: usize = 255;

/// Who a verified token is of.
#[derive(Debug, Clone)]
pub enum Identity {
    /// The token says itself what its bearer may do.
    Caller(Arc<Caller>),
    /// The token says only who its bearer is.
    Account(Arc<ServiceAccount>),
}

/// A service account, from a verified token of its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccount {
    /// The token's `iss`: the cluster.
    pub issuer: String,
    /// Which one of the cluster's.
    pub name: AccountName,
    /// All claims.
    pub claims: Value,
}

/// Namespace and name; written as Kubernetes writes the subject, `system:serviceaccount:crm:dialer`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountName {
    namespace: String,
    name: String,
}

/// Why a namespace and a name are no service account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnAccount {
    /// The namespace is none.
    #[error(
        "must be a namespace of Kubernetes: 1 to 63 lower-case letters, digits or `-`, none of them `-` at an end"
    )]
    Namespace,
    /// The name is none.
    #[error(
        "must be a service account's name: lower-case letters, digits, `-` or `.`, a letter or digit at each end of \
         what stands between dots"
    )]
    Name,
    /// They make no subject.
    #[error("namespace and name are too long: the subject of a token has at most 255 characters")]
    Long,
}

impl AccountName {
    /// Kubernetes' own rules: a namespace is a DNS label, an account's name a DNS subdomain.
    pub fn new(namespace: &str, name: &str) -> Result<Self, NotAnAccount> {
        if namespace.len() > MAX_NAMESPACE_BYTES || !is_part(namespace) {
            return Err(NotAnAccount::Namespace);
        }
        if !name.split('.').all(is_part) {
            return Err(NotAnAccount::Name);
        }
        if PREFIX.len() + namespace.len() + 1 + name.len() > MAX_SUBJECT_BYTES {
            return Err(NotAnAccount::Long);
        }
        Ok(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    /// Whether a subject claims to be a service account, well-formed or not.
    pub fn is_claimed_by(subject: &str) -> bool {
        subject.starts_with(PREFIX)
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Its name in the namespace.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}:{}", self.namespace, self.name)
    }
}

impl FromStr for AccountName {
    type Err = NotAnAccount;
    fn from_str(subject: &str) -> Result<Self, NotAnAccount> {
        let (namespace, name) = subject
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once(':'))
            .ok_or(NotAnAccount::Namespace)?;
        Self::new(namespace, name)
    }
}

/// A part of a name as RFC 1123 and Kubernetes have it, of any length.
fn is_part(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_taken_apart_and_written_again() {
        for subject in [
            "system:serviceaccount:crm:dialer",
            "system:serviceaccount:a:0",
            "system:serviceaccount:team-1:app.v2-x",
        ] {
            let name: AccountName = subject.parse().unwrap();
            assert_eq!(name.to_string(), subject);
        }
        let name: AccountName = "system:serviceaccount:crm:dialer".parse().unwrap();
        assert_eq!((name.namespace(), name.name()), ("crm", "dialer"));
    }

    #[test]
    fn what_kubernetes_would_never_write_is_no_account() {
        let long = format!("system:serviceaccount:{}:{}", "n".repeat(63), ["x"; 86].join("."));
        for subject in [
            "",
            "crm:dialer",
            "system:serviceaccount:",
            "system:serviceaccount:crm",
            "system:serviceaccount:crm:",
            "system:serviceaccount::dialer",
            "system:serviceaccount:crm:dialer:x",
            "system:serviceaccount:crm:Dialer",
            "system:serviceaccount:crm:-dialer",
            "system:serviceaccount:crm:dialer-",
            "system:serviceaccount:crm:dialer.",
            "system:serviceaccount:crm:.dialer",
            "system:serviceaccount:crm:a..b",
            "system:serviceaccount:crm.x:dialer",
            &format!("system:serviceaccount:{}:dialer", "n".repeat(64)),
            "system:serviceaccount:crm:dial\u{e9}r",
            "system:serviceaccount:crm:dialer\n",
            " system:serviceaccount:crm:dialer",
            "System:serviceaccount:crm:dialer",
            "system:node:crm:dialer",
            &long,
        ] {
            assert!(subject.parse::<AccountName>().is_err(), "{subject:?}");
        }
        assert!(long[..long.len() - 2].parse::<AccountName>().is_ok());
    }
}
