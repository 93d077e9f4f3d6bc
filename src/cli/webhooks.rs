//! `numberdesk webhooks`: shows and changes the service's own webhook subscription in Close.
//!
//! It uses only Close, and never prints a signature key.

use std::fmt::Write as _;

use anyhow::anyhow;
use serde_json::{Value, json};

use super::failure::Failure;
use super::load::ConfigFile;
use crate::close::{self, CloseClient, Subscription};
use crate::config::{self, Config};
use crate::desk::subscription::client::{ALLOWED, Found, OVERLAP, Subscriber, delivery_url};
use crate::domain::time::{Clock, Span};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Shows the subscription and its health; exit status 1 unless it is active
    Status(Status),
    /// Creates the subscription, or repairs and resumes the existing one, as a running service does by itself
    Create(Arguments),
    /// Replaces the subscription and its signature key
    Rotate(Rotate),
    /// Deletes the subscription; a running service creates a new one within a minute
    Delete(Delete),
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
        .map_err(|wrong: crate::domain::time::NotASpan| wrong.to_string())?;
    if span.0 > OVERLAP {
        return Err("must be 10m at most: then running desks end the older one by themselves".to_owned());
    }
    Ok(span)
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Status(arguments) => status(&open(&arguments.common)?, arguments.format).await,
        Command::Create(arguments) => create(&open(&arguments)?).await,
        Command::Rotate(arguments) => rotate(&open(&arguments.common)?, arguments.overlap).await,
        Command::Delete(arguments) => delete(&open(&arguments.common)?, arguments.yes).await,
    }
}

/// What the configuration says.
struct Opened {
    subscriber: Subscriber,
    /// Whether the desk has its key from the configuration, and leaves subscriptions alone.
    configured: bool,
}

fn open(arguments: &Arguments) -> Result<Opened, Failure> {
    let config: Config =
        config::load(&arguments.config.path, config::environment()).map_err(Failure::Invalid)?;
    let (public_url, base_url) = (&config.server.public_url, &config.close.base_url);
    let url = delivery_url(public_url, base_url).ok_or_else(|| {
        anyhow!("Close can't deliver to {public_url}: server.public_url must name a host that Close reaches")
    })?;
    let settings = close::Settings {
        base_url: base_url.clone(),
        timeout: config.close.timeout,
    };
    let key = config.close.api_key.read_api_key().map_err(anyhow::Error::msg)?;
    Ok(Opened {
        subscriber: Subscriber::new(CloseClient::new(settings, key, Clock::system())?, url),
        configured: config.close.webhook_key.is_some(),
    })
}

async fn status(opened: &Opened, format: Format) -> Result<(), Failure> {
    let found = opened.subscriber.find().await?;
    match format {
        Format::Text => print!("{}", text(opened, &found)),
        Format::Json => println!("{:#}", document(opened, &found)),
    }
    let active = found.own.first().is_some_and(|newest| newest.active);
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
    for it in &found.own {
        lines.push(("subscription", it.id.to_string()));
        lines.push(("state", state(it).to_owned()));
        let told = [
            ("pause reason", &it.pause_reason),
            ("health", &it.health),
            ("latest error", &it.latest_error),
        ];
        for (name, said) in told {
            lines.extend(said.clone().map(|said| (name, said)));
        }
        lines.extend(it.created_at.map(|time| ("made", time.to_string())));
        lines.push(("events", it.events.join(", ")));
        if !it.complete {
            lines.push(("", "which is not all that the desk wants to hear of".to_owned()));
        }
    }
    let mut text = String::new();
    for (name, said) in lines {
        writeln!(text, "{name:<13} {said}").expect("a text takes every line");
    }
    text
}

fn document(opened: &Opened, found: &Found) -> Value {
    let own = found.own.iter().map(|it| {
        json!({
            "id": it.id,
            "state": state(it),
            "pause_reason": it.pause_reason,
            "health": it.health,
            "latest_error": it.latest_error,
            "created_at": it.created_at,
            "events": it.events,
            "complete": it.complete,
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

const fn state(subscription: &Subscription) -> &'static str {
    if subscription.active { "active" } else { "paused" }
}

async fn create(opened: &Opened) -> Result<(), Failure> {
    its_own(
        opened,
        "to have the desk make a subscription of its own, take close.webhook_signature_key_file out of the configuration",
    )?;
    let found = opened.subscriber.find().await?;
    match found.own.into_iter().next() {
        None => {
            let made = opened.subscriber.create(found.used).await?;
            println!("made {}", made.id);
        }
        Some(newest) if newest.active && newest.complete => println!("{} is there and active", newest.id),
        Some(newest) => {
            let mended = opened.subscriber.repair(newest).await?;
            println!("{} is {} again", mended.id, state(&mended));
        }
    }
    Ok(())
}

async fn rotate(opened: &Opened, overlap: Span) -> Result<(), Failure> {
    its_own(
        opened,
        "to rotate it, make another subscription in Close, write its key as a second line to the file of \
         close.webhook_signature_key_file, wait half a minute, end the old subscription, and take its key out of the file",
    )?;
    let subscriber = &opened.subscriber;
    let found = subscriber.find().await?;
    let (newest, older) = if let [newest, older @ ..] = found.own.as_slice()
        && !older.is_empty()
    {
        eprintln!(
            "{} was made to replace another one: going on with that",
            newest.id
        );
        (newest.clone(), older)
    } else {
        let made = subscriber.create(found.used).await?;
        eprintln!("made {}", made.id);
        (made, found.own.as_slice())
    };
    if !older.is_empty() {
        let wait = overlap.0;
        eprintln!(
            "waiting {} s for running desks to learn its key; interrupted, run this again",
            wait.as_secs()
        );
        tokio::time::sleep(wait).await;
    }
    for it in older {
        subscriber.delete(&it.id).await?;
        eprintln!("ended {}", it.id);
    }
    println!("{}", newest.id);
    Ok(())
}

async fn delete(opened: &Opened, yes: bool) -> Result<(), Failure> {
    let found = opened.subscriber.find().await?;
    if found.own.is_empty() {
        println!("none delivers to {}", opened.subscriber.url());
        return Ok(());
    }
    for it in &found.own {
        if yes {
            opened.subscriber.delete(&it.id).await?;
            println!("ended {}", it.id);
        } else {
            println!("{} delivers to {}", it.id, opened.subscriber.url());
        }
    }
    if yes {
        return Ok(());
    }
    eprintln!("nothing was changed: say --yes to end it; what happens from then on is not delivered");
    Err(Failure::Negative)
}

/// Whether the subscription is the desk's to change; else what to do instead.
fn its_own(opened: &Opened, instead: &str) -> Result<(), Failure> {
    if opened.configured {
        return Err(anyhow!(
            "the signature key is given by the configuration (close.webhook_signature_key): {instead}"
        )
        .into());
    }
    Ok(())
}
