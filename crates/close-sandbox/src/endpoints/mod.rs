//! Close's endpoints, one resource a file.

pub(crate) mod event_log;
pub(crate) mod groups;
pub(crate) mod phone_numbers;
pub(crate) mod rent;
pub(crate) mod users;
pub(crate) mod webhooks;
