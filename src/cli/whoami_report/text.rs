//! The report of `numberdesk policy whoami` as text for people.

use std::fmt;

use super::{PermissionLine, Report};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.checks {
            let word = if line.outcome == "fault" {
                "FAULT"
            } else {
                line.outcome
            };
            writeln!(f, "{word:<8} {:<12} {}", line.check, line.detail)?;
        }
        if let Some(caller) = &self.caller {
            writeln!(f, "\ncaller   {} of {}", caller.subject, caller.issuer)?;
            if caller.name != caller.subject {
                writeln!(f, "         shown as {}", caller.name)?;
            }
            if let Some(user) = &caller.close_user {
                writeln!(f, "         {user} in Close")?;
            }
        }
        section(f, "claims", &self.claims, |line| {
            let value = line.value.as_deref().unwrap_or("not in the token");
            format!("{:<13} {}: {value}", line.read_for, line.pointer)
        })?;
        if !self.claims.is_empty() && !self.other_claims.is_empty() {
            writeln!(f, "         not read      {}", self.other_claims.join(", "))?;
        }
        section(f, "left out", &self.ignored_teams, |line| {
            format!("`{}`: {}", line.name, line.reason)
        })?;
        if self.group_overage {
            writeln!(
                f,
                "\noverage  the provider left groups out of the token, because the caller has too many: limit the claim \
                 to\n         groups that are assigned to the application, or send roles instead"
            )?;
        }
        section(f, "grants", &self.grants, |line| {
            let word = if line.matches { "matches" } else { "no match" };
            format!("{:<12} {word:<9} {}", line.grant, line.reason)
        })?;
        section(f, "teams", &self.teams, |line| {
            let rules = if line.has_rules {
                ""
            } else {
                " (no rules in the policy)"
            };
            format!("{}{rules}: {}", line.team, rights(&line.permissions))
        })?;
        if !self.everywhere.is_empty() {
            writeln!(f, "\neverywhere\n         {}", rights(&self.everywhere))?;
        }
        let to_rent = if self.missing_to_rent.is_empty() {
            vec!["nothing is missing, within the rules of the team".to_owned()]
        } else {
            self.missing_to_rent.clone()
        };
        section(f, "missing to rent", &to_rent, Clone::clone)
    }
}

fn section<T>(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    items: &[T],
    line: impl Fn(&T) -> String,
) -> fmt::Result {
    if items.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{title}")?;
    for item in items {
        writeln!(f, "         {}", line(item))?;
    }
    Ok(())
}

fn rights(permissions: &[PermissionLine]) -> String {
    if permissions.is_empty() {
        return "no permission".to_owned();
    }
    let each = permissions
        .iter()
        .map(|line| format!("{} ({})", line.permission, line.from.join(", ")));
    each.collect::<Vec<_>>().join(", ")
}
