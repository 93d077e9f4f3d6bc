//! `numberdesk doctor`: checks configuration, database, issuers and Close once, and prints one line for each.
//!
//! The command changes nothing, prints no secret, and may run beside a running service.

mod database;
mod report;
mod routes;

use std::collections::BTreeSet;
use std::time::Duration;

use clap::ValueEnum;
use secrecy::ExposeSecret as _;

use super::failure::{Failure, causes, print_faults};
use super::load::{ConfigFile, load_with_any_policy};
use super::output::{out, outln};
use crate::app;
use crate::cli::doctor::report::Finding::{self, Bad, Good, Note};
use crate::cli::doctor::report::Report;
use crate::close::{self, CloseClient, KeyOrganization};
use crate::config::{Config, TlsFiles};
use crate::desk::organization::{ambiguous, not_configured};
use crate::desk::subscription::client::{ALLOWED, Subscriber, delivery_url};
use crate::domain::close_drift::Drift;
use crate::domain::id::{OrganizationId, UserId};
use crate::domain::input::document::FileFault;
use crate::domain::time::{Clock, Span, Timestamp};
use crate::egress::Proxies;
use crate::policy::{GroupRule, Policy};

/// How long the database and the issuers may take to respond.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The largest accepted clock skew: a larger one breaks webhook signatures and reconciliation.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(10);
/// The remaining validity below which a certificate should already be renewed.
const RENEWAL: Duration = Duration::from_hours(7 * 24);
/// Close's permission for numbers of several people, and for those of others.
const MANAGE_NUMBERS: &str = "manage_group_numbers";
/// The most differences of Close's API that are listed.
const DIFFERENCES: usize = 5;

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
    /// Format of the output
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (config, policy) = match load_with_any_policy(&arguments.config.path) {
        Ok(loaded) => loaded,
        Err(Failure::Invalid(faults)) => {
            let mut report = Report::default();
            for fault in &faults {
                report.add("configuration", Bad(fault.to_string()));
            }
            match arguments.format {
                Format::Text => print_faults(&faults),
                Format::Json => outln!("{:#}", report.document())?,
            }
            return Err(Failure::Negative);
        }
        Err(failure) => return Err(failure),
    };
    let mut report = Report::default();
    let settings = arguments.config.path.display();
    let policy = match policy {
        Ok(policy) => {
            let files = format!("{settings}, policy {}", policy.fingerprint());
            report.add("configuration", Good(files));
            policy
        }
        Err(faults) => {
            report.add("configuration", Good(settings.to_string()));
            last_policy(&config, &faults, &mut report).await
        }
    };
    for warning in policy.warnings() {
        report.add("policy", Note(warning.to_string()));
    }
    if let Some(files) = &config.server.tls {
        report.add("certificate", certificate(files, Clock::system().now()));
    }
    let proxies = app::proxies(&config).map_err(anyhow::Error::msg)?;
    for line in routes::routes(&config, &proxies) {
        report.add("route", Good(line));
    }
    if let Some(line) = routes::webhooks(&config, &proxies) {
        report.add(
            "route",
            if config.proxy.webhooks {
                Note(line)
            } else {
                Good(line)
            },
        );
    }
    if config.close.is_simulated() {
        report.add("close", Note("simulated: nothing is rented or paid".to_owned()));
    }
    if let Some(text) = routes::only_ipv4(&config) {
        report.add("listeners", Note(text));
    }
    let (mut stored, mut issued, mut closed) = (Report::default(), Report::default(), Report::default());
    let (stored_facts, (), of_key) = tokio::join!(
        database::check(&config, TIMEOUT, &mut stored),
        issuers(&config, &proxies, &mut issued),
        close(&config, &proxies, &policy, &mut closed)
    );
    let (organization, stored_drifts) = stored_facts.unwrap_or_default();
    if let Some((_, drifts)) = &of_key {
        closed.add("close api", changes(stored_drifts.iter().chain(drifts)));
    }
    if let Some((of_key, _)) = of_key
        && let Some(finding) = self::organization(of_key, organization.as_deref())
    {
        closed.add("organization", finding);
    }
    for part in [stored, issued, closed] {
        report.append(part);
    }
    match arguments.format {
        Format::Text => out!("{report}")?,
        Format::Json => outln!("{:#}", report.document())?,
    }
    if report.has_fault() {
        Err(Failure::Negative)
    } else {
        Ok(())
    }
}

/// Reports the faults of the policy file, and what a service that starts now would do; returns the policy it would have.
async fn last_policy(config: &Config, faults: &[FileFault], report: &mut Report) -> Policy {
    for fault in faults {
        report.add("policy", Bad(fault.to_string()));
    }
    match app::last_policy(config).await {
        Ok((policy, since)) => {
            let text = format!(
                "a service that starts now takes the policy {} from the database, in force since {}",
                policy.fingerprint(),
                since.in_words()
            );
            report.add("policy", Note(text));
            policy
        }
        Err(why) => {
            let text =
                format!("a service that starts now exits 64, because no earlier policy can be used: {why}");
            report.add("policy", Bad(text));
            Policy::nothing()
        }
    }
}

fn certificate(files: &TlsFiles, now: Timestamp) -> Finding {
    let identity = match files.read() {
        Ok(identity) => identity,
        Err(wrong) => return Bad(wrong),
    };
    let until = format!(
        "{}, until {}",
        files.certificate.display(),
        identity.not_after.in_words()
    );
    match identity.out_of_time(now) {
        Some(why) => Bad(format!("clients refuse {}: {why}", files.certificate.display())),
        None if identity.not_after.since(now) < RENEWAL => Note(format!("{until}: renew it")),
        None => Good(until),
    }
}

async fn issuers(config: &Config, proxies: &Proxies, report: &mut Report) {
    let auth = match app::auth(config, proxies, Clock::system()) {
        Ok(auth) => auth,
        Err(error) => return report.add("issuers", Bad(causes(&error))),
    };
    // An issuer that does not respond in time has no usable keys in the report below.
    let _ = tokio::time::timeout(TIMEOUT, auth.refresh()).await;
    for (keys, issuer) in auth.report().into_iter().zip(&config.auth.issuers) {
        let finding = if keys.usable {
            Good(format!(
                "{}: {} keys, from {}; tokens may be valid for {}",
                keys.issuer,
                keys.keys,
                keys.source,
                Span(issuer.max_lifetime.get())
            ))
        } else {
            let text = keys
                .last_error
                .unwrap_or_else(|| "the issuer does not respond".to_owned());
            Bad(format!(
                "{}: no usable keys from {}: {text}",
                keys.issuer, keys.source
            ))
        };
        report.add("issuer", finding);
    }
}

/// Compares the organization of the key with the stored one; `None` if there is nothing to say.
fn organization(of_key: KeyOrganization, stored: Option<&str>) -> Option<Finding> {
    match (of_key, stored) {
        (KeyOrganization::Known(of_key), Some(stored)) if of_key != stored => Some(Bad(format!(
            "the API key belongs to {of_key}, but the inventory to {stored}"
        ))),
        (KeyOrganization::Known(_), _) => None,
        (KeyOrganization::Ambiguous(all), Some(stored)) if all.iter().any(|id| id == stored) => {
            Some(Note(format!(
                "the API key may belong to any of {}; the inventory belongs to {stored}",
                all.join(", ")
            )))
        }
        (KeyOrganization::Ambiguous(all), _) => Some(Bad(ambiguous(&all))),
        (KeyOrganization::NotConfigured(all), _) => Some(Bad(not_configured(&all))),
        (KeyOrganization::Missing, _) => Some(Bad("the API key belongs to no Close organization".to_owned())),
    }
}

/// Checks Close and its API key. Returns the organization of the key and the differences of Close's API, if Close
/// responds.
async fn close(
    config: &Config,
    proxies: &Proxies,
    policy: &Policy,
    report: &mut Report,
) -> Option<(KeyOrganization, BTreeSet<Drift>)> {
    let settings = app::close(config, proxies);
    let key = config.close.api_key().read_api_key().map_err(anyhow::Error::msg);
    let client = match key.and_then(|key| CloseClient::new(settings, key, Clock::system())) {
        Ok(client) => client,
        Err(error) => {
            report.add("close", Bad(causes(&error)));
            return None;
        }
    };
    let me = match client.me().await {
        Ok(me) => me,
        Err(error) => {
            report.add("close", Bad(error.to_string()));
            return None;
        }
    };
    let organizations = me.organization_ids.join(", ");
    let user = me.user_id.as_ref().map_or("an unknown user", UserId::as_str);
    report.add(
        "close",
        Good(format!("the API key belongs to {user} in {organizations}")),
    );
    report.add("group numbers", groups(policy, &me.permissions));
    report.add("clock", clock(client.clock_skew()));
    report.add("webhooks", webhooks(config, client.clone()).await);
    if let Err(error) = client.sample().await {
        report.add("numbers", Bad(error.to_string()));
    }
    let configured = config.close.organization_id.as_ref().map(OrganizationId::as_str);
    match client.organization_of(&me, configured).await {
        Ok(organization) => Some((organization, client.drifts())),
        Err(error) => {
            report.add("organization", Bad(error.to_string()));
            None
        }
    }
}

/// Compares Close's API, as the service and this command met it, with the one that this version knows.
fn changes<'a>(drifts: impl Iterator<Item = &'a Drift>) -> Finding {
    // The same field differs in several calls.
    let all: BTreeSet<_> = drifts
        .map(|drift| format!("{} {}", drift.kind, drift.path))
        .collect();
    let known = CloseClient::known_api();
    if all.is_empty() {
        return Good(format!("as known on {known}"));
    }
    let first: Vec<_> = all.iter().take(DIFFERENCES).map(String::as_str).collect();
    let more = match all.len().saturating_sub(DIFFERENCES) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    Note(format!("differs from {known}: {}{more}", first.join(", ")))
}

/// `permissions`: those of the key's user in Close.
fn groups(policy: &Policy, permissions: &BTreeSet<String>) -> Finding {
    // Close calls it *Manage Team Phone Numbers* now, so it may rename the word, too.
    let similar = |word: &&String| word.starts_with("manage_") && word.ends_with("_numbers");
    let permission = permissions
        .get(MANAGE_NUMBERS)
        .or_else(|| permissions.iter().find(similar));
    let wanted = policy
        .every_rule()
        .any(|rules| rules.group_numbers != GroupRule::Nobody);
    match (permission, wanted) {
        (Some(permission), _) => Good(format!("the key's user has {permission}")),
        (None, false) => Good("not allowed by the policy".to_owned()),
        (None, true) => Bad(format!(
            "the policy allows numbers for several people, but the key's user lacks {MANAGE_NUMBERS} in Close"
        )),
    }
}

fn clock(skew: Option<i64>) -> Finding {
    let Some(skew) = skew else {
        return Note("Close's responses have no `Date` header".to_owned());
    };
    let difference = Duration::from_micros(skew.unsigned_abs());
    let text = format!("{} s difference from Close's clock", difference.as_secs());
    if difference > MAX_CLOCK_SKEW {
        Bad(text)
    } else {
        Good(text)
    }
}

async fn webhooks(config: &Config, close: CloseClient) -> Finding {
    if let Some(source) = config.close.webhook_key() {
        return match source.read_webhook_keys() {
            Ok(keys)
                if keys
                    .iter()
                    .all(|key| key.expose_secret().parse::<close::SignatureKey>().is_ok()) =>
            {
                Good(format!("{} signature keys in the configuration", keys.len()))
            }
            Ok(_) => Bad("close.webhook_signature_key is not 64 hexadecimal digits".to_owned()),
            Err(wrong) => Bad(wrong),
        };
    }
    let public = config.server.public_url();
    let Some(url) = delivery_url(&public, &config.close.base_url).filter(|_| config.close.subscribe) else {
        return Note(format!(
            "none: Close can't deliver to {public}; the service finds changes by comparison"
        ));
    };
    match Subscriber::new(close, url).find().await {
        Ok(found) => match found.own.first() {
            Some(newest) if newest.is_active() => Good(format!(
                "{} is active; {} of {ALLOWED} used",
                newest.id, found.used
            )),
            Some(newest) if !newest.is_paused() => Note(format!(
                "{} has the status `{}`, which this version does not know: see whether Close delivers",
                newest.id, newest.status
            )),
            Some(newest) => Bad(format!(
                "{} is paused: {}",
                newest.id,
                newest.pause_reason.as_deref().unwrap_or("Close does not say why")
            )),
            None => Note("no subscription yet: a running service creates one".to_owned()),
        },
        Err(error) => Bad(error.to_string()),
    }
}
