//! Conditional requests (RFC 9110 section 13): lists of `ETags`, and when they match. It does not know what a
//! version is made of.

use crate::desk::Precondition;

/// What `If-Match` or `If-None-Match` names.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::http) enum Condition {
    /// `*`: whatever is there.
    Any,
    /// These.
    Tags(Vec<Tag>),
}

/// One entity tag, without its quotes.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::http) struct Tag {
    weak: bool,
    version: String,
}

impl Condition {
    /// `If-None-Match` compares weakly.
    pub(in crate::http) fn names(&self, version: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.iter().any(|tag| tag.version == version),
        }
    }
    /// `If-Match` compares strongly: a weak tag matches nothing.
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

/// A version as an `ETag` header has it.
pub(in crate::http) fn etag(version: &str) -> String {
    format!("\"{version}\"")
}

/// Reads a list of tags; commas may stand inside the quotes, and list members may be empty.
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
    fn if_match_takes_strong_tags_and_no_weak_one() {
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
    fn what_is_no_list_of_tags_is_refused() {
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
