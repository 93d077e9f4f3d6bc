//! The lines of the report, and whether one of them is a fault.

use std::fmt;

use serde_json::{Value, json};

/// The result of one check.
pub(super) enum Finding {
    /// Works.
    Good(String),
    /// Works, but an operator should know about it.
    Note(String),
    /// Does not work.
    Bad(String),
}

/// The findings, in the order of the output.
#[derive(Default)]
pub(super) struct Report(Vec<(String, Finding)>);

impl Report {
    /// Adds the result of a check.
    pub(super) fn add(&mut self, what: impl Into<String>, finding: Finding) {
        self.0.push((what.into(), finding));
    }

    /// Adds the lines of another report.
    pub(super) fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The report for programs.
    pub(super) fn document(&self) -> Value {
        let checks: Vec<Value> = self
            .0
            .iter()
            .map(|(check, finding)| {
                let (status, message) = match finding {
                    Finding::Good(text) => ("ok", text),
                    Finding::Note(text) => ("note", text),
                    Finding::Bad(text) => ("fault", text),
                };
                json!({ "check": check, "status": status, "message": message })
            })
            .collect();
        json!({ "healthy": !self.has_fault(), "checks": checks })
    }

    /// Whether something does not work.
    pub(super) fn has_fault(&self) -> bool {
        self.0
            .iter()
            .any(|(_, finding)| matches!(finding, Finding::Bad(_)))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, finding) in &self.0 {
            let (word, text) = match finding {
                Finding::Good(text) => ("ok", text),
                Finding::Note(text) => ("note", text),
                Finding::Bad(text) => ("FAULT", text),
            };
            writeln!(f, "{word:<6} {what:<14} {text}")?;
        }
        Ok(())
    }
}
