//! The section `[log]`.

use std::ops::Deref;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::input::values::Text;
use crate::domain::schema::string_schema;
use crate::domain::string_enum::string_enum;

/// The log.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// The form of a log line.
    pub format: LogFormat,
    /// The least severe level that is logged, or several levels by target. `NUMBERDESK_LOG` overrides it.
    pub level: LogFilter,
    /// The requests that have a log line. Errors, requests of a second or more, and requests other than reads always have one.
    pub requests: LogRequests,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Auto,
            level: LogFilter("info".to_owned()),
            requests: LogRequests::All,
        }
    }
}

string_enum! {
    /// The form of a log line.
    LogFormat {
        /// Text on a terminal, JSON elsewhere.
        Auto = "auto",
        /// One JSON object a line.
        Json = "json",
        /// Text.
        Text = "text",
    }
}

string_enum! {
    /// The requests that have a log line.
    LogRequests {
        /// All requests.
        All = "all",
        /// No other requests than those that always have one.
        Errors = "errors",
        /// Also reads whose trace is recorded, and one of a hundred others.
        Sampled = "sampled",
    }
}

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// A log level, or several by target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Text<1_024>")]
pub struct LogFilter(String);

impl TryFrom<Text<1_024>> for LogFilter {
    type Error = String;
    fn try_from(text: Text<1_024>) -> Result<Self, String> {
        let text = String::from(text);
        let target = |name: &str| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'-'))
        };
        let fits = |part: &str| match part.trim().split_once('=') {
            Some((name, level)) => target(name) && LEVELS.contains(&level),
            None => LEVELS.contains(&part.trim()),
        };
        if text.split(',').all(fits) {
            Ok(Self(text))
        } else {
            Err(format!(
                "must be one of {}, or such as \"info,numberdesk=debug\"",
                LEVELS.join(", ")
            ))
        }
    }
}
impl Deref for LogFilter {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}
string_schema! {
    LogFilter: "`off`, `error`, `warn`, `info`, `debug` or `trace`; or several by target: `info,numberdesk=debug`.",
    pattern: "^\\s*([A-Za-z0-9_:-]+=)?(off|error|warn|info|debug|trace)\\s*(,\\s*([A-Za-z0-9_:-]+=)?(off|error|warn|info|debug|trace)\\s*)*$",
    max_length: 1_024, example: "info,numberdesk=debug"
}
