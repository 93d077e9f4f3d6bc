//! Records of Close that can't be read: the others are taken in, and an operator sees what is odd.

use std::time::Duration;

use numberdesk::desk::SignatureKeySource;
use numberdesk::domain::odd_record::OddKind;
use serde_json::{Value, json};

use crate::support::binary::run;
use crate::support::database::{Database, on_both_stores};
use crate::support::desk::{TestDesk, caller, list};
use crate::support::eventually;
use crate::support::personas::OLGA;
use crate::support::server::{TestConfig, TestServer, text};

on_both_stores! {
    an_odd_number_counts_as_seen_and_the_others_are_taken_in,
    an_odd_event_of_the_log_does_not_stop_the_others,
    an_odd_subscription_is_named_and_never_replaced_if_it_may_be_the_own_one,
    operators_see_what_is_odd_until_it_is_right_again,
    odd_members_and_memberships_do_not_stop_a_comparison,
}

const POLICY: &str = r#"
[teams.sales]
countries = ["DE", "US"]
assign_to = "anyone"
"#;

async fn compare(test_desk: &TestDesk) {
    test_desk
        .run(|desk| async move { desk.sync.compare().await })
        .await
        .unwrap();
}

async fn odd_names(test_desk: &TestDesk, kind: OddKind) -> Vec<String> {
    let odd = test_desk.store().known_odd_records().await.unwrap();
    let of_kind = odd.into_iter().filter(|record| record.kind == kind);
    of_kind.map(|record| record.name).collect()
}

async fn rent(test_desk: &TestDesk) -> String {
    let fields = json!({ "country": "DE", "carrier_type": "local" });
    text(&test_desk.close.person_rents(fields).await["id"])
}

async fn show_as(test_desk: &TestDesk, id: &str, shown: Value) {
    let fields = json!({ "shown": shown, "silent": true });
    test_desk.close.person_changes(id, fields).await;
}

async fn an_odd_number_counts_as_seen_and_the_others_are_taken_in(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 1).await;
    let known = rent(&test_desk).await;
    compare(&test_desk).await;
    let listed = async || test_desk.run(list(&caller("sales"))).await.unwrap().rows.len();
    let before = listed().await;
    test_desk.advance_clock(Duration::from_mins(30));
    show_as(&test_desk, &known, json!({ "number": null })).await;
    let odd = rent(&test_desk).await;
    show_as(&test_desk, &odd, json!({ "id": "num-1" })).await;
    rent(&test_desk).await;
    compare(&test_desk).await;
    // The known number stays as it was, and one of the new ones is taken in.
    assert_eq!(listed().await, before + 1);
    let mut names = odd_names(&test_desk, OddKind::PhoneNumber).await;
    names.sort();
    assert_eq!(names, ["num-1".to_owned(), known.clone()]);
    // A webhook about the odd number ends, too.
    let fields = json!({ "label": "changed" });
    test_desk.close.person_changes(&known, fields).await;
    test_desk
        .run(|desk| async move { desk.sync.poll_event_log().await })
        .await
        .unwrap();
    test_desk
        .run(|desk| async move { desk.sync.refetch().await })
        .await
        .unwrap();
    assert_eq!(
        test_desk
            .database
            .query_integer("SELECT COUNT(*) FROM errands")
            .await,
        0
    );
    for id in [&known, &odd] {
        show_as(&test_desk, id, json!({})).await;
    }
    compare(&test_desk).await;
    assert_eq!(listed().await, before + 2);
    assert!(odd_names(&test_desk, OddKind::PhoneNumber).await.is_empty());
}

async fn an_odd_event_of_the_log_does_not_stop_the_others(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 2).await;
    let poll = async || {
        test_desk
            .run(|desk| async move { desk.sync.poll_event_log().await })
            .await
            .unwrap();
    };
    poll().await;
    test_desk.advance_clock(Duration::from_mins(1));
    let id = rent(&test_desk).await;
    let mut events = test_desk.close.log().await;
    events.retain(|event| event["object_id"] == *id);
    assert_eq!(events.len(), 1);
    let mut odd = events[0].clone();
    odd["id"] = json!("ev_odd");
    odd["object_id"] = json!(7);
    events.insert(0, odd);
    let fault = json!({ "method": "GET", "path": "/event/", "times": 1,
        "answer": { "status": 200, "body": { "data": events, "cursor_next": null } } });
    test_desk.close.fault(fault).await;
    let position = test_desk.store().event_log_position().await.unwrap();
    poll().await;
    assert!(test_desk.store().event_log_position().await.unwrap() > position);
    assert_eq!(odd_names(&test_desk, OddKind::Event).await, ["ev_odd"]);
    let jobs = format!("SELECT COUNT(*) FROM errands WHERE object_id = '{id}'");
    assert_eq!(test_desk.database.query_integer(&jobs).await, 1);
    // It is forgotten a day later.
    test_desk.advance_clock(Duration::from_hours(25));
    compare(&test_desk).await;
    assert!(odd_names(&test_desk, OddKind::Event).await.is_empty());
}

async fn an_odd_subscription_is_named_and_never_replaced_if_it_may_be_the_own_one(database: Database) {
    let mut test_desk = TestDesk::new(database, POLICY, 3).await;
    let url = "https://desk.example/webhooks/close";
    test_desk.webhooks = SignatureKeySource::Subscription(url.parse().unwrap());
    test_desk.crash();
    test_desk.start().await;
    let ensure = async || {
        test_desk
            .run(|desk| async move {
                desk.subscription
                    .ensure()
                    .await
                    .map_err(|error| error.to_string())
            })
            .await
    };
    ensure().await.unwrap();
    let own = test_desk.close.subscriptions().await.remove(0);
    let list = |rows: Value| {
        json!({ "method": "GET", "path": "/webhook/", "times": 1,
            "answer": { "status": 200, "body": { "data": rows, "has_more": false } } })
    };
    let other = json!({ "id": 5, "url": "https://elsewhere.example/" });
    test_desk.close.fault(list(json!([other, own, 7]))).await;
    ensure().await.unwrap();
    assert_eq!(odd_names(&test_desk, OddKind::Subscription).await.len(), 2);
    // A new process does not know the id of its subscription, which Close now shows odd.
    test_desk.crash();
    test_desk.start().await;
    let ensure = async || {
        test_desk
            .run(|desk| async move {
                desk.subscription
                    .ensure()
                    .await
                    .map_err(|error| error.to_string())
            })
            .await
    };
    let mut odd = own.clone();
    odd["id"] = Value::Null;
    for rows in [json!([odd]), json!([{ "id": own["id"], "url": null }])] {
        test_desk.close.fault(list(rows)).await;
        let failure = ensure().await.unwrap_err();
        assert!(failure.contains("unexpected form"), "{failure}");
    }
    assert_eq!(test_desk.close.requests("POST", "/webhook/").await.len(), 1);
    ensure().await.unwrap();
    assert!(odd_names(&test_desk, OddKind::Subscription).await.is_empty());
    assert_eq!(test_desk.close.requests("POST", "/webhook/").await.len(), 1);
}

async fn operators_see_what_is_odd_until_it_is_right_again(database: Database) {
    let config = TestConfig {
        full_sync: "1s",
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    server.wait_until_synced().await;
    let number = server.close.person_rents(json!({ "country": "DE" })).await;
    let id = text(&number["id"]);
    let secret = json!({ "id": "num-7", "number": 7, "label": "a secret label" });
    let shown = json!({ "shown": secret, "silent": true });
    server.close.person_changes(&id, shown).await;
    server
        .close
        .person_rents(json!({ "country": "DE", "label": "good" }))
        .await;
    let report = eventually("the report names the odd number", || async {
        let report = server.at_ops("/readyz?verbose").await.json();
        let names = report["odd_records"].as_array()?.iter();
        names
            .map(|record| record["name"].clone())
            .any(|name| name == "num-7")
            .then_some(report)
    })
    .await;
    assert_eq!(
        (&report["odd_records"][0]["kind"], &report["close"]),
        (&json!("phone_number"), &json!("ok"))
    );
    assert!(report["ready"] == true && !report.to_string().contains("secret label"));
    let gauge = r#"numberdesk_close_odd_records{kind="phone_number"} "#;
    let gauge_is = async |count: &str| {
        let line = format!("{gauge}{count}");
        eventually(&line, || async {
            let metrics = server.at_ops("/metrics").await.text;
            metrics
                .lines()
                .any(|shown| shown.trim_end_matches(".0") == line)
                .then_some(())
        })
        .await;
    };
    gauge_is("1").await;
    assert_eq!(
        server
            .list(&OLGA, "/v1/phone-numbers?orphan=true&label=good")
            .await
            .len(),
        1
    );
    let doctor = run(server.folder.path(), &["doctor", "--config", "numberdesk.toml"]).await;
    let line = "note   odd record     phone_number num-7: `id` has an unexpected form";
    assert!(
        doctor.code == 0 && doctor.stdout.lines().any(|shown| shown == line),
        "{doctor:?}"
    );
    assert!(!doctor.stdout.contains("secret label"));
    let right = json!({ "shown": {}, "silent": true });
    server.close.person_changes(&id, right).await;
    gauge_is("0").await;
}

async fn odd_members_and_memberships_do_not_stop_a_comparison(database: Database) {
    let close = TestDesk::new(database.clone(), POLICY, 5).await;
    let group = close.close.groups()[0].clone();
    drop(close);
    let policy = POLICY.replace("\"anyone\"", &format!("{{ group = \"{group}\" }}"));
    let test_desk = TestDesk::new(database, &policy, 5).await;
    let (_, mut me) = test_desk.close.call("GET", "/me/", None).await;
    me["id"] = json!("user-7");
    let real = me["memberships"][0].clone();
    me["memberships"] = json!([7, { "organization_id": null }, real]);
    let members = json!([{ "user_id": 7 }, { "user_id": test_desk.close.users()[1] }]);
    let group_body = json!({ "id": group, "members": members });
    for (path, body) in [("/me/", me), ("/group/{id}/", group_body)] {
        let answer = json!({ "status": 200, "body": body });
        let fault = json!({ "method": "GET", "path": path, "answer": answer });
        test_desk.close.fault(fault).await;
    }
    rent(&test_desk).await;
    compare(&test_desk).await;
    assert_eq!(odd_names(&test_desk, OddKind::Membership).await.len(), 3);
    assert_eq!(odd_names(&test_desk, OddKind::Group).await, [group]);
    test_desk.close.clear_faults().await;
    compare(&test_desk).await;
    assert_eq!(test_desk.store().known_odd_records().await.unwrap(), []);
}
