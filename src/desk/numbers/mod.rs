//! Numbers: changing, transferring and releasing what is already rented.

pub(super) mod cancel_release;
pub(super) mod release;
pub(super) mod transfer;
pub(super) mod update;
