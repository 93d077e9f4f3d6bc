//! Query parameters, checked as strictly as bodies.
//!
//! An unknown parameter, a repeated parameter and a value that is not UTF-8 are faults, each with its pointer.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::domain::input::fault::Fault;
use crate::domain::input::pointer;
use crate::domain::input::read::read_query;
use crate::domain::page::Page;
use crate::http::extract::caller::Caller;
use crate::http::extract::cursor::Binding;
use crate::http::problem::Problem;
use crate::http::state::Http;
use crate::http::view::PageView;

/// The query of a list: its filters, and the position of the page.
pub(in crate::http) trait ListQuery: DeserializeOwned {
    /// The name of the list, to which its cursors are bound.
    const LIST: &'static str;

    /// Returns the cursor as sent; [`List::after`] verifies its signature.
    fn cursor(&self) -> Option<&str>;
}

/// The query of a request that does not list objects.
pub(in crate::http) struct Query<T>(pub(in crate::http) T);

/// A query without any parameter.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct NoQuery {}

/// The query of a list, to which cursors are bound.
pub(in crate::http) struct List<Q> {
    pub(in crate::http) query: Q,
    /// The filters as sent, sorted by name.
    filters: String,
}

impl<Q: ListQuery> List<Q> {
    /// Returns the scope in which the cursors of this list are valid.
    fn binding<'a, P>(&'a self, caller: &'a Caller<P>) -> Binding<'a> {
        Binding {
            list: Q::LIST,
            filters: &self.filters,
            caller: caller.identity(),
        }
    }
    /// Returns the position after which the page starts, or `None` for the start of the list.
    pub(in crate::http) fn after<P>(
        &self,
        http: &Http,
        caller: &Caller<P>,
    ) -> Result<Option<String>, Problem> {
        let verified = |cursor| http.cursors.verify(self.binding(caller), cursor);
        self.query.cursor().map(verified).transpose()
    }
    /// Renders a page of this list, with the cursor of the next one.
    pub(in crate::http) fn page<T, V, P>(
        &self,
        http: &Http,
        caller: &Caller<P>,
        page: Page<T>,
        view: impl FnMut(T) -> V,
    ) -> Json<PageView<V>> {
        let next = page
            .next
            .map(|position| http.cursors.sign(self.binding(caller), &position));
        Json(PageView::new(page.rows.into_iter().map(view).collect(), next))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(read(parts.uri.query().unwrap_or_default(), |pairs| {
            deserialize(&pairs)
        })?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(read(parts.uri.query().unwrap_or_default(), |pairs| {
            deserialize(&pairs)
        })?)
    }
}

impl<S: Send + Sync, Q: ListQuery> FromRequestParts<S> for List<Q> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(read(parts.uri.query().unwrap_or_default(), list)?)
    }
}

/// Reads the query. The fault of a value that has an unescaped `+` says that it means a space.
fn read<T>(
    query: &str,
    read: impl FnOnce(Map<String, Value>) -> Result<T, Vec<Fault>>,
) -> Result<T, Vec<Fault>> {
    let pairs = pairs(query)?;
    let values = if query.contains('+') {
        pairs.clone()
    } else {
        Map::new()
    };
    read(pairs).map_err(|mut faults| {
        for (name, value) in values {
            let pointer = pointer::child("/query", &name);
            let has_space = value
                .as_str()
                .is_some_and(|value| value.trim_start().contains(' '));
            for fault in faults
                .iter_mut()
                .filter(|fault| has_space && fault.pointer == pointer)
            {
                fault.message += "; in a URL, `+` means a space: write it as `%2B`";
            }
        }
        faults
    })
}

fn list<Q: ListQuery>(mut pairs: Map<String, Value>) -> Result<List<Q>, Vec<Fault>> {
    let query = deserialize(&pairs)?;
    pairs.retain(|name, _| name != "limit" && name != "cursor");
    pairs.sort_keys();
    Ok(List {
        query,
        filters: Value::Object(pairs).to_string(),
    })
}

/// Deserializes the parameters. The pointer of a fault begins with `/query`.
fn deserialize<T: DeserializeOwned>(pairs: &Map<String, Value>) -> Result<T, Vec<Fault>> {
    read_query(&Value::Object(pairs.clone())).map_err(|mut faults| {
        for fault in &mut faults {
            fault.pointer.insert_str(0, "/query");
        }
        faults
    })
}

/// Returns the parameters by name.
///
/// A repeated name is a fault: a proxy and the service could use different values.
fn pairs(query: &str) -> Result<Map<String, Value>, Vec<Fault>> {
    let mut pairs = Map::new();
    let mut faults = Vec::new();
    let mut reported = BTreeSet::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let unreadable = |text: &str| text.chars().any(|c| c.is_control() || c == '\u{FFFD}');
        let message = if unreadable(&name) || unreadable(&value) {
            "must be UTF-8 without control characters"
        } else if pairs
            .insert(name.to_string(), value.into_owned().into())
            .is_some()
        {
            "must appear only once"
        } else {
            continue;
        };
        let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
        if reported.insert(shown.clone()) {
            let pointer = pointer::child("/query", &shown);
            faults.push(Fault {
                pointer,
                message: message.to_owned(),
            });
        }
    }
    if faults.is_empty() { Ok(pairs) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::input::values::Text;
    use crate::domain::page::Limit;
    use crate::domain::team::Team;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Colours {
        colour: Option<Text<8>>,
        team: Option<Team>,
        #[serde(default)]
        limit: Limit,
        cursor: Option<String>,
    }
    impl ListQuery for Colours {
        const LIST: &'static str = "colours";
        fn cursor(&self) -> Option<&str> {
            self.cursor.as_deref()
        }
    }

    fn parsed(query: &str) -> Result<List<Colours>, Vec<String>> {
        let texts = |faults: Vec<Fault>| faults.iter().map(ToString::to_string).collect();
        read(query, list).map_err(texts)
    }
    fn faults(query: &str) -> Vec<String> {
        parsed(query).err().unwrap_or_default()
    }

    #[test]
    fn a_missing_parameter_has_its_default() {
        let query = parsed("").unwrap().query;
        assert_eq!((query.limit.rows(), query.colour, query.cursor), (50, None, None));
        let query = parsed("limit=200&colour=sky+blue&team=a&cursor=x").unwrap().query;
        assert_eq!((query.limit.rows(), query.cursor()), (200, Some("x")));
        assert_eq!(query.colour.map(String::from).unwrap(), "sky blue");
        assert_eq!(query.team.unwrap().as_str(), "a");
    }

    #[test]
    fn unknown_repeated_and_undecodable_parameters_are_faults_with_their_pointer() {
        assert_eq!(
            faults("color=x"),
            ["/query/color: unknown key `color`; did you mean `colour`?"]
        );
        assert_eq!(
            faults("colour=a&colour=a&colour=b"),
            ["/query/colour: must appear only once"]
        );
        assert_eq!(
            faults("colour=%FF"),
            ["/query/colour: must be UTF-8 without control characters"]
        );
        assert_eq!(faults("colour=a%0D%0Ab").len(), 1);
        assert_eq!(
            faults("a%2Fb=%00"),
            ["/query/a~1b: must be UTF-8 without control characters"]
        );
        assert_eq!(faults("team=a b&limit=0").len(), 2);
    }

    #[test]
    fn the_fault_of_a_value_with_an_unescaped_plus_says_how_to_write_it() {
        let hint = "; in a URL, `+` means a space: write it as `%2B`";
        let fault = faults("colour=a+b&team=a+b").join("\n");
        assert!(
            fault.starts_with("/query/team: must be") && fault.ends_with(hint),
            "{fault}"
        );
        for other in ["team=a%20b", "team=a%2Bb", "colour=a+b&team=%2A"] {
            let fault = faults(other).join("\n");
            assert!(
                fault.starts_with("/query/team: must be") && !fault.contains(hint),
                "{fault}"
            );
        }
    }

    #[test]
    fn invalid_limits_are_faults() {
        for bad in [
            "0",
            "201",
            "-1",
            "+5",
            "1e9",
            "",
            "999999999999999999999",
            "5.0",
            " 5",
            "%D9%A3",
        ] {
            assert_eq!(
                faults(&format!("limit={bad}")),
                ["/query/limit: must be a whole number from 1 to 200"]
            );
        }
    }

    #[test]
    fn a_cursor_is_bound_to_the_filters_in_any_order_and_not_to_the_limit() {
        let filters = |query: &str| parsed(query).unwrap().filters;
        assert_eq!(
            filters("team=a&colour=b&limit=1"),
            filters("colour=b&limit=2&team=a&cursor=c")
        );
        assert_ne!(filters("team=a&colour=b"), filters("team=a"));
    }
}
