//! A reverse proxy that serves a service below a path, and nothing else.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What the proxy does with the path below which it serves the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forward {
    WithPrefix,
    WithoutPrefix,
}

/// A running proxy. It ends when it is dropped.
pub(crate) struct Proxy {
    /// The URL of the service behind the proxy, without a slash at its end.
    pub(crate) url: String,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Route {
    prefix: &'static str,
    upstream: String,
    forward: Forward,
    client: reqwest::Client,
}

impl Proxy {
    /// Starts a proxy that serves `upstream` below `prefix`.
    pub(crate) async fn start(prefix: &'static str, upstream: &str, forward: Forward) -> Self {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client is built");
        let route = Route {
            prefix,
            upstream: upstream.to_owned(),
            forward,
            client,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a bound listener has an address");
        let router = Router::new().fallback(serve).with_state(route);
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("the proxy serves");
        });
        Self {
            url: format!("http://{address}{prefix}"),
            task,
        }
    }
}

async fn serve(State(route): State<Route>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let below = path
        .strip_prefix(route.prefix)
        .filter(|rest| rest.starts_with('/'));
    let Some(below) = below else {
        return (StatusCode::NOT_FOUND, "not a path of this proxy").into_response();
    };
    let path = match route.forward {
        Forward::WithPrefix => path,
        Forward::WithoutPrefix => below,
    };
    parts.headers.remove(HOST);
    let body = to_bytes(body, usize::MAX).await.expect("the body arrives");
    let answer = route
        .client
        .request(parts.method, format!("{}{path}", route.upstream))
        .headers(parts.headers)
        .body(body)
        .send()
        .await
        .expect("the service responds");
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    response.headers_mut().remove(TRANSFER_ENCODING);
    response.headers_mut().remove(CONNECTION);
    *response.body_mut() = Body::from(answer.bytes().await.expect("the body arrives"));
    response
}
