//! Conditional requests (RFC 9110 section 13): parses entity tags and compares them with a version.

use crate::desk::Precondition;

/// The value of `If-Match` or `If-None-Match`.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::http) enum Condition {
    /// `*`, which matches any version.
    Any,
    /// A list of entity tags, any of which may match.
    Tags(Vec<Tag>),
}

/// One entity tag, without its quotes.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::http) struct Tag {
    weak: bool,
    version: String,
}

impl Condition {
    /// Returns whether the condition contains the version.
    ///
    /// `If-None-Match` requires a weak comparison, which ignores `W/`.
    pub(in crate::http) fn names(&self, version: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.iter().any(|tag| tag.version == version),
        }
    }
    /// Returns the precondition of a change.
    ///
    /// `If-Match` requires a strong comparison, so weak tags match nothing.
    pub(in crate::http) fn precondition(self) -> Precondition {
        match self {
            Self::Any => Precondition::Exists,
            Self::Tags(tags) => {
                let strong = tags.into_iter().filter(|tag| !tag.weak);
                Precondition::OneOf(strong.map(|tag| tag.version).collect())
            }
        }
    }
}

/// Formats a version as the value of an `ETag` header.
pub(in crate::http) fn etag(version: &str) -> String {
    format!("\"{version}\"")
}

/// Parses a list of entity tags. A tag may contain commas, and elements of the list may be empty.
pub(in crate::http) fn parse(text: &str) -> Option<Condition> {
    if text.trim() == "*" {
        return Some(Condition::Any);
    }
    let mut tags = Vec::new();
    let mut rest = text.trim_start_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        let (weak, quoted) = rest.strip_prefix("W/").map_or((false, rest), |rest| (true, rest));
        let (version, after) = quoted.strip_prefix('"')?.split_once('"')?;
        if !version.bytes().all(|byte| matches!(byte, b'!' | b'#'..=b'~')) {
            return None;
        }
        tags.push(Tag {
            weak,
            version: version.to_owned(),
        });
        let after = after.trim_start_matches([' ', '\t']);
        if !after.is_empty() && !after.starts_with(',') {
            return None;
        }
        rest = after.trim_start_matches([' ', '\t', ',']);
    }
    (!tags.is_empty()).then_some(Condition::Tags(tags))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strong(text: &str) -> Option<Vec<String>> {
        match parse(text)?.precondition() {
            Precondition::OneOf(versions) => Some(versions),
            Precondition::Exists => None,
        }
    }

    #[test]
    fn if_match_uses_strong_tags_and_ignores_weak_ones() {
        assert_eq!(strong(r#""a""#).unwrap(), ["a"]);
        assert_eq!(strong(r#" "a" , W/"b",, "c,d" "#).unwrap(), ["a", "c,d"]);
        assert_eq!(strong(r#"W/"a""#).unwrap(), [""; 0]);
        assert!(matches!(
            parse(" * ").unwrap().precondition(),
            Precondition::Exists
        ));
    }

    #[test]
    fn if_none_match_compares_weakly() {
        let names = |text: &str| parse(text).unwrap().names("a");
        assert!(names(r#""a""#) && names(r#"W/"a""#) && names(r#""x", "a""#) && names("*"));
        assert!(!names(r#""A""#) && !names(r#""x""#));
    }

    #[test]
    fn a_text_that_is_not_a_list_of_tags_is_refused() {
        for bad in [
            "",
            " ",
            ",",
            "a",
            "nonsense",
            r#""a"#,
            r#"a""#,
            r#""a" "b""#,
            r#"w/"a""#,
            r#""a b""#,
            r#"*, "a""#,
            r#"W/ "a""#,
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
