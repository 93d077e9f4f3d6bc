//! Connections in, answers out: reads a request, lets it through key, limit and fault, has the work done even if
//! the client leaves, and puts the answer, or what a fault makes of it, on the wire. Knows no endpoint.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use crate::Options;
use crate::control;
use crate::faults::corrupt::Manner;
use crate::faults::fault::{self, Fault};
use crate::request::Call;
use crate::response::Answer;
use crate::router;
use crate::state::World;
use crate::webhooks::delivery::Emitted;

const LARGEST_BODY: usize = 4 << 20;

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// What all connections share.
pub(crate) struct State {
    world: Mutex<World>,
    /// Told whenever a request, an answer or a delivery was recorded.
    pub(crate) happened: Notify,
    requests: AtomicU64,
    address: SocketAddr,
    /// For deliveries: the first checks certificates, the second does not.
    pub(crate) senders: [reqwest::Client; 2],
}

impl State {
    pub(crate) fn new(
        options: Options,
        address: SocketAddr,
    ) -> anyhow::Result<(Self, UnboundedReceiver<Emitted>)> {
        let (outbox, emitted) = tokio::sync::mpsc::unbounded_channel();
        let sender = || reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let senders = [
            sender().build()?,
            sender().danger_accept_invalid_certs(true).build()?,
        ];
        let world = Mutex::new(World::new(options, outbox));
        let state = Self {
            world,
            happened: Notify::new(),
            requests: AtomicU64::new(1),
            address,
            senders,
        };
        Ok((state, emitted))
    }

    /// The world, for as long as nothing is awaited.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        // A panic in one request must not take the others down with it.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Accepts connections until stopped.
pub(crate) async fn serve(listener: TcpListener, state: Arc<State>, stop: CancellationToken) {
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors, most likely: some will come back.
            pause(std::time::Duration::from_millis(10)).await;
            continue;
        };
        // Small answers are written at once, as a server does that is not asked to wait for more.
        let _ = stream.set_nodelay(true);
        let (state, stop) = (Arc::clone(&state), stop.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&state), request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            // A connection that ends in an error is one that a fault or the client has cut.
            let _ = stop.run_until_cancelled(connection).await;
        });
    }
}

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("a fault closes this connection")]
struct Hangup;

/// What the client is to experience.
enum Ending {
    Answer(Answer),
    Broken(Answer, Manner),
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Body>, Hangup> {
    let mut response = dispatch(Arc::clone(&state), request).await?;
    // By Close's own clock, which need not be the machine's.
    let date = state
        .world()
        .now()
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string();
    if let Ok(date) = date.parse() {
        response.headers_mut().insert(hyper::header::DATE, date);
    }
    Ok(response)
}

async fn dispatch(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Body>, Hangup> {
    let call = match read(&state, request).await {
        Ok(call) => call,
        Err(answer) => return Ok(respond(answer)),
    };
    if call.path.starts_with("/_control/") {
        return Ok(respond(control::answer(&state, &call).await));
    }
    // A task of its own: Close finishes what it has begun, whether or not the client still listens.
    let ending = tokio::spawn(perform(state, call)).await;
    match ending {
        Ok(Ending::Answer(answer)) => Ok(respond(answer)),
        Ok(Ending::Broken(whole, manner)) => destroy(whole, manner).await,
        Err(_) => Ok(respond(Answer::error(500, "The simulator failed."))),
    }
}

async fn read(state: &State, request: Request<Incoming>) -> Result<Call, Answer> {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, LARGEST_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => {
            return Err(Answer::error(
                413,
                "The request body is too large or ended too early.",
            ));
        }
    };
    let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let seq = state.requests.fetch_add(1, Ordering::Relaxed);
    let (at, request_id) = {
        let mut world = state.world();
        (world.now(), world.noise.id("req_", 22))
    };
    let query = parts.uri.query().unwrap_or_default();
    let mut call = Call {
        seq,
        at,
        request_id,
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        headers: parts
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect(),
        body,
    };
    let overridden = call
        .header("x-http-method-override")
        .is_some_and(|to| to.eq_ignore_ascii_case("GET"));
    if call.method == "POST" && overridden {
        "GET".clone_into(&mut call.method);
        let params = call.object()?.remove("_params");
        for (name, value) in params.as_ref().and_then(Value::as_object).into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            call.query.push((name.clone(), value));
        }
    }
    Ok(call)
}

async fn perform(state: Arc<State>, call: Call) -> Ending {
    let (admitted, latency) = {
        let mut world = state.world();
        world.bill();
        let authorized = is_authorized(&world, &call);
        world.record(&call, authorized);
        let latency = world.settings.latency
            + if call.is_rent() {
                world.settings.rent_latency
            } else {
                std::time::Duration::ZERO
            };
        (admit(&mut world, &call, authorized), latency)
    };
    state.happened.notify_waiters();
    let (fault, limit) = match admitted {
        Ok(admitted) => admitted,
        Err(refusal) => {
            state
                .world()
                .record_ending(&call, Some(refusal.status), "answered");
            state.happened.notify_waiters();
            return Ending::Answer(refusal);
        }
    };
    pause(latency).await;
    let announce = |answer: Answer| match limit {
        Some(limit) => answer.with_header("ratelimit", limit),
        None => answer,
    };
    let (answer, manner) = match fault {
        None => (announce(work(&state, &call)), None),
        Some(fault) => spoil(&state, &call, &fault).await,
    };
    let (status, ending) = match manner {
        None => (Some(answer.status), "answered"),
        Some(Manner::Huge) => (Some(200), "huge"),
        Some(Manner::DropInBody) => (Some(answer.status), "drop_in_body"),
        Some(Manner::Hang) => (None, "hang"),
        Some(_) => (None, "drop_before_headers"),
    };
    state.world().record_ending(&call, status, ending);
    state.happened.notify_waiters();
    match manner {
        None => Ending::Answer(answer),
        Some(manner) => Ending::Broken(answer, manner),
    }
}

/// Key first, then limit, then faults: a request that is turned away uses no fault up.
fn admit(
    world: &mut World,
    call: &Call,
    authorized: bool,
) -> Result<(Option<Fault>, Option<String>), Answer> {
    if !call.path.starts_with("/api/v1/") {
        return Err(Answer::error(404, "Not Found"));
    }
    if !authorized {
        return Err(
            Answer::error(401, "Unauthorized").with_header("www-authenticate", "Basic realm=\"Close\"")
        );
    }
    let left = world.windows.count(&world.settings.rate_limit, call, call.at)?;
    let header = world.settings.rate_limit.header.then(|| left.header());
    Ok((fault::trigger(&mut world.faults, call), header))
}

fn is_authorized(world: &World, call: &Call) -> bool {
    let given = call.header("authorization").unwrap_or_default();
    let (scheme, rest) = given.split_once(' ').unwrap_or_default();
    let known = if scheme.eq_ignore_ascii_case("basic") {
        let plain = STANDARD
            .decode(rest.trim())
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        let plain = plain.unwrap_or_default();
        let key = plain.split(':').next();
        if key.is_some() && key == world.settings.other_key.as_deref() {
            return true;
        }
        key == Some(&world.key.text)
    } else {
        scheme.eq_ignore_ascii_case("bearer") && rest.trim() == world.key.oauth_token
    };
    known && world.settings.key_valid
}

/// Does what was asked, and notes whether it changed anything.
fn work(state: &State, call: &Call) -> Answer {
    let mut world = state.world();
    let answer = router::answer(&mut world, call);
    if call.method != "GET" && answer.is_success() {
        world.record_effect(call);
    }
    drop(world);
    state.happened.notify_waiters();
    answer
}

async fn spoil(state: &Arc<State>, call: &Call, fault: &Fault) -> (Answer, Option<Manner>) {
    let mut real = None;
    if let Some(later) = fault.effect_after() {
        let (state, call) = (Arc::clone(state), call.clone());
        tokio::spawn(async move {
            pause(later).await;
            work(&state, &call);
        });
    } else if fault.effect() {
        real = Some(work(state, call));
    }
    pause(fault.delay()).await;
    if !fault.shows_real_answer() {
        real = None;
    }
    fault.spoil(real, call, &format!("http://{}{}", state.address, call.path))
}

async fn pause(time: std::time::Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

async fn destroy(whole: Answer, manner: Manner) -> Result<Response<Body>, Hangup> {
    match manner {
        Manner::Hang => std::future::pending().await,
        Manner::DropInBody => {
            let length = whole.body.len().to_string();
            let half = Bytes::copy_from_slice(&whole.body[..whole.body.len() / 2]);
            let cut = stream::iter([Ok(Frame::data(half))]).chain(stream::once(async {
                // Lets the first half reach the wire before the connection goes.
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                Err(io::Error::other("a fault closes this connection"))
            }));
            let mut response = respond(whole.with_header("content-length", length));
            *response.body_mut() = StreamBody::new(cut).boxed_unsync();
            Ok(response)
        }
        Manner::Huge => {
            let first = Bytes::from_static(br#"{"has_more":false,"data":[""#);
            let chunk = Bytes::from(vec![b'x'; 64 << 10]);
            // 16 GiB: as good as endless, and yet it ends.
            let rest = stream::repeat(chunk).take(1 << 18);
            let frames = stream::iter([first])
                .chain(rest)
                .map(|chunk| Ok(Frame::data(chunk)));
            let mut response = respond(Answer::empty(200).with_header("content-type", "application/json"));
            *response.body_mut() = StreamBody::new(frames).boxed_unsync();
            Ok(response)
        }
        _ => Err(Hangup),
    }
}

fn respond(answer: Answer) -> Response<Body> {
    let mut response = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    let body = Full::new(Bytes::from(answer.body));
    response
        .body(body.map_err(|never: Infallible| match never {}).boxed_unsync())
        .unwrap_or_else(|_| {
            // A fault's own header that HTTP cannot carry.
            Response::new(
                Full::default()
                    .map_err(|never: Infallible| match never {})
                    .boxed_unsync(),
            )
        })
}
