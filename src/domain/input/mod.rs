//! Strict readers for request bodies, configuration and policy, which report every fault with its location.

pub mod document;
mod failure;
pub mod fault;
pub mod json;
pub mod json_type;
pub mod list;
pub mod merge_patch;
pub mod pointer;
pub mod pointers;
pub mod read;
mod reader;
pub mod values;
mod variant;
