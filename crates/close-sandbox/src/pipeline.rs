//! What happens to an API request: key check, rate limit, faults, then the endpoint.

use std::sync::Arc;
use std::time::Duration;

use crate::faults::corrupt::Corruption;
use crate::faults::fault::{self, Fault};
use crate::request::Request;
use crate::response::Response;
use crate::router;
use crate::shared::Shared;
use crate::state::State;

/// What the client receives.
pub(crate) enum Reply {
    Intact(Response),
    /// A response that the server damages while it sends it.
    Corrupted(Response, Corruption),
}

/// Handles an API request. Control requests do not come here.
pub(crate) async fn handle(shared: Arc<Shared>, request: Request) -> Reply {
    let (admitted, latency) = {
        let mut state = shared.state();
        state.bill();
        let authorized = is_authorized(&state, &request);
        state.requests.add(&request, authorized);
        let latency = state.settings.latency
            + if request.is_rent() {
                state.settings.rent_latency
            } else {
                Duration::ZERO
            };
        (admit(&mut state, &request, authorized), latency)
    };
    shared.activity.notify_waiters();
    let (fault, limit) = match admitted {
        Ok(admitted) => admitted,
        Err(rejection) => {
            shared
                .state()
                .requests
                .set_ending(&request, Some(rejection.status), "answered");
            shared.activity.notify_waiters();
            return Reply::Intact(rejection);
        }
    };
    pause(latency).await;
    if request.is_rent() {
        wait_while_held(&shared).await;
    }
    let announce = |response: Response| match limit {
        Some(limit) => response.with_header("ratelimit", limit),
        None => response,
    };
    let (response, corruption) = match fault {
        None => (announce(execute(&shared, &request)), None),
        Some(fault) => apply_fault(&shared, &request, &fault).await,
    };
    let (status, ending) = match corruption {
        None => (Some(response.status), "answered"),
        Some(Corruption::Huge) => (Some(200), "huge"),
        Some(Corruption::DropInBody) => (Some(response.status), "drop_in_body"),
        Some(Corruption::Hang) => (None, "hang"),
        Some(_) => (None, "drop_before_headers"),
    };
    shared.state().requests.set_ending(&request, status, ending);
    shared.activity.notify_waiters();
    match corruption {
        None => Reply::Intact(response),
        Some(corruption) => Reply::Corrupted(response, corruption),
    }
}

/// Checks key and rate limit, then picks the fault. A rejected request does not consume a fault.
fn admit(
    state: &mut State,
    request: &Request,
    authorized: bool,
) -> Result<(Option<Fault>, Option<String>), Response> {
    if !request.path.starts_with("/api/v1/") {
        return Err(Response::error(404, "Not Found"));
    }
    if !authorized {
        return Err(
            Response::error(401, "Unauthorized").with_header("www-authenticate", "Basic realm=\"Close\"")
        );
    }
    let left = state
        .rate_limiter
        .count(&state.settings.rate_limit, request, request.at)?;
    let header = state.settings.rate_limit.header.then(|| left.header());
    Ok((fault::trigger(&mut state.faults, request), header))
}

fn is_authorized(state: &State, request: &Request) -> bool {
    let known = match request.basic_key() {
        Some(key) if Some(&key) == state.settings.other_key.as_ref() => return true,
        Some(key) => key == state.key.text,
        None => {
            let given = request.header("authorization").unwrap_or_default();
            let (scheme, rest) = given.split_once(' ').unwrap_or_default();
            scheme.eq_ignore_ascii_case("bearer") && rest.trim() == state.key.oauth_token
        }
    };
    known && state.settings.key_valid
}

/// Executes the request, and records whether it changed anything.
fn execute(shared: &Shared, request: &Request) -> Response {
    let mut state = shared.state();
    let response = router::route(&mut state, request);
    if request.method != "GET" && response.is_success() {
        state.requests.set_effect(request);
        state.save();
    }
    drop(state);
    shared.activity.notify_waiters();
    response
}

/// Applies a fault: decides whether the request is executed, and changes the response.
async fn apply_fault(
    shared: &Arc<Shared>,
    request: &Request,
    fault: &Fault,
) -> (Response, Option<Corruption>) {
    let mut real = None;
    if let Some(later) = fault.effect_after() {
        let (shared, request) = (Arc::clone(shared), request.clone());
        tokio::spawn(async move {
            pause(later).await;
            execute(&shared, &request);
        });
    } else if fault.effect() {
        real = Some(execute(shared, request));
    }
    pause(fault.delay()).await;
    if !fault.shows_real_answer() {
        real = None;
    }
    fault.corrupt(
        real,
        request,
        &format!("http://{}{}", shared.address, request.path),
    )
}

/// Waits until the setting `rents_held` is false.
async fn wait_while_held(shared: &Shared) {
    loop {
        let mut activity = std::pin::pin!(shared.activity.notified());
        activity.as_mut().enable();
        if !shared.state().settings.rents_held {
            return;
        }
        activity.await;
    }
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}
