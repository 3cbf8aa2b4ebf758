use bellwether_files::durable::{JsonFile, LoadedState, StateError};

use super::*;
use crate::mute::silence::SilenceDraft;
use crate::mute::time_interval::TimeIntervals;
use crate::testing::NOON;

fn state() -> State {
    let mut silences = Silences::default();
    let draft = SilenceDraft {
        matchers: Matchers::parse("host=~\"a|b \\\"c\\\"\",mount!=\"/data\"").unwrap(),
        ends_at: UnixMillis(NOON.0 + 86_400_000),
        recurs: from_json(
            br#"{"times": [{"weekdays": ["monday:friday"], "location": "Europe/Berlin",
                            "times": [{"start_time": "01:00", "end_time": "05:00"}]}]}"#,
        )
        .unwrap(),
        created_by: "ann".into(),
        comment: "disk \"swap\"\n".into(),
        ..SilenceDraft::default()
    };
    silences.set(draft, 7, NOON).unwrap();
    let mut known = Acknowledgements::default();
    let one = |until| Acknowledgement {
        by: "bob".into(),
        comment: "on it".into(),
        at: NOON,
        until,
    };
    known.set(Fingerprint(u64::MAX), one(None));
    known.set(Fingerprint(1), one(Some(UnixMillis(NOON.0 + 5))));
    let uninhibited = [(Fingerprint(7), NOON)].into();
    State {
        silences,
        acknowledgements: known,
        uninhibited,
    }
}

fn text(state: &State) -> String {
    String::from_utf8(JsonFile::render(state).unwrap()).unwrap()
}

fn parse(text: &str) -> Result<State, StateError> {
    JsonFile::parse(text.as_bytes())
}

#[test]
fn what_is_saved_is_found() {
    let saved = state();
    let found = parse(&text(&saved)).unwrap();
    assert_eq!(found.acknowledgements, saved.acknowledgements);
    assert_eq!(found.uninhibited, saved.uninhibited);
    let (mut found, silences) = (found.silences, saved.silences);
    found.configure(&[], &TimeIntervals::default());
    // Tuesday 02:00 in Berlin.
    let hold = |all: &Silences| {
        all.by_users()
            .all(|one| one.is_in_force(UnixMillis(NOON.0 + 13 * 3_600_000)))
    };
    assert!(hold(&found) && hold(&silences));
    let (found, saved) = (
        found.by_users().next().unwrap(),
        silences.by_users().next().unwrap(),
    );
    assert_eq!(
        (&found.matchers, &found.recurs),
        (&saved.matchers, &saved.recurs)
    );
    let plain = |one: &Silence| {
        let (recurs, times) = (Recurs::default(), Vec::new());
        format!(
            "{:?}",
            Silence {
                recurs,
                times,
                ..one.clone()
            }
        )
    };
    assert_eq!(plain(found), plain(saved));
}

#[test]
fn no_part_of_a_file_is_read_as_a_whole_one() {
    let whole = text(&state());
    for end in (0..whole.len()).filter(|end| whole.is_char_boundary(*end)) {
        assert!(parse(&whole[..end]).is_err(), "at {end}");
    }
}

#[test]
fn a_file_of_another_version_or_sense_is_an_error() {
    let text = text(&state());
    let before = text.replace(
        ",\"uninhibited\":[{\"alert\":\"0000000000000007\",\"since_ms\":1795435200000}]",
        "",
    );
    assert!(before != text && parse(&before).is_ok(), "{text}");
    for (from, to, reason) in [
        ("\"version\":1", "\"version\":2", "unsupported version 2"),
        (
            "ffffffffffffffff",
            "somewhere",
            "invalid fingerprint \"somewhere\"",
        ),
        ("host=~", "host", "matchers of silence"),
        ("\"comment\":", "\"remark\":", "missing field `comment`"),
    ] {
        let broken = text.replacen(from, to, 1);
        assert_ne!(broken, text, "{from}");
        let error = parse(&broken).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn the_file_of_earlier_versions_is_read_under_its_former_name() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| JsonFile::<State>::new(directory.path().join(name));
    at("desk.json").save(&state()).unwrap();
    let LoadedState::Loaded(restored) = at("silences.json").load().unwrap() else {
        panic!("no state")
    };
    assert_eq!(restored.acknowledgements, state().acknowledgements);
}

/// A file that version 0.1 left.
#[test]
fn a_file_of_version_1_is_read_and_written_as_it_is() {
    let file = include_str!("../../../../tests/fixtures/state/silences.json");
    let state = parse(file).unwrap();
    assert_eq!(text(&state), file);
    assert_eq!(state.silences.by_users().count(), 2);
    let backlog = Fingerprint(0x8d8c_9174_3424_ce21);
    let (alert, acknowledgement) = state.acknowledgements.iter().next().unwrap();
    assert_eq!((alert, &*acknowledgement.by), (backlog, "root"));
    let waits = (
        Fingerprint(0xc969_7f7d_ebdb_1481),
        UnixMillis(1_795_918_116_059),
    );
    assert_eq!(state.uninhibited, [waits].into());
}
