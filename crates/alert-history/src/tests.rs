//! The alert history on real files, with a clock that the tests set.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bellwether_core::{
    Alert, AlertState, Cause, Labels, MonoMillis, Severity, Status, Transition, UnixMillis,
};
use bellwether_matcher::LabelMatcher;
use tempfile::TempDir;

use super::*;

/// 2026-11-21T04:00:00Z.
const START: i64 = 1_795_233_600_000;
const HOUR: u64 = 3_600_000;

fn alert(rule: &str, number: usize, state: AlertState) -> Arc<Alert> {
    let labels = Labels::from([("mount".to_owned(), format!("/{number}"))]);
    Arc::new(Alert {
        message: format!("{rule} of /{number}"),
        value: Some(91.5),
        threshold: Some(85.0),
        fired_value: Some(90.0),
        peak: Some(97.0),
        state,
        active_at: UnixMillis(START),
        fired_at: Some(UnixMillis(START)),
        ..Alert::firing(rule, Severity::Warning, labels)
    })
}

fn change(rule: &str, number: usize, from: AlertState, to: AlertState, at: i64) -> Record {
    Record::transition(&Transition {
        alert: alert(rule, number, to),
        from,
        reason: format!("{rule} 91.5 > 85"),
        at: UnixMillis(at),
    })
}

pub(super) fn fired(number: usize) -> Record {
    let at = START + number as i64 * 1000;
    change("disk", number, AlertState::Pending, AlertState::Firing, at)
}

fn notice(number: usize, step: Step) -> Record {
    let notice = Notice {
        channel: "pager".into(),
        receiver: String::new(),
        cause: Cause::Change,
        status: Status::Firing,
        reason: "disk 91.5 > 85".into(),
        step,
    };
    let at = UnixMillis(START + number as i64 * 1000 + 1);
    Record::notice(alert("disk", number, AlertState::Firing), notice, at)
}

pub(super) fn delivered(number: usize) -> Record {
    notice(number, Step::Delivered { attempt: 1 })
}

/// A clock that tests advance, in milliseconds since the start.
#[derive(Clone, Default)]
struct Turned(Arc<AtomicU64>);

impl Turned {
    fn turn(&self, millis: u64) {
        self.0.fetch_add(millis, Relaxed);
    }

    fn clock(&self) -> Clock {
        let turned = self.0.clone();
        Arc::new(move || {
            let millis = turned.load(Relaxed);
            Now {
                mono: MonoMillis(millis),
                wall: UnixMillis(START + millis as i64),
            }
        })
    }
}

fn options(folder: Option<&Path>) -> Options {
    let folder = folder.map(Path::to_owned);
    Options {
        folder,
        retention: Duration::from_secs(30 * 86_400),
        max_bytes: 256_000_000,
    }
}

fn open(folder: &Path) -> AlertHistory {
    AlertHistory::open(options(Some(folder)), Turned::default().clock()).unwrap()
}

/// Returns all records, oldest first, as `event mount`.
fn all(history: &AlertHistory) -> Vec<String> {
    let query = Query {
        newest_first: false,
        limit: usize::MAX,
        ..Query::default()
    };
    history
        .query(&query, &|| false)
        .unwrap()
        .entries
        .iter()
        .map(short)
        .collect()
}

fn short(entry: &Entry<'_>) -> String {
    format!("{} {}", entry.event.as_str(), entry.labels["mount"])
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    found.retain(|path| path.extension().is_some_and(|ending| ending == "jsonl"));
    found.sort();
    found
}

#[test]
fn what_was_recorded_is_there_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let history = open(folder.path());
    history.record_all([fired(1), notice(1, Step::Queued)]);
    history.sync();
    history.record(delivered(1));
    history.close();
    history.record(delivered(2)); // too late
    let history = open(folder.path());
    history.record(change(
        "disk",
        1,
        AlertState::Firing,
        AlertState::Inactive,
        START + 9000,
    ));
    history.sync();
    assert_eq!(
        all(&history),
        ["firing /1", "queued /1", "delivered /1", "resolved /1"]
    );
    assert_eq!(
        segments(folder.path()).len(),
        1,
        "it goes on with the segment"
    );
    let page = history.query(&Query::default(), &|| false).unwrap();
    let ended = &page.entries[0];
    assert_eq!(
        (ended.state, ended.fired_for_seconds),
        (State::Resolved, Some(9.0))
    );
    assert_eq!(
        (ended.value, &*ended.reason),
        (Some(91.5), "disk 91.5 > 85")
    );
    assert_eq!((ended.fired_value, ended.peak), (Some(90.0), Some(97.0)));
    assert_eq!(
        (&*page.entries[1].channel, page.entries[1].attempt),
        ("pager", Some(1))
    );
    assert_eq!(history.stats().transitions, 1);
}

#[test]
fn every_step_has_its_line() {
    let steps = [
        Step::Muted {
            reason: "silence",
            description: "maintenance".into(),
        },
        Step::Failed {
            attempt: 3,
            error: "refused \"x\"\n".into(),
            retry_in: Duration::from_millis(1500),
        },
        Step::Rejected {
            error: "400".into(),
        },
        Step::Dropped { reason: "overflow" },
    ];
    let words = ["muted", "failed", "rejected", "dropped"];
    for (step, word) in steps.into_iter().zip(words) {
        let record = notice(1, step);
        let mut line = Vec::new();
        Entry::from_record(&record).write(&mut line);
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        assert!(
            line.starts_with(b"{\"at\":\"2026-11-21T04:00:01.001Z\",\"kind\":\"notification\"")
        );
        let entry = Entry::read(&line).unwrap();
        assert_eq!(entry.event.as_str(), word);
        assert_eq!(entry, Entry::from_record(&record));
    }
}

#[test]
fn lines_of_earlier_versions_are_read() {
    for (step, current, former) in [
        (
            Step::Muted {
                reason: "silence",
                description: "maintenance".into(),
            },
            ["\"muted\"", "\"muteReason\""],
            ["\"held\"", "\"gate\""],
        ),
        (
            Step::Rejected {
                error: "400".into(),
            },
            ["\"rejected\"", "\"error\""],
            ["\"refused\"", "\"error\""],
        ),
        (
            Step::Dropped { reason: "overflow" },
            ["\"dropped\"", "\"dropReason\""],
            ["\"dropped\"", "\"gate\""],
        ),
    ] {
        let record = notice(1, step);
        let mut line = Vec::new();
        Entry::from_record(&record).write(&mut line);
        let mut line = String::from_utf8(line).unwrap();
        for (current, former) in current.into_iter().zip(former) {
            assert!(line.contains(current), "{line}");
            line = line.replacen(current, former, 1);
        }
        let entry = Entry::read(line.as_bytes()).unwrap();
        assert_eq!(entry, Entry::from_record(&record));
    }
    assert_eq!(EventKind::parse("held"), Ok(EventKind::Muted));
    assert_eq!(EventKind::parse("refused"), Ok(EventKind::Rejected));
    assert!(
        EventKind::parse("gone")
            .unwrap_err()
            .to_string()
            .ends_with("muted, delivered, failed, rejected, dropped")
    );
}

#[test]
fn filters_order_and_pages() {
    let folder = TempDir::new().unwrap();
    let history = open(folder.path());
    for number in 0..50 {
        history.record_all([fired(number), delivered(number)]);
    }
    history.sync();
    let ask = |query: &Query| history.query(query, &|| false).unwrap();
    let matcher = |text: &str| bellwether_matcher::ValueTest::regex(text, false).unwrap();
    let one = Query {
        matchers: vec![vec![LabelMatcher {
            name: "mount".into(),
            test: matcher("/4[0-9]"),
        }]],
        kinds: vec![Kind::Transition],
        from: UnixMillis(START + 44_000),
        to: UnixMillis(START + 46_000),
        ..Query::default()
    };
    let found: Vec<String> = ask(&one).entries.iter().map(short).collect();
    assert_eq!(found, ["firing /46", "firing /45", "firing /44"]);
    for (query, count) in [
        (
            Query {
                alertnames: vec!["disk".into()],
                ..Query::default()
            },
            100,
        ),
        (
            Query {
                alertnames: vec!["dis".into()],
                ..Query::default()
            },
            0,
        ),
        (
            Query {
                channels: vec!["pager".into()],
                ..Query::default()
            },
            50,
        ),
        (
            Query {
                events: vec![EventKind::Firing],
                ..Query::default()
            },
            50,
        ),
        (
            Query {
                states: vec![State::Resolved],
                ..Query::default()
            },
            0,
        ),
        (
            Query {
                fingerprints: vec![alert("disk", 7, AlertState::Firing).fingerprint.to_string()],
                ..Query::default()
            },
            2,
        ),
    ] {
        assert_eq!(ask(&query).entries.len(), count, "{query:?}");
    }
    for newest_first in [true, false] {
        let (mut paged, mut cursor) = (Vec::new(), None);
        loop {
            let page = ask(&Query {
                newest_first,
                limit: 7,
                cursor,
                ..Query::default()
            });
            paged.extend(page.entries.iter().map(short));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        if newest_first {
            paged.reverse();
        }
        assert_eq!(paged, all(&history), "newest first: {newest_first}");
        let all = Query {
            newest_first,
            limit: 100,
            ..Query::default()
        };
        assert_eq!(ask(&all).next, None, "nothing follows the last record");
    }
    assert_eq!(history.query(&Query::default(), &|| true), Err(Stopped));
    let offline = AlertHistory::read(folder.path(), &one).unwrap();
    assert_eq!(offline.entries.iter().map(short).collect::<Vec<_>>(), found);
}

#[test]
fn an_alert_is_found_by_its_own_name_and_by_that_of_its_rule() {
    let folder = TempDir::new().unwrap();
    let history = open(folder.path());
    let mut record = change(
        "hosts/HostDown",
        1,
        AlertState::Pending,
        AlertState::Firing,
        START,
    );
    Arc::make_mut(&mut record.alert)
        .labels
        .insert("alertname".into(), "HostDown".into());
    history.record_all([record, fired(2)]);
    history.sync();
    for name in ["HostDown", "hosts/HostDown"] {
        let query = Query {
            alertnames: vec![name.into()],
            ..Query::default()
        };
        let found = history.query(&query, &|| false).unwrap().entries;
        let [one] = &found[..] else {
            panic!("{name}: {found:?}")
        };
        assert_eq!(
            (&*one.alertname, &*one.rule),
            ("HostDown", "hosts/HostDown")
        );
    }
}

#[test]
fn a_torn_tail_and_damaged_lines_cost_only_themselves() {
    let folder = TempDir::new().unwrap();
    let history = open(folder.path());
    history.record_all((0..10).map(fired));
    history.close();
    let path = &segments(folder.path())[0];
    let mut bytes = fs::read(path).unwrap();
    let third = bytes
        .split(|byte| *byte == b'\n')
        .take(3)
        .map(|line| line.len() + 1)
        .sum::<usize>();
    bytes[third + 5] = 0xFF;
    fs::write(path, &bytes[..bytes.len() - 20]).unwrap();
    let offline = AlertHistory::read(folder.path(), &Query::default()).unwrap();
    assert_eq!((offline.entries.len(), offline.damaged), (8, 1));
    let history = open(folder.path());
    assert_eq!(
        history.stats().damaged,
        2,
        "one is damaged, and one is missing: the torn one"
    );
    assert!(history.stats().torn_bytes > 100);
    history.record(fired(10));
    history.sync();
    let expected: Vec<String> = [0, 1, 2, 4, 5, 6, 7, 8, 10]
        .iter()
        .map(|number| format!("firing /{number}"))
        .collect();
    assert_eq!(all(&history), expected);
}

#[test]
fn a_file_cut_anywhere_opens_and_goes_on() {
    let folder = TempDir::new().unwrap();
    let history = open(folder.path());
    history.record_all((0..3).map(fired));
    history.close();
    let path = segments(folder.path())[0].clone();
    let bytes = fs::read(&path).unwrap();
    for cut in 0..bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        let history = open(folder.path());
        history.record(fired(7));
        history.sync();
        let whole = bytes[..cut].iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(all(&history).len(), whole + 1, "cut at {cut}");
        history.close();
    }
}

#[test]
fn days_and_size_begin_segments_and_the_oldest_go() {
    let folder = TempDir::new().unwrap();
    let turned = Turned::default();
    let options = Options {
        max_bytes: 1_000_000,
        ..options(Some(folder.path()))
    };
    let history = AlertHistory::open(options, turned.clock()).unwrap();
    for batch in 0..100 {
        history.record_all((0..100).map(|number| fired(batch * 100 + number)));
        history.sync();
    }
    let stats = history.stats();
    assert!(segments(folder.path()).len() >= 10, "{stats:?}");
    assert!(
        (800_000..=1_000_000).contains(&stats.disk_bytes),
        "{stats:?}"
    );
    let on_disk: u64 = segments(folder.path())
        .iter()
        .map(|path| fs::metadata(path).unwrap().len())
        .sum();
    assert_eq!(on_disk, stats.disk_bytes);
    let kept = all(&history);
    assert_eq!(kept.last().unwrap(), "firing /9999");
    assert!(kept.len() > 2000 && kept.len() < 10_000, "{}", kept.len());
    let oldest = change(
        "cpu",
        1,
        AlertState::Pending,
        AlertState::Firing,
        START + 86_400_000,
    );
    history.record(oldest);
    history.sync();
    let last = segments(folder.path()).pop().unwrap();
    assert!(
        last.to_string_lossy().ends_with("-2026-11-22.jsonl"),
        "{last:?}"
    );
}

#[test]
fn what_is_too_old_goes_once_the_clock_has_proven_itself() {
    let folder = TempDir::new().unwrap();
    let turned = Turned::default();
    let history = AlertHistory::open(options(Some(folder.path())), turned.clock()).unwrap();
    let day = |days: i64| {
        change(
            "disk",
            1,
            AlertState::Pending,
            AlertState::Firing,
            START + days * 86_400_000,
        )
    };
    history.record_all([day(0), day(31)]);
    history.sync();
    turned.turn(32 * 24 * HOUR);
    history.sync();
    assert_eq!(all(&history).len(), 2, "a clock that jumped proves nothing");
    turned.turn(HOUR);
    history.sync();
    assert_eq!(all(&history).len(), 1);
    assert_eq!(segments(folder.path()).len(), 1);
}

#[test]
fn what_was_recorded_by_a_clock_that_was_elsewhere_stays_in_its_place() {
    let folder = TempDir::new().unwrap();
    let changes: [(i64, i64); 4] = [(1, 0), (2, 4_000), (3, -20_000), (4, 0)];
    let record = |(number, days): (i64, i64)| {
        let at = START + days * 86_400_000 + number;
        change(
            "disk",
            number as usize,
            AlertState::Pending,
            AlertState::Firing,
            at,
        )
    };
    let history = open(folder.path());
    history.record_all(changes[..2].iter().copied().map(record));
    history.close();
    let history = open(folder.path());
    history.record_all(changes[2..].iter().copied().map(record));
    history.sync();
    assert_eq!(
        all(&history),
        ["firing /1", "firing /2", "firing /3", "firing /4"]
    );
    let today = Query {
        from: UnixMillis(START),
        to: UnixMillis(START + 1000),
        ..Query::default()
    };
    let found = history.query(&today, &|| false).unwrap().entries;
    assert_eq!(
        found.iter().map(short).collect::<Vec<_>>(),
        ["firing /4", "firing /1"]
    );
}

#[test]
fn a_folder_that_cannot_be_used_is_tried_again() {
    let base = TempDir::new().unwrap();
    let folder = base.path().join("there");
    fs::write(&folder, "a file in the way").unwrap();
    let history = open(&folder);
    history.record_all([fired(1), fired(2)]);
    history.sync();
    assert_eq!(
        all(&history),
        ["firing /1", "firing /2"],
        "it goes on in memory"
    );
    let stats = history.stats();
    assert!(stats.problem.unwrap().contains("there") && stats.write_failures > 0);
    fs::remove_file(&folder).unwrap();
    history.record(fired(3));
    history.sync();
    assert_eq!(history.stats().problem, None);
    history.close();
    assert_eq!(all(&open(&folder)), ["firing /1", "firing /2", "firing /3"]);
}

#[test]
fn a_folder_has_one_owner_and_what_the_other_recorded_goes_behind() {
    let folder = TempDir::new().unwrap();
    let first = open(folder.path());
    first.record(fired(1));
    first.sync();
    let second = open(folder.path());
    second.record(fired(2));
    second.sync();
    assert!(second.stats().problem.unwrap().contains("in use"));
    first.close();
    drop(first);
    second.sync();
    assert_eq!(all(&second), ["firing /1", "firing /2"]);
}

#[test]
fn a_folder_deleted_while_it_runs_is_made_anew() {
    let base = TempDir::new().unwrap();
    let folder = base.path().join("there");
    let history = open(&folder);
    history.record(fired(1));
    history.sync();
    fs::remove_dir_all(&folder).unwrap();
    history.record(fired(2));
    history.sync();
    assert_eq!(
        AlertHistory::read(&folder, &Query::default())
            .unwrap()
            .entries
            .len(),
        1
    );
}

#[test]
fn in_memory_it_is_bounded() {
    let history = AlertHistory::open(options(None), Turned::default().clock()).unwrap();
    for _ in 0..10 {
        history.record_all((0..10_000).map(fired));
        history.sync();
    }
    let stats = history.stats();
    assert!(
        stats.memory_bytes <= 16_000_000 && stats.evicted > 10_000,
        "{stats:?}"
    );
    let newest = history
        .query(
            &Query {
                limit: 1,
                ..Query::default()
            },
            &|| false,
        )
        .unwrap();
    assert_eq!(short(&newest.entries[0]), "firing /9999");
}

/// Three segments of three days, one record each but the last, which has three.
fn three_days(folder: &Path) {
    let history = open(folder);
    for (day, records) in [(0, 1), (1, 1), (2, 3)] {
        history.record_all((0..records).map(|number| {
            let at = START + day * 86_400_000 + number;
            change(
                "disk",
                day as usize,
                AlertState::Pending,
                AlertState::Firing,
                at,
            )
        }));
        history.sync();
    }
    history.close();
    assert_eq!(segments(folder).len(), 3);
}

/// Records of a segment that is deleted or truncated while no process runs are counted as damaged.
#[test]
fn a_segment_that_was_cut_or_taken_away_is_missed() {
    type Harm = (&'static str, fn(&Path));
    let harms: [Harm; 5] = [
        ("emptied", |path| fs::write(path, b"").unwrap()),
        ("cut to a byte", |path| fs::write(path, b"{").unwrap()),
        ("deleted", |path| fs::remove_file(path).unwrap()),
        ("a dangling link", |path| {
            fs::remove_file(path).unwrap();
            std::os::unix::fs::symlink("nowhere", path).unwrap();
        }),
        ("a directory", |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        }),
    ];
    for segment in 0..3 {
        for (harm, work) in harms {
            let folder = TempDir::new().unwrap();
            three_days(folder.path());
            work(&segments(folder.path())[segment]);
            let history = open(folder.path());
            let what = format!("segment {segment} {harm}");
            // Nothing shows how many there were before the first.
            let first_is_gone = segment == 0 && harm == "deleted";
            if !first_is_gone {
                until(&what, || history.stats().damaged > 0);
            }
            let lost = if segment == 2 { 3 } else { 1 };
            assert_eq!(all(&history).len(), 5 - lost, "{what}");
            history.record(fired(7));
            history.sync();
            assert_eq!(history.stats().problem, None, "{what}");
            assert_eq!(all(&history).len(), 5 - lost + 1, "{what}");
            history.close();
            assert_eq!(all(&open(folder.path())).len(), 5 - lost + 1, "{what}");
        }
    }
}

fn until(what: &str, done: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(
            std::time::Instant::now() < deadline,
            "not within 20 s: {what}"
        );
        std::thread::yield_now();
    }
}

#[test]
fn what_is_whole_is_not_missed() {
    let folder = TempDir::new().unwrap();
    three_days(folder.path());
    for number in 0..3 {
        let history = open(folder.path());
        until("all is looked through", || {
            history
                .shared
                .with(|state| state.segments.iter().all(|segment| segment.scanned))
        });
        let stats = history.stats();
        assert_eq!((stats.damaged, stats.torn_bytes), (0, 0));
        history.record(fired(number));
        history.sync();
    }
}

/// Lines that version 0.1 left.
#[test]
fn lines_of_earlier_versions_are_read_and_written_as_they_are() {
    let lines = include_str!(
        "../../../tests/fixtures/state/alert_history/00000000000000000000-2026-11-29.jsonl"
    );
    let mut again = Vec::new();
    for line in lines.lines() {
        Entry::read(line.as_bytes()).unwrap().write(&mut again);
    }
    assert_eq!(String::from_utf8(again).unwrap(), lines);
}
