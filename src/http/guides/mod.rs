//! The guides in the running service: as HTML pages, as Markdown, and as lists of them.

pub(in crate::http) mod lists;
pub(in crate::http) mod render;
pub(in crate::http) mod table;

mod link;
