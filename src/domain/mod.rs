//! The words of the trade as types: pure values, no I/O, nothing async.

pub mod approval;
pub mod audit;
pub mod caller;
pub mod chain;
pub mod changes;
pub mod country;
pub mod decision;
pub mod delivery;
pub mod document;
pub mod event;
pub mod fields;
pub mod fit;
pub mod id;
pub mod json;
pub mod money;
pub mod month;
pub mod network;
pub mod number;
pub mod order;
pub mod page;
pub mod phone;
pub mod pointer;
pub mod request;
pub mod spend;
pub mod time;
pub mod webhook;
