//! The section `[[auth.issuers]]`, read key by key.
//!
//! The named files must be readable now. Nothing on the network is called.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;

use url::Url;

use crate::config::reader::Reader;
use crate::config::settings::{Claims, IssuerConfig, IssuerKind, Jwks};
use crate::config::values::{callable, or, some_text, web};
use crate::domain::input::fields::{Fields, Node};
use crate::domain::number_patch::distinct;

const ALGORITHMS: [&str; 5] = ["RS256", "PS256", "ES256", "ES384", "EdDSA"];
const USUAL_ALGORITHMS: [&str; 3] = ["RS256", "ES256", "EdDSA"];

impl Reader<'_> {
    pub(super) fn issuers(&self, node: Node<'_>) -> Option<Vec<IssuerConfig>> {
        let mut fields = node.fields()?;
        let seen = RefCell::new(BTreeSet::new());
        let issuers = fields.optional("issuers", |node| {
            node.list(|item| {
                let issuer = self.issuer(item.clone())?;
                if seen.borrow_mut().insert(issuer.issuer.clone()) {
                    Some(issuer)
                } else {
                    item.fault("another entry has the same `issuer`")
                }
            })
        });
        let whole = fields.node().clone();
        fields.finish()?;
        match issuers? {
            Some(issuers) if !issuers.is_empty() => Some(issuers),
            _ => whole.fault("needs at least one [[auth.issuers]]: without an issuer, no token is valid"),
        }
    }

    fn issuer(&self, node: Node<'_>) -> Option<IssuerConfig> {
        let mut fields = node.fields()?;
        let issuer = fields.required("issuer", |node| some_text(&node));
        let audiences = fields.required("audiences", |node| {
            let audiences: Vec<String> = distinct(&node, |item| some_text(&item))?;
            if audiences.is_empty() {
                return node
                    .fault("must name at least one audience: tokens for other services must be rejected");
            }
            Some(audiences)
        });
        let url = fields.nullable("jwks_url", |node| web(&node));
        let file = fields.nullable("jwks_file", |node| self.readable(&node));
        let algorithms = or(
            &mut fields,
            "algorithms",
            |node| algorithms(&node),
            USUAL_ALGORITHMS.map(str::to_owned).to_vec(),
        );
        let kind = kind(&mut fields);
        let ca_file = fields.nullable("ca_file", |node| self.authorities(&node));
        let token_file = fields.nullable("token_file", |node| self.readable(&node));
        let whole = fields.node().clone();
        fields.finish()?;
        let issuer = issuer?;
        let jwks = match (url?, file?) {
            (Some(_), Some(_)) => whole.fault("has `jwks_url` and `jwks_file`: set only one of the two"),
            (Some(url), None) => Some(Jwks::Url(url)),
            (None, Some(file)) => Some(Jwks::File(file)),
            (None, None) if issuer.parse::<Url>().is_ok_and(|url| callable(&url)) => Some(Jwks::Discovery),
            (None, None) => whole.fault(
                "needs `jwks_url` or `jwks_file`: keys are discovered only from an issuer that is an https URL",
            ),
        };
        let (jwks, ca_file, token_file) = (jwks?, ca_file?, token_file?);
        let https = match &jwks {
            Jwks::Url(url) => url.scheme() == "https",
            Jwks::File(_) => false,
            Jwks::Discovery => issuer.starts_with("https:"),
        };
        if ca_file.is_some() && !https {
            return whole.fault("`ca_file` has no effect: it is used only for keys at an https URL");
        }
        if token_file.is_some() && ca_file.is_none() {
            return whole.fault(
                "`token_file` needs `ca_file`: the token is sent only to a server with a certificate of that authority",
            );
        }
        Some(IssuerConfig {
            issuer,
            audiences: audiences?,
            jwks,
            algorithms: algorithms?,
            kind: kind?,
            ca_file,
            token_file,
        })
    }

    /// Reads the path of a file with PEM certificates. The certificates themselves are parsed when the service starts.
    fn authorities(&self, node: &Node<'_>) -> Option<PathBuf> {
        let path = self.readable(node)?;
        match std::fs::read_to_string(&path) {
            Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => Some(path),
            Ok(_) => node.fault(format!("{} contains no PEM certificate", path.display())),
            Err(cause) => node.fault(format!("can't read {}: {cause}", path.display())),
        }
    }
}

/// Reads `kind` and, for `oidc`, `claims`.
fn kind(fields: &mut Fields<'_>) -> Option<IssuerKind> {
    let kubernetes = or(
        fields,
        "kind",
        |node| match node.string()? {
            "oidc" => Some(false),
            "kubernetes" => Some(true),
            _ => node.fault("must be \"oidc\" or \"kubernetes\""),
        },
        false,
    );
    let claims = fields.optional("claims", |node| {
        if kubernetes == Some(true) {
            return node.fault(
                "does not apply to `kind = \"kubernetes\"`: the permissions of a service account are in the policy, \
                 under [[service_accounts]]",
            );
        }
        let mut claims = node.fields()?;
        let teams = claims.optional("teams", |node| node.parse());
        let permissions = claims.optional("permissions", |node| node.parse());
        let close_user = claims.optional("close_user", |node| node.parse());
        claims.finish()?;
        Some((teams?, permissions?, close_user?))
    });
    let (teams, permissions, close_user) = claims?.unwrap_or_default();
    let pointer = |text: &str| text.parse().expect("the defaults are pointers");
    Some(if kubernetes? {
        IssuerKind::Kubernetes
    } else {
        IssuerKind::Oidc(Claims {
            teams: teams.unwrap_or_else(|| pointer("/teams")),
            permissions: permissions.unwrap_or_else(|| pointer("/scope")),
            close_user: close_user.unwrap_or_else(|| pointer("/close_user_id")),
        })
    })
}

fn algorithms(node: &Node<'_>) -> Option<Vec<String>> {
    let names: Vec<String> = distinct(node, |item| {
        let name = item.string()?;
        if ALGORITHMS.contains(&name) {
            Some(name.to_owned())
        } else {
            item.fault(format!("must be one of {}", ALGORITHMS.join(", ")))
        }
    })?;
    if names.is_empty() {
        return node.fault(format!("must name at least one of {}", ALGORITHMS.join(", ")));
    }
    Some(names)
}
