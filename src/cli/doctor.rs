//! `numberdesk doctor`: checks configuration, database, issuers and Close once, and prints one line for each.
//!
//! The command changes nothing, prints no secret, and may run beside a running service.

use std::fmt;
use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::failure::{Failure, print_faults};
use super::load::{ConfigFile, load};
use crate::app;
use crate::close::{self, CloseClient};
use crate::config::{Config, TlsFiles};
use crate::desk::subscription::client::{ALLOWED, Subscriber, delivery_url};
use crate::domain::order::State;
use crate::domain::time::{Clock, Timestamp};
use crate::policy::{GroupRule, Policy};
use crate::store::Store;

/// How long the database and the issuers may take to respond.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The largest accepted clock skew: a larger one breaks webhook signatures and reconciliation.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(10);
/// The remaining validity below which a certificate should already be renewed.
const RENEWAL: Duration = Duration::from_hours(7 * 24);
/// Close's permission for group numbers.
const MANAGE_GROUPS: &str = "manage_group_numbers";

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
}

/// The result of one check.
enum Finding {
    /// Works.
    Good(String),
    /// Works, but an operator should know about it.
    Note(String),
    /// Does not work.
    Bad(String),
}

use Finding::{Bad, Good, Note};

/// The findings, in the order of the output.
#[derive(Default)]
struct Report(Vec<(String, Finding)>);

impl Report {
    fn add(&mut self, what: impl Into<String>, finding: Finding) {
        self.0.push((what.into(), finding));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, finding) in &self.0 {
            let (word, text) = match finding {
                Good(text) => ("ok", text),
                Note(text) => ("note", text),
                Bad(text) => ("FAULT", text),
            };
            writeln!(f, "{word:<6} {what:<14} {text}")?;
        }
        Ok(())
    }
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (config, policy) = match load(&arguments.config.path) {
        Ok(loaded) => loaded,
        Err(Failure::Invalid(faults)) => {
            print_faults(&faults);
            return Err(Failure::Negative);
        }
        Err(failure) => return Err(failure),
    };
    let mut report = Report::default();
    let files = format!(
        "{}, policy {}",
        arguments.config.path.display(),
        policy.fingerprint()
    );
    report.add("configuration", Good(files));
    if let Some(files) = &config.server.tls {
        report.add("certificate", certificate(files, Clock::system().now()));
    }
    let (mut stored, mut issued, mut closed) = (Report::default(), Report::default(), Report::default());
    let (organization, (), of_key) = tokio::join!(
        database(&config, &mut stored),
        issuers(&config, &mut issued),
        close(&config, &policy, &mut closed)
    );
    if let (Some(known), Some(of_key)) = (organization, of_key)
        && !of_key.contains(&known)
    {
        let text = format!(
            "the API key belongs to {}, but the inventory to {known}",
            of_key.join(", ")
        );
        closed.add("organization", Bad(text));
    }
    for part in [stored, issued, closed] {
        report.0.extend(part.0);
    }
    print!("{report}");
    let failed = report.0.iter().any(|(_, finding)| matches!(finding, Bad(_)));
    if failed { Err(Failure::Negative) } else { Ok(()) }
}

fn certificate(files: &TlsFiles, now: Timestamp) -> Finding {
    let identity = match files.read() {
        Ok(identity) => identity,
        Err(wrong) => return Bad(wrong),
    };
    let until = format!("{}, until {}", files.certificate.display(), identity.not_after);
    match identity.out_of_time(now) {
        Some(why) => Bad(format!("clients refuse {}: {why}", files.certificate.display())),
        None if identity.not_after.since(now) < RENEWAL => Note(format!("{until}: renew it")),
        None => Good(until),
    }
}

/// Checks the database. Returns the organization of the stored inventory, if known.
async fn database(config: &Config, report: &mut Report) -> Option<String> {
    let check = tokio::time::timeout(TIMEOUT, async {
        let store = Store::open_read_only(config.store.secret()).await?;
        if !store.migrated().await? {
            return Ok(None);
        }
        let open = store.open_orders().await?;
        anyhow::Ok(Some((open, store.known_organization().await?)))
    });
    let (open, organization) = match check.await {
        Ok(Ok(Some(found))) => found,
        Ok(Ok(None)) => {
            let text = "the schema is of another version: run `numberdesk migrate`";
            report.add("database", Bad(text.to_owned()));
            return None;
        }
        Ok(Err(error)) => {
            report.add("database", Bad(format!("{}: {:#}", config.store, error)));
            return None;
        }
        Err(_) => {
            report.add(
                "database",
                Bad(format!(
                    "{}: does not respond within {} s",
                    config.store,
                    TIMEOUT.as_secs()
                )),
            );
            return None;
        }
    };
    report.add("database", Good(config.store.to_string()));
    let count = |state| -> i64 {
        let of_state = open.iter().filter(|orders| orders.state == state);
        of_state.map(|orders| orders.count).sum()
    };
    let (unverified, review) = (count(State::Unverified), count(State::NeedsReview));
    let queued = count(State::Queued);
    let text = format!("{queued} queued, {unverified} unverified, {review} in manual review");
    let settled = unverified == 0 && review == 0;
    report.add("orders", if settled { Good(text) } else { Note(text) });
    organization
}

async fn issuers(config: &Config, report: &mut Report) {
    let auth = match app::auth(config, Clock::system()) {
        Ok(auth) => auth,
        Err(error) => return report.add("issuers", Bad(format!("{error:#}"))),
    };
    // An issuer that does not respond in time has no usable keys in the report below.
    let _ = tokio::time::timeout(TIMEOUT, auth.refresh()).await;
    for keys in auth.report() {
        let finding = if keys.usable {
            Good(format!(
                "{}: {} keys, from {}",
                keys.issuer, keys.keys, keys.source
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

/// Checks Close and its API key. Returns the organizations of the key, if Close responds.
async fn close(config: &Config, policy: &Policy, report: &mut Report) -> Option<Vec<String>> {
    let settings = close::Settings {
        base_url: config.close.base_url.clone(),
        timeout: config.close.timeout,
    };
    let key = config.close.api_key.read_api_key().map_err(anyhow::Error::msg);
    let client = match key.and_then(|key| CloseClient::new(settings, key, Clock::system())) {
        Ok(client) => client,
        Err(error) => {
            report.add("close", Bad(format!("{error:#}")));
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
    report.add(
        "close",
        Good(format!(
            "the API key belongs to {} in {organizations}",
            me.user_id
        )),
    );
    report.add(
        "group numbers",
        groups(policy, me.permissions.contains(MANAGE_GROUPS)),
    );
    report.add("clock", clock(client.clock_skew()));
    report.add("webhooks", webhooks(config, client).await);
    Some(me.organization_ids)
}

fn groups(policy: &Policy, permitted: bool) -> Finding {
    let wanted = policy
        .every_rule()
        .any(|rules| rules.group_numbers != GroupRule::Nobody);
    match (permitted, wanted) {
        (true, _) => Good(format!("the key's user has {MANAGE_GROUPS}")),
        (false, false) => Good("not allowed by the policy".to_owned()),
        (false, true) => Bad(format!(
            "the policy allows group numbers, but the key's user lacks {MANAGE_GROUPS} in Close"
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
    if let Some(source) = &config.close.webhook_key {
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
    let public = &config.server.public_url;
    let Some(url) = delivery_url(public, &config.close.base_url).filter(|_| config.close.subscribe) else {
        return Note(format!(
            "none: Close can't deliver to {public}; the service finds changes by comparison"
        ));
    };
    match Subscriber::new(close, url).find().await {
        Ok(found) => match found.own.first() {
            Some(newest) if newest.active => Good(format!(
                "{} is active; {} of {ALLOWED} used",
                newest.id, found.used
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
