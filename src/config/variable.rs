//! The names of environment variables.

/// The beginning of every variable of the service.
pub(super) const PREFIX: &str = "NUMBERDESK_";

/// Returns the environment variable of a key, such as `close.api_key`.
pub(super) fn variable(key: &str) -> String {
    format!(
        "{PREFIX}{}",
        key.replace('#', "0").replace('.', "__").to_ascii_uppercase()
    )
}
