//! Events as rows, and notifications of new ones.

pub(super) mod feed;
pub(super) mod listen;
