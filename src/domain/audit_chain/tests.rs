//! Tests of the chain: a fixed test vector, and the faults that a verifier must find.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::link::canonical;
use super::*;

fn row(id: &str) -> StoredRow {
    StoredRow {
        id: id.into(),
        at: 1_795_000_000_000_001,
        issuer: "https://idp.example.com/".into(),
        subject: "alice \"the\" lead\n\u{1}é\u{7f}".into(),
        team: Some("sales".into()),
        action: "order.create".into(),
        allowed: Some(1),
        rule: None,
        order_id: None,
        phone_number_id: None,
        outcome: "accepted".into(),
        detail: r#"{"z":1.10,"a":1e2}"#.into(),
        request_id: None,
    }
}

fn chain(rows: Vec<StoredRow>) -> Vec<Link> {
    let mut head = Head::genesis();
    let mut links = Vec::new();
    for row in rows {
        let next = head.then(&row);
        links.push(Link {
            seq: next.seq,
            prev: Some(head.hash),
            hash: Some(next.hash.clone()),
            row,
        });
        head = next;
    }
    links
}

fn verify(mut verifier: Verifier, links: &[Link]) -> Result<Verified, BrokenRow> {
    for link in links {
        verifier.check(link)?;
    }
    verifier.finish(None)
}

/// Verifiers outside this project rely on the canonical form.
#[test]
fn the_canonical_form_never_changes() {
    let expected = "[1,\"aud_1\",1795000000000001,\"https://idp.example.com/\",\"alice \\\"the\\\" lead\\n\\u0001é\u{7f}\",\
        \"sales\",\"order.create\",1,null,null,null,\"accepted\",\"{\\\"z\\\":1.10,\\\"a\\\":1e2}\",null]";
    assert_eq!(canonical(1, &row("aud_1")), expected);
    let first = Head::genesis().then(&row("aud_1"));
    let by_hand = hex::encode(Sha256::digest(format!("numberdesk-audit-1\n{expected}")));
    assert_eq!(
        first,
        Head {
            seq: 1,
            hash: by_hand
        }
    );
    let second = first.then(&row("aud_2"));
    assert_eq!(second.seq, 2);
    assert_eq!(second.hash, hash(&first.hash, 2, &row("aud_2")));
}

/// Version 0.1 wrote times with as few digits as possible, here none, one and six.
#[test]
fn a_chain_that_version_0_1_exported_still_verifies_and_keeps_its_hashes() {
    let export = include_str!("export_of_version_0_1.ndjson");
    let links: Vec<Link> = export
        .lines()
        .map(|line| Link::from_line(line.as_bytes()).unwrap())
        .collect();
    assert_eq!(links.len(), 3);
    verify(Verifier::whole(Vec::new()), &links).unwrap();
    let mut head = Head::genesis();
    for (link, before) in links.iter().zip(export.lines()) {
        head = head.then(&link.row);
        assert_eq!(link.hash.as_ref(), Some(&head.hash));
        // The export has six digits now. Its rows verify the same, and `detail` is copied as it was stored.
        let line = link.to_line().unwrap();
        assert_eq!(&Link::from_line(line.as_bytes()).unwrap(), link);
        let has_six_digits = before.contains(r#""at":"2026-11-18T19:06:41.000001Z""#);
        assert_eq!(line == before, has_six_digits, "{line}");
    }
    let second = links[1].to_line().unwrap();
    assert!(
        second.contains(r#""at":"2026-11-18T19:06:40.500000Z""#),
        "{second}"
    );
    assert!(
        second.contains(r#"{"release_called_off":"2026-11-18T19:06:40Z"}"#),
        "{second}"
    );
}

#[test]
fn a_head_round_trips_and_a_malformed_head_is_rejected() {
    let head = Head::genesis().then(&row("aud_1"));
    assert_eq!(head.to_string().parse(), Ok(head.clone()));
    assert_eq!(head.to_string().to_uppercase().parse(), Ok(head.clone()));
    // The head of an empty chain is printed like any other, so it is read, too.
    let empty = Head::genesis();
    assert_eq!(empty.to_string().parse(), Ok(empty.clone()));
    let noted = Verifier::whole(vec![empty.clone()]);
    assert_eq!(noted.finish(Some(&empty)).unwrap().head, empty);
    for bad in [
        "",
        "1",
        &head.hash,
        &format!("0:{}", head.hash),
        &format!("+1:{}", head.hash),
        &format!("-1:{}", head.hash),
        &format!("1:{}", &head.hash[1..]),
        &format!("1:{}", "é".repeat(32)),
        &format!("99999999999999999999:{}", head.hash),
        &format!("1:{GENESIS}"),
    ] {
        assert_eq!(bad.parse::<Head>(), Err(NotAHead), "{bad}");
    }
}

#[test]
fn the_export_of_a_tampered_row_fails_and_names_the_row() {
    let [link] = chain(vec![row("aud_1")]).try_into().unwrap();
    for (what, change) in [
        ("`allowed`", (|row| row.allowed = Some(2)) as fn(&mut StoredRow)),
        ("`detail`", |row| row.detail = "{".into()),
        ("`detail`", |row| row.detail = "{\n}".into()),
        ("`detail`", |row| row.detail = " {}".into()),
    ] {
        let mut link = link.clone();
        change(&mut link.row);
        let error = link.to_line().unwrap_err().to_string();
        assert!(
            error.contains("row 1 ") && error.contains("aud_1") && error.contains(what),
            "{error}"
        );
    }
}

fn any_row() -> impl Strategy<Value = StoredRow> {
    let text = "\\PC{0,6}|[\\x00-\\x1f\"\\\\]{0,3}";
    let detail = prop_oneof![
        Just("null".to_owned()),
        Just(r#"{"b":1.0,"a":[1e400,0.10]}"#.to_owned()),
        text.prop_map(|text| serde_json::json!({ text: 1.5 }).to_string()),
    ];
    (
        vec(text, 5),
        vec(option::of(text), 5),
        -62_135_596_800_000_000..253_402_207_200_000_000_i64,
        option::of(0..=1_i64),
        detail,
    )
        .prop_map(|(texts, maybe, at, allowed, detail)| StoredRow {
            id: texts[0].clone(),
            at,
            issuer: texts[1].clone(),
            subject: texts[2].clone(),
            team: maybe[0].clone(),
            action: texts[3].clone(),
            allowed,
            rule: maybe[1].clone(),
            order_id: maybe[2].clone(),
            phone_number_id: maybe[3].clone(),
            outcome: texts[4].clone(),
            detail,
            request_id: maybe[4].clone(),
        })
}

proptest! {
    #[test]
    fn an_exported_chain_is_parsed_unchanged_and_verifies(rows in vec(any_row(), 0..6)) {
        let links = chain(rows);
        let mut read = Vec::new();
        for link in &links {
            let line = link.to_line().unwrap();
            prop_assert!(!line.contains('\n'));
            read.push(Link::from_line(line.as_bytes()).unwrap());
        }
        prop_assert_eq!(&read, &links);
        let verified = verify(Verifier::whole(Vec::new()), &read).unwrap();
        prop_assert_eq!(verified.rows, links.len() as u64);
    }

    #[test]
    fn a_replaced_row_is_detected_at_its_position(
        rows in vec(any_row(), 1..6), other in any_row(), index in any::<prop::sample::Index>(),
    ) {
        let mut links = chain(rows);
        let index = index.index(links.len());
        prop_assume!(links[index].row != other);
        links[index].row = other;
        let seq = links[index].seq;
        for verifier in [Verifier::whole(Vec::new()), Verifier::subset(Vec::new())] {
            let broken = verify(verifier, &links).unwrap_err();
            prop_assert_eq!((broken.seq, broken.why), (seq, Break::Changed));
        }
    }

    #[test]
    fn only_all_rows_in_their_order_are_a_whole_chain(
        rows in vec(any_row(), 1..6), chosen in vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let links = chain(rows);
        let end = Head { seq: links[links.len() - 1].seq, hash: links[links.len() - 1].hash.clone().unwrap() };
        let chosen: Vec<Link> = chosen.iter().map(|index| index.get(&links).clone()).collect();
        let mut verifier = Verifier::whole(vec![end]);
        let checked: Result<Vec<()>, BrokenRow> = chosen.iter().map(|link| verifier.check(link)).collect();
        let whole = checked.is_ok() && verifier.finish(None).is_ok();
        prop_assert_eq!(whole, chosen == links);
        // A subset is some of the rows, in order.
        let rising = chosen.windows(2).all(|pair| pair[0].seq < pair[1].seq);
        prop_assert_eq!(verify(Verifier::subset(Vec::new()), &chosen).is_ok(), rising);
    }
}

#[test]
fn every_kind_of_break_has_its_own_message() {
    let links = chain(["a", "b", "c", "d", "e"].map(row).to_vec());
    let head = |index: usize| Head {
        seq: links[index].seq,
        hash: links[index].hash.clone().unwrap(),
    };
    let broken = |verifier: Verifier, links: &[Link]| {
        let broken = verify(verifier, links).unwrap_err();
        (broken.seq, broken.id.clone(), broken.to_string())
    };
    let whole = || Verifier::whole(Vec::new());
    let take = |indexes: &[usize]| {
        indexes
            .iter()
            .map(|index| links[*index].clone())
            .collect::<Vec<_>>()
    };
    for (indexes, seq, expected) in [
        (&[0, 2][..], 2, "missing: row 1 is followed by row 3"),
        (&[0, 4], 2, "missing, and all up to row 4"),
        (&[1], 1, "missing: row 0"),
        (&[0, 1, 1], 2, "repeated"),
        (&[0, 1, 2, 1], 2, "out of order: it comes after row 3"),
    ] {
        let (at, _, text) = broken(whole(), &take(indexes));
        assert_eq!(at, seq, "{text}");
        assert!(text.contains(expected), "{text}");
    }
    let changed = |change: fn(&mut Link)| {
        let mut links = links.clone();
        change(&mut links[2]);
        broken(whole(), &links)
    };
    let c = Some("c".to_owned());
    let (at, id, text) = changed(|link| link.hash = None);
    assert!(
        (at, &id) == (3, &c) && text.contains("its hash was removed"),
        "{text}"
    );
    let (at, id, text) = changed(|link| link.prev = Some("x".into()));
    assert!(
        (at, &id) == (3, &c) && text.contains("not the hash of row 2"),
        "{text}"
    );
    let (at, id, text) = changed(|link| link.row.detail = "null".into());
    assert!((at, &id) == (3, &c) && text.contains("changed"), "{text}");

    // Noted heads: beyond the last row, with another hash, and at a row that the subset leaves out.
    assert!(verify(Verifier::whole(vec![head(0), head(3), head(4)]), &links).is_ok());
    let (at, _, text) = broken(Verifier::whole(vec![head(4)]), &links[..3]);
    assert!(at == 4 && text.contains("cut off after row 3"), "{text}");
    let forged = Head { seq: 2, ..head(4) };
    let (at, id, text) = broken(Verifier::whole(vec![forged]), &links);
    assert!(
        (at, id.as_deref()) == (2, Some("b")) && text.contains("not that of the head"),
        "{text}"
    );
    let (at, _, text) = broken(Verifier::subset(vec![head(1)]), &take(&[0, 4]));
    assert!(at == 2 && text.contains("not among"), "{text}");

    // A subset may omit rows, but each row must then state the hash before it.
    assert!(verify(Verifier::subset(vec![head(4)]), &take(&[1, 2, 4])).is_ok());
    let mut without_prev = take(&[1, 4]);
    without_prev[1].prev = None;
    let (at, _, text) = broken(Verifier::subset(Vec::new()), &without_prev);
    assert!(at == 5 && text.contains("`prev` is missing"), "{text}");
}

#[test]
fn the_stored_head_must_be_the_last_row() {
    let links = chain(["a", "b"].map(row).to_vec());
    let ended = |links: &[Link], head: &Head| {
        let mut verifier = Verifier::whole(Vec::new());
        for link in links {
            verifier.check(link)?;
        }
        verifier.finish(Some(head))
    };
    let head = Head {
        seq: 2,
        hash: links[1].hash.clone().unwrap(),
    };
    assert!(ended(&links, &head).is_ok());
    assert!(ended(&[], &Head::genesis()).is_ok());
    let cut = ended(&links[..1], &head).unwrap_err();
    assert_eq!((cut.seq, cut.why), (2, Break::CutOff { head: head.clone() }));
    let other = Head {
        seq: 2,
        hash: "x".into(),
    };
    let broken = ended(&links, &other).unwrap_err();
    assert_eq!((broken.seq, broken.why), (2, Break::OtherHead { head: other }));
}
