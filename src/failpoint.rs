//! Points between two side effects where a test can kill the process, and the statements that a test explains.
//!
//! They exist only with the Cargo feature `failpoints`. Without it, [`reached`] and [`executed`] are empty functions.

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

/// The statements that this process executed on PostgreSQL: each text, and the first arguments in it.
#[cfg(feature = "failpoints")]
static EXECUTED: parking_lot::Mutex<std::collections::BTreeMap<String, String>> =
    parking_lot::Mutex::new(std::collections::BTreeMap::new());

/// Notes a statement, for the test that explains all of them. `example` is the text with its arguments.
#[cfg(feature = "failpoints")]
pub fn executed(text: &str, example: impl FnOnce() -> String) {
    let mut executed = EXECUTED.lock();
    if !executed.contains_key(text) {
        executed.insert(text.to_owned(), example());
    }
}

/// Does nothing, because the feature `failpoints` is off.
#[cfg(not(feature = "failpoints"))]
pub fn executed(_: &str, _: impl FnOnce() -> String) {}

/// Returns an example of each statement that this process executed on PostgreSQL.
#[cfg(feature = "failpoints")]
pub fn statements() -> Vec<String> {
    EXECUTED.lock().values().cloned().collect()
}
