//! Links between files of the repository, as links between pages of the service.

use super::table::{GUIDES, Guide};

/// The target of a link in a guide.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A heading of the same page, or another site.
    Unchanged,
    /// Another guide, with the heading, which is empty or starts with `#`.
    Guide(&'static str, String),
    /// Another path of the service, without its first slash.
    Path(&'static str),
    /// A file that the service does not have.
    Missing,
}

/// Files of the repository that the service has at another path.
const OTHER_FILES: &[(&str, &str)] = &[("openapi/numberdesk.json", "openapi.json")];

/// Returns the target of a link in the guide.
pub(super) fn target(guide: &Guide, destination: &str) -> Target {
    if destination.starts_with('#') || destination.contains("://") || destination.starts_with("mailto:") {
        return Target::Unchanged;
    }
    let (path, anchor) = destination
        .find('#')
        .map_or((destination, ""), |at| destination.split_at(at));
    let file = join(guide.file, path);
    if let Some(found) = GUIDES.iter().find(|guide| guide.file == file) {
        return Target::Guide(found.slug, anchor.to_owned());
    }
    let other = OTHER_FILES.iter().find(|(known, _)| *known == file);
    other.map_or(Target::Missing, |(_, path)| Target::Path(path))
}

/// Returns the relative URL of the service's root on the page of a guide.
pub(super) fn root(guide: &Guide) -> String {
    "../".repeat(1 + guide.slug.matches('/').count())
}

/// Resolves a relative path in a file.
fn join(file: &str, path: &str) -> String {
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_between_files_become_links_between_guides() {
        let orders = Guide::find("orders").unwrap();
        let guide = |slug, anchor: &str| Target::Guide(slug, anchor.to_owned());
        assert_eq!(target(orders, "errors.md#busy"), guide("errors", "#busy"));
        assert_eq!(target(orders, "../README.md"), guide("readme", ""));
        assert_eq!(target(orders, "adr/README.md"), guide("adr/README", ""));
        assert_eq!(
            target(orders, "../openapi/numberdesk.json"),
            Target::Path("openapi.json")
        );
        assert_eq!(target(orders, "../k8s"), Target::Missing);
        assert_eq!(target(orders, "#states"), Target::Unchanged);
        assert_eq!(target(orders, "https://close.com"), Target::Unchanged);
        let adr = Guide::find("adr/README").unwrap();
        assert_eq!(target(adr, "../orders.md"), guide("orders", ""));
        assert_eq!((root(orders), root(adr)), ("../".to_owned(), "../../".to_owned()));
    }
}
