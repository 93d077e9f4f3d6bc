//! Every problem type is documented: on the page at its `type` URI, and in docs/errors.md.

use std::collections::BTreeSet;

use numberdesk::http::{ProblemType, errors_markdown};

use crate::support::database::{Database, with_sqlite};
use crate::support::program::root;
use crate::support::server::{TestServer, send};

const GUIDE: &str = "docs/errors.md";

#[tokio::test]
async fn every_problem_type_is_the_address_of_its_page() {
    with_sqlite(every_problem_has_a_page).await;
}

async fn every_problem_has_a_page(database: Database) {
    let server = TestServer::unsynced(database, crate::support::server::TestConfig::default()).await;
    let index = send(server.request("GET", "/problems/")).await;
    assert_eq!(index.status, 200, "{index}");
    for problem in ProblemType::ALL {
        let page = send(server.request("GET", &problem.uri())).await;
        assert_eq!(page.status, 200, "{page}");
        assert!(page.header("content-type").starts_with("text/html"), "{page}");
        let policy = page.header("content-security-policy");
        assert!(policy.contains("default-src 'none'"), "{page}");
        for text in [problem.title(), problem.meaning(), problem.remedy()] {
            assert!(
                plain_text(&page.text).contains(&text.replace('`', "")),
                "{text}: {page}"
            );
        }
        assert!(page.text.contains(problem.status().as_str()), "{page}");
        assert!(
            index.text.contains(&format!("href=\"{}\"", problem.uri())),
            "{} is not in {index}",
            problem.uri()
        );
    }
}

/// The tests that provoke a problem compare it with its snapshot, see `ApiResponse::problem_snapshot`.
#[test]
fn every_problem_type_has_a_snapshot_of_its_document() {
    // The first takes the timeout of a body, the second an order whose outcome is ambiguous in Close.
    let without = ["body-too-slow", "settle-contradicted"];
    let files = std::fs::read_dir(root().join("tests/it/snapshots/problems")).expect("there are snapshots");
    let found: BTreeSet<String> = files
        .map(|file| {
            file.expect("a listed file")
                .file_name()
                .into_string()
                .expect("a text")
        })
        .filter_map(|name| Some(name.strip_suffix(".snap")?.to_owned()))
        .collect();
    let expected: BTreeSet<String> = ProblemType::ALL
        .iter()
        .map(|problem| problem.name().to_owned())
        .filter(|name| !without.contains(&name.as_str()))
        .collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn an_unknown_problem_has_no_page() {
    with_sqlite(|database| async move {
        let server = TestServer::unsynced(database, crate::support::server::TestConfig::default()).await;
        for name in [
            "no-such-problem",
            "Policy-Denied",
            "policy-denied%00",
            "..%2fdocs",
        ] {
            let response = send(server.request("GET", &format!("/problems/{name}"))).await;
            response.problem(404, "not-found");
        }
    })
    .await;
}

#[test]
fn the_guide_to_errors_has_a_heading_for_every_problem_and_is_up_to_date() {
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(root().join(GUIDE), errors_markdown()).expect("the guide can be written");
    }
    let guide = std::fs::read_to_string(root().join(GUIDE)).expect("there is a guide to errors");
    for problem in ProblemType::ALL {
        let heading = format!("## {}", problem.name());
        assert!(
            guide.lines().any(|line| line == heading),
            "{GUIDE} has no {heading}"
        );
    }
    assert!(
        guide == errors_markdown(),
        "{GUIDE} is out of date: run `make docs`"
    );
}

/// Returns the text of a page, without its HTML tags.
fn plain_text(page: &str) -> String {
    let mut text = String::new();
    for part in page.split('<') {
        text.push_str(part.split_once('>').map_or(part, |(_, text)| text));
    }
    for (entity, character) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&middot;", "·"),
        ("&amp;", "&"),
    ] {
        text = text.replace(entity, character);
    }
    text
}
