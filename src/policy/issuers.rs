//! The issuers of tokens that the configuration trusts, as far as the policy file depends on them.

/// The trusted issuers, by the kind of their tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Issuers {
    /// Identity providers, whose tokens grants can match.
    pub providers: Vec<String>,
    /// Kubernetes clusters, whose service accounts the policy lists.
    pub clusters: Vec<String>,
}
