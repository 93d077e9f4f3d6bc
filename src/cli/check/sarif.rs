//! The findings in SARIF 2.1.0, the format in which code hosts show findings of linters at the line.
//!
//! <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>

use std::fmt::Write as _;
use std::path::{Component, Path};

use serde_json::{Value, json};
use url::Url;

use super::finding::{Finding, Rule};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// Returns the log of one run.
pub(super) fn log(findings: &[Finding]) -> Value {
    let rules: Vec<Value> = Rule::ALL
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id(),
                "shortDescription": { "text": rule.description() },
                "defaultConfiguration": { "level": rule.level() },
            })
        })
        .collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "numberdesk",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": findings.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

fn result(finding: &Finding) -> Value {
    let mut location = json!({});
    // A variable of the environment is in no file.
    if !finding.file.starts_with("env ") {
        let mut physical = json!({ "artifactLocation": { "uri": uri(Path::new(&finding.file)) } });
        if let Some(line) = finding.line {
            physical["region"] = json!({ "startLine": line, "startColumn": finding.column.unwrap_or(1) });
        }
        location["physicalLocation"] = physical;
    }
    let key = if finding.key.is_empty() {
        &finding.file
    } else {
        &finding.key
    };
    location["logicalLocations"] = json!([{ "fullyQualifiedName": key }]);
    let text = if finding.key.is_empty() {
        finding.message.clone()
    } else {
        format!("{}: {}", finding.key, finding.message)
    };
    json!({
        "ruleId": finding.rule.id(),
        "ruleIndex": Rule::ALL.iter().position(|rule| *rule == finding.rule),
        "level": finding.level,
        "message": { "text": text },
        "locations": [location],
    })
}

/// Returns a path as a URI: relative to the folder of the run, as code hosts expect it, or absolute.
fn uri(path: &Path) -> String {
    if path.is_absolute() {
        return Url::from_file_path(path).map(String::from).unwrap_or_default();
    }
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(encoded(&name.to_string_lossy())),
        Component::ParentDir => Some("..".to_owned()),
        _ => None,
    });
    parts.collect::<Vec<_>>().join("/")
}

fn encoded(name: &str) -> String {
    let mut uri = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_relative_reference_or_a_file_url() {
        for (path, expected) in [
            ("numberdesk.toml", "numberdesk.toml"),
            ("./a b/ü:c.toml", "a%20b/%C3%BC%3Ac.toml"),
            ("../x.toml", "../x.toml"),
            (
                "/etc/numberdesk/policy.toml",
                "file:///etc/numberdesk/policy.toml",
            ),
        ] {
            assert_eq!(uri(Path::new(path)), expected);
        }
    }
}
