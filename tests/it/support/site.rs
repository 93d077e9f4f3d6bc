//! Follows the links of HTML pages, as a visitor would.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

/// The pages that were found, by URL without an anchor.
pub(crate) struct Site {
    pub(crate) pages: BTreeMap<String, String>,
}

/// Follows all links from these pages to pages and files below `base`, transitively.
///
/// Panics on a link that leaves `base` for another path of the host, that is answered with another status than 200, or
/// whose anchor the page does not have. Links to other hosts are ignored.
pub(crate) async fn crawl(base: &str, starts: &[&str]) -> Site {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client is built");
    let url = |path: &str| Url::parse(&format!("{base}{path}")).expect("a URL");
    let mut next: Vec<Url> = starts.iter().map(|path| url(path)).collect();
    let (mut pages, mut anchors) = (BTreeMap::new(), BTreeSet::new());
    while let Some(url) = next.pop() {
        if pages.contains_key(url.as_str()) {
            continue;
        }
        let response = client.get(url.clone()).send().await.expect("the server responds");
        assert_eq!(response.status(), 200, "{url}");
        let media_type = response.headers()["content-type"]
            .to_str()
            .expect("a text")
            .to_owned();
        let text = response.text().await.expect("the body arrives");
        if media_type.starts_with("text/html") {
            for (attribute, link) in links(&text) {
                let mut target = url.join(&link).expect("a link is a URL");
                if target.host() != url.host() || target.port() != url.port() {
                    assert_eq!(attribute, "href", "{url} loads {link}");
                    continue;
                }
                assert!(
                    target.as_str().starts_with(&format!("{base}/")),
                    "{url} links to {link}, not below {base}"
                );
                if let Some(anchor) = target.fragment() {
                    anchors.insert((url.to_string(), link.clone(), anchor.to_owned()));
                }
                target.set_fragment(None);
                next.push(target);
            }
        }
        pages.insert(url.to_string(), text);
    }
    for (page, link, anchor) in anchors {
        let mut target = Url::parse(&page).and_then(|url| url.join(&link)).expect("a URL");
        target.set_fragment(None);
        let has = pages[target.as_str()].contains(&format!("id=\"{anchor}\""));
        assert!(has, "{page} links to {link}, and there is no such anchor");
    }
    Site { pages }
}

/// Returns the values of the attributes `href` and `src`.
fn links(html: &str) -> Vec<(&'static str, String)> {
    let find = |attribute: &'static str| {
        let start = format!(" {attribute}=\"");
        let values: Vec<_> = html
            .split(&start)
            .skip(1)
            .map(|rest| rest.split('"').next())
            .collect();
        values
            .into_iter()
            .flatten()
            .map(move |value| (attribute, value.replace("&amp;", "&")))
    };
    find("href").chain(find("src")).collect()
}
