//! Synchronization with Close: webhooks, the event log, and complete comparisons.

pub(super) mod compare;
pub(super) mod ingest;
pub(super) mod poll_event_log;
pub(super) mod refetch;
