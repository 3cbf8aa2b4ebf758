//! Samples that come with times of their own.

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
        let late = history.append_late(UnixMillis(now), &mut part.collect::<Vec<_>>());
        assert_eq!(late, 0);
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
    assert_eq!(recovery.samples, 8 + 39, "the others are in blocks");
    assert_eq!(everything(&history), expected);
}

#[test]
fn samples_are_sorted_and_none_comes_before_the_last_one_of_its_series() {
    let history = History::in_memory(1);
    let series = refs(&history, 1)[0];
    let mut samples = [3, 1, 2, 2].map(|at| TimedSample {
        at: UnixMillis(at),
        series,
        value: at as f64,
    });
    assert_eq!(history.append_late(UnixMillis(10), &mut samples), 0);
    assert_eq!(history.append_late(UnixMillis(11), &mut samples), 3);
    let times: Vec<i64> = everything(&history)
        .values()
        .flat_map(|own| own.keys().copied())
        .collect();
    assert_eq!(times, [1, 2, 3]);
    let rejected = history.stats().rejected;
    assert_eq!((rejected.duplicate, rejected.out_of_order), (1 + 1, 3));
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

#[test]
fn what_is_sent_again_after_a_restart_is_there_once() {
    let folder = TempDir::new().unwrap();
    let (history, series, now) = with_backlog(&folder);
    let expected = everything(&history);
    drop(history);
    // The first start writes blocks, and the second one has no last times of its series.
    for _ in 0..2 {
        let (history, _) = open_at(&folder, now);
        fill(&history, &refs(&history, 1), [now]);
        assert!(history.sync());
        assert_eq!(everything(&history), expected);
    }
    let (history, _) = open_at(&folder, now);
    let again = refs(&history, 2)[1];
    let mut samples: Vec<TimedSample> = every(15, START + 3 * HOUR, START + 4 * HOUR)
        .map(|at| TimedSample {
            at: UnixMillis(at),
            series: again,
            value: value(1, at),
        })
        .collect();
    history.append_late(UnixMillis(now), &mut samples);
    assert_eq!(everything(&history), expected);
    assert_eq!(series.len(), 2);
}
