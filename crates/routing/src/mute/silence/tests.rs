use bellwether_core::Labels;
use bellwether_schema::{Decode, DecodeContext, Diagnostics, parse};

use super::draft::MAX_TEXT;
use super::silences::uuid;
use super::*;
use crate::mute::time_interval::{TimeIntervalSettings, TimeIntervals};
use crate::testing::{NOON, alert};

fn minutes(count: i64) -> UnixMillis {
    UnixMillis(NOON.0 + count * 60_000)
}

/// Alerts of host a, from `start` to `end` in minutes after noon.
fn draft(start: Option<i64>, end: i64) -> SilenceDraft {
    SilenceDraft {
        matchers: Matchers::parse("host=\"a\"").unwrap(),
        starts_at: start.map(minutes),
        ends_at: minutes(end),
        created_by: "ann".into(),
        comment: "disk swap".into(),
        ..SilenceDraft::default()
    }
}

fn change(id: &str, draft: SilenceDraft) -> SilenceDraft {
    SilenceDraft {
        id: Some(id.to_owned()),
        ..draft
    }
}

fn silenced(all: &Silences, rule: &str, host: &str, now: UnixMillis) -> Option<String> {
    let alert = alert(rule, &[("host", host)]);
    let view = View {
        alert: &alert,
        sender: &Labels::new(),
    };
    all.silencing(&view, now).map(|silence| silence.id.clone())
}

#[test]
fn a_silence_is_in_force_from_its_start_to_its_end_for_matching_alerts() {
    let mut all = Silences::default();
    let id = all.set(draft(Some(10), 20), 7, NOON).unwrap();
    let state = |all: &Silences, at| all.get(&id).unwrap().state(minutes(at));
    assert_eq!(state(&all, 9), SilenceState::Pending);
    assert_eq!(state(&all, 10), SilenceState::Active);
    assert_eq!(state(&all, 20), SilenceState::Expired);
    assert_eq!(silenced(&all, "cpu", "a", minutes(9)), None);
    assert_eq!(
        silenced(&all, "cpu", "a", minutes(10)).as_deref(),
        Some(&*id)
    );
    assert_eq!(silenced(&all, "cpu", "b", minutes(10)), None);
    assert_eq!(silenced(&all, "cpu", "a", minutes(20)), None);
    assert_eq!(all.next_change(NOON), Some(minutes(10)));
    assert_eq!(all.next_change(minutes(10)), Some(minutes(20)));
    assert_eq!(all.next_change(minutes(20)), None);
}

#[test]
fn ids_are_random_uuids() {
    assert_eq!(uuid(0), "00000000-0000-4000-8000-000000000000");
    assert_eq!(uuid(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
}

#[test]
fn a_change_that_does_not_rewrite_the_past_keeps_the_id() {
    let mut all = Silences::default();
    let id = all.set(draft(None, 60), 1, NOON).unwrap();
    let longer = change(
        &id,
        SilenceDraft {
            comment: "longer".into(),
            ..draft(None, 90)
        },
    );
    assert_eq!(all.set(longer, 2, minutes(5)).as_deref(), Ok(&*id));
    let changed = all.get(&id).unwrap();
    assert_eq!((changed.starts_at, changed.ends_at), (NOON, minutes(90)));
    assert_eq!(
        (changed.comment.as_str(), changed.updated_at),
        ("longer", minutes(5))
    );
    // A pending silence may be moved.
    let next = all.set(draft(Some(100), 110), 3, NOON).unwrap();
    assert_eq!(
        all.set(change(&next, draft(Some(50), 70)), 4, minutes(6))
            .as_deref(),
        Ok(&*next)
    );
    assert_eq!(all.iter().count(), 2);
}

#[test]
fn a_change_that_would_rewrite_the_past_creates_a_new_silence() {
    let other = Matchers::parse("host=\"b\"").unwrap();
    for (number, edit) in [
        SilenceDraft {
            matchers: other,
            ..draft(None, 60)
        },
        draft(Some(-10), 60),
        draft(Some(20), 60),
    ]
    .into_iter()
    .enumerate()
    {
        let mut all = Silences::default();
        let id = all.set(draft(None, 60), 1, NOON).unwrap();
        let new = all.set(change(&id, edit), 2, minutes(5)).unwrap();
        assert_ne!(new, id, "{number}");
        let before = all.get(&id).unwrap();
        assert_eq!((before.starts_at, before.ends_at), (NOON, minutes(5)));
        assert!(all.get(&new).unwrap().starts_at >= minutes(5));
    }
    let mut all = Silences::default();
    let id = all.set(draft(None, 10), 1, NOON).unwrap();
    assert_ne!(
        all.set(change(&id, draft(None, 60)), 2, minutes(10))
            .unwrap(),
        id
    );
    assert_eq!(all.get(&id).unwrap().ends_at, minutes(10));
}

#[test]
fn the_wall_clock_decides_wherever_it_is_set() {
    let mut all = Silences::default();
    let id = all.set(draft(None, 60), 1, NOON).unwrap();
    let state = |all: &Silences, at| all.get(&id).unwrap().state(minutes(at));
    // Set ahead it is expired, set right again it is active, set back it is pending.
    assert_eq!([61, 5, -5].map(|at| state(&all, at)), {
        use SilenceState::{Active, Expired, Pending};
        [Expired, Active, Pending]
    });
    // Expired is expired, whatever the clock says later.
    all.expire(&id, minutes(-5)).unwrap();
    assert_eq!(
        [-6, -5, 5].map(|at| silenced(&all, "cpu", "a", minutes(at))),
        [None, None, None]
    );
}

#[test]
fn an_expired_silence_is_kept_for_five_days() {
    let mut all = Silences::default();
    let running = all.set(draft(None, 60), 1, NOON).unwrap();
    let pending = all.set(draft(Some(30), 60), 2, NOON).unwrap();
    for id in [&running, &pending] {
        all.expire(id, minutes(5)).unwrap();
        all.expire(id, minutes(7)).unwrap();
        let ended = all.get(id).unwrap();
        assert_eq!(ended.state(minutes(5)), SilenceState::Expired);
        assert_eq!((ended.ends_at, ended.updated_at), (minutes(5), minutes(5)));
    }
    assert_eq!(silenced(&all, "cpu", "a", minutes(5)), None);
    assert!(!all.delete_expired(minutes(5 + 5 * 24 * 60 - 1)));
    assert!(all.delete_expired(minutes(5 + 5 * 24 * 60)));
    assert_eq!(all.iter().count(), 0);
    let unknown = SilenceError::Unknown(running.clone());
    assert_eq!(all.expire(&running, NOON), Err(unknown.clone()));
    assert_eq!(
        all.set(change(&running, draft(None, 60)), 3, NOON),
        Err(unknown)
    );
}

#[test]
fn an_invalid_silence_is_an_error_and_changes_nothing() {
    let mut all = Silences::default();
    let id = all.set(draft(None, 60), 1, NOON).unwrap();
    let matchers = |text: &str| SilenceDraft {
        matchers: Matchers::parse(text).unwrap(),
        ..draft(None, 60)
    };
    let many: Vec<String> = (0..65).map(|number| format!("l{number}=x")).collect();
    let long = "x".repeat(MAX_TEXT + 1);
    for (edit, expected) in [
        (
            SilenceDraft {
                matchers: Matchers::default(),
                ..draft(None, 60)
            },
            "at least one matcher",
        ),
        (matchers("host=~\".*\""), "at least one matcher"),
        (matchers(&many.join(",")), "more than 64 matchers"),
        (
            matchers(&format!("host={long}")),
            "the matchers must not exceed 4096 bytes",
        ),
        (draft(Some(20), 20), "end must be after the start"),
        (draft(Some(-20), -1), "end must not be in the past"),
        (
            SilenceDraft {
                comment: long.clone(),
                ..draft(None, 60)
            },
            "the comment must not exceed",
        ),
        (
            SilenceDraft {
                created_by: long,
                ..draft(None, 60)
            },
            "the author must not exceed",
        ),
    ] {
        for edit in [edit.clone(), change(&id, edit)] {
            let error = all.set(edit, 2, NOON).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
    assert_eq!(
        all.iter().map(|one| one.ends_at).collect::<Vec<_>>(),
        [minutes(60)]
    );
}

#[test]
fn expired_silences_make_room_within_the_limit() {
    let mut all = Silences::default();
    for number in 0..MAX_SILENCES {
        all.set(draft(None, 60), (number as u128) << 80, NOON)
            .unwrap();
    }
    let id = all.by_users().next().unwrap().id.clone();
    assert_eq!(all.set(draft(None, 60), 1, NOON), Err(SilenceError::Full));
    assert_eq!(
        all.set(change(&id, draft(Some(5), 60)), 1, NOON),
        Err(SilenceError::Full)
    );
    assert_eq!(all.get(&id).unwrap().state(NOON), SilenceState::Active);
    assert_eq!(
        all.set(change(&id, draft(None, 70)), 1, NOON).as_deref(),
        Ok(&*id)
    );
    let later = minutes(6 * 24 * 60);
    assert!(all.set(draft(None, 7 * 24 * 60), 1, later).is_ok());
    assert_eq!(all.by_users().count(), 1);
}

/// The time interval `night`.
fn night() -> TimeIntervals {
    let night =
        "[{name: night, time_intervals: [{times: [{start_time: 00:00, end_time: 06:00}]}]}]";
    let mut diagnostics = Diagnostics::default();
    let mut cx = DecodeContext::new(&mut diagnostics, &|_| None);
    let intervals = Vec::<TimeIntervalSettings>::decode(&parse(night).unwrap(), &mut cx).unwrap();
    TimeIntervals::compile(&intervals, &mut diagnostics)
}

fn maintenance(yaml: &str) -> Result<Silences, Vec<String>> {
    let mut diagnostics = Diagnostics::default();
    let mut cx = DecodeContext::new(&mut diagnostics, &|_| None);
    let settings = Vec::<MaintenanceSettings>::decode(&parse(yaml).unwrap(), &mut cx);
    let settings = settings.unwrap_or_default();
    let compiled = MaintenanceSettings::compile(&settings, &night(), &mut diagnostics);
    let mut all = Silences::default();
    all.configure(&compiled, &night());
    if diagnostics.is_empty() {
        return Ok(all);
    }
    Err(diagnostics
        .into_sorted()
        .iter()
        .map(ToString::to_string)
        .collect())
}

#[test]
fn maintenance_silences_rules_and_labels_within_its_times() {
    let all = maintenance(
        "[{name: backup, rules: ['disk_*'], matchers: [host=a], intervals: [night], \
           times: [{times: [{start_time: 12:00, end_time: 12:30}]}], location: Europe/Berlin}]",
    )
    .unwrap();
    // Midnight UTC; a time without a location has that of the maintenance, a named one its own.
    let midnight = 12 * 60;
    let id = Some("maintenance/backup".to_owned());
    assert_eq!(silenced(&all, "disk_full", "a", minutes(midnight)), id);
    assert_eq!(silenced(&all, "disk_full", "b", minutes(midnight)), None);
    assert_eq!(silenced(&all, "cpu", "a", minutes(midnight)), None);
    assert_eq!(silenced(&all, "disk_full", "a", minutes(-60)), id);
    assert_eq!(silenced(&all, "disk_full", "a", minutes(-30)), None);
    assert_eq!(silenced(&all, "disk_full", "a", NOON), None);
    assert_eq!(all.next_change(minutes(-60)), Some(minutes(-30)));
    assert_eq!(
        all.get("maintenance/backup").unwrap().state(NOON),
        SilenceState::Active
    );
}

#[test]
fn a_single_maintenance_is_in_the_time_zone_of_its_location() {
    let all = maintenance(
        "[{name: move, from: 2026-11-23T12:00, until: '2026-11-23T13:00:00+01:00', \
           location: Europe/Berlin, comment: new room}, {name: all, until: 2026-11-23}]",
    )
    .unwrap();
    let silence = all.get("maintenance/move").unwrap();
    assert_eq!((silence.starts_at, silence.ends_at), (minutes(-60), NOON));
    assert_eq!(
        (silence.created_by.as_str(), silence.comment.as_str()),
        ("maintenance", "new room")
    );
    assert!(silenced(&all, "cpu", "b", minutes(-1)).is_some());
    assert_eq!(silenced(&all, "cpu", "b", NOON), None);
    assert_eq!(
        all.get("maintenance/all").unwrap().ends_at,
        minutes(-12 * 60)
    );
}

#[test]
fn maintenance_changes_with_the_configuration_only() {
    let mut all = maintenance("[{name: m, intervals: [night]}]").unwrap();
    let made = all.set(draft(None, 60), 1, NOON).unwrap();
    let configured =
        SilenceError::Configured("maintenance/m".into(), "alerting.maintenance".into());
    assert_eq!(all.expire("maintenance/m", NOON), Err(configured.clone()));
    assert_eq!(
        all.set(change("maintenance/m", draft(None, 60)), 2, NOON),
        Err(configured)
    );
    assert!(!all.delete_expired(NOON));
    let ids: Vec<&str> = all.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["maintenance/m", &made]);
    all.configure(&[], &night());
    assert_eq!(all.iter().count(), 1);
}

#[test]
fn errors_of_maintenance_have_location_and_hint() {
    for (spec, expected) in [
        ("{name: m}", "1:9: [0].name: no times\n  hint: set `times`"),
        ("{name: a/b, until: 2026-12-24}", "invalid name: \"a/b\""),
        (
            "{name: m, intervals: [nigth]}",
            "hint: did you mean \"night\"?",
        ),
        (
            "{name: m, until: soon}",
            "invalid time: \"soon\"\n  hint: 2026-12-24",
        ),
        (
            "{name: m, from: 2026-12-24, until: 2026-12-24}",
            "[0].until: must be later than `from`",
        ),
        (
            "{name: m, until: 2026-12-24, rules: ['a[']}",
            "invalid glob \"a[\"",
        ),
        (
            "{name: m, intervals: [night]}, {name: m, intervals: [night]}",
            "[1].name: duplicate maintenance \"m\"",
        ),
    ] {
        let errors = maintenance(&format!("[{spec}]")).expect_err(spec);
        assert!(
            errors.len() == 1 && errors[0].contains(expected),
            "{spec}: {errors:?}"
        );
    }
}

/// Creates a silence of a user from JSON.
fn created(json: &str) -> Result<(Silences, String), String> {
    let mut all = Silences::default();
    all.configure(&[], &night());
    let draft = SilenceDraft::parse(json.as_bytes(), NOON).map_err(|error| error.to_string())?;
    let id = all.set(draft, 1, NOON).map_err(|error| error.to_string())?;
    Ok((all, id))
}

#[test]
fn a_silence_of_a_user_recurs_by_name_and_by_its_own_times() {
    let (mut all, id) = created(
        r#"{"matchers": "host=a", "created_by": "ann", "intervals": ["night"],
            "times": [{"weekdays": ["monday"], "times": [{"start_time": "13:30", "end_time": "14:00"}]}],
            "location": "Europe/Berlin"}"#,
    )
    .unwrap();
    let holds = |all: &Silences, at| silenced(all, "cpu", "a", minutes(at)).is_some();
    // 13:45 in Berlin is 12:45 UTC; `night` is on the clocks of UTC.
    assert_eq!(
        [30, 45, 60, 720].map(|at| holds(&all, at)),
        [true, true, false, true]
    );
    assert_eq!(
        all.next_change(minutes(60)),
        Some(minutes(11 * 60)),
        "midnight in Berlin"
    );
    let silence = all.get(&id).unwrap();
    assert_eq!(
        (silence.ends_at, silence.state(minutes(60))),
        (NO_END, SilenceState::Active)
    );
    // A change of its times would rewrite the past.
    let other = SilenceDraft {
        recurs: Recurs::default(),
        ..draft(None, 90)
    };
    assert_ne!(all.set(change(&id, other), 2, minutes(1)).unwrap(), id);

    let (mut all, id) =
        created(r#"{"matchers": "host=a", "created_by": "ann", "intervals": ["night"]}"#).unwrap();
    assert!(holds(&all, 720));
    // After a reload without the interval it silences nothing, not more than before.
    all.configure(&[], &TimeIntervals::default());
    assert!(!holds(&all, 720) && !holds(&all, 0));
    assert_eq!(all.dangling().collect::<Vec<_>>(), [(&*id, "night")]);
    all.configure(&[], &night());
    assert!(holds(&all, 720));
}

#[test]
fn errors_of_times_have_a_hint() {
    for (more, expected) in [
        (
            r#""intervals": ["nigth"]"#,
            "unknown time interval \"nigth\" (did you mean \"night\"?)",
        ),
        (
            r#""times": [{"weekdays": ["friday:monday"]}]"#,
            "times[0].weekdays[0]: \"friday:monday\" ends",
        ),
        (
            r#""times": [{"times": [{"start_time": "22:00", "end_time": "06:00"}]}]"#,
            "times[0].times[0].end_time: must be later than `start_time` (over midnight",
        ),
        (
            r#""times": [{"weekdays": ["monday"]}], "location": "Berlin""#,
            "location: ",
        ),
        (
            r#""ends_at": "2026-12-24", "duration": "1h""#,
            "both ends_at and duration (remove one)",
        ),
    ] {
        let result = created(&format!(
            "{{\"matchers\": \"a=b\", \"created_by\": \"x\", {more}}}"
        ));
        let error = result.err().unwrap();
        assert!(error.contains(expected), "{more}: {error}");
    }
    let emoji = r#"{"matchers": "a=b", "created_by": "x", "duration": "1h", "comment": "\ud83e\udd80 ${A} $$\t\u001f"}"#;
    assert_eq!(
        SilenceDraft::parse(emoji.as_bytes(), NOON).unwrap().comment,
        "🦀 ${A} $$\t\u{1f}"
    );
}

/// Compiles the silences of a file.
fn file(text: &str) -> Result<Silences, Vec<String>> {
    let mut diagnostics = Diagnostics::default();
    let written = read_silences(std::path::Path::new("s.yml"), text, &mut diagnostics);
    let compiled = SilenceSpec::compile(&written, &night(), &mut diagnostics);
    let mut all = Silences::default();
    all.configure(&compiled, &night());
    match diagnostics.is_empty() {
        true => Ok(all),
        false => Err(diagnostics
            .into_sorted()
            .iter()
            .map(|one| one.render(&"d.yml"))
            .collect()),
    }
}

#[test]
fn a_file_has_silences_of_ours_and_of_amtool_with_constant_ids() {
    let yaml = "- {matchers: host=a, intervals: [night], created_by: ann, comment: nightly}\n\
                - matchers: [host=b]\n  ends_at: 2026-11-23T13:00:00Z\n  created_by: bob\n";
    let mut all = file(yaml).unwrap();
    assert!(silenced(&all, "cpu", "a", minutes(720)).is_some());
    assert_eq!(silenced(&all, "cpu", "a", NOON), None);
    assert!(silenced(&all, "cpu", "b", NOON).is_some());
    let ids = |all: &Silences| all.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
    let first = ids(&all);
    assert!(first.iter().all(|id| id.starts_with("file-")) && first[0] != first[1]);
    assert_eq!(ids(&file(&format!("# moved\n{yaml}")).unwrap()), first);
    let error = all.expire(&first[1], NOON).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "silence {:?} is in s.yml:2; hint: change it there, and reload",
            first[1]
        )
    );

    let amtool = r#"[{"id": "4e89b15b-0814-41d3-8b74-16c513611732", "status": {"state": "active"},
        "updatedAt": "2026-11-23T11:52:18.000Z", "comment": "a <b> & c", "createdBy": "ann",
        "endsAt": "2026-11-23T13:00:00.000Z", "startsAt": "2026-11-23T11:00:00.000Z",
        "matchers": [{"isEqual": true, "isRegex": true, "name": "host", "value": "a|c"},
                     {"isEqual": false, "isRegex": false, "name": "rack", "value": "7"}]}]"#;
    let all = file(amtool).unwrap();
    assert_eq!(
        all.iter().next().unwrap().matchers.to_string(),
        "{host=~\"a|c\",rack!=\"7\"}"
    );
    assert!(silenced(&all, "cpu", "a", NOON).is_some());
    assert_eq!(silenced(&all, "cpu", "a", minutes(60)), None);
    assert_eq!(file("").unwrap().iter().count(), 0);
    let listed = format!("{{\"silences\": {amtool}}}");
    assert_eq!(ids(&file(&listed).unwrap()), ids(&all));
}

#[test]
fn errors_of_a_file_have_its_line() {
    for (text, expected) in [
        (
            "- {matchers: host=a, created_by: x}",
            "s.yml:1:3: [0]: no end",
        ),
        (
            "\n- {matchers: host=a, intervals: [nigth], created_by: x}",
            "s.yml:2:34: [0].intervals[0]: unknown",
        ),
        (
            "- {matchers: 'host', ends_at: 2027-01-01, created_by: x}",
            "s.yml:1:14: [0].matchers: expected =",
        ),
        (
            "- {matchers: 'a=~\".*\"', ends_at: 2027-01-01, created_by: x}",
            "s.yml:1:3: [0]: at least one matcher",
        ),
        (
            "- {matchers: a=b, duration: 2h, created_by: x}",
            "`duration` is not allowed in a file",
        ),
        (
            "- {matchers: a=b, ends_at: 2027-01-01}",
            "missing key \"created_by\"",
        ),
        (
            "- {matcher: a=b, ends_at: 2027-01-01, created_by: x}",
            "did you mean \"matchers\"?",
        ),
        (
            "- {matchers: a=b, ends_at: 2027-01-01, created_by: x}\n- {matchers: a=b, ends_at: 2027-01-01, created_by: x}",
            "s.yml:2:3: [1]: duplicate of the silence at s.yml:1",
        ),
        ("[", "s.yml:"),
        ("text", "expected a list"),
    ] {
        let errors = file(text).expect_err(text);
        assert!(errors[0].contains(expected), "{text}: {errors:?}");
    }
}
