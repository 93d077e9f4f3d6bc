//! How many requests a team may make: each has a quota that is used up by requests and fills again with time. It knows
//! teams by the names that it is given, and tells clients where they stand as
//! draft-ietf-httpapi-ratelimit-headers-10 has it.

use std::collections::HashMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;

use crate::domain::caller::{Caller, Team};
use crate::domain::time::Timestamp;

const MINUTE: i64 = 60_000_000;
/// Teams of which it is known how much they have used. Whoever has a full quota again is forgotten first; beyond that,
/// newcomers share one.
const TEAMS: usize = 10_000;
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The quotas of all teams.
pub(in crate::http) struct Allowance {
    /// The time in which one request becomes free again, in microseconds; 0 where nothing is limited.
    each: i64,
    /// The time in which an empty quota becomes full.
    whole: i64,
    /// When each team's quota is full again, in microseconds since 1970.
    full_at: Mutex<HashMap<String, i64>>,
}

/// Where a team stands after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) struct Standing {
    quota: i64,
    /// Seconds in which an empty quota becomes full.
    window: i64,
    remaining: i64,
    /// Seconds until the quota is full.
    full_in: i64,
    /// Seconds until another request is taken, where this one is not.
    pub(in crate::http) refused_for: Option<u64>,
}

impl Allowance {
    /// So many requests a minute, 0 for any number, of which `burst` may come at once.
    pub(in crate::http) fn new(a_minute: u32, burst: u32) -> Self {
        let each = if a_minute == 0 {
            0
        } else {
            MINUTE / i64::from(a_minute)
        };
        Self {
            each,
            whole: each * i64::from(burst),
            full_at: Mutex::default(),
        }
    }

    /// Takes one request out of the caller's quota, if there is one.
    pub(in crate::http) fn take(&self, caller: &Caller, now: Timestamp) -> Option<Standing> {
        (self.each > 0).then(|| self.draw(&whose(caller), now.as_micros()))
    }

    fn draw(&self, whose: &str, now: i64) -> Standing {
        let mut all = self.full_at.lock();
        if all.len() >= TEAMS && !all.contains_key(whose) {
            all.retain(|_, full_at| *full_at > now);
        }
        let whose = if all.len() < TEAMS || all.contains_key(whose) {
            whose
        } else {
            ""
        };
        // Later than an empty quota needs: the clock was set back meanwhile.
        let full_at = all
            .get(whose)
            .map_or(now, |at| (*at).clamp(now, now + self.whole));
        let after = full_at + self.each;
        let too_much = after - now - self.whole;
        let full_at = if too_much > 0 { full_at } else { after };
        all.insert(whose.to_owned(), full_at);
        Standing {
            quota: self.whole / self.each,
            window: seconds(self.whole),
            remaining: (self.whole - (full_at - now)) / self.each,
            full_in: seconds(full_at - now),
            refused_for: (too_much > 0).then(|| seconds(too_much).unsigned_abs()),
        }
    }
}

impl Standing {
    /// Tells the client.
    pub(in crate::http) fn tell(self, headers: &mut HeaderMap) {
        let Self {
            quota,
            window,
            remaining,
            full_in,
            ..
        } = self;
        for (name, text) in [
            (POLICY, format!("\"team\";q={quota};w={window}")),
            (RATE_LIMIT, format!("\"team\";r={remaining};t={full_in}")),
        ] {
            headers.insert(
                name,
                HeaderValue::try_from(text).expect("names and digits are plain ASCII"),
            );
        }
    }
}

/// Whose quota a request comes out of: its team's. A token of several teams has one of its own for just these teams, so
/// that it takes nothing from any of them; one of no team has its subject's.
fn whose(caller: &Caller) -> String {
    let mut teams: Vec<&str> = caller.teams.iter().map(Team::as_str).collect();
    teams.sort_unstable();
    if teams.is_empty() {
        // No name of a team has a blank in it.
        return format!("{} {}", caller.issuer, caller.subject);
    }
    teams.join(",")
}

/// Rounded up, as who waits must not come too early.
const fn seconds(micros: i64) -> i64 {
    (micros + 999_999) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000_000_000;
    const SECOND: i64 = 1_000_000;

    #[test]
    fn a_burst_is_taken_at_once_and_comes_back_with_time() {
        let allowance = Allowance::new(60, 3);
        let standings: Vec<_> = (0..4).map(|_| allowance.draw("sales", NOW)).collect();
        let told: Vec<_> = standings
            .iter()
            .map(|at| (at.remaining, at.full_in, at.refused_for))
            .collect();
        assert_eq!(told, [(2, 1, None), (1, 2, None), (0, 3, None), (0, 3, Some(1))]);
        assert_eq!(allowance.draw("support", NOW).remaining, 2);
        assert_eq!(allowance.draw("sales", NOW + SECOND - 1).refused_for, Some(1));
        assert_eq!(allowance.draw("sales", NOW + SECOND).refused_for, None);
        assert_eq!(allowance.draw("sales", NOW + 60 * SECOND).remaining, 2);
    }

    #[test]
    fn a_clock_that_was_set_back_locks_nobody_out() {
        let allowance = Allowance::new(60, 3);
        allowance.draw("sales", NOW);
        let yesterday = NOW - 86_400 * SECOND;
        assert_eq!(allowance.draw("sales", yesterday).refused_for, Some(1));
        assert_eq!(allowance.draw("sales", yesterday + SECOND).refused_for, None);
    }

    #[test]
    fn what_is_known_of_teams_is_bounded() {
        let allowance = Allowance::new(60, 2);
        for nth in 0..TEAMS + 5 {
            allowance.draw(&nth.to_string(), NOW);
        }
        assert!(allowance.full_at.lock().len() <= TEAMS + 1);
        allowance.draw("late", NOW + 60 * SECOND);
        assert_eq!(allowance.full_at.lock().len(), 1);
    }

    #[test]
    fn a_client_is_told_in_structured_fields() {
        let mut headers = HeaderMap::new();
        Allowance::new(600, 300).draw("sales", NOW).tell(&mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"team\";q=300;w=30");
        assert_eq!(headers["ratelimit"], "\"team\";r=299;t=1");
    }
}
