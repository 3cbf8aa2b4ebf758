use std::fs;

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

fn files(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_is_saved_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let file = StateFile::new(directory.path().join("new/silences.json"));
    assert!(matches!(file.load().unwrap(), LoadedState::Absent));
    let saved = state();
    file.save(&State::default()).unwrap();
    file.save(&saved).unwrap();
    let LoadedState::Loaded(found) = file.load().unwrap() else {
        panic!("no state")
    };
    assert_eq!(found.acknowledgements, saved.acknowledgements);
    assert_eq!(found.uninhibited, saved.uninhibited);
    let (mut found, silences) = (found.silences, saved.silences);
    found.declare(&[], &TimeIntervals::default());
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
    assert_eq!(files(&directory.path().join("new")), ["silences.json"]);
}

#[test]
fn a_file_cut_anywhere_is_set_aside_and_never_half_read() {
    let whole = write(&state()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = StateFile::new(directory.path().join("silences.json"));
    for end in 0..whole.len() {
        fs::write(file.path(), &whole[..end]).unwrap();
        let LoadedState::Corrupt { aside, reason } = file.load().unwrap() else {
            panic!("at {end}")
        };
        assert!(!reason.is_empty() && fs::read(aside).unwrap() == whole[..end]);
        assert_eq!(files(directory.path()), ["silences.json.corrupt"]);
    }
    assert!(matches!(file.load().unwrap(), LoadedState::Absent));
}

#[test]
fn a_file_of_another_version_or_sense_is_set_aside() {
    let text = String::from_utf8(write(&state()).unwrap()).unwrap();
    let before = text.replace(
        ",\"uninhibited\":[{\"alert\":\"0000000000000007\",\"since_ms\":1795435200000}]",
        "",
    );
    assert!(before != text && read(before.as_bytes()).is_ok(), "{text}");
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
        let error = read(broken.as_bytes()).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn what_cannot_be_written_is_an_error_and_leaves_the_old_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = StateFile::new(directory.path().join("silences.json"));
    let saved = state();
    file.save(&saved).unwrap();
    // The draft's name is taken by a directory: nothing can be written there.
    fs::create_dir(directory.path().join("silences.json.new")).unwrap();
    assert!(file.save(&State::default()).is_err());
    let LoadedState::Loaded(found) = file.load().unwrap() else {
        panic!("no state")
    };
    assert_eq!(found.silences.by_users().count(), 1);
    // A draft that cannot be put in place does not stay.
    let blocked = StateFile::new(directory.path().join("taken"));
    fs::create_dir_all(directory.path().join("taken/by")).unwrap();
    assert!(blocked.save(&saved).is_err());
    assert!(!files(directory.path()).contains(&"taken.new".to_owned()));
}

#[test]
fn the_file_of_earlier_versions_is_read_once() {
    let directory = tempfile::tempdir().unwrap();
    let former = StateFile::new(directory.path().join("desk.json"));
    former.save(&state()).unwrap();
    let file = StateFile::new(directory.path().join("silences.json"));
    let LoadedState::Loaded(restored) = file.load().unwrap() else {
        panic!("no state")
    };
    assert_eq!(restored.acknowledgements, state().acknowledgements);
    assert_eq!(files(directory.path()), ["silences.json"]);
    // With a file of its own the other one stays as it is.
    former.save(&State::default()).unwrap();
    let LoadedState::Loaded(restored) = file.load().unwrap() else {
        panic!("no state")
    };
    assert_eq!(restored.acknowledgements, state().acknowledgements);
    assert_eq!(files(directory.path()), ["desk.json", "silences.json"]);
}
