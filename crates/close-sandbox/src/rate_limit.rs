//! Rate limits per endpoint group, with the 429 responses that Close has used.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::json;

use crate::request::Request;
use crate::response::Response;
use crate::settings::{LimitBody, RateLimit};

/// The start of the current window and its requests, per endpoint group.
#[derive(Debug, Default)]
pub(crate) struct RateLimiter(HashMap<String, (Timestamp, u32)>);

/// The rest of a limit, as the `RateLimit` header shows it.
pub(crate) struct Remaining {
    limit: u32,
    left: u32,
    reset: f64,
}

impl Remaining {
    /// `limit=320, remaining=319, reset=7.250000`
    pub(crate) fn header(&self) -> String {
        format!(
            "limit={}, remaining={}, reset={:.6}",
            self.limit, self.left, self.reset
        )
    }
}

impl RateLimiter {
    /// Counts a request; the error is the 429 response.
    pub(crate) fn count(
        &mut self,
        settings: &RateLimit,
        request: &Request,
        now: Timestamp,
    ) -> Result<Remaining, Response> {
        let first = request.resource().split('/').nth(1).unwrap_or_default();
        let (group, limit, window) = match settings.rent_limit.filter(|_| request.is_rent()) {
            Some(limit) => ("rent".to_owned(), limit, settings.rent_window),
            None => (
                format!("{} /{first}/", request.method),
                settings.limit,
                settings.window,
            ),
        };
        let (start, used) = self.0.entry(group.clone()).or_insert((now, 0));
        let mut elapsed = now.duration_since(*start).as_secs_f64();
        if elapsed >= window.as_secs_f64() || elapsed < 0.0 {
            (*start, *used, elapsed) = (now, 0, 0.0);
        }
        let reset = window.as_secs_f64() - elapsed;
        // All keys of the organization together have three times the limit of one key.
        let key = limit.saturating_sub(*used);
        let organization = limit
            .saturating_mul(3)
            .saturating_sub(used.saturating_add(settings.used_by_other_keys));
        let limit = if organization < key {
            limit.saturating_mul(3)
        } else {
            limit
        };
        let left = |remaining| Remaining {
            limit,
            left: remaining,
            reset,
        };
        match key.min(organization).checked_sub(1) {
            None => Err(too_many_requests(settings, &group, &left(0), window.as_secs())),
            Some(remaining) => {
                *used += 1;
                Ok(left(remaining))
            }
        }
    }
}

fn too_many_requests(settings: &RateLimit, group: &str, left: &Remaining, window: u64) -> Response {
    let legacy = json!({
        "message": "API call count exceeded for this period",
        "rate_endpoint_group": hex::encode(format!("{group:0>16.16}")),
        "rate_limit": left.limit,
        "rate_limit_type": "key",
        "rate_reset": format!("{:.2}", left.reset),
        "rate_window": window,
    });
    let mut response = match settings.body {
        LimitBody::Empty => Response::empty(429),
        LimitBody::Legacy => Response::json(429, &legacy),
        LimitBody::LegacyWrapped => Response::json(429, &json!({ "error": legacy })),
        LimitBody::Html => Response {
            status: 429,
            headers: vec![("content-type".into(), "text/html".into())],
            body: b"<html><head><title>429 Too Many Requests</title></head></html>".to_vec(),
        },
    };
    if settings.header {
        response = response.with_header("ratelimit", left.header());
    }
    if settings.retry_after {
        response = response.with_header("retry-after", format!("{:.0}", left.reset.ceil()));
    }
    response
}
