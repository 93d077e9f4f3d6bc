//! Points between two side effects where a test can kill the process.
//!
//! They exist only with the Cargo feature `failpoints`. Without it, [`reached`] is an empty function.

/// Kills the process with SIGKILL if the environment variable `NUMBERDESK_TEST_KILL_AT` equals `name`.
///
/// SIGKILL stands for a power failure: the process flushes nothing and closes nothing.
#[cfg(feature = "failpoints")]
pub fn reached(name: &str) {
    if std::env::var("NUMBERDESK_TEST_KILL_AT").is_ok_and(|wanted| wanted == name) {
        let process = std::process::id().to_string();
        let _ = std::process::Command::new("kill")
            .args(["-KILL", &process])
            .status();
        loop {
            std::thread::park();
        }
    }
}

/// Does nothing, because the feature `failpoints` is off.
#[cfg(not(feature = "failpoints"))]
pub const fn reached(_: &str) {}
