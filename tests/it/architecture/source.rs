//! A source file, and the modules of its crate that its code uses.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{Attribute, Item, UseTree};

/// A file of a crate.
pub(super) struct Source {
    /// The path relative to `src`, such as `http/router.rs`.
    pub(super) path: String,
    /// The module that the file is, such as `["http", "router"]`.
    pub(super) module: Vec<String>,
    pub(super) text: String,
    /// The text without comments and unit tests.
    pub(super) code: String,
    /// The number of lines without unit tests.
    pub(super) lines: usize,
    /// The paths from the crate's root that the code uses outside unit tests.
    ///
    /// The last part of a path may be an item of a module.
    pub(super) uses: BTreeSet<Vec<String>>,
}

/// Reads all files below a folder `src`, except files of unit tests.
pub(super) fn read_sources(src: &Path) -> Vec<Source> {
    fn walk(src: &Path, folder: &Path, found: &mut Vec<Source>) {
        for entry in fs::read_dir(folder).expect("src can be listed").flatten() {
            let path = entry.path();
            let unit_tests = path.file_stem().is_some_and(|name| name == "tests");
            if path.is_dir() && !unit_tests {
                walk(src, &path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") && !unit_tests {
                let text = fs::read_to_string(&path).expect("a listed file can be read");
                let relative = path.strip_prefix(src).expect("the file is below src");
                found.push(Source::parse(&relative.to_string_lossy(), &text));
            }
        }
    }
    let mut found = Vec::new();
    walk(src, src, &mut found);
    assert!(found.len() > 10, "the sources were not found");
    found
}

impl Source {
    /// Parses the text of a file; `path` is relative to `src`.
    pub(super) fn parse(path: &str, text: &str) -> Self {
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{path} does not parse: {error}"));
        let mut module: Vec<String> = path
            .trim_end_matches(".rs")
            .split('/')
            .map(str::to_owned)
            .collect();
        if module.last().is_some_and(|name| name == "mod") || module == ["lib"] {
            module.pop();
        }
        let mut reader = Reader {
            children: children(&file.items),
            module: module.clone(),
            uses: BTreeSet::new(),
        };
        reader.items(&file.items);
        let before_tests = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let is_code = |line: &&str| !line.trim_start().starts_with("//");
        Self {
            path: path.to_owned(),
            code: before_tests
                .lines()
                .filter(is_code)
                .collect::<Vec<_>>()
                .join("\n"),
            lines: before_tests.lines().count(),
            text: text.to_owned(),
            module,
            uses: reader.uses,
        }
    }

    /// Returns the top-level module that the file belongs to.
    pub(super) fn top(&self) -> &str {
        self.module.first().map_or("lib", String::as_str)
    }
}

/// Returns the modules that the file declares and that are other files.
fn children(items: &[Item]) -> BTreeSet<String> {
    items
        .iter()
        .filter_map(|item| match item {
            Item::Mod(declared) if declared.content.is_none() => Some(declared.ident.to_string()),
            _ => None,
        })
        .collect()
}

/// Collects the paths that a file uses.
struct Reader {
    module: Vec<String>,
    children: BTreeSet<String>,
    uses: BTreeSet<Vec<String>>,
}

impl Reader {
    fn items(&mut self, items: &[Item]) {
        for item in items {
            match item {
                Item::Use(import) if only_for_tests(&import.attrs) => {}
                Item::Use(import) => self.tree(&import.tree, &mut Vec::new()),
                Item::Mod(inline) if !only_for_tests(&inline.attrs) => {
                    if let Some((_, items)) = &inline.content {
                        self.module.push(inline.ident.to_string());
                        self.items(items);
                        self.module.pop();
                    }
                }
                Item::Mod(_) => {}
                other => self.tokens(other.to_token_stream()),
            }
        }
    }

    fn tree(&mut self, tree: &UseTree, prefix: &mut Vec<String>) {
        match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.tree(&path.tree, prefix);
                prefix.pop();
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(tree, prefix)),
            UseTree::Name(name) => self.add(prefix.iter().cloned().chain([name.ident.to_string()])),
            UseTree::Rename(name) => self.add(prefix.iter().cloned().chain([name.ident.to_string()])),
            UseTree::Glob(_) => self.add(prefix.iter().cloned()),
        }
    }

    /// Finds paths in code, including the arguments of macros.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        let mut after_pub = false;
        for token in tokens {
            let visibility = std::mem::take(&mut after_pub);
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.add(std::mem::take(&mut path));
                    }
                    after_pub = ident == "pub";
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Group(group) => {
                    self.add(std::mem::take(&mut path));
                    colons = 0;
                    // `pub(in crate::http)` names a module without using it.
                    if !visibility {
                        self.tokens(group.stream());
                    }
                }
                _ => {
                    self.add(std::mem::take(&mut path));
                    colons = 0;
                }
            }
        }
        self.add(path);
    }

    /// Adds a path as a path from the crate's root, if it leads to a module of the crate.
    fn add(&mut self, path: impl IntoIterator<Item = String>) {
        let path: Vec<String> = path.into_iter().filter(|name| name != "self").collect();
        let Some(first) = path.first().cloned() else {
            return;
        };
        let supers = path.iter().take_while(|name| *name == "super").count();
        let absolute = if first == "crate" || first == "numberdesk" {
            path[1..].to_vec()
        } else if supers > 0 {
            let above = self.module.len().saturating_sub(supers);
            [&self.module[..above], &path[supers..]].concat()
        } else if path.len() > 1 && self.children.contains(&first) {
            [self.module.as_slice(), &path].concat()
        } else {
            return;
        };
        self.uses.insert(absolute);
    }
}

fn only_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg") && attribute.meta.to_token_stream().to_string().contains("test")
    })
}
