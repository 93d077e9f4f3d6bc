//! Values of arguments whose type alone would give an error that names no remedy.

use serde_json::Value;
use url::Url;

/// Reads the number of a port.
#[cfg(feature = "dev")]
pub(super) fn port(text: &str) -> Result<u16, String> {
    text.parse()
        .map_err(|_| "must be a port number from 0 to 65535; 0 is any free port".to_owned())
}

/// Reads the URL of a server.
pub(super) fn http_url(text: &str) -> Result<Url, String> {
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| "must be an http or https URL, such as http://127.0.0.1:9090/readyz".to_owned())
}

/// Reads a count.
pub(super) fn count(text: &str) -> Result<i64, String> {
    text.parse::<u32>()
        .map(i64::from)
        .map_err(|_| "must be a whole number, 0 or more".to_owned())
}

/// Reads the claims of a token.
pub(super) fn claims(text: &str) -> Result<Value, String> {
    let example = r#"{"phone":{"countries":["DE"]}}"#;
    match serde_json::from_str(text) {
        Ok(claims @ Value::Object(_)) => Ok(claims),
        Ok(_) => Err(format!("must be a JSON object, such as {example}")),
        Err(error) => Err(format!("must be a JSON object, such as {example}: {error}")),
    }
}
