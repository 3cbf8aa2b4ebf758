use bellwether_schema::{Decode, DecodeContext, parse};

use super::*;

fn compile(yaml: &str) -> Result<TimeIntervals, Vec<String>> {
    let mut diagnostics = Diagnostics::default();
    let node = parse(yaml).unwrap();
    let settings = Vec::<TimeIntervalSettings>::decode(
        &node,
        &mut DecodeContext::new(&mut diagnostics, &|_| None),
    );
    let compiled = TimeIntervals::compile(&settings.unwrap_or_default(), &mut diagnostics);
    if diagnostics.is_empty() {
        return Ok(compiled);
    }
    Err(diagnostics
        .into_sorted()
        .iter()
        .map(ToString::to_string)
        .collect())
}

fn one(spec: &str) -> TimeIntervals {
    compile(&format!("[{{name: x, time_intervals: [{spec}]}}]")).unwrap()
}

fn at(text: &str) -> UnixMillis {
    UnixMillis(text.parse::<Timestamp>().unwrap().as_millisecond())
}

fn check(spec: &str, inside: &[&str], outside: &[&str]) {
    let times = one(spec);
    for moment in inside {
        assert!(times.contains("x", at(moment)), "{spec} holds at {moment}");
    }
    for moment in outside {
        assert!(
            !times.contains("x", at(moment)),
            "{spec} does not hold at {moment}"
        );
    }
}

#[test]
fn a_range_of_times_ends_before_its_end() {
    check(
        "{times: [{start_time: 09:00, end_time: 17:00}]}",
        &["2026-11-23T09:00:00Z", "2026-11-23T16:59:59.999Z"],
        &["2026-11-23T08:59:59.999Z", "2026-11-23T17:00:00Z"],
    );
    check(
        "{times: [{start_time: 22:00, end_time: 24:00}, {start_time: 00:00, end_time: 06:00}]}",
        &[
            "2026-11-23T23:59:59Z",
            "2026-11-24T00:00:00Z",
            "2026-11-24T05:59:00Z",
        ],
        &["2026-11-24T06:00:00Z", "2026-11-23T21:59:59Z"],
    );
}

#[test]
fn each_list_must_have_an_item_that_matches() {
    check(
        "{weekdays: ['monday:Friday', sunday], months: [november:december, 3], years: ['2026:2027']}",
        &[
            "2026-11-23T12:00:00Z",
            "2026-11-29T12:00:00Z",
            "2027-03-01T00:00:00Z",
        ],
        &[
            "2026-11-28T12:00:00Z",
            "2026-10-05T12:00:00Z",
            "2028-11-06T12:00:00Z",
        ],
    );
    check(
        "{weekdays: [saturday]}, {weekdays: [monday]}",
        &["2026-11-23T12:00:00Z"],
        &["2026-11-24T12:00:00Z"],
    );
    check("{}", &["2026-11-23T12:00:00Z"], &[]);
}

#[test]
fn days_of_the_month_count_from_either_end() {
    check(
        "{days_of_month: [-1]}",
        &[
            "2026-02-28T12:00:00Z",
            "2028-02-29T23:59:00Z",
            "2026-04-30T00:00:00Z",
        ],
        &[
            "2028-02-28T12:00:00Z",
            "2026-03-01T00:00:00Z",
            "2026-04-29T23:59:59Z",
        ],
    );
    check(
        "{days_of_month: ['1:5', '-3:-1']}",
        &["2026-02-26T12:00:00Z", "2026-01-05T12:00:00Z"],
        &["2026-02-25T12:00:00Z", "2026-01-06T12:00:00Z"],
    );
    check(
        "{days_of_month: ['10:-1']}",
        &["2026-02-28T12:00:00Z", "2026-01-31T12:00:00Z"],
        &["2026-02-09T12:00:00Z"],
    );
}

#[test]
fn days_that_a_month_does_not_have_are_cut() {
    check(
        "{days_of_month: ['25:31']}",
        &["2026-02-28T12:00:00Z"],
        &["2026-03-01T12:00:00Z"],
    );
    check(
        "{days_of_month: [31]}",
        &["2026-01-31T12:00:00Z"],
        &["2026-02-28T12:00:00Z", "2026-03-01T12:00:00Z"],
    );
    check(
        "{days_of_month: ['29:31']}",
        &["2028-02-29T12:00:00Z"],
        &["2026-02-28T12:00:00Z"],
    );
    check(
        "{days_of_month: ['-31:-28']}",
        &["2026-02-01T12:00:00Z"],
        &["2026-02-02T12:00:00Z"],
    );
    check(
        "{days_of_month: [-31]}",
        &["2026-01-01T12:00:00Z"],
        &["2026-02-01T12:00:00Z"],
    );
}

/// On 2026-03-29 clocks in Berlin went from 02:00 to 03:00, on 2026-10-25 from 03:00 back to 02:00.
#[test]
fn the_time_zone_counts_also_where_its_offset_changes() {
    let spec = "{times: [{start_time: 02:00, end_time: 03:00}], location: Europe/Berlin}";
    check(
        spec,
        // In winter, in summer, and both times that 02:30 came in October.
        &[
            "2026-01-10T01:30:00Z",
            "2026-07-10T00:30:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:30:00Z",
        ],
        // In March the hour never was.
        &[
            "2026-03-29T00:59:59Z",
            "2026-03-29T01:00:00Z",
            "2026-10-25T02:00:00Z",
        ],
    );
    check(
        "{weekdays: [monday], location: Pacific/Auckland}",
        &["2026-11-22T12:00:00Z"],
        &["2026-11-23T12:00:00Z"],
    );
    check(
        "{weekdays: [monday], location: UTC}",
        &["2026-11-23T12:00:00Z"],
        &[],
    );
}

#[test]
fn the_next_edge_is_a_time_of_day_midnight_or_a_change_of_the_offset() {
    let next = |spec: &str, moment: &str| {
        let times = one(spec);
        times.get("x")[0].next_edge(at(moment)).unwrap()
    };
    let day = "{times: [{start_time: 09:00, end_time: 17:00}], location: Europe/Berlin}";
    assert_eq!(
        next(day, "2026-11-23T07:00:00Z"),
        at("2026-11-23T08:00:00Z")
    );
    assert_eq!(
        next(day, "2026-11-23T08:00:00Z"),
        at("2026-11-23T16:00:00Z")
    );
    assert_eq!(
        next(day, "2026-11-23T16:00:00Z"),
        at("2026-11-23T23:00:00Z")
    );
    let late = "{times: [{start_time: 09:00, end_time: 24:00}]}";
    assert_eq!(
        next(late, "2026-11-23T09:00:00Z"),
        at("2026-11-24T00:00:00Z")
    );
    let night = "{times: [{start_time: 02:00, end_time: 02:30}], location: Europe/Berlin}";
    assert_eq!(
        next(night, "2026-10-25T00:45:00Z"),
        at("2026-10-25T01:00:00Z")
    );
    // From edge to edge nothing changes.
    for spec in [
        day,
        night,
        "{days_of_month: [-1], location: America/New_York}",
    ] {
        let times = one(spec);
        let time = &times.get("x")[0];
        let mut edge = at("2026-10-24T00:00:00Z");
        for minute in 0..14 * 24 * 60 {
            let now = UnixMillis(at("2026-10-24T00:00:00Z").0 + minute * 60_000);
            while time.next_edge(edge).unwrap() <= now {
                edge = time.next_edge(edge).unwrap();
            }
            assert_eq!(time.contains(now), time.contains(edge), "{spec} at {now:?}");
        }
    }
}

#[test]
fn an_unknown_interval_contains_no_time() {
    let times = one("{}");
    assert!(times.contains_name("x") && !times.contains_name("y"));
    assert_eq!(times.names().collect::<Vec<_>>(), ["x"]);
    assert!(!times.contains("y", at("2026-11-23T12:00:00Z")));
}

#[test]
fn settings_serialize_in_one_form() {
    let spec = "{times: [{start_time: 09:00, end_time: 24:00}], weekdays: ['Monday:friday'], \
                days_of_month: ['-3:-1', '5'], months: ['5:august', '1'], years: ['2026:2030'], \
                location: Europe/Berlin}";
    let mut diagnostics = Diagnostics::default();
    let node = parse(spec).unwrap();
    let settings =
        RecurringSettings::decode(&node, &mut DecodeContext::new(&mut diagnostics, &|_| None));
    let printed = serde_json::to_value(settings.unwrap()).unwrap();
    let expected = serde_json::json!({
        "times": [{"start_time": "09:00", "end_time": "24:00"}],
        "weekdays": ["monday:friday"],
        "days_of_month": ["-3:-1", "5"],
        "months": ["may:august", "january"],
        "years": ["2026:2030"],
        "location": "Europe/Berlin",
    });
    assert_eq!(printed, expected);
}

#[test]
fn errors_have_location_and_hint() {
    let problem = |spec: &str| {
        let text = format!("[{{name: x, time_intervals: [{spec}]}}]");
        let errors = compile(&text).expect_err(spec);
        assert_eq!(errors.len(), 1, "{errors:?}");
        errors[0].clone()
    };
    for (spec, expected) in [
        (
            "{weekdays: [mondy]}",
            "weekdays[0]: expected a weekday such as monday",
        ),
        ("{weekdays: [mondy]}", "did you mean \"monday\"?"),
        ("{weekdays: [1]}", "found \"1\""),
        (
            "{weekdays: ['saturday:sunday']}",
            "name the days one by one",
        ),
        ("{days_of_month: [0]}", "expected a day of the month"),
        ("{days_of_month: [32]}", "found \"32\""),
        (
            "{days_of_month: ['-3:5']}",
            "begins at the end of the month",
        ),
        ("{days_of_month: ['5:1']}", "ends before it begins"),
        ("{days_of_month: ['29:-28']}", "ends before it begins"),
        ("{months: [13]}", "expected a month"),
        ("{months: [november:february]}", "write two"),
        ("{years: ['2030:2026']}", "the earlier year comes first"),
        ("{years: ['1:2:3']}", "found \"2:3\""),
        (
            "{times: [{start_time: 9:00, end_time: 10:00}]}",
            "expected a time of day",
        ),
        (
            "{times: [{start_time: 540, end_time: 1441}]}",
            "expected a time of day",
        ),
        (
            "{times: [{start_time: 09:00, end_time: 24:01}]}",
            "found \"24:01\"",
        ),
        (
            "{times: [{start_time: 22:00, end_time: 06:00}]}",
            "22:00 to 24:00 and 00:00 to 06:00",
        ),
        (
            "{times: [{start_time: 09:00, end_time: 09:00}]}",
            "must be later than `start_time`",
        ),
        ("{times: [{start_time: 09:00}]}", "missing key \"end_time\""),
        (
            "{location: Europe/Berlim}",
            "unknown location \"Europe/Berlim\"",
        ),
        ("", "no time intervals"),
    ] {
        let error = problem(spec);
        assert!(
            error.starts_with("1:") && error.contains(expected),
            "{spec}: {error}"
        );
    }
    let errors = compile("[{name: x, time_intervals: [{}]}, {name: x, time_intervals: [{}]}]");
    assert_eq!(
        errors.unwrap_err(),
        ["1:42: [1].name: duplicate time interval \"x\""]
    );
}

#[test]
fn a_time_of_day_may_be_minutes_since_midnight() {
    let decoded = |text: &str| {
        let mut diagnostics = Diagnostics::default();
        TimeOfDay::decode(
            &parse(text).unwrap(),
            &mut DecodeContext::new(&mut diagnostics, &|_| None),
        )
    };
    assert_eq!(decoded("1020"), decoded("\"17:00\""));
    assert_eq!(decoded("1440"), decoded("\"24:00\""));
    assert!(decoded("0").is_some() && decoded("+9").is_none() && decoded("1.5").is_none());
}
