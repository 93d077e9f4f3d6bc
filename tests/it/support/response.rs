//! A response of the API, and the assertions that hold for every response.

use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::support::snapshot;

/// Status, headers and body, read to the end.
#[derive(Debug, Clone)]
pub(crate) struct ApiResponse {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// Method and URL of the request, for the failure message.
    pub(crate) asked: String,
}

impl ApiResponse {
    pub(crate) async fn read(asked: String, response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.expect("the body arrives completely");
        let text = String::from_utf8(bytes.to_vec()).expect("a body is UTF-8");
        Self {
            status,
            headers,
            text,
            asked,
        }
    }

    /// Asserts the status of a successful response and returns its JSON.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self}");
        self.assert_common_headers();
        assert_eq!(self.header("content-type"), "application/json", "{self}");
        self.json()
    }

    /// Asserts the status and type of a problem document (RFC 9457) and returns it.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, name: &str) -> Value {
        assert_eq!(self.status, status, "{self}");
        self.assert_common_headers();
        assert_eq!(self.header("content-type"), "application/problem+json", "{self}");
        let problem = self.json();
        assert_eq!(problem["type"], format!("/problems/{name}"), "{self}");
        assert_eq!(problem["status"], status, "{self}");
        assert_eq!(problem["request_id"], self.header("x-request-id"), "{self}");
        for member in ["title", "detail", "instance"] {
            assert!(
                problem[member].as_str().is_some_and(|text| !text.is_empty()),
                "no {member}: {self}"
            );
        }
        problem
    }

    /// Asserts a problem document as [`Self::problem`] does, and that it equals the snapshot of its type.
    #[track_caller]
    pub(crate) fn problem_snapshot(&self, status: u16, name: &str) -> Value {
        let problem = self.problem(status, name);
        snapshot::assert_json(&format!("problems/{name}"), &problem);
        problem
    }

    /// Asserts a response without a body.
    #[track_caller]
    pub(crate) fn empty(&self, status: u16) {
        assert_eq!((self.status, self.text.as_str()), (status, ""), "{self}");
        self.assert_common_headers();
    }

    /// Returns the value of a header, or an empty text if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("a header is text"))
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self}"))
    }

    #[track_caller]
    fn assert_common_headers(&self) {
        assert!(
            self.header("x-request-id").starts_with("req_"),
            "no request id: {self}"
        );
        assert_eq!(self.header("x-content-type-options"), "nosniff", "{self}");
    }
}

impl std::fmt::Display for ApiResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{}\n{} {:?}\n{}",
            self.asked, self.status, self.headers, self.text
        )
    }
}

/// Asserts that two responses differ only in the path and the id of the request.
///
/// Another team's object must look like one that does not exist.
#[track_caller]
pub(crate) fn assert_indistinguishable(one: &ApiResponse, other: &ApiResponse) {
    assert_eq!(one.status, other.status, "{one}\n{other}");
    let names = |response: &ApiResponse| {
        let mut names: Vec<String> = response.headers.keys().map(ToString::to_string).collect();
        names.sort();
        names
    };
    assert_eq!(names(one), names(other), "{one}\n{other}");
    let body = |response: &ApiResponse| {
        let mut body = if response.text.is_empty() {
            Value::Null
        } else {
            response.json()
        };
        for member in ["request_id", "instance"] {
            if body[member].is_string() {
                body[member] = json!("");
            }
        }
        body
    };
    assert_eq!(body(one), body(other), "{one}\n{other}");
}
