//! Events: assigning their sequence, and streaming them to readers.

pub(super) mod sequence;
pub(super) mod stream;
