//! Records as JSON.

use bellwether_collectors::application::{MAX_REPORTED, record_json};
use bellwether_core::Recorded;
use proptest::prelude::*;

use super::{recorder, rejected, series, values};

fn ok(body: &str) -> Recorded {
    record_json(&recorder(), body.as_bytes()).unwrap()
}

#[test]
fn the_example_of_the_issue() {
    let recorder = recorder();
    let body = br#"[{"metric":"agent_execution_time","labels":{"agent_name":"cv","status":"success"},"observe":2.5},
        {"metric":"queue_length","labels":{"queue_name":"mail"},"set":42},
        {"metric":"cache_hits","labels":{"cache_name":"c"},"inc":1}]"#;
    let answer = record_json(&recorder, body).unwrap();
    assert_eq!(
        answer,
        Recorded {
            accepted: 3,
            ..Recorded::default()
        }
    );
    assert_eq!(
        values(&recorder, "agent_execution_time{cv,success}"),
        [0.0, 0.0, 1.0, 1.0, 2.5]
    );
    assert_eq!(values(&recorder, "queue_length{mail}"), [42.0]);
    assert_eq!(values(&recorder, "cache_hits{c}"), [1.0]);
}

#[test]
fn bad_records_are_reported_by_index_and_stop_no_other() {
    let recorder = recorder();
    let cases = [
        (
            r#"{"metric":"nope","inc":1}"#,
            "unknown_metric",
            "unknown application metric: nope",
        ),
        (
            r#"{"metric":"events","labels":{"a":"b"},"inc":1}"#,
            "unknown_label",
            ": a",
        ),
        (
            r#"{"metric":"cache_hits","inc":1}"#,
            "missing_label",
            ": cache_name",
        ),
        (
            r#"{"metric":"few","labels":{"who":"a","who":"b"},"inc":1}"#,
            "repeated_label",
            "twice: who",
        ),
        (
            r#"{"metric":"events","set":1}"#,
            "wrong_kind",
            "events is a counter: inc",
        ),
        (
            r#"{"metric":"events","inc":-1}"#,
            "negative_counter",
            "cannot fall",
        ),
        (
            r#"{"metric":"events","inc":null}"#,
            "not_a_number",
            "not a number",
        ),
        (
            r#"{"metric":"events","inc":"NaN"}"#,
            "not_a_number",
            "not a number",
        ),
        (
            r#"{"metric":"events","inc":"many"}"#,
            "not_a_number",
            "not a number",
        ),
        (
            r#"{"metric":"events","inc":"+Inf"}"#,
            "infinite",
            "infinite",
        ),
        (
            r#"{"metric":"events"}"#,
            "malformed",
            "one of observe, inc, set and add is required",
        ),
        (
            r#"{"metric":"events","inc":1,"set":1}"#,
            "malformed",
            "only one of",
        ),
        (
            r#"{"metric":"events","inc":1,"extra":1}"#,
            "malformed",
            "unknown field `extra`",
        ),
        (
            r#"{"metric":"events","inc":[1]}"#,
            "malformed",
            "expected a number",
        ),
        (r#"{"metric":7,"inc":1}"#, "malformed", "expected a string"),
        (r#"{"inc":1}"#, "malformed", "missing field `metric`"),
        (
            r#"{"metric":"few","labels":{"who":null},"inc":1}"#,
            "malformed",
            "a label value",
        ),
        (
            r#"{"metric":"few","labels":["a"],"inc":1}"#,
            "malformed",
            "an object of labels",
        ),
        (r#""events""#, "malformed", "invalid type"),
        ("17", "malformed", "invalid type"),
    ];
    let good = r#"{"metric":"events","inc":1}"#;
    let body: Vec<String> = cases
        .iter()
        .map(|(bad, ..)| format!("{good},{bad}"))
        .collect();
    let answer = record_json(&recorder, format!("[{}]", body.join(",")).as_bytes()).unwrap();
    assert_eq!(answer.accepted, cases.len() as u64);
    assert_eq!(answer.rejected_total, cases.len() as u64);
    for (position, ((bad, reason, message), error)) in
        cases.iter().zip(&answer.rejected).enumerate()
    {
        assert_eq!(
            (error.index, error.reason),
            (position as u64 * 2 + 1, *reason),
            "{bad}"
        );
        assert!(error.message.contains(message), "{bad}: {}", error.message);
        assert!(!error.message.contains("at line"), "{}", error.message);
    }
    assert_eq!(values(&recorder, "events{}"), [cases.len() as f64]);
    assert_eq!(
        rejected(&recorder).values().sum::<u64>(),
        cases.len() as u64
    );
    assert_eq!(rejected(&recorder)["malformed"], 10);
}

#[test]
fn label_values_are_text_numbers_or_booleans() {
    let recorder = recorder();
    let body = r#"[{"metric":"api_request_count","labels":{"status":200,"endpoint":"\u00e9\"","method":true},"inc":1.5},
        {"metric":"queue_length","labels":{"queue_name":-1.5},"set":"-Inf"},
        {"metric":"queue_length","labels":{"queue_name":"q"},"add":-3}]"#;
    assert_eq!(record_json(&recorder, body.as_bytes()).unwrap().accepted, 3);
    assert_eq!(values(&recorder, "api_request_count{é\",true,200}"), [1.5]);
    assert_eq!(values(&recorder, "queue_length{-1.5}"), [f64::NEG_INFINITY]);
    assert_eq!(values(&recorder, "queue_length{q}"), [-3.0]);
}

#[test]
fn what_is_no_array_records_nothing() {
    let recorder = recorder();
    let good = r#"{"metric":"events","inc":1}"#;
    for body in [
        good.to_owned(),
        String::new(),
        format!("[{good}"),
        format!("[{good},]"),
        format!("[{good}] x"),
        format!("[{good},{{\"metric\":\"events\",\"inc\":NaN}}]"),
    ] {
        let error = record_json(&recorder, body.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("expected a JSON array of records: "),
            "{error}"
        );
    }
    assert!(record_json(&recorder, b"[\"\xFF\"]").is_err());
    assert_eq!(values(&recorder, "events{}"), [0.0]);
    assert_eq!(ok("[]"), Recorded::default());
}

#[test]
fn deep_nesting_is_one_bad_record() {
    let answer = ok(&format!(
        "[{}1{}]",
        "[".repeat(100_000),
        "]".repeat(100_000)
    ));
    assert_eq!(
        (answer.accepted, answer.rejected[0].reason),
        (0, "malformed")
    );
}

#[test]
fn the_answer_to_a_large_body_is_small() {
    let count = MAX_REPORTED + 500;
    let answer = ok(&format!("[{}]", vec!["0"; count].join(",")));
    assert_eq!(
        (answer.rejected_total, answer.rejected.len()),
        (count as u64, MAX_REPORTED)
    );
}

#[test]
fn a_body_of_many_records_is_taken_whole() {
    let recorder = recorder();
    let record = r#"{"metric":"few","labels":{"who":"a"},"inc":1}"#;
    let body = format!("[{}]", vec![record; 50_000].join(",\n"));
    assert_eq!(
        record_json(&recorder, body.as_bytes()).unwrap().accepted,
        50_000
    );
    assert_eq!(values(&recorder, "few{a}"), [50_000.0]);
}

proptest! {
    #[test]
    fn no_bytes_panic_and_nothing_undeclared_appears(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let recorder = recorder();
        let _ = record_json(&recorder, &bytes);
        prop_assert_eq!(series(&recorder).len(), 1);
    }

    /// Arrays of near-records: each is either accepted or rejected, none is lost.
    #[test]
    fn every_record_is_answered(records in prop::collection::vec(near_record(), 0..20)) {
        let recorder = recorder();
        let answer = record_json(&recorder, format!("[{}]", records.join(",")).as_bytes()).unwrap();
        prop_assert_eq!(answer.accepted + answer.rejected_total, records.len() as u64);
        prop_assert_eq!(rejected(&recorder).values().sum::<u64>(), answer.rejected_total);
    }
}

fn near_record() -> impl Strategy<Value = String> {
    let metric = prop::sample::select(vec!["\"events\"", "\"few\"", "\"latency\"", "\"x\"", "1"]);
    let labels = prop::sample::select(vec!["{}", "{\"who\":\"a\"}", "{\"op\":3}", "[]", "null"]);
    let operation = prop::sample::select(vec!["observe", "inc", "set", "add", "dec"]);
    let value = prop::sample::select(vec!["1", "-1", "1e308", "\"NaN\"", "null", "{}", "1e999"]);
    (metric, labels, operation, value).prop_map(|(metric, labels, operation, value)| {
        format!("{{\"metric\":{metric},\"labels\":{labels},\"{operation}\":{value}}}")
    })
}
