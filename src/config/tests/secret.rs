//! Secrets: where they may stand, and that no fault repeats one.

use super::*;

#[test]
fn a_secret_in_the_file_or_a_broken_one_is_a_fault_that_never_repeats_it() {
    let text = format!("{ISSUER}[close]\napi_key = \"{KEY}\"\nwebhook_signature_key = \"{HEX}\"\n");
    let faults = said(with(&text, &[("NUMBERDESK_CLOSE__API_KEY_FILE", "/nowhere/key")]));
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
    let broken = said(with(&minimal(), &env));
    assert_eq!(broken.len(), 2, "{broken:#?}");
    for fault in faults.iter().chain(&broken) {
        assert!(!fault.contains("hunter2") && !fault.contains("001122"), "{fault}");
    }
}

#[test]
fn several_signature_keys_stand_one_a_line_and_each_must_be_one() {
    let read = |text: &str| {
        let config = with(&minimal(), &[("NUMBERDESK_CLOSE__WEBHOOK_SIGNATURE_KEY", text)]);
        config.map(|config| {
            config
                .close
                .webhook_key
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
        let faults = said(read(&bad));
        assert!(
            faults[0].contains("while it is rotated several, one a line"),
            "{faults:?}"
        );
        assert!(!faults[0].contains("001122"), "{faults:?}");
    }
    // A file may be cut off or emptied while it is watched: that is a fault to tell, and no set of keys.
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
fn the_url_of_the_store_may_stand_in_a_file() {
    let folder = folder();
    let path = folder.path().join("url");
    std::fs::write(&path, "postgres://desk:hunter2@db/desk\n").unwrap();
    let text = format!(
        "{}[store]\nurl_file = {:?}\n",
        minimal(),
        path.display().to_string()
    );
    assert_eq!(with(&text, &[]).unwrap().store.shown(), "postgres://desk@db/desk");
    assert_eq!(
        said(with(&format!("{text}url = \"sqlite://x.db\""), &[])).len(),
        1
    );
    let overridden = with(&text, &[("NUMBERDESK_STORE__URL", "sqlite://x.db")]).unwrap();
    assert_eq!(overridden.store.shown(), "sqlite://x.db");
}
