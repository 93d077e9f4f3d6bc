//! Places where a test may have the process killed: between one effect and the next. Compiled in only with the feature
//! `failpoints`; without it, reaching one is nothing at all.

/// The process comes by `name`. With the feature, and when `NUMBERDESK_TEST_KILL_AT` names it, it is killed here as by
/// the machine's power: by SIGKILL, with nothing written, closed or said.
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

/// Nothing.
#[cfg(not(feature = "failpoints"))]
pub const fn reached(_: &str) {}
