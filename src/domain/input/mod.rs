//! Strict readers for request bodies, configuration and policy, which report every fault with its location.

pub mod document;
pub mod fields;
pub mod json;
pub mod pointer;
