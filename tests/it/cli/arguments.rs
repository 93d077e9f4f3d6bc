//! Arguments that are not valid: the error names the argument and says what would be right.

use super::config_folder;
use crate::support::binary::run;

#[tokio::test]
async fn an_invalid_argument_is_explained_without_the_words_of_a_parser() {
    let folder = config_folder();
    let cases: [(&[&str], &str); 10] = [
        (&["dev", "--port", "80x"], "must be a port number from 0 to 65535"),
        (
            &["dev", "--ops-port", "70000"],
            "must be a port number from 0 to 65535",
        ),
        (&["health", "--url", "foo"], "must be an http or https URL"),
        (
            &["health", "--url", "ftp://localhost/"],
            "must be an http or https URL",
        ),
        (
            &["webhooks", "listen", "--forward-to", "localhost:8888"],
            "must be an http or https URL",
        ),
        (
            &[
                "policy",
                "explain",
                "--team",
                "a",
                "--country",
                "DE",
                "--claims",
                "x",
            ],
            "must be a JSON object, such as {\"phone\":",
        ),
        (
            &[
                "policy",
                "explain",
                "--team",
                "a",
                "--country",
                "DE",
                "--claims",
                "[]",
            ],
            "must be a JSON object, such as {\"phone\":",
        ),
        (
            &[
                "policy",
                "explain",
                "--team",
                "a",
                "--country",
                "DE",
                "--numbers-held",
                "x",
            ],
            "must be a whole number, 0 or more",
        ),
        (
            &["sandbox", "--listen", "foo"],
            "must be an IP address and a port",
        ),
        (&["sandbox", "--seed", "x"], "must be a whole number, 0 or more"),
    ];
    for (arguments, expected) in cases {
        let refused = run(folder.path(), arguments).await;
        let name = arguments[arguments.len() - 2];
        assert!(
            refused.code == 2 && refused.stderr.contains(name) && refused.stderr.contains(expected),
            "{arguments:?}: {refused:?}"
        );
    }
}
