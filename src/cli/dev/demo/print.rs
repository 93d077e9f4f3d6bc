//! How the demo looks: headings, requests, and results in colour on a terminal.

use std::io::IsTerminal as _;

use serde_json::Value;

use crate::cli::output::{OutputError, outln};

pub(super) fn heading(text: &str) -> Result<(), OutputError> {
    outln!("\n  {}", paint("1", text))
}

pub(super) fn request(line: &str) -> Result<(), OutputError> {
    outln!("     {}", paint("2", line))
}

pub(super) fn result(status: &str, line: &str) -> Result<(), OutputError> {
    let colour = if status.starts_with('4') { "33" } else { "32" };
    outln!("     {} {line}", paint(colour, &format!("{status:3}")))
}

/// Prints why a step, or the rest of it, is not shown.
pub(super) fn left_out(why: &str) -> Result<(), OutputError> {
    outln!("     {}", paint("33", &format!("left out: {why}")))
}

/// Prints the rule that denies an order, and what would change the decision.
pub(super) fn denial(problem: &Value) -> Result<(), OutputError> {
    let decision = &problem["decision"];
    result("403", text(decision, "rule"))?;
    result(
        "",
        &format!("have {}, need {}", decision["have"], decision["need"]),
    )?;
    result("", text(decision, "hint"))
}

/// Returns a member of a JSON object as text; `-` if it is none.
pub(super) fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or("-")
}

/// Returns the number and the id of an order.
pub(super) fn number(order: &Value) -> String {
    let number = text(&order["phone_number"], "number");
    format!("{number}  order {}", text(order, "id"))
}

fn paint(code: &str, text: &str) -> String {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if plain || !std::io::stdout().is_terminal() {
        text.to_owned()
    } else {
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}
