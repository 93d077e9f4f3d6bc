//! Faults: scripted responses to chosen requests, with or without executing them.

use close_sandbox::{Options, Sandbox, faults_from_json};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::{Close, RENT};

#[tokio::test]
async fn a_fault_replaces_the_response_and_may_execute_the_request() {
    let close = Close::start().await;
    close
        .fault(json!([
            {"method": "POST", "path": RENT, "times": 1, "effect": true,
             "answer": {"status": 503, "headers": {"retry-after": "1"}, "body": "<html>down</html>"}},
            {"method": "POST", "path": RENT, "times": 1, "answer": {"status": 504}},
            {"path": RENT, "country": "FR", "after": 1, "times": 1, "answer": {"status": 502, "body": {"error": "x"}}}
        ]))
        .await;
    let response = close
        .send(Method::POST, RENT, Some(json!({"country": "US"})))
        .await
        .unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(response.headers()["content-type"], "text/html");
    assert_eq!(close.numbers().await.len(), 1);
    assert_eq!(close.rent(json!({"country": "US"})).await, (504, Value::Null));
    assert_eq!(close.numbers().await.len(), 1);
    assert_eq!(close.rent(json!({"country": "US"})).await.0, 201);
    assert_eq!(close.rent(json!({"country": "FR"})).await.0, 201);
    assert_eq!(
        close.rent(json!({"country": "FR"})).await,
        (502, json!({"error": "x"}))
    );
    assert_eq!(close.rent(json!({"country": "FR"})).await.0, 201);

    let (_, faults) = close.control(Method::GET, "faults", None).await;
    assert!(
        faults
            .as_array()
            .unwrap()
            .iter()
            .all(|fault| fault["_control"]["spent"] == true),
        "{faults}"
    );
    let effects: Vec<bool> = close
        .requests("method=POST")
        .await
        .iter()
        .map(|request| request["effect"] == true)
        .collect();
    assert_eq!(effects, [true, false, true, true, false, true]);
}

#[tokio::test]
async fn a_fault_can_destroy_the_response_although_the_number_is_rented() {
    let close = Close::start().await;
    let rent = || close.send(Method::POST, RENT, Some(json!({"country": "US"})));
    let mut rented = 0;
    for manner in [
        "drop_before_headers",
        "drop_in_body",
        "garbage",
        "truncate",
        "hang",
        "huge",
        "redirect",
    ] {
        close
            .fault(json!({"path": RENT, "times": 1, "effect": true, "answer": manner}))
            .await;
        match manner {
            "drop_before_headers" => assert!(rent().await.is_err()),
            "drop_in_body" => {
                let response = rent().await.unwrap();
                assert_eq!(response.status(), 201);
                assert!(response.bytes().await.is_err());
            }
            "garbage" | "truncate" => {
                let response = rent().await.unwrap();
                assert_eq!(response.status(), 201);
                assert!(response.json::<Value>().await.is_err());
            }
            "hang" => {
                tokio::select! {
                    _ = rent() => panic!("a response arrived"),
                    () = close.until_rented(rented + 1) => {}
                }
            }
            "huge" => {
                let mut response = rent().await.unwrap();
                let mut size = 0;
                while size < 8 << 20 {
                    size += response
                        .chunk()
                        .await
                        .unwrap()
                        .expect("the body has not ended")
                        .len();
                }
            }
            _ => {
                let response = rent().await.unwrap();
                assert_eq!(response.status(), 307);
                assert!(response.headers()["location"].to_str().unwrap().ends_with(RENT));
            }
        }
        rented += 1;
        assert_eq!(close.numbers().await.len(), rented, "{manner}");
    }
    let endings: Vec<Value> = close
        .requests("")
        .await
        .into_iter()
        .map(|request| request["ending"].clone())
        .collect();
    assert_eq!(
        endings,
        [
            "drop_before_headers",
            "drop_in_body",
            "answered",
            "answered",
            "hang",
            "huge",
            "answered"
        ]
    );
}

#[tokio::test]
async fn a_fault_can_rent_the_number_after_an_error_response() {
    let close = Close::start().await;
    close
        .fault(json!({"path": RENT, "times": 1, "effect": true, "effect_after": "3s", "answer": {"status": 504}}))
        .await;
    assert_eq!(close.rent(json!({"country": "US"})).await.0, 504);
    assert!(close.numbers().await.is_empty());
    close.until_rented(1).await;
}

#[tokio::test]
async fn a_rent_is_completed_although_its_client_hangs_up() {
    let close = Close::start().await;
    close.set(json!({"rent_latency": "3s"})).await;
    tokio::select! {
        _ = close.send(Method::POST, RENT, Some(json!({"country": "US"}))) => panic!("the response arrived first"),
        _ = close.requests("method=POST&at_least=1") => {}
    }
    assert!(close.numbers().await.is_empty());
    close.until_rented(1).await;
}

#[tokio::test]
async fn a_fault_can_refuse_a_rent_with_any_status() {
    let close = Close::start().await;
    close
        .fault(json!([
            {"refuse": "has-voice-only", "times": 1},
            {"refuse": "error", "message": "Out of numbers.", "times": 1},
            {"refuse": "some-future-status", "country": "DE"}
        ]))
        .await;
    assert_eq!(
        close.rent(json!({"country": "US"})).await,
        (400, json!({"status": "has-voice-only"}))
    );
    let (_, answer) = close.rent(json!({"country": "US"})).await;
    assert_eq!(answer, json!({"status": "error", "error": "Out of numbers."}));
    assert_eq!(close.rent(json!({"country": "US"})).await.0, 201);
    assert_eq!(
        close.rent(json!({"country": "DE"})).await.1,
        json!({"status": "some-future-status"})
    );
    close.clear_faults().await;
    assert_eq!(close.rent(json!({"country": "DE"})).await.0, 201);
}

#[tokio::test]
async fn faults_from_a_file_are_armed_from_the_start() {
    let faults = faults_from_json(r#"[{"refuse": "billing-error"}]"#).unwrap();
    let sandbox = Sandbox::start(Options {
        faults,
        ..Options::default()
    })
    .await
    .unwrap();
    let close = Close {
        sandbox,
        http: Client::builder().build().unwrap(),
    };
    assert_eq!(
        close.rent(json!({"country": "US"})).await.1,
        json!({"status": "billing-error"})
    );
}

#[tokio::test]
async fn an_invalid_fault_or_setting_is_refused_with_the_reason() {
    let close = Close::start().await;
    let (status, answer) = close
        .control(Method::POST, "faults", Some(json!([{"answer": "explode"}])))
        .await;
    assert_eq!(status, 400);
    assert!(
        answer["error"]
            .as_str()
            .unwrap()
            .contains("fault 1: unknown answer `explode`"),
        "{answer}"
    );
    let (status, answer) = close
        .control(Method::POST, "settings", Some(json!({"epoc": "future"})))
        .await;
    assert_eq!(status, 400);
    assert!(
        answer["error"].as_str().unwrap().contains("unknown field `epoc`"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_fault_can_destroy_the_response_without_renting_a_number() {
    let close = Close::start().await;
    for manner in ["garbage", "truncate", "drop_in_body"] {
        close
            .fault(json!({"path": RENT, "times": 1, "answer": manner}))
            .await;
        let response = close
            .send(Method::POST, RENT, Some(json!({"country": "US"})))
            .await
            .unwrap();
        assert_eq!(response.status(), 201, "{manner}");
        assert!(response.json::<Value>().await.is_err(), "{manner}");
    }
    assert!(close.numbers().await.is_empty());
}
