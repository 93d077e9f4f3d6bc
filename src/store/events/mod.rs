//! Events as rows of the table `events`: written, sequenced, read and announced to other replicas.

pub(super) mod find;
pub(super) mod listen;
pub(super) mod row;
pub(super) mod sequence;
pub(super) mod write;
