//! Samples that come after their time.

use super::disk::killed;
use super::*;

/// A history with a present and a past series, to which three hours of the past have come between collections.
fn with_backlog(folder: &TempDir) -> (History, Vec<SeriesId>, i64) {
    let (history, _) = open(folder);
    let series = refs(&history, 2);
    let begin = START + 6 * HOUR;
    let mut backlog = every(15, START + 3 * HOUR, begin);
    for step in 0..8 {
        let now = begin + step * 15_000;
        fill(&history, &series[..1], [now]);
        let part = backlog.by_ref().take(90).map(|at| TimedSample {
            at: UnixMillis(at),
            series: series[1],
            value: value(1, at),
        });
        history.append_late(UnixMillis(now), &mut part.collect::<Vec<_>>());
        assert!(history.sync());
    }
    (history, series, begin + 7 * 15_000)
}

#[test]
fn a_backlog_of_hours_is_there_after_a_kill_and_takes_one_block_each_two_hours() {
    let folder = TempDir::new().unwrap();
    let (history, series, now) = with_backlog(&folder);
    let expected = everything(&history);
    assert_eq!(count(&expected), 720 + 8);
    assert_eq!(files(&folder, ".block").len(), 0, "more may come");
    assert!(
        files(&folder, ".wal").len() <= 2,
        "{:?}",
        files(&folder, ".wal")
    );
    let copy = killed(&folder);
    let (copied, recovery) = open_at(&copy, now);
    assert!(recovery.losses.is_empty(), "{recovery:?}");
    assert_eq!(everything(&copied), expected);
    drop(copied);

    fill(
        &history,
        &series[..1],
        every(15, now + 15_000, now + 10 * 60_000),
    );
    assert!(history.sync());
    assert_eq!(files(&folder, ".block").len(), 2);
    let expected = everything(&history);
    assert_eq!(count(&expected), 720 + 8 + 39);
    drop(history);
    let (history, recovery) = open_at(&folder, now + 10 * 60_000);
    assert!(recovery.losses.is_empty(), "{recovery:?}");
    assert_eq!(everything(&history), expected);
}

#[test]
fn samples_that_are_not_newer_than_the_last_one_of_their_series_are_left_out() {
    let history = History::in_memory(1);
    let series = refs(&history, 1)[0];
    let mut samples = [3, 1, 2, 2].map(|at| TimedSample {
        at: UnixMillis(at),
        series,
        value: at as f64,
    });
    history.append_late(UnixMillis(10), &mut samples);
    history.append_late(UnixMillis(11), &mut samples);
    let times: Vec<i64> = everything(&history)
        .values()
        .flat_map(|own| own.keys().copied())
        .collect();
    assert_eq!(times, [1, 2, 3]);
    assert_eq!(history.stats().rejected.duplicate, 1 + 4);
}

#[test]
fn the_clock_is_that_of_collections() {
    let folder = TempDir::new().unwrap();
    let (history, ..) = with_backlog(&folder);
    assert_eq!(
        history.shared.clock.lock().last(),
        Some(UnixMillis(START + 6 * HOUR + 7 * 15_000))
    );
}
