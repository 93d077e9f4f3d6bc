//! Reading what people write by hand: request bodies, configuration and policy, with every fault and its place.

pub mod document;
pub mod fields;
pub mod json;
pub mod pointer;
