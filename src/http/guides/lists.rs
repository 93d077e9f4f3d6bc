//! The lists of guides: the page `/guides/` and the file `/llms.txt`.

use std::fmt::Write as _;

use super::link::{Target, target};
use super::render::{destinations, page, summary};
use super::table::{GUIDES, Guide};
use crate::http::prefix::Prefix;

/// The guides that list the guides of one kind of reader.
const INDEXES: [&str; 3] = ["using", "operating", "auditing"];

fn indexes() -> impl Iterator<Item = &'static Guide> {
    INDEXES.iter().filter_map(|slug| Guide::find(slug))
}

/// Returns the guides that the index lists, in its order.
fn listed(index: &Guide) -> Vec<&'static Guide> {
    let mut found: Vec<&'static Guide> = Vec::new();
    for destination in destinations(opening(index)) {
        if let Target::Guide(slug, _) = target(index, &destination)
            && let Some(guide) = Guide::find(slug)
            && found.iter().all(|known| known.slug != slug)
        {
            found.push(guide);
        }
    }
    found
}

/// Returns the guides that no index lists, without the indexes themselves.
fn others() -> impl Iterator<Item = &'static Guide> {
    let mut known: Vec<&str> = INDEXES.to_vec();
    for index in indexes() {
        known.extend(listed(index).iter().map(|guide| guide.slug));
    }
    GUIDES.iter().filter(move |guide| !known.contains(&guide.slug))
}

/// Returns the part of an index before its second section.
fn opening(index: &Guide) -> &str {
    let end = index.text.find("\n## ").unwrap_or(index.text.len());
    &index.text[..end]
}

/// Returns the page with all guides.
pub(in crate::http) fn index_page() -> String {
    let mut text = "# Guides\n".to_owned();
    for index in indexes() {
        let body = opening(index).split_once('\n').map_or("", |(_, body)| body);
        let name = index.slug;
        let _ = write!(text, "\n## [{}]({name}.md)\n{body}\n", index.title());
    }
    text.push_str("\n## More\n\n");
    for guide in others() {
        let file = guide
            .file
            .strip_prefix("docs/")
            .map_or_else(|| format!("../{}", guide.file), str::to_owned);
        let _ = writeln!(text, "* [{}]({file})", guide.title());
    }
    // A guide has a text that lives as long as the program. The process renders this page once.
    let text = Box::leak(text.into_boxed_str());
    page(&Guide {
        slug: "",
        file: "docs/index.md",
        text,
    })
}

/// Returns the list of guides for language models (llmstxt.org): a title, a summary, and links to Markdown.
pub(in crate::http) fn llms_txt(prefix: &Prefix) -> String {
    let mut text =
        "# numberdesk\n\n> An internal HTTP service that owns a company's Close API key, and rents, lists, \
         changes and releases phone numbers for apps, under the policy of each team.\n\n\
         An order needs an `Idempotency-Key`, and never becomes two numbers. Every error is \
         `application/problem+json` and explains its reason.\n"
            .to_owned();
    let link = |text: &mut String, title: &str, path: &str, summary: &str| {
        let _ = writeln!(text, "- [{title}]({}): {summary}", prefix.path(path));
    };
    text.push_str("\n## API\n\n");
    for (title, path, summary) in [
        (
            "OpenAPI 3.1",
            "/openapi.json",
            "every operation, schema and example",
        ),
        (
            "OpenAPI 3.0",
            "/openapi-3.0.json",
            "the same document for generators that do not know 3.1",
        ),
        ("Problems", "/guides/errors.md", "every error, with what to do"),
    ] {
        link(&mut text, title, path, summary);
    }
    let mut listed_before: Vec<&str> = vec!["errors"];
    for index in indexes() {
        let _ = write!(text, "\n## {}\n\n", index.title());
        for guide in listed(index) {
            if !listed_before.contains(&guide.slug) {
                listed_before.push(guide.slug);
                link(
                    &mut text,
                    guide.title(),
                    &format!("/guides/{}.md", guide.slug),
                    &summary(guide.text),
                );
            }
        }
    }
    text.push_str("\n## Optional\n\n");
    for guide in others() {
        link(
            &mut text,
            guide.title(),
            &format!("/guides/{}.md", guide.slug),
            &summary(guide.text),
        );
    }
    text
}
