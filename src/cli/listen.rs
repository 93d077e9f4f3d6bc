//! `numberdesk webhooks listen`: forwards a team's events to a receiver under development.
//!
//! It reads the event stream with a token, as any app does, so the service needs no route to the receiver and no
//! allow-list. The requests are the service's own webhooks, signed with a secret that exists only in this process.
//!
//! The command reads the stream while it sends one event after the other, with a buffer between the two. The service
//! ends the stream of a slow reader, so a slow receiver causes that only when the buffer is full.

mod access;
mod connection;
mod message;

use std::time::Duration;

use anyhow::anyhow;
use secrecy::ExposeSecret as _;
use tokio::sync::mpsc;
use url::Url;

use self::access::{Access, AccessArguments};
use self::connection::{Connection, Refused};
use self::message::Message;
use super::failure::Failure;
use super::output::{OutputError, errln, outln};
use super::signals::Signals;
use super::values::http_url;
use crate::domain::backoff::Backoff;
use crate::domain::id::EventId;
use crate::domain::team::Team;
use crate::domain::time::Clock;
use crate::domain::webhook::TypePattern;
use crate::outgoing::{Answer, Forwarder, LocalSecret};
use crate::telemetry::{self, LogFormat};

/// How long the receiver may take to answer, as with the service.
const RECEIVER_TIMEOUT: Duration = Duration::from_secs(10);
/// Events that wait for a slow receiver.
const BUFFER: usize = 1_000;
/// The pauses between two attempts to connect.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(15));

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// URL that gets the events
    #[arg(long, value_name = "URL", value_parser = http_url)]
    forward_to: Url,
    /// Only events of these types, separated by commas, such as order.*,group.changed
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    types: Vec<TypePattern>,
    /// Only events of this team, instead of all teams of the token
    #[arg(long)]
    team: Option<Team>,
    /// Secret that signs the requests, whsec_…, instead of a new one
    #[arg(long, value_name = "SECRET")]
    secret: Option<LocalSecret>,
    #[command(flatten)]
    access: AccessArguments,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    // The service sends a trace context with its webhooks, so the receiver gets one here too.
    telemetry::start(&telemetry::Settings {
        log_format: LogFormat::Auto,
        log_filter: "warn".to_owned(),
        collector: None,
        traced_percent: 100,
    })?;
    let secret = match arguments.secret {
        Some(secret) => secret,
        None => LocalSecret::generate()?,
    };
    outln!("secret {}", secret.text().expose_secret())?;
    let forwarder = Forwarder::new(arguments.forward_to, secret, RECEIVER_TIMEOUT)?;
    let reader = Reader {
        access: arguments.access.source(),
        query: query(arguments.team.as_ref(), &arguments.types),
        last: None,
    };
    let (sender, mut received) = mpsc::channel(BUFFER);
    let forward = async {
        while let Some(event) = received.recv().await {
            forward(&forwarder, event).await?;
        }
        anyhow::Ok(())
    };
    let work = async {
        // The events in the buffer are still sent after the reader has failed, unless the output has failed.
        let reader = async { Ok(reader.run(sender).await) };
        let (failed, ()) = tokio::try_join!(reader, forward)?;
        Err(failed)
    };
    tokio::select! {
        outcome = work => Ok(outcome?),
        () = signals.next() => Ok(()),
    }
}

fn query(team: Option<&Team>, types: &[TypePattern]) -> Vec<(&'static str, String)> {
    let types: Vec<_> = types.iter().map(TypePattern::as_str).collect();
    let team = team.map(|team| ("team", team.to_string()));
    let types = (!types.is_empty()).then(|| ("type", types.join(",")));
    team.into_iter().chain(types).collect()
}

/// Sends an event to the receiver, and prints one line about it.
async fn forward(forwarder: &Forwarder, event: Event) -> Result<(), OutputError> {
    let now = Clock::system().now();
    let answer = forwarder.send(&event.id, now, event.body).await;
    let outcome = match answer {
        Answer::Status { status, .. } => status.to_string(),
        Answer::Failed(reason) => reason,
        Answer::Forbidden(why) => format!("not sent: the URL {why}"),
    };
    outln!("{now}  {}  {}  {outcome}", event.kind, event.id)
}

/// An event of the stream.
struct Event {
    id: EventId,
    kind: String,
    /// The JSON of the event, byte for byte as the service sent it.
    body: String,
}

/// Reads the stream, and connects again whenever it ends.
struct Reader {
    access: Access,
    query: Vec<(&'static str, String)>,
    /// The id of the last event that was received.
    last: Option<String>,
}

impl Reader {
    /// Reads until another attempt makes no sense, and returns the reason.
    async fn run(mut self, events: mpsc::Sender<Event>) -> anyhow::Error {
        let (mut backoff, mut was_connected) = (BACKOFF, false);
        loop {
            let problem = match self.connect().await {
                Ok(mut connection) => {
                    errln!("connected to {}", connection.url());
                    was_connected = true;
                    backoff.reset();
                    match self.read(&mut connection, &events).await {
                        Ok(()) => "the stream ended".to_owned(),
                        Err(error) => format!("the stream broke: {error:#}"),
                    }
                }
                Err(refused) => match self.recover(refused, was_connected) {
                    Ok(problem) => problem,
                    Err(error) => return error,
                },
            };
            let pause = backoff.next_pause();
            errln!("{problem}; connecting again in {:.1} s", pause.as_secs_f64());
            tokio::time::sleep(pause).await;
        }
    }

    async fn connect(&self) -> Result<Connection, Refused> {
        let target = self.access.read().await.map_err(Refused::NoToken)?;
        Connection::open(&target, &self.query, self.last.as_deref()).await
    }

    /// Puts events into the buffer until the stream ends.
    async fn read(
        &mut self,
        connection: &mut Connection,
        events: &mpsc::Sender<Event>,
    ) -> anyhow::Result<()> {
        while let Some(Message { id, kind, data }) = connection.next().await? {
            if let (Some(kind), Some(body)) = (kind, data) {
                let id = id.as_deref().or(self.last.as_deref()).unwrap_or_default();
                let id = id
                    .parse()
                    .map_err(|_| anyhow!("`{id}` is not the id of an event"))?;
                if events.send(Event { id, kind, body }).await.is_err() {
                    return Ok(());
                }
            }
            // Not earlier: after a reconnect, the service must send an event again that is not in the buffer yet.
            if id.is_some() {
                self.last = id;
            }
        }
        Ok(())
    }

    /// Decides whether another attempt makes sense. Returns what to print, or the error that ends the command.
    fn recover(&mut self, refused: Refused, was_connected: bool) -> Result<String, anyhow::Error> {
        match refused {
            // The service is down, overloaded, or not yet up.
            Refused::Unavailable(reason) => Ok(reason),
            // A command or file that worked before will work again.
            Refused::NoToken(error) if was_connected => Ok(format!("{error:#}")),
            Refused::NoToken(error) => Err(error),
            Refused::Unauthorized(reason) if was_connected && self.access.is_renewable() => Ok(reason),
            Refused::Unauthorized(reason) => Err(anyhow!("the token is not accepted: {reason}")),
            Refused::Gone(reason) if self.last.take().is_some() => Ok(format!(
                "{reason}: events in between are lost; following from now on"
            )),
            Refused::Gone(reason) | Refused::Forbidden(reason) => Err(anyhow!(reason)),
        }
    }
}
