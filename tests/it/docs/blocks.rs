//! The code blocks of a Markdown page, and the comments that change how they are tested.

/// A fenced block and the comment in the line before it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// The line of the opening fence, from 1.
    pub(super) line: usize,
    pub(super) language: String,
    pub(super) text: String,
    pub(super) marker: Option<Marker>,
}

/// How a block is treated; docs/STYLE.md explains each marker to authors.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Marker {
    NotRun,
    Fails,
    RunsUntilInterrupted,
    File(String),
}

impl Marker {
    fn parse(comment: &str) -> Result<Self, String> {
        let reason = |text: &str, marker: Self| match text.trim() {
            "" => Err(format!("`{comment}` needs a reason")),
            _ => Ok(marker),
        };
        if comment == "runs until Ctrl-C" {
            Ok(Self::RunsUntilInterrupted)
        } else if let Some(why) = comment.strip_prefix("not run:") {
            reason(why, Self::NotRun)
        } else if let Some(why) = comment.strip_prefix("fails:") {
            reason(why, Self::Fails)
        } else if let Some(name) = comment.strip_prefix("file:") {
            reason(name, Self::File(name.trim().to_owned()))
        } else {
            Err(format!("`{comment}` is not a marker; docs/STYLE.md lists them"))
        }
    }
}

/// Returns the blocks of a page in order.
///
/// Errors: a block without an end, a comment before a block that is no marker, and a marker that no block follows.
pub(super) fn blocks(page: &str) -> Result<Vec<Block>, String> {
    let (mut found, mut comment) = (Vec::new(), None);
    let mut lines = (1..).zip(page.lines());
    while let Some((line, text)) = lines.next() {
        let Some(language) = text.trim_start().strip_prefix("```") else {
            if comment
                .take()
                .is_some_and(|comment| Marker::parse(comment).is_ok())
            {
                return Err(format!("line {line}: a block must follow the marker"));
            }
            comment = text
                .trim()
                .strip_prefix("<!-- ")
                .and_then(|rest| rest.strip_suffix(" -->"));
            continue;
        };
        let marker = comment
            .take()
            .map(Marker::parse)
            .transpose()
            .map_err(|wrong| format!("line {line}: {wrong}"))?;
        // All lines of a block in a list are indented.
        let indent = text.len() - text.trim_start().len();
        let mut body = Vec::new();
        loop {
            let (_, text) = lines
                .next()
                .ok_or_else(|| format!("line {line}: the block has no end"))?;
            if text.trim() == "```" {
                break;
            }
            body.push(text.get(indent..).unwrap_or_default());
        }
        found.push(Block {
            line,
            language: language.trim().to_owned(),
            text: body.join("\n"),
            marker,
        });
    }
    Ok(found)
}

/// The first line of a script. `refused` tells whether curl has received a status of 400 or more.
const START: &str = "set -euo pipefail; background=(); refused() { grep -Eqs '^status [45]' \"$STATUSES\"; }";

/// Returns one bash script that runs the blocks of a page, or `None` if there is nothing to run.
///
/// Foreground blocks share one shell, so a page can set variables. The script prints each block's line before it runs,
/// and fails if a background block has ended before the end of the page.
pub(super) fn script(page: &str, blocks: &[Block]) -> Result<Option<String>, String> {
    let (mut lines, mut commands) = (vec![START.to_owned()], 0);
    for Block {
        line,
        language,
        text,
        marker,
    } in blocks
    {
        if let Some(Marker::File(name)) = marker {
            lines.push(format!(
                "cat > '{name}' <<'END OF THE BLOCK'\n{text}\nEND OF THE BLOCK"
            ));
            continue;
        }
        match language.as_str() {
            "sh" => {}
            "bash" | "shell" | "console" | "" => {
                return Err(format!(
                    "line {line}: use `sh` for commands, `text` for anything else"
                ));
            }
            _ => continue,
        }
        lines.push(format!("echo '== {page}:{line}'"));
        match marker {
            Some(Marker::NotRun) => continue,
            Some(Marker::Fails) => lines.push(format!(
                "(\n{text}\n) & if wait $! && ! refused; then echo 'the block should have failed'; exit 1; fi; rm -f \"$STATUSES\""
            )),
            Some(Marker::RunsUntilInterrupted) => {
                lines.push(format!("(\n{text}\n) & background+=($!); sleep 1"));
            }
            None | Some(Marker::File(_)) => {
                lines.push(text.clone());
                lines.push("if refused; then echo 'curl received an error'; cat \"$STATUSES\"; exit 1; fi".to_owned());
            }
        }
        commands += 1;
    }
    lines.push(
        "for job in \"${background[@]}\"; do kill -0 \"$job\" || { echo 'a block in the background has ended'; exit 1; }; done"
            .to_owned(),
    );
    Ok((commands > 0).then(|| lines.join("\n")))
}

mod tests {
    use super::{Marker, blocks, script};

    #[test]
    fn blocks_are_read_with_their_markers() {
        let page = "Text.\n\n<!-- not run: it needs a cluster -->\n```sh\nkubectl\n```\n\n1. Item\n   ```toml\n   a = 1\n   ```\n";
        let found = blocks(page).expect("the page is valid");
        assert_eq!((found[0].line, &found[0].marker), (4, &Some(Marker::NotRun)));
        assert_eq!(
            (found[1].language.as_str(), found[1].text.as_str()),
            ("toml", "a = 1")
        );
        assert_eq!(script("page", &found), Ok(None));
    }

    #[test]
    fn a_wrong_marker_is_an_error() {
        for page in [
            "<!-- not run -->\n```sh\n```",
            "<!-- not run: -->\n```sh\n```",
            "<!-- runs for ever -->\n```sh\n```",
            "<!-- fails: no -->\n\nText.",
            "```sh\ntrue",
        ] {
            assert!(blocks(page).is_err(), "{page}");
        }
        let shell = blocks("```bash\ntrue\n```").expect("the page is valid");
        assert!(script("page", &shell).is_err());
    }
}
