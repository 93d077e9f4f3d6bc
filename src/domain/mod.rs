//! The business terms as types: pure values without I/O and without async code.

pub mod audit;
pub mod audit_chain;
pub mod backoff;
pub mod caller;
pub mod close_event;
pub mod country;
pub mod decision;
pub mod delivery;
pub mod event;
pub mod id;
pub mod input;
pub mod loopback;
pub mod money;
pub mod month;
pub mod network;
pub mod number;
pub mod number_patch;
pub mod order;
pub mod page;
pub mod phone;
pub mod raw_object;
pub mod service_account;
pub mod spend;
pub mod string_enum;
pub mod time;
pub mod webhook;
