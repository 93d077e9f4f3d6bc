//! Steps that make clocks wrong, and records of Close unreadable.

use serde_json::{Value, json};

use super::Model;
use crate::support::desk::TestDesk;

/// By how many seconds a clock is wrong; negative: it is behind.
const CLOCKS: [i64; 11] = [-10_800, -3_600, -300, -61, -5, 0, 5, 61, 300, 3_600, 10_800];

impl Model {
    /// Chooses by how many seconds a clock is wrong.
    pub(super) fn choose_clock(&mut self) -> i64 {
        let seconds = self.dice.one(&CLOCKS);
        self.clock_was_wrong |= seconds != 0;
        seconds
    }

    /// Sets the clock of the replica to another time; perhaps to the right one. Close's clock stays right.
    pub(super) fn set_clock(&mut self, test_desk: &TestDesk) {
        self.figures.clocks += 1;
        let seconds = self.choose_clock();
        test_desk.set_clock_wrong_by(seconds);
    }

    /// Makes a number odd or readable again, or writes an odd event to Close's log.
    pub(super) async fn make_record_odd(&mut self, test_desk: &TestDesk) {
        self.figures.odd_records += 1;
        if self.dice.chance(30) {
            let shown = self.dice.one(&[
                json!({ "object_id": null }),
                json!({ "date_created": null }),
                json!({ "object_id": "num-1", "date_updated": "soon" }),
                json!({ "object_id": 7, "data": 7, "meta": [] }),
            ]);
            return test_desk.close.odd_event(shown).await;
        }
        let numbers = test_desk.close.held().await;
        if numbers.is_empty() {
            return;
        }
        let number = self.dice.one(&numbers);
        let shown = self.dice.one(&[
            json!({}),
            json!({ "number": null }),
            json!({ "number": "", "date_created": null }),
            json!({ "id": "num-1", "date_created": null }),
            json!({ "id": null, "number": 7, "date_created": "yesterday" }),
        ]);
        show_number_as(test_desk, &number, shown).await;
    }
}

/// Makes every number readable again.
pub(super) async fn repair_records(test_desk: &TestDesk) {
    for number in test_desk.close.held().await {
        show_number_as(test_desk, &number, json!({})).await;
    }
}

async fn show_number_as(test_desk: &TestDesk, number: &Value, shown: Value) {
    let id = number["id"].as_str().expect("an id");
    let fields = json!({ "shown": shown, "silent": true });
    test_desk.close.person_changes(id, fields).await;
}
