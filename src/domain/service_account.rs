//! Kubernetes service accounts: their names and the claims of their tokens.
//!
//! A token of a service account carries no permissions; the policy grants them.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

/// The prefix of the `sub` claim of every service account.
const PREFIX: &str = "system:serviceaccount:";
const MAX_NAMESPACE_BYTES: usize = 63;
/// The maximum length of any subject.
const MAX_SUBJECT_BYTES: usize = 255;

/// A service account, from a verified token of its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccount {
    /// The token's `iss`, which identifies the cluster.
    pub issuer: String,
    /// The account's namespace and name.
    pub name: ServiceAccountName,
    /// All claims of the token.
    pub claims: Value,
}

/// A service account's namespace and name, written like `system:serviceaccount:crm:dialer`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceAccountName {
    namespace: String,
    name: String,
}

/// The error for a namespace and a name that can't be a service account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidServiceAccount {
    /// The namespace is invalid.
    #[error(
        "must be a Kubernetes namespace: 1 to 63 lower-case letters, digits or `-`, without `-` at either end"
    )]
    Namespace,
    /// The name is invalid.
    #[error(
        "must be the name of a service account: lower-case letters, digits, `-` or `.`; each part between dots begins \
         and ends with a letter or digit"
    )]
    Name,
    /// Both together are too long for a subject.
    #[error("namespace and name are too long: the subject of a token has at most 255 characters")]
    Long,
}

impl ServiceAccountName {
    /// Validates both by Kubernetes' rules: the namespace is a DNS label, the name a DNS subdomain.
    pub fn new(namespace: &str, name: &str) -> Result<Self, InvalidServiceAccount> {
        if namespace.len() > MAX_NAMESPACE_BYTES || !is_part(namespace) {
            return Err(InvalidServiceAccount::Namespace);
        }
        if !name.split('.').all(is_part) {
            return Err(InvalidServiceAccount::Name);
        }
        if PREFIX.len() + namespace.len() + 1 + name.len() > MAX_SUBJECT_BYTES {
            return Err(InvalidServiceAccount::Long);
        }
        Ok(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    /// Whether a subject has the prefix of a service account, even if it is malformed.
    pub fn is_claimed_by(subject: &str) -> bool {
        subject.starts_with(PREFIX)
    }

    /// Returns the namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns the name within the namespace.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for ServiceAccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}:{}", self.namespace, self.name)
    }
}

impl FromStr for ServiceAccountName {
    type Err = InvalidServiceAccount;
    fn from_str(subject: &str) -> Result<Self, InvalidServiceAccount> {
        let (namespace, name) = subject
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once(':'))
            .ok_or(InvalidServiceAccount::Namespace)?;
        Self::new(namespace, name)
    }
}

/// Whether the text is a DNS label by RFC 1123, apart from its length.
fn is_part(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_parsed_and_formatted_unchanged() {
        for subject in [
            "system:serviceaccount:crm:dialer",
            "system:serviceaccount:a:0",
            "system:serviceaccount:team-1:app.v2-x",
        ] {
            let name: ServiceAccountName = subject.parse().unwrap();
            assert_eq!(name.to_string(), subject);
        }
        let name: ServiceAccountName = "system:serviceaccount:crm:dialer".parse().unwrap();
        assert_eq!((name.namespace(), name.name()), ("crm", "dialer"));
    }

    #[test]
    fn a_subject_that_kubernetes_never_issues_is_rejected() {
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
            assert!(subject.parse::<ServiceAccountName>().is_err(), "{subject:?}");
        }
        assert!(long[..long.len() - 2].parse::<ServiceAccountName>().is_ok());
    }
}
