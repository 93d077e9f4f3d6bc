//! The guides that the binary contains: the folder `docs`, the README and the changelog.

/// A guide in Markdown.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Guide {
    /// The last part of its URL: `/guides/{slug}` is the page, `/guides/{slug}.md` the Markdown.
    pub(in crate::http) slug: &'static str,
    /// Its file in the repository.
    pub(in crate::http) file: &'static str,
    /// The text of the file.
    pub(in crate::http) text: &'static str,
}

impl Guide {
    /// Returns the first heading.
    pub(in crate::http) fn title(&self) -> &'static str {
        let heading = self.text.lines().find_map(|line| line.strip_prefix("# "));
        heading.unwrap_or(self.slug)
    }

    /// Returns the guide with this slug.
    pub(in crate::http) fn find(slug: &str) -> Option<&'static Self> {
        GUIDES.iter().find(|guide| guide.slug == slug)
    }
}

macro_rules! guides {
    ($($slug:literal = $file:literal,)*) => {
        /// All guides. A test compares the list with the folder.
        pub(in crate::http) const GUIDES: &[Guide] = &[$(Guide {
            slug: $slug,
            file: $file,
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $file)),
        }),*];
    };
}

guides! {
    "readme" = "README.md",
    "changelog" = "CHANGELOG.md",
    "LOGGING" = "docs/LOGGING.md",
    "STYLE" = "docs/STYLE.md",
    "adr/0001-two-stores-from-one-sql-text" = "docs/adr/0001-two-stores-from-one-sql-text.md",
    "adr/0002-intent-before-effect" = "docs/adr/0002-intent-before-effect.md",
    "adr/0003-strict-jwt-verification" = "docs/adr/0003-strict-jwt-verification.md",
    "adr/0004-signed-cursors" = "docs/adr/0004-signed-cursors.md",
    "adr/0005-circuit-breaker" = "docs/adr/0005-circuit-breaker.md",
    "adr/0006-server-loop-and-tls-reload" = "docs/adr/0006-server-loop-and-tls-reload.md",
    "adr/0007-fair-queue" = "docs/adr/0007-fair-queue.md",
    "adr/0008-files-are-polled" = "docs/adr/0008-files-are-polled.md",
    "adr/0009-audit-hash-chain" = "docs/adr/0009-audit-hash-chain.md",
    "adr/0010-simulated-close-is-a-crate" = "docs/adr/0010-simulated-close-is-a-crate.md",
    "adr/0011-authority-is-a-type" = "docs/adr/0011-authority-is-a-type.md",
    "adr/0012-one-table-of-problems" = "docs/adr/0012-one-table-of-problems.md",
    "adr/0013-inventory-in-memory" = "docs/adr/0013-inventory-in-memory.md",
    "adr/0014-events-are-sequenced-after-the-commit" = "docs/adr/0014-events-are-sequenced-after-the-commit.md",
    "adr/0015-rate-limiter-of-our-own" = "docs/adr/0015-rate-limiter-of-our-own.md",
    "adr/0016-one-transition-table-for-orders" = "docs/adr/0016-one-transition-table-for-orders.md",
    "adr/0017-rows-are-read-by-column-name" = "docs/adr/0017-rows-are-read-by-column-name.md",
    "adr/0018-input-is-read-by-a-deserializer-that-goes-on" = "docs/adr/0018-input-is-read-by-a-deserializer-that-goes-on.md",
    "adr/0019-nothing-depends-on-a-database-session" = "docs/adr/0019-nothing-depends-on-a-database-session.md",
    "adr/0020-only-sharing-is-left-out" = "docs/adr/0020-only-sharing-is-left-out.md",
    "adr/0021-orders-that-overlap" = "docs/adr/0021-orders-that-overlap.md",
    "adr/0022-one-way-out" = "docs/adr/0022-one-way-out.md",
    "adr/0023-connections-of-our-own" = "docs/adr/0023-connections-of-our-own.md",
    "adr/README" = "docs/adr/README.md",
    "approvals" = "docs/approvals.md",
    "audit" = "docs/audit.md",
    "auditing" = "docs/auditing.md",
    "capacity" = "docs/capacity.md",
    "change-and-release" = "docs/change-and-release.md",
    "clients" = "docs/clients.md",
    "clients/python" = "clients/python/README.md",
    "clients/typescript" = "clients/typescript/README.md",
    "close-webhooks" = "docs/close-webhooks.md",
    "coming-from-close" = "docs/coming-from-close.md",
    "configuration" = "docs/configuration.md",
    "errors" = "docs/errors.md",
    "events" = "docs/events.md",
    "gitops" = "docs/gitops.md",
    "guarantees" = "docs/guarantees.md",
    "kubernetes" = "docs/kubernetes.md",
    "identity-providers" = "docs/identity-providers.md",
    "logs-and-traces" = "docs/logs-and-traces.md",
    "metrics" = "docs/metrics.md",
    "network" = "docs/network.md",
    "numbers" = "docs/numbers.md",
    "objectives" = "docs/objectives.md",
    "operating" = "docs/operating.md",
    "operations" = "docs/operations.md",
    "orders" = "docs/orders.md",
    "permissions" = "docs/permissions.md",
    "policy" = "docs/policy.md",
    "reviews" = "docs/reviews.md",
    "runbooks" = "docs/runbooks.md",
    "spend" = "docs/spend.md",
    "status" = "docs/status.md",
    "testing-your-app" = "docs/testing-your-app.md",
    "tokens" = "docs/tokens.md",
    "using" = "docs/using.md",
    "workload-identity" = "docs/workload-identity.md",
}
