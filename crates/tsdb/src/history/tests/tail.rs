//! Samples on their way elsewhere.

use super::*;

fn drain(tail: &mut Tail, most: usize) -> (Model, u64) {
    let (mut all, mut lost) = (Model::new(), 0);
    while let Some(batch) = tail.next(most) {
        lost += batch.lost;
        assert_eq!(batch.after, tail.cursor());
        for series in batch.series {
            let bits = series.values.iter().map(|value| value.to_bits());
            all.entry(series.labels.to_string())
                .or_default()
                .extend(series.times.iter().copied().zip(bits));
        }
    }
    (all, lost)
}

#[test]
fn a_reader_sees_all_once_over_segments_and_restarts() {
    let folder = TempDir::new().unwrap();
    let (history, _) = open(&folder);
    history.hold("reader", Cursor::default());
    let series = refs(&history, 10);
    fill(&history, &series, every(15, START, START + HOUR));
    assert!(history.sync());
    let mut tail = history.wal_tail(Cursor::default());
    let first = tail.next(100).unwrap();
    assert_eq!(
        (first.series.len(), first.series[0].times.len(), first.lost),
        (10, 10, 0)
    );
    let cursor: Cursor =
        serde_json::from_str(&serde_json::to_string(&first.after).unwrap()).unwrap();
    fill(&history, &series, every(15, START + HOUR, START + 7 * HOUR));
    assert!(history.sync());
    let expected = between(&history, START + 150_000, i64::MAX);
    assert_eq!(drain(&mut tail, 1000), (expected.clone(), 0));
    assert_eq!(drain(&mut tail, 1000), (Model::new(), 0));
    assert_eq!(tail.cursor(), history.wal_end());
    drop(history);
    let (history, _) = open(&folder);
    history.hold("reader", cursor);
    assert_eq!(drain(&mut history.wal_tail(cursor), 1000), (expected, 0));
    let series = refs(&history, 10);
    fill(&history, &series, [START + 8 * HOUR]);
    assert!(history.sync());
    let (more, lost) = drain(&mut tail_at(&history, tail.cursor()), 1000);
    assert_eq!((count(&more), lost), (10, 0));
    history.hold("reader", history.wal_end());
    fill(&history, &series, [START + 12 * HOUR]);
    assert!(history.sync());
    assert!(files(&folder, ".wal").len() <= 2, "what nobody needs goes");
}

fn tail_at(history: &History, cursor: Cursor) -> Tail {
    history.wal_tail(cursor)
}

#[test]
fn a_reader_that_lags_keeps_the_log_and_changes_no_blocks() {
    let folder = TempDir::new().unwrap();
    let options = Options {
        max_bytes: 2_000_000,
        ..options(&folder)
    };
    let (history, _) = History::open(options, UnixMillis(START));
    history.hold("reader", Cursor::default());
    let series = refs(&history, 10);
    for hour in 0..40 {
        fill(
            &history,
            &series,
            every(15, START + hour * HOUR, START + (hour + 1) * HOUR),
        );
        assert!(history.sync());
    }
    let stats = history.stats();
    assert!(stats.wal_bytes > 600_000, "{stats:?}");
    assert_eq!(stats.blocks, 19);
    let (found, lost) = drain(&mut history.wal_tail(Cursor::default()), 1000);
    assert_eq!((found, lost), (everything(&history), 0));
    // A cursor of a log that is gone.
    let elsewhere = Cursor {
        segment: 1000,
        offset: 7,
        samples: 7,
    };
    assert_eq!(drain(&mut history.wal_tail(elsewhere), 1000).1, 0);
    assert!(history.wal_tail(elsewhere).next(1).is_some());
}

#[test]
fn a_reader_learns_how_many_samples_were_deleted() {
    let folder = TempDir::new().unwrap();
    let options = Options {
        max_bytes: 200_000,
        ..options(&folder)
    };
    let (history, _) = History::open(options, UnixMillis(START));
    let series = refs(&history, 50);
    fill(&history, &series, every(15, START, START + HOUR));
    assert!(history.sync());
    let mut tail = history.wal_tail(Cursor::default());
    let first = tail.next(50).unwrap();
    history.hold("reader", first.after);
    fill(
        &history,
        &series,
        every(15, START + HOUR, START + 20 * HOUR),
    );
    assert!(history.sync());
    let (found, lost) = drain(&mut tail, 1000);
    assert!(lost > 0);
    assert_eq!(count(&found) as u64 + lost + 50, 50 * 240 * 20);
}
