//! A TOML file as a tree that [`read`](crate::domain::input::read) can deserialize.
//!
//! The document remembers the line of every key, so that a fault names file, line and key.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::domain::input::fault::Fault;
use crate::domain::input::pointer::{child, position, unescape};

/// A fault in a file, or in a value that overrides the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFault {
    /// The file's name as the user wrote it, or `env NAME` for an environment variable.
    pub file: String,
    /// The line, counted from 1; `None` for an environment variable or a missing key.
    pub line: Option<usize>,
    /// The column of the key or value in that line, in characters, counted from 1.
    pub column: Option<usize>,
    /// The key, such as `teams.sales.countries[0]`; empty for the whole file.
    pub key: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// A parsed TOML file.
#[derive(Clone)]
pub struct Document {
    file: String,
    root: Value,
    origins: BTreeMap<String, Origin>,
}

#[derive(Debug, Clone)]
enum Origin {
    /// Line and column.
    At(usize, usize),
    Source(String),
}

/// Without the values: one of them may be a secret from the environment.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl Document {
    /// Parses TOML; `file` is the file name in faults.
    ///
    /// A syntax error names its line. The parser continues after it as far as it can.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<FileFault>> {
        let lines = Lines::new(text);
        let fault = |at: Option<(usize, usize)>, message: &str| FileFault {
            file: file.to_owned(),
            line: at.map(|(line, _)| line),
            column: at.map(|(_, column)| column),
            key: String::new(),
            message: message.to_owned(),
        };
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let fault = |error: &toml::de::Error| {
                fault(error.span().map(|span| lines.at(span.start)), error.message())
            };
            return Err(in_order(errors.iter().map(fault).collect()));
        }
        let mut origins = BTreeMap::new();
        let root = object(table.get_ref(), "", &lines, &mut origins);
        Ok(Self {
            file: file.to_owned(),
            root,
            origins,
        })
    }

    /// Returns the tree, for [`read`](crate::domain::input::read::read).
    pub fn root(&self) -> &Value {
        &self.root
    }

    /// Sets the value at `path`, and creates missing tables and lists.
    ///
    /// A number in the path is an index of a list; an index past the end appends. Faults of this value name `source`
    /// instead of file and line.
    pub fn set(&mut self, path: &[&str], value: Value, source: &str) {
        let mut here = &mut self.root;
        let mut pointer = String::new();
        for part in path {
            let index: Option<usize> = part.parse().ok();
            match index {
                Some(_) if !matches!(here, Value::Array(_) | Value::Object(_)) => {
                    *here = Value::Array(Vec::new());
                }
                None if !here.is_object() => *here = Value::Object(Map::new()),
                _ => {}
            }
            let name;
            (here, name) = match here {
                Value::Array(items) => {
                    let index = index.unwrap_or(0).min(items.len());
                    if index == items.len() {
                        items.push(Value::Null);
                    }
                    (&mut items[index], index.to_string())
                }
                Value::Object(map) => (map.entry(*part).or_insert(Value::Null), (*part).to_owned()),
                _ => return,
            };
            pointer = child(&pointer, &name);
            self.origins
                .entry(pointer.clone())
                .or_insert_with(|| Origin::Source(source.to_owned()));
        }
        *here = value;
        let below = format!("{pointer}/");
        self.origins.retain(|key, _| !key.starts_with(&below));
        self.origins.insert(pointer, Origin::Source(source.to_owned()));
    }

    /// Keeps only one table of the top level.
    #[must_use]
    pub fn only(mut self, name: &str) -> Self {
        if let Value::Object(members) = &mut self.root {
            members.retain(|member, _| member == name);
        }
        self
    }

    /// Replaces the value at a pointer, which keeps its line.
    pub fn replace(&mut self, pointer: &str, value: Value) {
        if let Some(here) = self.root.pointer_mut(pointer) {
            *here = value;
        }
    }

    /// Adds file, line and key to each fault, and sorts the faults by line.
    ///
    /// In one line, the faults of a table follow those of its values.
    pub fn locate(&self, mut faults: Vec<Fault>) -> Vec<FileFault> {
        faults.sort_by_cached_key(|fault| {
            let mut position = position(&self.root, &fault.pointer);
            position.push(usize::MAX);
            position
        });
        let located = faults.into_iter().map(|fault| {
            let (file, at) = match self.origin(&fault.pointer) {
                Some(Origin::At(line, column)) => (self.file.clone(), Some((*line, *column))),
                Some(Origin::Source(source)) => (source.clone(), None),
                None => (self.file.clone(), None),
            };
            FileFault {
                file,
                line: at.map(|(line, _)| line),
                column: at.map(|(_, column)| column),
                key: self.dotted(&fault.pointer),
                message: fault.message,
            }
        });
        in_order(located.collect())
    }

    /// Returns the origin of the value, or of the nearest enclosing value that has one.
    fn origin(&self, pointer: &str) -> Option<&Origin> {
        let mut pointer = pointer;
        while !pointer.is_empty() {
            if let Some(origin) = self.origins.get(pointer) {
                return Some(origin);
            }
            pointer = &pointer[..pointer.rfind('/')?];
        }
        None
    }

    fn dotted(&self, pointer: &str) -> String {
        let mut here = Some(&self.root);
        let mut key = String::new();
        for part in pointer.split('/').skip(1) {
            let name = unescape(part);
            if let Some(Value::Array(items)) = here {
                key.push('[');
                key.push_str(&name);
                key.push(']');
                here = name.parse().ok().and_then(|index: usize| items.get(index));
            } else {
                if !key.is_empty() {
                    key.push('.');
                }
                key.push_str(&bare_or_quoted(&name));
                here = here.and_then(|value| value.get(&name));
            }
        }
        key
    }
}

/// Returns a key as TOML writes it: bare if possible, otherwise in quotes.
pub fn bare_or_quoted(key: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !key.is_empty() && key.bytes().all(bare) {
        key.to_owned()
    } else {
        let shown: String = key.chars().take(64).collect();
        format!("\"{}\"", shown.escape_debug())
    }
}

/// Sorts faults by file and line, and removes duplicates.
pub fn in_order(mut faults: Vec<FileFault>) -> Vec<FileFault> {
    faults.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    faults.dedup();
    faults
}

fn object(table: &DeTable<'_>, at: &str, lines: &Lines<'_>, origins: &mut BTreeMap<String, Origin>) -> Value {
    let members = table.iter().map(|(key, item)| {
        let pointer = child(at, key.get_ref());
        let read = value(item, &pointer, lines, origins);
        let (line, column) = lines.at(key.span().start);
        origins.insert(pointer, Origin::At(line, column));
        (key.get_ref().to_string(), read)
    });
    Value::Object(members.collect())
}

fn value(
    spanned: &Spanned<DeValue<'_>>,
    at: &str,
    lines: &Lines<'_>,
    origins: &mut BTreeMap<String, Origin>,
) -> Value {
    let (line, column) = lines.at(spanned.span().start);
    origins.insert(at.to_owned(), Origin::At(line, column));
    match spanned.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Integer(whole) => {
            i64::from_str_radix(whole.as_str(), whole.radix()).map_or_else(|_| unusable(), Value::from)
        }
        DeValue::Float(float) => float
            .as_str()
            .parse()
            .ok()
            .and_then(Number::from_f64)
            .map_or_else(unusable, Value::Number),
        DeValue::Datetime(_) => unusable(),
        DeValue::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| value(item, &child(at, &index.to_string()), lines, origins))
            .collect(),
        DeValue::Table(table) => object(table, at, lines, origins),
    }
}

/// Returns a number that no setting accepts, for a TOML value that JSON does not have.
///
/// Such values are dates, `nan`, `inf`, and integers beyond `i64`. As a string, each would be valid where the
/// published schema does not allow it: `issuer = 2026-11-23`.
fn unusable() -> Value {
    f64::MAX.into()
}

/// A text, with the byte offset of every line after the first.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            starts: text.match_indices('\n').map(|(at, _)| at + 1).collect(),
        }
    }
    /// Returns line and column of a byte, counted from 1; the column counts characters.
    fn at(&self, byte: usize) -> (usize, usize) {
        let before = self.starts.partition_point(|start| *start <= byte);
        let start = before.checked_sub(1).map_or(0, |last| self.starts[last]);
        let column = self.text.get(start..byte).map_or(0, |text| text.chars().count());
        (before + 1, column + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::input::read::{Input, read};
    use proptest::prelude::*;
    use serde_json::json;

    #[derive(serde::Deserialize, utoipa::ToSchema)]
    struct Nothing {}
    impl Input for Nothing {}

    fn messages(faults: &[FileFault]) -> Vec<String> {
        faults.iter().map(ToString::to_string).collect()
    }

    fn fault(pointer: &str) -> Fault {
        Fault {
            pointer: pointer.into(),
            message: "is wrong".into(),
        }
    }

    #[test]
    fn a_fault_names_the_line_of_its_key_or_of_the_nearest_enclosing_key() {
        let text = "a = 1\n[teams.\"x/y.z\"]\nlist = [\n  \"one\",\n  \"two\",\n]\n[[rows]]\nb = 1\n[[rows]]\nb = 2\n";
        let document = Document::parse("p.toml", text).unwrap();
        let pointers = [
            "/a",
            "/teams/x~1y.z/list/1",
            "/teams/x~1y.z/none",
            "/rows/1/b",
            "/rows/1",
            "",
        ];
        assert_eq!(
            messages(&document.locate(pointers.map(fault).to_vec())),
            [
                "p.toml: is wrong",
                "p.toml:1: a: is wrong",
                "p.toml:2: teams.\"x/y.z\".none: is wrong",
                "p.toml:5: teams.\"x/y.z\".list[1]: is wrong",
                "p.toml:9: rows[1]: is wrong",
                "p.toml:10: rows[1].b: is wrong",
            ]
        );
    }

    #[test]
    fn the_tree_has_the_values_of_the_text() {
        let text = "i = 0x1F\nf = 1.5\nb = true\ns = 'x'\nd = 2026-11-23\nbig = 99999999999999999999\nn = nan\n\
            t.u = [{v = -1_0}]";
        assert_eq!(
            Document::parse("p.toml", text).unwrap().root(),
            &json!({"i": 31, "f": 1.5, "b": true, "s": "x", "d": f64::MAX, "big": f64::MAX, "n": f64::MAX,
                    "t": {"u": [{"v": -10}]}})
        );
    }

    #[test]
    fn a_fault_has_the_column_of_its_key_or_of_its_item_in_characters() {
        let text = "\"ä\" = 1\n  b = [1, \"üx\", 3]\n";
        let document = Document::parse("p.toml", text).unwrap();
        let faults = document.locate(["/ä", "/b", "/b/2", "/none"].map(fault).to_vec());
        let places: Vec<_> = faults.iter().map(|fault| (fault.line, fault.column)).collect();
        let at = |line, column| (Some(line), Some(column));
        // A value comes after the faults inside it.
        assert_eq!(places, [(None, None), at(1, 1), at(2, 17), at(2, 3)]);
    }

    #[test]
    fn every_syntax_error_names_its_line() {
        let faults = Document::parse("p.toml", "a = \nb = 1\nb = 2\nc = [1, 2\n").unwrap_err();
        let lines: Vec<_> = faults.iter().map(|fault| fault.line).collect();
        assert!(lines.contains(&Some(1)) && lines.contains(&Some(3)), "{faults:?}");
        assert!(messages(&faults)[0].starts_with("p.toml:1: "), "{faults:?}");
    }

    #[test]
    fn a_set_value_replaces_the_old_one_and_its_faults_name_the_source() {
        let mut document = Document::parse("n.toml", "[close]\nurls = [\"a\", \"b\"]\n").unwrap();
        document.set(&["close", "urls"], json!(["c"]), "env X");
        document.set(&["auth", "issuers", "0", "name"], json!("n"), "env Y");
        document.set(&["auth", "issuers", "7", "name"], json!("m"), "env Z");
        assert_eq!(
            document.root(),
            &json!({"close": {"urls": ["c"]}, "auth": {"issuers": [{"name": "n"}, {"name": "m"}]}})
        );
        let pointers = ["/close/urls/0", "/auth/issuers/1/name", "/auth/issuers/0"];
        assert_eq!(
            messages(&document.locate(pointers.map(fault).to_vec())),
            [
                "env X: close.urls[0]: is wrong",
                "env Y: auth.issuers[0]: is wrong",
                "env Z: auth.issuers[1].name: is wrong"
            ]
        );
    }

    #[test]
    fn a_hundred_thousand_levels_of_nesting_are_a_fault_and_not_a_crash() {
        for text in [
            format!("{}a = 1", "a.".repeat(100_000)),
            format!("x = {}", "[".repeat(100_000)),
        ] {
            assert!(Document::parse("p.toml", &text).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "(\\PC|[\\[\\]={}\"'.#,\n a1-]){0,200}") {
            if let Ok(document) = Document::parse("p.toml", &text)
                && let Err(faults) = read::<Nothing>(document.root())
            {
                document.locate(faults);
            }
        }
    }
}
