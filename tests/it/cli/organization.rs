//! `serve` and `doctor` with an API key whose user is a member of several organizations.

use close_sandbox::{Options, Settings};
use serde_json::json;

use super::{config_folder, rewrite};
use crate::support::binary::{ServerProcess, run};
use crate::support::close::FakeClose;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_refuses_to_start_and_names_the_setting_only_if_the_organization_can_not_be_told() {
    let close = FakeClose::start(Options {
        settings: Settings {
            first_membership: Some("orga_Elsewhere".to_owned()),
            ..Settings::default()
        },
        ..Options::default()
    })
    .await;
    let folder = config_folder();
    let path = folder.path();
    rewrite(
        path,
        "numberdesk.toml",
        "http://127.0.0.1:9/api/v1",
        &close.base_url(),
    );
    std::fs::write(path.join("close-api-key"), close.api_key()).unwrap();
    let serve = ["serve", "--config", "numberdesk.toml"];
    let doctor = ["doctor", "--config", "numberdesk.toml"];
    let refused = run(path, &serve).await;
    assert!(
        refused.code == 1 && refused.stderr.contains("set `close.organization_id`"),
        "{refused:?}"
    );
    let report = run(path, &doctor).await;
    assert!(
        report.code == 1 && report.stdout.contains("set `close.organization_id`"),
        "{report:?}"
    );
    rewrite(
        path,
        "numberdesk.toml",
        "[close]\n",
        "[close]\norganization_id = \"orga_Nobody\"\n",
    );
    let refused = run(path, &serve).await;
    assert!(
        refused.code == 1 && refused.stderr.contains("`close.organization_id` is none of"),
        "{refused:?}"
    );
    rewrite(path, "numberdesk.toml", "organization_id = \"orga_Nobody\"\n", "");
    // A number names the organization of the key.
    close.person_rents(json!({ "country": "DE" })).await;
    let mut desk = ServerProcess::start(path).await;
    desk.terminate().await;
    assert_eq!(run(path, &doctor).await.code, 0);
}
