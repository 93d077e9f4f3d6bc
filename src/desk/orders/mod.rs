//! Orders: from the request for a number to a settled outcome.

pub(super) mod approve;
pub(super) mod cancel;
pub(super) mod create;
pub(super) mod dispatch;
pub(super) mod evidence;
pub(super) mod fair_queue;
pub(super) mod in_flight;
pub(super) mod late_arrivals;
pub(super) mod manual_review;
pub(super) mod provenance;
pub(super) mod reconcile;
pub(super) mod recover;
pub(super) mod set_label;
pub(super) mod validate;
pub(super) mod verdict;
