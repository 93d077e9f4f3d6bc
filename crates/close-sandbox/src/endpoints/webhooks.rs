//! `/webhook/`: webhook subscriptions.

use serde_json::{Value, json};

use crate::request::Request;
use crate::response::{Outcome, Response};
use crate::state::State;
use crate::validation::Fields;
use crate::webhooks::filter;
use crate::webhooks::subscription::Subscription;

/// How many subscriptions Close allows in one organization.
const MAX_SUBSCRIPTIONS: usize = 40;

/// `GET /webhook/`
pub(crate) fn list(state: &State, request: &Request) -> Outcome {
    let all = state
        .subscriptions
        .iter()
        .map(|subscription| subscription.view(&state.key.owner));
    request.page(all.collect(), state.settings.page_cap)
}

/// `GET /webhook/{id}/`
pub(crate) fn read(state: &State, request: &Request, id: &str) -> Outcome {
    let index = find(state, id)?;
    Ok(Response::json(
        200,
        &request.select(state.subscriptions[index].view(&state.key.owner)),
    ))
}

/// `POST /webhook/`: 201 with a `signature_key` of 64 hex characters.
pub(crate) fn create(state: &mut State, request: &Request) -> Outcome {
    let mut fields = Fields::new(request.object()?);
    let url = read_url(&mut fields);
    let events = read_events(&mut fields);
    if url.is_none() {
        fields.reject("url", "Field required");
    }
    if events.is_none() {
        fields.reject("events", "Field required");
    }
    let verify_ssl = fields.flag("verify_ssl").unwrap_or(true);
    fields.finish(state.settings.reject_unknown_fields)?;
    if state.subscriptions.len() >= MAX_SUBSCRIPTIONS {
        return Err(Response::invalid(&format!(
            "You can only have {MAX_SUBSCRIPTIONS} webhook subscriptions."
        )));
    }
    let now = state.now();
    let subscription = Subscription::new(
        &mut state.random,
        url.unwrap_or_default(),
        events.unwrap_or_default(),
        verify_ssl,
        now,
    );
    let response = Response::json(201, &subscription.view(&state.key.owner));
    state.subscriptions.push(subscription);
    Ok(response)
}

/// `PUT /webhook/{id}/`: `status` pauses, which clears the queue, or resumes. The signature key stays the same.
pub(crate) fn update(state: &mut State, request: &Request, id: &str) -> Outcome {
    let index = find(state, id)?;
    let mut fields = Fields::new(request.object()?);
    let url = read_url(&mut fields);
    let events = read_events(&mut fields);
    let verify_ssl = fields.flag("verify_ssl");
    let status = fields.text("status");
    if status
        .as_deref()
        .is_some_and(|status| status != "active" && status != "paused")
    {
        fields.reject("status", "Input should be 'active' or 'paused'");
    }
    fields.finish(state.settings.reject_unknown_fields)?;
    let now = state.now();
    let subscription = &mut state.subscriptions[index];
    if let Some(url) = url {
        subscription.url = url;
    }
    if let Some(events) = events {
        subscription.events = events;
    }
    if let Some(verify_ssl) = verify_ssl {
        subscription.verify_ssl = verify_ssl;
    }
    match status.as_deref() {
        Some("paused") if subscription.active => subscription.pause("api"),
        Some("active") if !subscription.active => subscription.resume(),
        _ => {}
    }
    subscription.updated = now;
    Ok(Response::json(200, &subscription.view(&state.key.owner)))
}

/// `DELETE /webhook/{id}/`
pub(crate) fn delete(state: &mut State, id: &str) -> Outcome {
    let index = find(state, id)?;
    state.subscriptions.remove(index);
    Ok(Response::json(200, &json!({})))
}

fn find(state: &State, id: &str) -> Result<usize, Response> {
    let position = state
        .subscriptions
        .iter()
        .position(|subscription| subscription.id == id);
    position.ok_or_else(|| Response::not_found("WebhookSubscription"))
}

fn read_url(fields: &mut Fields) -> Option<String> {
    let text = fields.text("url")?;
    let parsed = url::Url::parse(&text).ok();
    if parsed.is_none_or(|url| !matches!(url.scheme(), "http" | "https")) {
        fields.reject("url", "Input should be a valid URL");
    }
    Some(text)
}

fn read_events(fields: &mut Fields) -> Option<Vec<Value>> {
    let value = fields.take("events").filter(|value| !value.is_null())?;
    let Value::Array(selectors) = value else {
        fields.reject("events", "Input should be a valid list");
        return Some(Vec::new());
    };
    for selector in &selectors {
        let named = selector["object_type"].is_string() && selector["action"].is_string();
        let extra = &selector["extra_filter"];
        if !named {
            fields.reject("events", "Each event needs an object_type and an action");
        } else if !extra.is_null() && !filter::is_valid(extra) {
            fields.reject("events", "Invalid extra_filter");
        }
    }
    Some(selectors)
}
