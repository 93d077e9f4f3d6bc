//! Numberdesk: an HTTP service that owns a Close CRM API key and rents phone numbers for internal apps.
//!
//! The modules. An arrow means "may use"; modules in the same braces never use each other:
//!
//! ```text
//! main -> cli -> app -> { http | workers } -> desk -> { policy | close | outgoing | store | inventory } -> domain, error
//!                       http -> auth -> domain, error
//!                       close, outgoing, auth, telemetry -> egress -> domain
//! ```

pub mod app;
pub mod auth;
pub mod cli;
pub mod close;
pub mod config;
pub mod desk;
pub mod domain;
pub mod egress;
pub mod error;
pub mod failpoint;
pub mod http;
pub mod inventory;
pub mod outgoing;
pub mod policy;
pub mod store;
pub mod telemetry;
