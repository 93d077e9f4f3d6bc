//! Phone numbers: the objects that Close shows, and the numbering plans that they come from.

pub(crate) mod number;
pub(crate) mod plan;
