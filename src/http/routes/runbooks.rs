//! `/runbooks/`: the links of alerts, which lead to the section of the guide.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};

use crate::http::extract::Id;
use crate::http::guides::table::Guide;
use crate::http::page;
use crate::http::state::Http;

/// The name of the guide, which has a section for each alert.
const GUIDE: &str = "runbooks";

/// The anchors of the sections: the names of the alerts in lower case.
static ANCHORS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let guide = Guide::find(GUIDE).expect("the runbooks are a guide");
    let headings = guide.text.lines().filter_map(|line| line.strip_prefix("## "));
    headings.map(str::to_lowercase).collect()
});

/// `GET /runbooks/`: redirects to the guide.
pub(in crate::http) async fn index() -> Redirect {
    Redirect::temporary(&format!("/guides/{GUIDE}"))
}

/// `GET /runbooks/{alert}`: redirects to the section of the alert.
pub(in crate::http) async fn section(
    State(http): State<Http>,
    Id(alert): Id<String>,
    headers: HeaderMap,
) -> Response {
    match ANCHORS.get(&alert.to_lowercase()) {
        Some(anchor) => Redirect::temporary(&format!("/guides/{GUIDE}#{anchor}")).into_response(),
        None => page::not_found(&http.prefix.path("/"), &headers),
    }
}
