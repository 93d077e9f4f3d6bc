//! Guides as HTML pages, and as Markdown whose links work in the service.

use std::collections::BTreeMap;

use pulldown_cmark::{CowStr, Event, LinkType, Options, Parser, Tag, TagEnd};

use super::link::{Target, root, target};
use super::table::Guide;
use crate::http::page;

/// Returns the page of a guide.
pub(in crate::http) fn page(guide: &Guide) -> String {
    let root = root(guide);
    let source = match guide.slug {
        "" => String::new(),
        slug => {
            format!("<p class=\"source\"><a href=\"{root}guides/{slug}.md\">This page as Markdown</a></p>")
        }
    };
    page::html(&root, guide.title(), &format!("{}{source}", html(guide, &root)))
}

/// Returns the full sentences of the first paragraph, which may end with an unfinished one before a block or a list.
pub(super) fn summary(text: &str) -> String {
    let mut summary = String::new();
    let events = Parser::new_ext(text, Options::ENABLE_TABLES)
        .skip_while(|event| !matches!(event, Event::Start(Tag::Paragraph)));
    for event in events.take_while(|event| !matches!(event, Event::End(TagEnd::Paragraph))) {
        push_text(&mut summary, &event);
    }
    let end = summary.trim_end();
    let end = if end.ends_with('.') {
        end.len()
    } else {
        end.rfind(". ").map_or(end.len(), |full_stop| full_stop + 1)
    };
    summary.truncate(end);
    summary
}

/// Returns the destinations of all links in the text.
pub(super) fn destinations(text: &str) -> Vec<String> {
    let links = Parser::new_ext(text, Options::ENABLE_TABLES).filter_map(|event| match event {
        Event::Start(Tag::Link { dest_url, .. }) => Some(dest_url.into_string()),
        _ => None,
    });
    links.collect()
}

/// Returns the guide's Markdown with links that work in the service.
///
/// Links to files that the service does not have become plain text, and images are left out.
pub(in crate::http) fn markdown(guide: &Guide) -> String {
    let mut text = guide.text.to_owned();
    let events: Vec<_> = Parser::new_ext(guide.text, Options::ENABLE_TABLES)
        .into_offset_iter()
        .collect();
    // From the end, so that earlier ranges stay valid.
    for (event, range) in events.into_iter().rev() {
        let (source, at) = (&guide.text[range.clone()], guide.text[range.clone()].rfind("]("));
        match (event, at) {
            (Event::Start(Tag::Image { .. }), _) => text.replace_range(range, ""),
            (
                Event::Start(Tag::Link {
                    link_type: LinkType::Inline,
                    dest_url,
                    ..
                }),
                Some(at),
            ) => {
                let label = &source[..at];
                let url = match target(guide, &dest_url) {
                    Target::Unchanged => continue,
                    Target::Guide(slug, anchor) => format!("{}{slug}.md{anchor}", siblings(guide)),
                    Target::Path(path) => format!("{}{path}", root(guide)),
                    Target::Missing => {
                        text.replace_range(range, &label[1..]);
                        continue;
                    }
                };
                text.replace_range(range, &format!("{label}]({url})"));
            }
            _ => {}
        }
    }
    text
}

/// Returns the relative URL of `/guides/` on the page of a guide.
fn siblings(guide: &Guide) -> String {
    "../".repeat(guide.slug.matches('/').count())
}

/// Renders the Markdown without HTML in it: guides use HTML only for comments.
fn html(guide: &Guide, root: &str) -> String {
    let mut ids = ids(guide.text).into_iter();
    let (mut events, mut in_image, mut in_missing) = (Vec::new(), false, false);
    for event in Parser::new_ext(guide.text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Image { .. }) => in_image = true,
            Event::End(TagEnd::Image) => in_image = false,
            _ if in_image => {}
            Event::Html(_) | Event::InlineHtml(_) => {}
            Event::Start(Tag::Heading {
                level,
                classes,
                attrs,
                ..
            }) => {
                let id = ids.next().map(CowStr::from);
                events.push(Event::Start(Tag::Heading {
                    level,
                    id,
                    classes,
                    attrs,
                }));
            }
            Event::Start(Tag::Table(columns)) => {
                events.push(Event::Html("<div class=\"table\">".into()));
                events.push(Event::Start(Tag::Table(columns)));
            }
            Event::End(TagEnd::Table) => {
                events.push(Event::End(TagEnd::Table));
                events.push(Event::Html("</div>".into()));
            }
            Event::Start(Tag::Link {
                link_type,
                dest_url,
                title,
                id,
            }) => {
                let dest_url = match target(guide, &dest_url) {
                    Target::Unchanged => dest_url,
                    Target::Guide(slug, anchor) => format!("{}{slug}{anchor}", siblings(guide)).into(),
                    Target::Path(path) => format!("{root}{path}").into(),
                    Target::Missing => {
                        in_missing = true;
                        continue;
                    }
                };
                events.push(Event::Start(Tag::Link {
                    link_type,
                    dest_url,
                    title,
                    id,
                }));
            }
            Event::End(TagEnd::Link) if in_missing => in_missing = false,
            event => events.push(event),
        }
    }
    let mut html = String::new();
    pulldown_cmark::html::push_html(&mut html, events.into_iter());
    html
}

/// Returns the anchor of each heading: its words joined by hyphens, and numbered if it repeats, as on GitHub.
fn ids(text: &str) -> Vec<String> {
    let (mut ids, mut seen) = (Vec::new(), BTreeMap::<String, usize>::new());
    let mut heading = None;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match (&event, &mut heading) {
            (Event::Start(Tag::Heading { .. }), _) => heading = Some(String::new()),
            (Event::End(TagEnd::Heading(_)), Some(words)) => {
                let id = slug(words);
                let count = seen.entry(id.clone()).or_default();
                ids.push(if *count == 0 { id } else { format!("{id}-{count}") });
                *count += 1;
                heading = None;
            }
            (event, Some(words)) => push_text(words, event),
            _ => {}
        }
    }
    ids
}

fn slug(heading: &str) -> String {
    let kept = heading.chars().filter_map(|character| match character {
        ' ' => Some('-'),
        '-' | '_' => Some(character),
        character if character.is_alphanumeric() => Some(character.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}

/// Adds the text of an event, without its markup.
fn push_text(text: &mut String, event: &Event<'_>) {
    match event {
        Event::Text(part) | Event::Code(part) => text.push_str(part),
        Event::SoftBreak | Event::HardBreak => text.push(' '),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUIDE: Guide = Guide {
        slug: "x",
        file: "docs/x.md",
        text: "# A `b` & c\n\nFirst [orders](orders.md#rent), [code](../src) and\n![x](y.png)text.\n\n\
               <!-- a comment -->\n\n## Same\n\n## Same\n\n<script>alert(1)</script>\n\n| a |\n|---|\n| [e](errors.md) |\n",
    };

    #[test]
    fn a_page_has_anchors_and_links_and_no_html_of_the_guide() {
        let html = html(&GUIDE, "../");
        for part in [
            "<h1 id=\"a-b--c\">A <code>b</code> &amp; c</h1>",
            "<a href=\"orders#rent\">orders</a>, code and",
            "<h2 id=\"same\">",
            "<h2 id=\"same-1\">",
            "<a href=\"errors\">e</a>",
            "<div class=\"table\"><table>",
        ] {
            assert!(html.contains(part), "{part} is not in {html}");
        }
        for part in ["comment", "<script>", "<img"] {
            assert!(!html.contains(part), "{part} is in {html}");
        }
    }

    #[test]
    fn markdown_has_links_to_markdown() {
        let markdown = markdown(&GUIDE);
        for part in [
            "First [orders](orders.md#rent), code and\ntext.",
            "| [e](errors.md) |",
        ] {
            assert!(markdown.contains(part), "{part} is not in {markdown}");
        }
    }

    #[test]
    fn the_summary_is_the_text_of_the_first_paragraph() {
        assert_eq!(
            summary("# T\n\n```sh\nx\n```\n\nOne `two`\n[three](x.md).\n\nMore.\n"),
            "One two three."
        );
    }
}
