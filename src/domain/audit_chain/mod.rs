//! The hash chain over the audit trail.
//!
//! Every row of the chain carries a hash over the previous hash and over its own content. A person who changes,
//! removes, inserts or moves a row must therefore change every later hash. This module does not know where rows are
//! stored.
//!
//! The canonical form, from which anyone can write a verifier:
//!
//! * `hash` of row `seq` is SHA-256, as 64 lower-case hexadecimal digits, over the UTF-8 bytes of `prev`, a line feed,
//!   and the row as a JSON array.
//! * `prev` is the `hash` of row `seq - 1`; for row 1 it is the string [`GENESIS`].
//! * The array is `[seq, id, at, issuer, subject, team, action, allowed, rule, order_id, phone_number_id, outcome,
//!   detail, request_id]`, without white space. `seq`, `at` (microseconds since 1970) and `allowed` (0 or 1) are
//!   numbers, everything else is a string. A missing value is `null`.
//! * `detail` is JSON itself. In the array it is a string that holds its text, byte for byte as it is stored.
//! * In strings `"` and `\` are escaped by a backslash, control characters below U+0020 as `\b`, `\t`, `\n`, `\f`, `\r`
//!   or `\u00xx` with lower-case digits, and nothing else is.

mod line;
mod link;
mod verify;

pub use line::NotExportable;
pub use link::{GENESIS, Head, Link, NotAHead, StoredRow, hash};
pub use verify::{Break, BrokenRow, Verified, Verifier};

#[cfg(test)]
mod tests;
