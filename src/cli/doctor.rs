//! `numberdesk doctor`: everything that the service rests on, asked once and told in a line each. It changes nothing, may
//! run beside a desk that serves, and prints no secret.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::{Failure, serve, tell};
use crate::app;
use crate::close::{self, CloseClient};
use crate::config::{Config, TlsFiles};
use crate::desk::subscription::client::{ALLOWED, Subscriber, delivery_url};
use crate::domain::order::State;
use crate::domain::time::{Clock, Timestamp};
use crate::policy::{GroupRule, Policy};
use crate::store::Store;

/// A database or an issuer that says nothing for so long does not answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// Clocks that differ by more make signatures and reconciliation doubtful.
const APART: Duration = Duration::from_secs(10);
/// A certificate that ends sooner should have been renewed already.
const RENEWAL: Duration = Duration::from_hours(7 * 24);
/// What Close calls the permission that group numbers take.
const MANAGE_GROUPS: &str = "manage_group_numbers";

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(long, env = "NUMBERDESK_CONFIG", default_value = "numberdesk.toml")]
    config: PathBuf,
}

/// How something stands.
enum Finding {
    Well(String),
    /// Works, but somebody should know.
    Notable(String),
    /// Does not work.
    Ill(String),
}

use Finding::{Ill, Notable, Well};

/// What was found, in the order it is told.
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
            let (word, said) = match finding {
                Well(said) => ("ok", said),
                Notable(said) => ("note", said),
                Ill(said) => ("FAULT", said),
            };
            writeln!(f, "{word:<6} {what:<14} {said}")?;
        }
        Ok(())
    }
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (config, policy) = match serve::load(&arguments.config) {
        Ok(loaded) => loaded,
        Err(Failure::Faulty(faults)) => {
            tell(&faults);
            return Err(Failure::No);
        }
        Err(failure) => return Err(failure),
    };
    let mut report = Report::default();
    let files = format!("{}, policy {}", arguments.config.display(), policy.fingerprint());
    report.add("configuration", Well(files));
    if let Some(files) = &config.server.tls {
        report.add("certificate", certificate(files, Clock::system().now()));
    }
    let (mut stored, mut issued, mut closed) = (Report::default(), Report::default(), Report::default());
    let (organization, (), of_key) = tokio::join!(
        database(&config, &mut stored),
        issuers(&config, &mut issued),
        vendor(&config, &policy, &mut closed)
    );
    if let (Some(known), Some(of_key)) = (organization, of_key)
        && !of_key.contains(&known)
    {
        let said = format!("the key is of {}, the inventory of {known}", of_key.join(", "));
        closed.add("organization", Ill(said));
    }
    for part in [stored, issued, closed] {
        report.0.extend(part.0);
    }
    print!("{report}");
    let ill = report.0.iter().any(|(_, finding)| matches!(finding, Ill(_)));
    if ill { Err(Failure::No) } else { Ok(()) }
}

fn certificate(files: &TlsFiles, now: Timestamp) -> Finding {
    let identity = match files.read() {
        Ok(identity) => identity,
        Err(wrong) => return Ill(wrong),
    };
    let until = format!("{}, until {}", files.certificate.display(), identity.not_after);
    match identity.out_of_time(now) {
        Some(why) => Ill(format!("clients refuse {}: {why}", files.certificate.display())),
        None if identity.not_after.since(now) < RENEWAL => Notable(format!("{until}: renew it")),
        None => Well(until),
    }
}

/// The organization whose numbers the database holds, if it says.
async fn database(config: &Config, report: &mut Report) -> Option<String> {
    let asked = tokio::time::timeout(PATIENCE, async {
        let store = Store::open_read_only(config.store.secret()).await?;
        if !store.migrated().await? {
            return Ok(None);
        }
        let open = store.open_orders().await?;
        anyhow::Ok(Some((open, store.known_organization().await?)))
    });
    let (open, organization) = match asked.await {
        Ok(Ok(Some(found))) => found,
        Ok(Ok(None)) => {
            let said = "the schema is not the one of this version: run `numberdesk migrate`";
            report.add("database", Ill(said.to_owned()));
            return None;
        }
        Ok(Err(error)) => {
            report.add("database", Ill(format!("{}: {:#}", config.store, error)));
            return None;
        }
        Err(_) => {
            report.add("database", Ill(format!("{}: does not answer", config.store)));
            return None;
        }
    };
    report.add("database", Well(config.store.to_string()));
    let count = |state| -> i64 {
        let of_state = open.iter().filter(|orders| orders.state == state);
        of_state.map(|orders| orders.count).sum()
    };
    let (doubtful, review) = (count(State::Unverified), count(State::NeedsReview));
    let queued = count(State::Queued);
    let said = format!("{queued} queued, {doubtful} unverified, {review} for a person");
    let settled = doubtful == 0 && review == 0;
    report.add("orders", if settled { Well(said) } else { Notable(said) });
    organization
}

async fn issuers(config: &Config, report: &mut Report) {
    let auth = match app::auth(config, Clock::system()) {
        Ok(auth) => auth,
        Err(error) => return report.add("issuers", Ill(format!("{error:#}"))),
    };
    // What does not answer in time shows in the report.
    let _ = tokio::time::timeout(PATIENCE, auth.refresh()).await;
    for keys in auth.report() {
        let finding = if keys.usable {
            Well(format!("{}: {} keys, by {}", keys.issuer, keys.keys, keys.source))
        } else {
            let said = keys.last_error.unwrap_or_else(|| "it does not answer".to_owned());
            Ill(format!(
                "{}: no usable keys, by {}: {said}",
                keys.issuer, keys.source
            ))
        };
        report.add("issuer", finding);
    }
}

/// The organizations of the key, if Close says.
async fn vendor(config: &Config, policy: &Policy, report: &mut Report) -> Option<Vec<String>> {
    let settings = close::Settings {
        base_url: config.close.base_url.clone(),
        timeout: config.close.timeout,
    };
    let key = config.close.api_key.read_api_key().map_err(anyhow::Error::msg);
    let close = match key.and_then(|key| CloseClient::new(settings, key, Clock::system())) {
        Ok(close) => close,
        Err(error) => {
            report.add("close", Ill(format!("{error:#}")));
            return None;
        }
    };
    let me = match close.me().await {
        Ok(me) => me,
        Err(trouble) => {
            report.add("close", Ill(trouble.to_string()));
            return None;
        }
    };
    let organizations = me.organization_ids.join(", ");
    report.add(
        "close",
        Well(format!("the key is {}'s in {organizations}", me.user_id)),
    );
    report.add(
        "group numbers",
        groups(policy, me.permissions.contains(MANAGE_GROUPS)),
    );
    report.add("clock", clock(close.clock_skew()));
    report.add("webhooks", webhooks(config, close).await);
    Some(me.organization_ids)
}

fn groups(policy: &Policy, may: bool) -> Finding {
    let wanted = policy
        .every_rule()
        .any(|rules| rules.group_numbers != GroupRule::Nobody);
    match (may, wanted) {
        (true, _) => Well(format!("the key's user has {MANAGE_GROUPS}")),
        (false, false) => Well("not allowed by the policy".to_owned()),
        (false, true) => Ill(format!(
            "the policy allows them, but the key's user lacks {MANAGE_GROUPS} in Close"
        )),
    }
}

fn clock(ahead: Option<i64>) -> Finding {
    let Some(ahead) = ahead else {
        return Notable("Close does not tell its time".to_owned());
    };
    let apart = Duration::from_micros(ahead.unsigned_abs());
    let said = format!("{} s from Close's", apart.as_secs());
    if apart > APART { Ill(said) } else { Well(said) }
}

async fn webhooks(config: &Config, close: CloseClient) -> Finding {
    if let Some(source) = &config.close.webhook_key {
        return match source.read_webhook_keys() {
            Ok(keys)
                if keys
                    .iter()
                    .all(|key| key.expose_secret().parse::<close::SignatureKey>().is_ok()) =>
            {
                Well(format!("{} keys of the configuration", keys.len()))
            }
            Ok(_) => Ill("close.webhook_signature_key is not 64 hexadecimal digits".to_owned()),
            Err(wrong) => Ill(wrong),
        };
    }
    let public = &config.server.public_url;
    let Some(url) = delivery_url(public, &config.close.base_url).filter(|_| config.close.subscribe) else {
        return Notable(format!(
            "none: Close can't deliver to {public}; changes are found by comparing"
        ));
    };
    match Subscriber::new(close, url).find().await {
        Ok(found) => match found.own.first() {
            Some(newest) if newest.active => Well(format!(
                "{} is active; {} of {ALLOWED} used",
                newest.id, found.used
            )),
            Some(newest) => Ill(format!(
                "{} is paused: {}",
                newest.id,
                newest.pause_reason.as_deref().unwrap_or("Close does not say why")
            )),
            None => Notable("no subscription yet: a desk that runs makes one".to_owned()),
        },
        Err(error) => Ill(error.to_string()),
    }
}
