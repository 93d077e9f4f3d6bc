//! What the client has noticed about changes of Close's API, for the store and for people.

use std::collections::BTreeSet;

use crate::close::client::CloseClient;
use crate::close::shape;
use crate::close::webhook;
use crate::domain::close_drift::Drift;
use crate::domain::close_event::CloseEvent;

impl CloseClient {
    /// The differences between Close's API and the known one that were met and not yet
    /// [forgotten](Self::forget_drifts).
    pub fn drifts(&self) -> BTreeSet<Drift> {
        self.0.radar.pending()
    }

    /// Forgets differences that are stored. Those that Close still shows are met again.
    pub fn forget_drifts(&self, stored: &BTreeSet<Drift>) {
        self.0.radar.forget(stored);
    }

    /// The date of Close's documentation that this version knows, such as `2026-09-29`.
    pub fn known_api() -> &'static str {
        shape::as_of()
    }

    /// Reads the event of a verified webhook; `None` if the body is not the JSON of an event.
    ///
    /// Duplicate members, deep nesting and bodies over a megabyte are refused.
    pub fn delivery(&self, body: &[u8]) -> Option<CloseEvent> {
        let body = webhook::parse(body)?;
        self.0.radar.observe_delivery(&body);
        webhook::read(&body)
    }
}
