//! Scripted faults: which requests they match and how they change the response.

pub(crate) mod corrupt;
pub(crate) mod fault;
