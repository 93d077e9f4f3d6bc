//! The HTTP server: accepts connections, reads requests, and writes responses, damaged if a fault says so.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request as HttpRequest, Response as HttpResponse};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::control;
use crate::faults::corrupt::Corruption;
use crate::pipeline::{self, Reply};
use crate::request::Request;
use crate::response::Response;
use crate::shared::Shared;

const MAX_BODY: usize = 4 << 20;

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Accepts connections until stopped.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let Ok((stream, _)) = accepted else {
            // Most likely out of file descriptors: wait until other connections close.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        // Sends small responses at once instead of waiting for more data.
        let _ = stream.set_nodelay(true);
        let (shared, stop) = (Arc::clone(&shared), stop.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| serve_request(Arc::clone(&shared), request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            // A connection that ends with an error was cut by a fault or by the client.
            let _ = stop.run_until_cancelled(connection).await;
        });
    }
}

/// Closes the connection without a response.
#[derive(Debug, thiserror::Error)]
#[error("a fault closes this connection")]
struct CloseConnection;

async fn serve_request(
    shared: Arc<Shared>,
    request: HttpRequest<Incoming>,
) -> Result<HttpResponse<Body>, CloseConnection> {
    let mut response = dispatch(Arc::clone(&shared), request).await?;
    // The time of the simulation, which may differ from the system clock.
    let date = shared
        .state()
        .now()
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string();
    if let Ok(date) = date.parse() {
        response.headers_mut().insert(hyper::header::DATE, date);
    }
    Ok(response)
}

async fn dispatch(
    shared: Arc<Shared>,
    request: HttpRequest<Incoming>,
) -> Result<HttpResponse<Body>, CloseConnection> {
    let request = match read(&shared, request).await {
        Ok(request) => request,
        Err(response) => return Ok(respond(response)),
    };
    if request.path.starts_with("/_control/") {
        return Ok(respond(control::handle(&shared, &request).await));
    }
    // In a task of its own: like Close, the simulation finishes a request even if the client disconnects.
    let ending = tokio::spawn(pipeline::handle(shared, request)).await;
    match ending {
        Ok(Reply::Intact(response)) => Ok(respond(response)),
        Ok(Reply::Corrupted(whole, corruption)) => send_corrupted(whole, corruption).await,
        Err(_) => Ok(respond(Response::error(500, "The simulator failed."))),
    }
}

async fn read(shared: &Shared, request: HttpRequest<Incoming>) -> Result<Request, Response> {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => {
            return Err(Response::error(
                413,
                "The request body is too large or ended too early.",
            ));
        }
    };
    let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let seq = shared.next_request();
    let (at, request_id) = {
        let mut state = shared.state();
        (state.now(), state.ephemeral.id("req_", 22))
    };
    let query = parts.uri.query().unwrap_or_default();
    let mut request = Request {
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
    let overridden = request
        .header("x-http-method-override")
        .is_some_and(|to| to.eq_ignore_ascii_case("GET"));
    if request.method == "POST" && overridden {
        "GET".clone_into(&mut request.method);
        let params = request.object()?.remove("_params");
        for (name, value) in params.as_ref().and_then(Value::as_object).into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            request.query.push((name.clone(), value));
        }
    }
    Ok(request)
}

/// Sends the response in the way that damages it on the wire.
async fn send_corrupted(
    whole: Response,
    corruption: Corruption,
) -> Result<HttpResponse<Body>, CloseConnection> {
    match corruption {
        Corruption::Hang => std::future::pending().await,
        Corruption::DropInBody => {
            let length = whole.body.len().to_string();
            let half = Bytes::copy_from_slice(&whole.body[..whole.body.len() / 2]);
            let cut = stream::iter([Ok(Frame::data(half))]).chain(stream::once(async {
                // Gives the first half time to be sent before the connection closes.
                tokio::time::sleep(Duration::from_millis(20)).await;
                Err(io::Error::other("a fault closes this connection"))
            }));
            let mut response = respond(whole.with_header("content-length", length));
            *response.body_mut() = StreamBody::new(cut).boxed_unsync();
            Ok(response)
        }
        Corruption::Huge => {
            let first = Bytes::from_static(br#"{"has_more":false,"data":[""#);
            let chunk = Bytes::from(vec![b'x'; 64 << 10]);
            // 16 GiB: practically endless, but finite.
            let rest = stream::repeat(chunk).take(1 << 18);
            let frames = stream::iter([first])
                .chain(rest)
                .map(|chunk| Ok(Frame::data(chunk)));
            let mut response = respond(Response::empty(200).with_header("content-type", "application/json"));
            *response.body_mut() = StreamBody::new(frames).boxed_unsync();
            Ok(response)
        }
        _ => Err(CloseConnection),
    }
}

fn respond(response: Response) -> HttpResponse<Body> {
    let mut builder = HttpResponse::builder().status(response.status);
    for (name, value) in &response.headers {
        builder = builder.header(name, value);
    }
    let body = Full::new(Bytes::from(response.body));
    builder
        .body(body.map_err(|never: Infallible| match never {}).boxed_unsync())
        .unwrap_or_else(|_| {
            // A fault asks for a header that HTTP does not allow.
            HttpResponse::new(
                Full::default()
                    .map_err(|never: Infallible| match never {})
                    .boxed_unsync(),
            )
        })
}
