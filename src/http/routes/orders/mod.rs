//! `/v1/orders`: one module for each operation on orders.

pub(in crate::http) mod approve;
pub(in crate::http) mod cancel;
pub(in crate::http) mod create;
pub(in crate::http) mod get;
pub(in crate::http) mod list;
pub(in crate::http) mod settle;
pub(in crate::http) mod validate;
