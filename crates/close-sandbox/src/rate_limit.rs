//! Rate limits per endpoint group, in the forms that Close has used. Knows no endpoint but the rent.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::json;

use crate::request::Call;
use crate::response::Answer;
use crate::settings::{LimitBody, RateLimit};

/// Requests counted in the running window of each endpoint group.
#[derive(Debug, Default)]
pub(crate) struct Windows(HashMap<String, (Timestamp, u32)>);

/// What is left of a limit.
pub(crate) struct Left {
    limit: u32,
    remaining: u32,
    reset: f64,
}

impl Left {
    /// `limit=320, remaining=319, reset=7.250000`
    pub(crate) fn header(&self) -> String {
        format!(
            "limit={}, remaining={}, reset={:.6}",
            self.limit, self.remaining, self.reset
        )
    }
}

impl Windows {
    /// Counts a request; the failed side is the 429.
    pub(crate) fn count(
        &mut self,
        settings: &RateLimit,
        call: &Call,
        now: Timestamp,
    ) -> Result<Left, Answer> {
        let first = call.resource().split('/').nth(1).unwrap_or_default();
        let (group, limit, window) = match settings.rent_limit.filter(|_| call.is_rent()) {
            Some(limit) => ("rent".to_owned(), limit, settings.rent_window),
            None => (
                format!("{} /{first}/", call.method),
                settings.limit,
                settings.window,
            ),
        };
        let (start, used) = self.0.entry(group.clone()).or_insert((now, 0));
        let mut gone = now.duration_since(*start).as_secs_f64();
        if gone >= window.as_secs_f64() || gone < 0.0 {
            (*start, *used, gone) = (now, 0, 0.0);
        }
        let reset = window.as_secs_f64() - gone;
        // The organization has three times the key's limit, over all its keys.
        let key = limit.saturating_sub(*used);
        let organization = limit
            .saturating_mul(3)
            .saturating_sub(used.saturating_add(settings.used_by_other_keys));
        let limit = if organization < key {
            limit.saturating_mul(3)
        } else {
            limit
        };
        let left = |remaining| Left {
            limit,
            remaining,
            reset,
        };
        match key.min(organization).checked_sub(1) {
            None => Err(refuse(settings, &group, &left(0), window.as_secs())),
            Some(remaining) => {
                *used += 1;
                Ok(left(remaining))
            }
        }
    }
}

fn refuse(settings: &RateLimit, group: &str, left: &Left, window: u64) -> Answer {
    let legacy = json!({
        "message": "API call count exceeded for this period",
        "rate_endpoint_group": hex::encode(format!("{group:0>16.16}")),
        "rate_limit": left.limit,
        "rate_limit_type": "key",
        "rate_reset": format!("{:.2}", left.reset),
        "rate_window": window,
    });
    let mut answer = match settings.body {
        LimitBody::Empty => Answer::empty(429),
        LimitBody::Legacy => Answer::json(429, &legacy),
        LimitBody::LegacyWrapped => Answer::json(429, &json!({ "error": legacy })),
        LimitBody::Html => Answer {
            status: 429,
            headers: vec![("content-type".into(), "text/html".into())],
            body: b"<html><head><title>429 Too Many Requests</title></head></html>".to_vec(),
        },
    };
    if settings.header {
        answer = answer.with_header("ratelimit", left.header());
    }
    if settings.retry_after {
        answer = answer.with_header("retry-after", format!("{:.0}", left.reset.ceil()));
    }
    answer
}
