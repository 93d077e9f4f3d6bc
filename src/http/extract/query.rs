//! Query parameters, checked as strictly as bodies.
//!
//! An unknown parameter, a repeated parameter and a value that is not UTF-8 are faults, each with its pointer.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::domain::input::fields::{self, Fault, Fields, Node};
use crate::domain::input::pointer;
use crate::domain::page::{Limit, Page};
use crate::domain::team::Team;
use crate::http::extract::caller::Caller;
use crate::http::extract::cursor::Binding;
use crate::http::problem::Problem;
use crate::http::state::Http;
use crate::http::view::PageView;

/// The parameters of a query.
pub(in crate::http) trait QueryFields: Sized {
    /// Reads the parameters. Every value is a string.
    fn read(fields: &mut Fields<'_>) -> Option<Self>;
}

/// The filters of a list.
pub(in crate::http) trait Filter: QueryFields {
    /// The name of the list, to which its cursors are bound.
    const LIST: &'static str;
}

/// The query of a request that does not list objects.
pub(in crate::http) struct Query<T>(pub(in crate::http) T);

/// A query without any parameter.
pub(in crate::http) struct NoQuery;

/// The query of a list: a team, filters and the position of the page.
pub(in crate::http) struct List<F> {
    pub(in crate::http) team: Option<Team>,
    pub(in crate::http) filter: F,
    pub(in crate::http) limit: Limit,
    /// The cursor as sent; [`List::after`] verifies its signature.
    cursor: Option<String>,
    /// The team and the filters as sent, sorted by name.
    filters: String,
}

impl<F: Filter> List<F> {
    /// Returns the scope in which the cursors of this list are valid.
    fn binding<'a, P>(&'a self, caller: &'a Caller<P>) -> Binding<'a> {
        Binding {
            list: F::LIST,
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
        let verified = |cursor: &String| http.cursors.verify(self.binding(caller), cursor);
        self.cursor.as_ref().map(verified).transpose()
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

impl<S: Send + Sync, T: QueryFields> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(read(
            &pairs(parts.uri.query().unwrap_or_default())?,
            T::read,
        )?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(read(&pairs(parts.uri.query().unwrap_or_default())?, |_| {
            Some(Self)
        })?)
    }
}

impl<S: Send + Sync, F: Filter> FromRequestParts<S> for List<F> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(list(pairs(parts.uri.query().unwrap_or_default())?)?)
    }
}

fn list<F: Filter>(mut pairs: Map<String, Value>) -> Result<List<F>, Vec<Fault>> {
    let mut list = read(&pairs, |fields| {
        let team = fields.optional("team", |node| node.parse());
        let limit = fields.optional("limit", |node| limit(&node));
        let cursor = fields.optional("cursor", |node| node.string().map(str::to_owned));
        let filter = F::read(fields);
        let (team, limit, cursor) = (team?, limit?.unwrap_or_default(), cursor?);
        Some(List {
            team,
            filter: filter?,
            limit,
            cursor,
            filters: String::new(),
        })
    })?;
    pairs.retain(|name, _| name != "limit" && name != "cursor");
    pairs.sort_keys();
    list.filters = Value::Object(pairs).to_string();
    Ok(list)
}

fn read<T>(
    pairs: &Map<String, Value>,
    parameters: impl FnOnce(&mut Fields<'_>) -> Option<T>,
) -> Result<T, Vec<Fault>> {
    let root = Value::Object(Map::from_iter([(
        "query".to_owned(),
        Value::Object(pairs.clone()),
    )]));
    fields::read(&root, |node| {
        let mut root = node.fields()?;
        root.required("query", |node| {
            let mut fields = node.fields()?;
            let value = parameters(&mut fields);
            fields.finish();
            value
        })
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

/// Parses the number of rows in a page.
pub(in crate::http) fn limit(node: &Node<'_>) -> Option<Limit> {
    let text = node.string()?;
    let digits = !text.is_empty() && text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    let limit = if digits {
        text.parse().ok().and_then(Limit::new)
    } else {
        None
    };
    limit.or_else(|| node.fault("must be a whole number from 1 to 200"))
}

/// Parses `true` or `false`.
pub(in crate::http) fn flag(node: &Node<'_>) -> Option<bool> {
    match node.string()? {
        "true" => Some(true),
        "false" => Some(false),
        _ => node.fault("must be true or false"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Colour(Option<String>);
    impl QueryFields for Colour {
        fn read(fields: &mut Fields<'_>) -> Option<Self> {
            fields.optional("colour", |node| node.text(8)).map(Self)
        }
    }
    impl Filter for Colour {
        const LIST: &'static str = "colours";
    }

    fn parsed(query: &str) -> Result<List<Colour>, Vec<String>> {
        let texts = |faults: Vec<Fault>| faults.iter().map(ToString::to_string).collect();
        pairs(query).and_then(list).map_err(texts)
    }
    fn faults(query: &str) -> Vec<String> {
        parsed(query).err().unwrap_or_default()
    }

    #[test]
    fn a_missing_parameter_has_its_default() {
        let list = parsed("").unwrap();
        assert_eq!((list.limit.rows(), list.filter.0, list.cursor), (50, None, None));
        let list = parsed("limit=200&colour=sky+blue&team=a&cursor=x").unwrap();
        assert_eq!(
            (
                list.limit.rows(),
                list.filter.0.as_deref(),
                list.cursor.as_deref()
            ),
            (200, Some("sky blue"), Some("x"))
        );
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
