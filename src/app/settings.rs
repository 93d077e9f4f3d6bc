//! Fills the settings of the parts from the configuration. No part reads the configuration itself.

use std::net::SocketAddr;

use anyhow::anyhow;

use crate::auth::{Access, Algorithm, Auth, ClaimPointers, IssuerKind, IssuerSettings, KeySource, TokenType};
use crate::close;
use crate::config::{self, Config, IssuerConfig, Jwks};
use crate::desk::{self, SignatureKeySource, subscription::client::delivery_url};
use crate::domain::time::Clock;
use crate::egress::{Proxies, Rules, Trust};
use crate::http::{self, LoggedRequests};
use crate::outgoing::Outgoing;
use crate::telemetry::{self, CollectorSettings, LogFormat};

/// Returns the settings of logs and traces.
pub fn telemetry(config: &Config, proxies: &Proxies) -> telemetry::Settings {
    telemetry::Settings {
        log_format: match config.log.format {
            config::LogFormat::Auto => LogFormat::Auto,
            config::LogFormat::Json => LogFormat::Json,
            config::LogFormat::Text => LogFormat::Text,
        },
        log_filter: config.log.level.to_string(),
        collector: config
            .traces
            .endpoint
            .as_deref()
            .map(|endpoint| CollectorSettings {
                endpoint: endpoint.clone(),
                ca_file: config.traces.ca_file.as_deref().cloned(),
                proxies: proxies.clone(),
            }),
        traced_percent: config.traces.percent.get(),
    }
}

/// Returns the requests that have a log line.
pub(super) fn logged_requests(config: &Config) -> LoggedRequests {
    match config.log.requests {
        config::LogRequests::All => LoggedRequests::All,
        config::LogRequests::Errors => LoggedRequests::Errors,
        config::LogRequests::Sampled => LoggedRequests::Sampled,
    }
}

/// Builds the authentication for the configured issuers. Fetches no keys yet.
pub fn auth(config: &Config, proxies: &Proxies, clock: Clock) -> anyhow::Result<Auth> {
    let issuers = config.auth.issuers.iter();
    let settings = issuers.map(|config| issuer(config, proxies));
    Auth::new(settings.collect::<Result<_, _>>()?, clock)
}

/// Returns the settings of the client of Close.
pub fn close(config: &Config, proxies: &Proxies) -> close::Settings {
    close::Settings {
        base_url: (*config.close.base_url).clone(),
        timeout: config.close.timeout.get(),
        proxies: proxies.clone(),
        ca_file: config.close.ca_file.as_deref().cloned(),
    }
}

/// Returns the proxies of outgoing requests, from the settings or from the environment of the process.
pub fn proxies(config: &Config) -> Result<Proxies, String> {
    proxy_rules(config).map(Proxies::new)
}

/// Reads the rules of the proxies. The error names the setting or the variable, and repeats no URL.
pub(super) fn proxy_rules(config: &Config) -> Result<Rules, String> {
    let settings = &config.proxy;
    let mut rules = match settings.url()? {
        Some(proxy) => Rules {
            https: Some(proxy.clone()),
            http: Some(proxy),
            except: Vec::new(),
        },
        None if settings.environment => {
            let variable = |name: &str| {
                let value = std::env::var_os(name)?;
                Some(value.to_string_lossy().into_owned())
            };
            Rules::from_variables(variable).map_err(|error| {
                format!("{error}. To ignore the variables, set `environment = false` in [proxy]")
            })?
        }
        None => Rules::default(),
    };
    rules.except.extend(settings.except.iter().cloned());
    Ok(rules)
}

fn issuer(config: &IssuerConfig, proxies: &Proxies) -> anyhow::Result<IssuerSettings> {
    Ok(IssuerSettings {
        issuer: config.issuer.to_string(),
        audiences: config
            .audiences
            .iter()
            .map(|audience| audience.to_string())
            .collect(),
        keys: match config.jwks() {
            Jwks::Url(url) => KeySource::Url(url),
            Jwks::File(path) => KeySource::File(path),
            Jwks::Discovery => KeySource::Discovery,
        },
        algorithms: config
            .algorithms
            .iter()
            .map(|name| {
                let name = name.as_str();
                Algorithm::of_header(name)
                    .ok_or_else(|| anyhow!("{name} is not a signature algorithm of tokens"))
            })
            .collect::<Result<_, _>>()?,
        typ: config.typ.map(|typ| match typ {
            config::TokenType::AccessToken => TokenType::AccessToken,
            config::TokenType::Jwt => TokenType::Jwt,
        }),
        leeway: config.leeway.get(),
        max_lifetime: Some(config.max_lifetime.get()),
        kind: match config.kind() {
            config::IssuerKind::Oidc(claims) => IssuerKind::Oidc(ClaimPointers {
                teams: claims.teams.to_strings(),
                permissions: claims.permissions.to_strings(),
                close_user: claims.close_user.to_strings(),
                subject: claims.subject.to_strings(),
            }),
            config::IssuerKind::Kubernetes => IssuerKind::Kubernetes,
        },
        access: Access {
            trust: match config.ca_file() {
                // The token must reach only the server that it is for, and a cluster has one authority.
                Some(file)
                    if config.token_file().is_some() || config.kind() == config::IssuerKind::Kubernetes =>
                {
                    Trust::Only(file)
                }
                file => Trust::beside(file),
            },
            token_file: config.token_file(),
            proxies: proxies.clone(),
        },
    })
}

/// Returns the settings of the use cases. `address` is where the API listens.
pub(super) fn desk_settings(config: &Config, address: SocketAddr, outgoing: Outgoing) -> desk::Settings {
    desk::Settings {
        wait: config.orders.wait.get(),
        deadline: config.close.timeout.get(),
        settle_after: config.orders.settle_after.get(),
        reconcile_every: config.orders.reconcile_every.get(),
        lease_margin: config.orders.lease_margin.get(),
        approval_expires: config.orders.approval_expires.get(),
        full_sync: config.inventory.full_sync.get(),
        webhook_tolerance: config.close.webhook_tolerance.get(),
        event_retention: config.events.keep.get(),
        organization: config.close.organization_id.as_ref().map(ToString::to_string),
        signature_keys: key_source(config, address),
        ready_needs_database: config.server.ready_needs_database,
        event_streams: config.limits.event_streams.get(),
        exports: config.limits.exports.get(),
        outgoing,
    }
}

/// Returns the source of the keys that verify Close's webhooks. `address` is the listening address of the API.
fn key_source(config: &Config, address: SocketAddr) -> SignatureKeySource {
    if config.close.webhook_key().is_some() {
        return SignatureKeySource::Configured;
    }
    let mut public_url = config.server.public_url();
    if public_url.port() == Some(0) && public_url.set_port(Some(address.port())).is_err() {
        return SignatureKeySource::Missing;
    }
    match delivery_url(&public_url, &config.close.base_url) {
        Some(url) if config.close.subscribe => SignatureKeySource::Subscription(url),
        _ => SignatureKeySource::Missing,
    }
}

/// Returns the limits of requests and connections.
pub(super) fn limits(config: &Config) -> http::Limits {
    http::Limits {
        body: config.server.body_limit.get(),
        header_timeout: config.server.header_timeout.get(),
        idle_timeout: config.server.idle_timeout.get(),
        send_timeout: config.server.send_timeout.get(),
        max_headers: config.server.max_headers.get(),
        grace: config.server.grace.get(),
        requests_per_minute: config.limits.requests_per_minute.get(),
        burst: config.limits.burst(),
        in_flight: config.limits.in_flight.get(),
        waiting_orders: config.limits.waiting_orders(),
        ..http::Limits::default()
    }
}
