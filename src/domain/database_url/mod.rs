//! The URL of the database, as people copy it from libpq, from a provider's page or from another library.
//!
//! A form or a parameter either works as its documentation says, or is a fault that names it. No fault repeats a value,
//! because a password with an unencoded character can end up in any part of the URL.

mod database;
mod form;
mod model;
mod parameter;
mod part;
#[cfg(test)]
mod tests;

pub use database::DatabaseUrl;
pub use model::{Authorities, Host, PostgresUrl, TlsMode};
