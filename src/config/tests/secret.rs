//! Secrets: their allowed sources, and faults that never repeat one.

use super::*;

#[test]
fn a_secret_in_the_file_or_a_broken_one_is_a_fault_that_never_repeats_it() {
    let text = format!("{ISSUER}[close]\napi_key = \"{KEY}\"\nwebhook_signature_key = \"{HEX}\"\n");
    let faults = fault_texts(with(&text, &[("NUMBERDESK_CLOSE__API_KEY_FILE", "/nowhere/key")]));
    assert_eq!(faults.len(), 3, "{faults:#?}");
    assert_eq!(
        faults[1],
        "numberdesk.toml:5: close.api_key: a secret does not belong in this file: use `api_key_file`, \
         or NUMBERDESK_CLOSE__API_KEY in the environment"
    );
    let env = [
        ("NUMBERDESK_CLOSE__API_KEY", "hunter2 with spaces"),
        ("NUMBERDESK_CLOSE__WEBHOOK_SIGNATURE_KEY", "hunter2"),
    ];
    let broken = fault_texts(with(&minimal(), &env));
    assert_eq!(broken.len(), 2, "{broken:#?}");
    for fault in faults.iter().chain(&broken) {
        assert!(!fault.contains("hunter2") && !fault.contains("001122"), "{fault}");
    }
}

#[test]
fn several_signature_keys_are_one_a_line_and_each_must_be_valid() {
    let read = |text: &str| {
        let config = with(&minimal(), &[("NUMBERDESK_CLOSE__WEBHOOK_SIGNATURE_KEY", text)]);
        config.map(|config| {
            config
                .close
                .webhook_key()
                .unwrap()
                .read_webhook_keys()
                .unwrap()
                .len()
        })
    };
    assert_eq!(read(HEX).unwrap(), 1);
    assert_eq!(read(&format!("{HEX}\r\n\n  {HEX}\n")).unwrap(), 2);
    for bad in [
        String::new(),
        format!("{HEX}{HEX}"),
        format!("{HEX},{HEX}"),
        format!("{HEX}\n{}", &HEX[..63]),
        format!("{HEX}\n").repeat(9),
    ] {
        let faults = fault_texts(read(&bad));
        assert!(
            faults[0].contains("during a rotation several, one a line"),
            "{faults:?}"
        );
        assert!(!faults[0].contains("001122"), "{faults:?}");
    }
    // The file may be truncated or empty for a moment while the service polls it: that is a fault.
    let folder = folder();
    let hook = SecretSource::File(folder.path().join("hook"));
    std::fs::write(folder.path().join("hook"), &HEX[..40]).unwrap();
    assert!(
        hook.read_webhook_keys()
            .unwrap_err()
            .contains("64 hexadecimal digits")
    );
    std::fs::write(folder.path().join("hook"), "").unwrap();
    assert!(hook.read_webhook_keys().unwrap_err().contains("is empty"));
}

#[test]
fn the_url_of_the_store_may_be_in_a_file() {
    let folder = folder();
    let path = folder.path().join("url");
    std::fs::write(&path, "postgres://desk:hunter2@db/desk\n").unwrap();
    let text = format!(
        "{}[store]\nurl_file = {:?}\n",
        minimal(),
        path.display().to_string()
    );
    assert_eq!(
        with(&text, &[]).unwrap().store.url().unwrap().shown(),
        "postgres://desk@db/desk"
    );
    assert_eq!(
        fault_texts(with(&format!("{text}url = \"sqlite://x.db\""), &[])).len(),
        1
    );
    let overridden = with(&text, &[("NUMBERDESK_STORE__URL", "sqlite://x.db")]).unwrap();
    assert_eq!(overridden.store.url().unwrap().shown(), "sqlite://x.db");
}
