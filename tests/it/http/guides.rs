//! The guides in the running service, the lists of them, and how documents are sent.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use flate2::read::GzDecoder;
use serde::Deserialize as _;
use serde_json::Value;

use crate::support::database::with_sqlite;
use crate::support::personas::ALICE;
use crate::support::program::root;
use crate::support::server::{TestConfig, TestServer, send};
use crate::support::site::crawl;

/// Runs a test on a server that has not compared its inventory with Close, because guides do not need that.
async fn on_a_server<F: Future<Output = ()>>(test: impl FnOnce(TestServer) -> F) {
    with_sqlite(|database| async move {
        test(TestServer::unsynced(database, TestConfig::default()).await).await;
    })
    .await;
}

/// Returns the slugs of all files in the folder `docs`.
fn slugs(folder: &Path, before: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder can be listed") {
        let path = entry.expect("a file of the folder").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a text");
        if path.is_dir() {
            found.extend(slugs(&path, &format!("{before}{name}/")));
        } else if let Some(name) = name.strip_suffix(".md") {
            found.push(format!("{before}{name}"));
        }
    }
    found
}

#[tokio::test]
async fn every_file_in_docs_is_a_page_and_a_markdown_file() {
    on_a_server(|server| async move {
        let mut slugs = slugs(&root().join("docs"), "");
        slugs.extend(["readme", "changelog"].map(str::to_owned));
        assert!(slugs.len() > 40, "{slugs:?}");
        for slug in slugs {
            let page = send(server.request("GET", &format!("/guides/{slug}"))).await;
            assert_eq!(page.status, 200, "add {slug} to src/http/guides/table.rs: {page}");
            assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{page}");
            let policy = page.header("content-security-policy");
            assert!(
                policy.contains("default-src 'none'") && policy.contains("script-src 'self';"),
                "{page}"
            );
            assert!(
                page.text.contains("<h1 id=") && !page.text.contains("<script"),
                "{page}"
            );
            let markdown = send(server.request("GET", &format!("/guides/{slug}.md"))).await;
            assert_eq!(
                markdown.header("content-type"),
                "text/markdown; charset=utf-8",
                "{markdown}"
            );
            assert!(markdown.text.starts_with("# "), "{markdown}");
            let fences = |text: &str| text.lines().filter(|line| line.starts_with("```")).count();
            let file = match slug.as_str() {
                "readme" => "README.md".to_owned(),
                "changelog" => "CHANGELOG.md".to_owned(),
                slug => format!("docs/{slug}.md"),
            };
            let source = std::fs::read_to_string(root().join(file)).expect("the guide can be read");
            assert_eq!(fences(&markdown.text), fences(&source), "{slug} lost a block");
        }
    })
    .await;
}

#[tokio::test]
async fn the_runbook_link_of_every_alert_leads_to_its_section() {
    on_a_server(|server| async move {
        let guide = send(server.request("GET", "/guides/runbooks")).await;
        let mut alerts = 0;
        for file in ["alerts", "limits", "backups", "objectives"] {
            let file = root().join(format!("k8s/components/monitoring/{file}.yaml"));
            let text = std::fs::read_to_string(file).unwrap();
            let urls = text
                .lines()
                .filter_map(|line| line.trim().strip_prefix("runbook_url: "));
            for url in urls {
                let (_, alert) = url.split_once("/runbooks/").expect("a link to a service");
                let found = send(server.request("GET", &format!("/runbooks/{alert}"))).await;
                assert_eq!(found.status, 307, "{alert}: {found}");
                let anchor = alert.to_lowercase();
                assert_eq!(found.header("location"), format!("/guides/runbooks#{anchor}"));
                assert!(guide.text.contains(&format!("<h2 id=\"{anchor}\">")), "{alert}");
                alerts += 1;
            }
        }
        assert!(alerts > 40, "{alerts}");
        let all = send(server.request("GET", "/runbooks/")).await;
        assert_eq!(all.header("location"), "/guides/runbooks");
        assert_eq!(send(server.request("GET", "/runbooks/Nothing")).await.status, 404);
    })
    .await;
}

#[tokio::test]
async fn every_link_and_anchor_in_the_pages_leads_to_a_page() {
    on_a_server(|server| async move {
        let site = crawl(&server.api, &["/guides/"]).await;
        let clients = ["clients/python", "clients/typescript"].map(str::to_owned);
        for slug in slugs(&root().join("docs"), "").into_iter().chain(clients) {
            let url = format!("{}/guides/{slug}", server.api);
            assert!(
                site.pages.contains_key(&url),
                "no link leads from /guides/ to {slug}"
            );
        }
        // In Markdown, links lead to Markdown.
        let is_markdown = |url: &str| {
            Path::new(url)
                .extension()
                .is_some_and(|extension| extension == "md")
        };
        let markdown: Vec<_> = site.pages.iter().filter(|(url, _)| is_markdown(url)).collect();
        assert!(
            markdown.len() > 40,
            "only {} Markdown files were found",
            markdown.len()
        );
        for (url, text) in markdown {
            for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                if link.contains("://") || link.starts_with('#') || link.contains([' ', '\n']) {
                    continue;
                }
                let target = url::Url::parse(url)
                    .and_then(|url| url.join(link))
                    .expect("a URL");
                let response = send(server.request("GET", target.path())).await;
                assert_eq!(response.status, 200, "{url} links to {link}");
                assert!(
                    !response.header("content-type").contains("html"),
                    "{url} links to {link}"
                );
            }
        }
    })
    .await;
}

#[tokio::test]
async fn llms_txt_has_the_form_of_llmstxt_org() {
    on_a_server(|server| async move {
        let list = send(server.request("GET", "/llms.txt")).await;
        assert_eq!(list.header("content-type"), "text/plain; charset=utf-8", "{list}");
        let mut lines = list.text.lines();
        assert_eq!(lines.next(), Some("# numberdesk"));
        assert_eq!(lines.next(), Some(""));
        assert!(lines.next().is_some_and(|line| line.starts_with("> ")), "{list}");
        let mut in_section = false;
        for line in lines.filter(|line| !line.is_empty()) {
            in_section |= line.starts_with("## ");
            if !in_section || line.starts_with("## ") {
                continue;
            }
            let parts = line
                .strip_prefix("- [")
                .and_then(|rest| rest.split_once("]("))
                .zip(line.split_once("): "));
            let ((title, rest), (_, summary)) =
                parts.unwrap_or_else(|| panic!("not a link with a summary: {line}"));
            assert!(!title.is_empty() && summary.len() > 20, "{line}");
            let is_link_to_a_guide = rest.starts_with("/guides/") && !rest.starts_with("/guides/errors.md");
            assert!(
                !is_link_to_a_guide || summary.ends_with('.') && !summary.contains('|'),
                "not full sentences: {line}"
            );
            let link = rest.split(')').next().unwrap_or_default();
            let response = send(server.request("GET", link)).await;
            assert_eq!(response.status, 200, "{line}");
        }
        for guide in [
            "orders",
            "change-and-release",
            "permissions",
            "coming-from-close",
            "policy",
            "audit",
            "clients/typescript",
            "clients/python",
        ] {
            let link = format!("](/guides/{guide}.md)");
            assert_eq!(
                list.text.matches(&link).count(),
                1,
                "{guide} is not listed once: {list}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn documents_are_compressed_and_revalidated_and_answers_of_the_api_are_not() {
    on_a_server(|server| async move {
        for path in [
            "/openapi.json",
            "/openapi-3.0.json",
            "/openapi.yaml",
            "/docs/",
            "/docs/swagger-ui-bundle.js",
            "/guides/",
            "/guides/orders",
            "/guides/orders.md",
            "/problems/policy-denied",
            "/llms.txt",
        ] {
            let plain = send(server.request("GET", path)).await;
            assert_eq!(
                (plain.status, plain.header("content-encoding")),
                (200, ""),
                "{}",
                plain.asked
            );
            assert_eq!(plain.header("vary"), "Accept-Encoding", "{path}");
            let request = server.request("GET", path).header("Accept-Encoding", "gzip, br");
            let answer = request.send().await.expect("the server responds");
            assert_eq!(answer.headers()["content-encoding"], "gzip", "{path}");
            assert_eq!(
                answer.headers()["etag"].to_str().expect("a text"),
                plain.header("etag"),
                "{path}"
            );
            let bytes = answer.bytes().await.expect("the body arrives");
            let mut text = String::new();
            GzDecoder::new(&*bytes)
                .read_to_string(&mut text)
                .expect("gzip of a text");
            assert!(text == plain.text && bytes.len() < text.len(), "{path}");
            let known = server
                .request("GET", path)
                .header("If-None-Match", plain.header("etag"));
            let known = send(known).await;
            assert_eq!((known.status, known.text.as_str()), (304, ""), "{path}");
            // A browser replaces the headers of its stored response by these.
            for name in ["content-security-policy", "cache-control", "vary", "etag"] {
                assert_eq!(known.header(name), plain.header(name), "{path}: {name}");
            }
        }
        let me = server
            .request_as(&ALICE, "GET", "/v1/me")
            .header("Accept-Encoding", "gzip");
        assert_eq!(send(me).await.header("content-encoding"), "");
    })
    .await;
}

#[tokio::test]
async fn a_problem_page_shows_an_example_and_links_to_a_guide() {
    on_a_server(|server| async move {
        let page = send(server.request("GET", "/problems/policy-denied")).await;
        let example = page
            .text
            .split("<pre><code>")
            .nth(1)
            .and_then(|rest| rest.split("</code>").next());
        let example = example.expect("an example").replace("&quot;", "\"");
        let example: Value = serde_json::from_str(&example).expect("JSON");
        assert_eq!(example["type"], "/problems/policy-denied");
        assert_eq!(example["decision"]["rule"], "teams.sales-emea.countries");
        assert!(
            page.text
                .contains("<a href=\"/guides/policy\">Write a policy</a>"),
            "{page}"
        );
        // Every problem page links to a guide that exists, and to a section that it has.
        let site = crawl(&server.api, &["/problems/"]).await;
        let with_guide = |(url, text): &(&String, &String)| {
            url.contains("/problems/") && text.contains("<p>Guide: <a href=\"/guides/")
        };
        let count = site.pages.iter().filter(with_guide).count();
        assert_eq!(count, numberdesk::http::ProblemType::ALL.len());
    })
    .await;
}

#[tokio::test]
async fn an_unknown_page_is_html_in_a_browser_and_a_problem_for_other_clients() {
    on_a_server(|server| async move {
        for path in [
            "/problems/no-such-problem",
            "/guides/no-such-guide",
            "/guides/%3Cscript%3E",
        ] {
            let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
            let page = send(server.request("GET", path).header("Accept", browser)).await;
            assert_eq!(page.status, 404, "{page}");
            assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{page}");
            assert!(
                page.text.contains("<h1>Not found</h1>") && !page.text.contains("<script"),
                "{page}"
            );
            assert!(
                page.header("content-security-policy")
                    .contains("default-src 'none'"),
                "{page}"
            );
            for accept in ["*/*", "application/json", "text/html;q=0, application/json"] {
                let response = send(server.request("GET", path).header("Accept", accept)).await;
                response.problem(404, "not-found");
                assert_eq!(response.header("vary"), "Accept", "{response}");
            }
        }
    })
    .await;
}

#[test]
fn the_catalog_describes_the_service_and_its_api() {
    let text = std::fs::read_to_string(root().join("catalog-info.yaml")).expect("there is a catalog");
    let entities: Vec<Value> = serde_norway::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).expect("YAML"))
        .collect();
    let kinds: BTreeSet<&str> = entities
        .iter()
        .filter_map(|entity| entity["kind"].as_str())
        .collect();
    assert_eq!(kinds, BTreeSet::from(["API", "Component"]));
    for entity in &entities {
        assert_eq!(entity["apiVersion"], "backstage.io/v1alpha1");
        for member in ["type", "lifecycle", "owner"] {
            assert!(
                entity["spec"][member].is_string(),
                "{member} is missing: {entity}"
            );
        }
        if entity["kind"] == "API" {
            assert_eq!(entity["spec"]["type"], "openapi");
            let file = entity["spec"]["definition"]["$text"].as_str().expect("a file");
            let document = std::fs::read_to_string(root().join(file)).expect("the definition exists");
            let document: Value = serde_json::from_str(&document).expect("JSON");
            assert_eq!(document["info"]["title"], "numberdesk");
        } else {
            assert_eq!(entity["spec"]["providesApis"][0], "numberdesk");
        }
    }
}
