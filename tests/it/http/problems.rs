//! Every problem that the desk can answer is explained: on a page where its `type` points, and in the guide to errors.

use numberdesk::http::{ProblemType, errors_markdown};

use crate::support::database::{Database, with_sqlite};
use crate::support::program::root;
use crate::support::server::{TestServer, send};

const GUIDE: &str = "docs/errors.md";

#[tokio::test]
async fn every_problem_has_a_page_where_its_type_points() {
    with_sqlite(every_problem_has_a_page).await;
}

async fn every_problem_has_a_page(database: Database) {
    let server = TestServer::unsynced(database, crate::support::server::TestConfig::default()).await;
    let index = send(server.request("GET", "/problems/")).await;
    assert_eq!(index.status, 200, "{index}");
    for kind in ProblemType::ALL {
        let page = send(server.request("GET", &kind.uri())).await;
        assert_eq!(page.status, 200, "{page}");
        assert!(page.header("content-type").starts_with("text/html"), "{page}");
        let policy = page.header("content-security-policy");
        assert!(policy.contains("default-src 'none'"), "{page}");
        for said in [kind.title(), kind.meaning(), kind.remedy()] {
            assert!(
                read(&page.text).contains(&said.replace('`', "")),
                "{said}: {page}"
            );
        }
        assert!(page.text.contains(kind.status().as_str()), "{page}");
        assert!(
            index.text.contains(&format!("href=\"{}\"", kind.uri())),
            "{} is not in {index}",
            kind.uri()
        );
    }
}

#[tokio::test]
async fn a_problem_that_does_not_exist_has_no_page() {
    with_sqlite(|database| async move {
        let server = TestServer::unsynced(database, crate::support::server::TestConfig::default()).await;
        for name in [
            "no-such-problem",
            "Policy-Denied",
            "policy-denied%00",
            "..%2fdocs",
        ] {
            let answer = send(server.request("GET", &format!("/problems/{name}"))).await;
            answer.problem(404, "not-found");
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
    for kind in ProblemType::ALL {
        let heading = format!("## {}", kind.name());
        assert!(
            guide.lines().any(|line| line == heading),
            "{GUIDE} has no {heading}"
        );
    }
    assert!(
        guide == errors_markdown(),
        "{GUIDE} is not what the desk says of its problems: run `make errors`"
    );
}

/// The text of a page, without its marks.
fn read(page: &str) -> String {
    let mut text = String::new();
    for part in page.split('<') {
        text.push_str(part.split_once('>').map_or(part, |(_, text)| text));
    }
    for (mark, meant) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&middot;", "·"),
        ("&amp;", "&"),
    ] {
        text = text.replace(mark, meant);
    }
    text
}
