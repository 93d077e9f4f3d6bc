//! Phone numbers: renting, reading, changing and releasing them.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::Close;

#[tokio::test]
async fn a_rent_returns_a_number_without_the_fields_that_only_later_reads_show() {
    let close = Close::start().await;
    let (status, rented) = close.rent(json!({"country": "DE", "prefix": "30"})).await;
    assert_eq!(status, 201);
    assert!(
        rented["number"].as_str().unwrap().starts_with("+4930"),
        "{rented}"
    );
    for unset in [
        "label",
        "carrier",
        "carrier_type",
        "last_billed_price",
        "next_billing_on",
    ] {
        assert!(
            rented.get(unset).is_some_and(Value::is_null),
            "{unset} in {rented}"
        );
    }
    for absent in [
        "participants",
        "phone_numbers",
        "phone_numbers_formatted",
        "was_ported",
    ] {
        assert!(rented.get(absent).is_none(), "{absent} in {rented}");
    }
    assert_eq!(
        rented["date_created"].as_str().unwrap().len(),
        "2021-03-17T11:45:56.651057".len()
    );

    let id = rented["id"].as_str().unwrap();
    assert_eq!(id.len(), "phon_".len() + 43);
    let (status, read) = close.get(&format!("/phone_number/{id}/")).await;
    assert_eq!(status, 200);
    assert!(read["date_created"].as_str().unwrap().ends_with("+00:00"));
    assert_eq!(read["carrier_type"], "local");
    assert_eq!(read["participants"], json!([]));
    assert_eq!(read["user_id"], json!(close.user(0).await));
    assert_eq!(read["last_billed_price"], Value::Null);

    close.set(json!({"billing_delay": "0s"})).await;
    let (_, billed) = close.get(&format!("/phone_number/{id}/")).await;
    assert_eq!(billed["last_billed_price"], 1.15);
    assert!(
        billed["next_billing_on"]
            .as_str()
            .unwrap()
            .ends_with("T00:00:00+00:00")
    );
}

#[tokio::test]
async fn all_rented_numbers_are_different() {
    let close = Close::start().await;
    let mut seen = HashSet::new();
    for _ in 0..60 {
        let (_, number) = close.rent(json!({"country": "US", "prefix": "415"})).await;
        assert!(number["number"].as_str().unwrap().starts_with("+1415"));
        assert!(seen.insert(number["number"].clone()), "{number} was rented twice");
    }
}

#[tokio::test]
async fn an_invalid_rent_is_refused_with_an_error_for_the_field() {
    let close = Close::start().await;
    let (can_not_call, unknown) = (close.user(4).await, "user_nobody");
    for (body, field) in [
        (json!({}), "country"),
        (json!({"country": "Germany"}), "country"),
        (json!({"country": 49}), "country"),
        (json!({"country": "DE", "sharing": "everyone"}), "sharing"),
        (json!({"country": "DE", "prefix": "123456"}), "prefix"),
        (json!({"country": "DE", "prefix": "3o"}), "prefix"),
        (
            json!({"country": "DE", "carrier_type": "shortcode"}),
            "carrier_type",
        ),
        (json!({"country": "US", "with_mms": true}), "with_mms"),
        (json!({"country": "US", "with_sms": "yes"}), "with_sms"),
        (json!({"country": "DE", "color": "red"}), "color"),
        (json!({"country": "DE", "assign_to": [can_not_call]}), "assign_to"),
        (json!({"country": "DE", "assign_to": [unknown]}), "assign_to"),
        (json!({"country": "DE", "assign_to": []}), "assign_to"),
    ] {
        let (status, answer) = close.rent(body.clone()).await;
        assert_eq!(status, 400, "{body}: {answer}");
        assert!(answer["field-errors"][field].is_string(), "{body}: {answer}");
        assert!(answer.get("status").is_none(), "{body}: {answer}");
    }
    assert!(close.numbers().await.is_empty());
}

#[tokio::test]
async fn a_rent_that_close_can_not_fulfil_is_refused_with_its_status() {
    let close = Close::start().await;
    for (body, status) in [
        (json!({"country": "DE", "with_sms": true}), "has-voice-only"),
        (json!({"country": "JP"}), "needs-more-info"),
        (json!({"country": "US", "prefix": "000"}), "error"),
        (json!({"country": "XX"}), "error"),
    ] {
        let (code, answer) = close.rent(body.clone()).await;
        assert_eq!(
            (code, &answer["status"]),
            (400, &json!(status)),
            "{body}: {answer}"
        );
        assert_eq!(answer["error"].is_string(), status == "error", "{body}: {answer}");
    }
    assert_eq!(
        close
            .rent(json!({"country": "JP", "bundle_id": "bundle_1"}))
            .await
            .0,
        201
    );
    close.set(json!({"budget": 3.0})).await;
    let (_, answer) = close.rent(json!({"country": "US"})).await;
    assert_eq!(answer, json!({"status": "billing-error"}));
}

#[tokio::test]
async fn assigning_to_others_needs_the_permission_to_manage_group_numbers() {
    let close = Close::start().await;
    let (owner, alice) = (close.user(0).await, close.user(1).await);
    let to_alice = json!({"country": "DE", "assign_to": [alice]});
    let id = close.rented(to_alice.clone()).await;
    let (_, number) = close.get(&format!("/phone_number/{id}/")).await;
    assert_eq!(
        (&number["user_id"], &number["is_group_number"]),
        (&json!(alice), &json!(false))
    );
    let id = close
        .rented(json!({"country": "DE", "assign_to": [owner, alice]}))
        .await;
    let (_, number) = close.get(&format!("/phone_number/{id}/")).await;
    assert_eq!(
        (&number["participants"], &number["is_group_number"]),
        (&json!([owner, alice]), &json!(true))
    );

    close.set(json!({"manage_group_numbers": false})).await;
    assert_eq!(close.rent(to_alice).await.0, 403);
    assert_eq!(
        close.rent(json!({"country": "DE", "sharing": "group"})).await.0,
        403
    );
    assert_eq!(close.rent(json!({"country": "DE"})).await.0, 201);
    assert_eq!(
        close
            .put(&format!("/phone_number/{id}/"), json!({"label": "no"}))
            .await
            .0,
        403
    );
    assert_eq!(
        close
            .call(Method::DELETE, &format!("/phone_number/{id}/"), None)
            .await
            .0,
        403
    );
    let (_, me) = close.get("/me/").await;
    let granted = me["memberships"][0]["permissions_granted"]
        .as_array()
        .unwrap()
        .clone();
    assert!(!granted.contains(&json!("manage_group_numbers")));
}

#[tokio::test]
async fn another_users_personal_number_can_not_be_changed_unless_a_setting_allows_it() {
    let close = Close::start().await;
    let id = close
        .rented(json!({"country": "DE", "assign_to": [close.user(1).await]}))
        .await;
    let path = format!("/phone_number/{id}/");
    let (status, answer) = close.put(&path, json!({"label": "mine?"})).await;
    assert_eq!((status, answer["error"].is_string()), (403, true), "{answer}");
    close.set(json!({"others_personal_numbers_writable": true})).await;
    assert_eq!(close.put(&path, json!({"label": "ours"})).await.0, 200);
}

#[tokio::test]
async fn an_update_changes_only_the_fields_that_it_sends() {
    let close = Close::start().await;
    let (owner, alice, group) = (close.user(0).await, close.user(1).await, close.group(0).await);
    let id = close.rented(json!({"country": "US"})).await;
    let path = format!("/phone_number/{id}/");
    let change = json!({"label": "Sales", "forward_to": "+493012345678", "forward_to_enabled": true,
        "inbound_ring_duration": 20, "voicemail_greeting_url": "https://example.com/hello.mp3",
        "phone_numbers": ["+493012345678"]});
    let (status, changed) = close.put(&path, change).await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!(changed["forward_to_formatted"], "+49 30 12345678");
    let (_, again) = close.put(&path, json!({"label": "Support"})).await;
    assert_eq!(
        (&again["label"], &again["forward_to"]),
        (&json!("Support"), &json!("+493012345678"))
    );

    let (_, shared) = close.put(&path, json!({"participants": [owner, alice]})).await;
    assert_eq!(
        (&shared["is_group_number"], &shared["user_id"]),
        (&json!(true), &Value::Null)
    );
    let (_, grouped) = close.put(&path, json!({"participant_groups": [group]})).await;
    assert_eq!(grouped["participant_groups"], json!([group]));

    let many: Vec<&String> = vec![&group; 41];
    for (body, field) in [
        (json!({"label": null}), "label"),
        (json!({"forward_to": "030 1234"}), "forward_to"),
        (json!({"forward_to_enabled": "yes"}), "forward_to_enabled"),
        (json!({"inbound_ring_duration": 14}), "inbound_ring_duration"),
        (json!({"inbound_ring_duration": 91}), "inbound_ring_duration"),
        (
            json!({"voicemail_greeting_url": "http://example.com/hello.mp3"}),
            "voicemail_greeting_url",
        ),
        (
            json!({"voicemail_greeting_url": "https://example.com/hello.wav"}),
            "voicemail_greeting_url",
        ),
        (json!({"participants": ["user_nobody"]}), "participants"),
        (json!({"phone_numbers": ["110"]}), "phone_numbers"),
        (
            json!({"participant_groups": ["group_none"]}),
            "participant_groups",
        ),
        (json!({"participant_groups": many}), "participant_groups"),
        (json!({"number": "+15550100"}), "number"),
    ] {
        let (status, answer) = close.put(&path, body.clone()).await;
        assert_eq!(status, 400, "{body}: {answer}");
        assert!(answer["field-errors"][field].is_string(), "{body}: {answer}");
    }
    assert_eq!(close.get(&path).await.1, grouped);
    assert_eq!(
        close
            .put("/phone_number/phon_none/", json!({"label": "x"}))
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn a_released_number_is_not_found_by_reads_or_a_second_release() {
    let close = Close::start().await;
    let id = close.rented(json!({"country": "DE"})).await;
    let path = format!("/phone_number/{id}/");
    assert_eq!(close.call(Method::DELETE, &path, None).await, (200, json!({})));
    let (status, answer) = close.call(Method::DELETE, &path, None).await;
    assert_eq!(status, 404);
    assert_eq!(
        answer,
        json!({"error": "Empty query: PhoneNumber matching query does not exist."})
    );
    assert_eq!(close.get(&path).await.0, 404);
    assert_eq!(close.numbers().await[0]["_control"]["state"], "released");
}

#[tokio::test]
async fn each_epoch_setting_emulates_the_api_of_that_time() {
    let close = Close::start().await;
    let owner = close.user(0).await;
    let id = close.rented(json!({"country": "US"})).await;
    let path = format!("/phone_number/{id}/");
    for (epoch, bare, sharing, assign_to, ring, groups, user_id) in [
        ("2026-06", 400, 201, 400, false, false, true),
        ("2026-07", 201, 201, 400, false, false, true),
        ("2026-09a", 201, 201, 201, true, false, true),
        ("2026-09b", 201, 201, 201, true, true, true),
        ("future", 201, 400, 201, true, true, false),
    ] {
        close.set(json!({"epoch": epoch})).await;
        let rent = json!({"country": "US"});
        assert_eq!(close.rent(rent).await.0, bare, "{epoch}");
        assert_eq!(
            close
                .rent(json!({"country": "US", "sharing": "personal"}))
                .await
                .0,
            sharing,
            "{epoch}"
        );
        let mut assigned = json!({"country": "US", "assign_to": [owner]});
        if epoch == "2026-06" {
            assigned["sharing"] = "personal".into();
        }
        assert_eq!(close.rent(assigned).await.0, assign_to, "{epoch}");
        let (_, number) = close.get(&path).await;
        assert_eq!(number.get("inbound_ring_duration").is_some(), ring, "{epoch}");
        assert_eq!(number.get("participant_groups").is_some(), groups, "{epoch}");
        assert_eq!(number.get("user_id").is_some(), user_id, "{epoch}");
    }
}
