//! `numberdesk webhooks`: shows and changes the service's own webhook subscription in Close.
//!
//! These commands call only Close, and never print a signature key. `listen` is about the other direction, from the
//! service to apps, and has its own file.

use std::fmt::Write as _;

use anyhow::anyhow;
use serde_json::{Value, json};

use super::failure::Failure;
use super::listen;
use super::load::ConfigFile;
use super::output::{errln, out, outln};
use crate::app;
use crate::close::{CloseClient, Subscription};
use crate::config::{self, Config};
use crate::desk::subscription::client::{ALLOWED, Found, OVERLAP, Subscriber, delivery_url};
use crate::domain::time::{Clock, Span};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Shows the service's subscription in Close and its health; exit status 1 unless it is active
    Status(Status),
    /// Creates the subscription, or repairs and resumes the existing one, as a running service does by itself
    Create(Arguments),
    /// Replaces the subscription and its signature key
    Rotate(Rotate),
    /// Deletes the subscription; a running service creates a new one within a minute
    Delete(Delete),
    /// Forwards a team's events to a URL, as signed webhooks; for an app under development
    Listen(Box<listen::Arguments>),
}

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(clap::Args)]
pub(super) struct Status {
    #[command(flatten)]
    common: Arguments,
    /// Output format
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(clap::Args)]
pub(super) struct Rotate {
    #[command(flatten)]
    common: Arguments,
    /// How long both subscriptions exist, so that every running service learns the new key; 10m at most
    #[arg(long, value_parser = overlap, default_value = "2m")]
    overlap: Span,
}

#[derive(clap::Args)]
pub(super) struct Delete {
    #[command(flatten)]
    common: Arguments,
    /// Confirms the deletion; without it, the command only shows what it would delete
    #[arg(long)]
    yes: bool,
}

fn overlap(text: &str) -> Result<Span, String> {
    let span: Span = text
        .parse()
        .map_err(|error: crate::domain::time::NotASpan| error.to_string())?;
    if span.0 > OVERLAP {
        return Err(
            "must be 10m at most: after that, a running service deletes the older subscription by itself"
                .to_owned(),
        );
    }
    Ok(span)
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Status(arguments) => status(&open(&arguments.common)?, arguments.format).await,
        Command::Create(arguments) => create(&open(&arguments)?).await,
        Command::Rotate(arguments) => rotate(&open(&arguments.common)?, arguments.overlap).await,
        Command::Delete(arguments) => delete(&open(&arguments.common)?, arguments.yes).await,
        Command::Listen(arguments) => listen::run(*arguments).await,
    }
}

/// The client of the subscription, made from the configuration.
struct Opened {
    subscriber: Subscriber,
    /// Whether the configuration has the signature keys; then the service does not manage subscriptions.
    configured: bool,
}

fn open(arguments: &Arguments) -> Result<Opened, Failure> {
    let config: Config =
        config::load(&arguments.config.path, config::environment()).map_err(Failure::Invalid)?;
    let (public_url, base_url) = (config.server.public_url(), &config.close.base_url);
    let url = delivery_url(&public_url, base_url).ok_or_else(|| {
        anyhow!(
            "Close can't deliver to {public_url}: server.public_url must name a host that Close can reach"
        )
    })?;
    let proxies = app::proxies(&config).map_err(anyhow::Error::msg)?;
    let settings = app::close(&config, &proxies);
    let key = config
        .close
        .api_key()
        .read_api_key()
        .map_err(anyhow::Error::msg)?;
    Ok(Opened {
        subscriber: Subscriber::new(CloseClient::new(settings, key, Clock::system())?, url),
        configured: config.close.webhook_key().is_some(),
    })
}

async fn status(opened: &Opened, format: Format) -> Result<(), Failure> {
    let found = opened.subscriber.find().await?;
    match format {
        Format::Text => out!("{}", text(opened, &found))?,
        Format::Json => outln!("{:#}", document(opened, &found))?,
    }
    let active = found.own.first().is_some_and(Subscription::is_active);
    if active { Ok(()) } else { Err(Failure::Negative) }
}

fn text(opened: &Opened, found: &Found) -> String {
    let mut lines = vec![
        ("delivers to", opened.subscriber.url().to_string()),
        ("used", format!("{} of {ALLOWED} subscriptions", found.used)),
    ];
    if opened.configured {
        lines.push(("key", "from the configuration".to_owned()));
    }
    if found.own.is_empty() {
        lines.push(("subscription", "none".to_owned()));
    }
    for subscription in &found.own {
        lines.push(("subscription", subscription.id.to_string()));
        lines.push(("state", subscription.status.clone()));
        let optional = [
            ("pause reason", &subscription.pause_reason),
            ("health", &subscription.health),
            ("latest error", &subscription.latest_error),
        ];
        for (name, value) in optional {
            lines.extend(value.clone().map(|value| (name, value)));
        }
        lines.extend(subscription.created_at.map(|time| ("created", time.to_string())));
        lines.push(("events", subscription.events.join(", ")));
        if !subscription.complete {
            lines.push(("", "events that the service needs are missing".to_owned()));
        }
    }
    let mut text = String::new();
    for (name, value) in lines {
        writeln!(text, "{name:<13} {value}").expect("writing to a string can't fail");
    }
    text
}

fn document(opened: &Opened, found: &Found) -> Value {
    let own = found.own.iter().map(|subscription| {
        json!({
            "id": subscription.id,
            "state": subscription.status,
            "pause_reason": subscription.pause_reason,
            "health": subscription.health,
            "latest_error": subscription.latest_error,
            "created_at": subscription.created_at,
            "events": subscription.events,
            "complete": subscription.complete,
        })
    });
    json!({
        "url": opened.subscriber.url(),
        "used": found.used,
        "allowed": ALLOWED,
        "key_configured": opened.configured,
        "subscriptions": own.collect::<Vec<_>>(),
    })
}

async fn create(opened: &Opened) -> Result<(), Failure> {
    require_managed(
        opened,
        "remove close.webhook_signature_key_file from the configuration, and the service creates its own subscription",
    )?;
    let found = opened.subscriber.find().await?;
    match found.own.into_iter().next() {
        None => {
            let created = opened.subscriber.create(found.used).await?;
            outln!("created {}", created.id)?;
        }
        Some(newest) if newest.is_active() && newest.complete => {
            outln!("{} exists and is active", newest.id)?;
        }
        Some(newest) => {
            let repaired = opened.subscriber.repair(newest).await?;
            outln!("{} is {} again", repaired.id, repaired.status)?;
        }
    }
    Ok(())
}

async fn rotate(opened: &Opened, overlap: Span) -> Result<(), Failure> {
    require_managed(
        opened,
        "to rotate the key, create a second subscription in Close, add its key as a second line to the file of \
         close.webhook_signature_key_file, wait 30 s, delete the old subscription, and remove its key from the file",
    )?;
    let subscriber = &opened.subscriber;
    let found = subscriber.find().await?;
    let (newest, older) = if let [newest, older @ ..] = found.own.as_slice()
        && !older.is_empty()
    {
        errln!(
            "{} is the new subscription of an interrupted rotation: continuing that rotation",
            newest.id
        );
        (newest.clone(), older)
    } else {
        let created = subscriber.create(found.used).await?;
        errln!("created {}", created.id);
        (created, found.own.as_slice())
    };
    if !older.is_empty() {
        let wait = overlap.0;
        errln!(
            "waiting {} s until every running service has its key; if interrupted, run the command again",
            wait.as_secs()
        );
        tokio::time::sleep(wait).await;
    }
    for old in older {
        subscriber.delete(&old.id).await?;
        errln!("deleted {}", old.id);
    }
    outln!("{}", newest.id)?;
    Ok(())
}

async fn delete(opened: &Opened, yes: bool) -> Result<(), Failure> {
    let found = opened.subscriber.find().await?;
    if found.own.is_empty() {
        outln!(
            "no subscription delivers to {}; nothing to delete",
            opened.subscriber.url()
        )?;
        return Ok(());
    }
    for subscription in &found.own {
        if yes {
            opened.subscriber.delete(&subscription.id).await?;
            outln!("deleted {}", subscription.id)?;
        } else {
            outln!("{} delivers to {}", subscription.id, opened.subscriber.url())?;
        }
    }
    if yes {
        return Ok(());
    }
    errln!("nothing was deleted: confirm with --yes; Close then delivers no further changes");
    Err(Failure::Negative)
}

/// Returns an error with advice, unless the service manages the subscription itself.
fn require_managed(opened: &Opened, instead: &str) -> Result<(), Failure> {
    if opened.configured {
        return Err(anyhow!(
            "the signature key comes from the configuration (close.webhook_signature_key): {instead}"
        )
        .into());
    }
    Ok(())
}
