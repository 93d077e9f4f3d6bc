//! Fills the settings of the parts from the configuration. No part reads the configuration itself.

use anyhow::anyhow;

use crate::auth::{Access, Auth, ClaimPointers, IssuerKind, IssuerSettings, KeySource};
use crate::config::{self, Config, IssuerConfig, Jwks};
use crate::domain::time::Clock;
use crate::telemetry::{self, LogFormat};

/// Returns the settings of logs and traces.
pub fn telemetry(config: &Config) -> telemetry::Settings {
    telemetry::Settings {
        log_format: match config.log.format {
            config::LogFormat::Auto => LogFormat::Auto,
            config::LogFormat::Json => LogFormat::Json,
            config::LogFormat::Text => LogFormat::Text,
        },
        log_filter: config.log.level.clone(),
        collector: config.traces.endpoint.clone(),
        traced_percent: config.traces.percent,
    }
}

/// Builds the authentication for the configured issuers. Fetches no keys yet.
pub fn auth(config: &Config, clock: Clock) -> anyhow::Result<Auth> {
    Auth::new(config.auth.iter().map(issuer).collect::<Result<_, _>>()?, clock)
}

fn issuer(config: &IssuerConfig) -> anyhow::Result<IssuerSettings> {
    Ok(IssuerSettings {
        issuer: config.issuer.clone(),
        audiences: config.audiences.clone(),
        keys: match &config.jwks {
            Jwks::Url(url) => KeySource::Url(url.clone()),
            Jwks::File(path) => KeySource::File(path.clone()),
            Jwks::Discovery => KeySource::Discovery,
        },
        algorithms: config
            .algorithms
            .iter()
            .map(|name| {
                name.parse()
                    .map_err(|_| anyhow!("{name} is not a signature algorithm of tokens"))
            })
            .collect::<Result<_, _>>()?,
        kind: match &config.kind {
            config::IssuerKind::Oidc(claims) => IssuerKind::Oidc(ClaimPointers {
                teams: claims.teams.to_string(),
                permissions: claims.permissions.to_string(),
                close_user: claims.close_user.to_string(),
            }),
            config::IssuerKind::Kubernetes => IssuerKind::Kubernetes,
        },
        access: Access {
            ca_file: config.ca_file.clone(),
            token_file: config.token_file.clone(),
        },
    })
}
