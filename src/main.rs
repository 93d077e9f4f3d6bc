//! The `numberdesk` binary: hands its arguments over and decides nothing.

fn main() {}
