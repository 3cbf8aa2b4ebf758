//! A kill at every write boundary: whatever `sync` vouched for is there.

use super::*;

/// For a log cut at each of its bytes: all collections whose frames are whole are there, the cut
/// one is counted, and writing goes on.
#[test]
fn a_log_cut_at_any_byte_keeps_what_was_acknowledged() {
    let folder = TempDir::new().unwrap();
    let (history, _) = open(&folder);
    let series = refs(&history, 3);
    // Bytes of the log, and what was acknowledged once it was as long.
    let mut acknowledged = vec![(0, Model::new())];
    for round in 0..6 {
        fill(
            &history,
            &series[..1 + round % 3],
            [START + round as i64 * 1000],
        );
        assert!(history.sync());
        acknowledged.push((history.wal_end().offset, everything(&history)));
    }
    let log = std::fs::read(&files(&folder, ".wal")[0]).unwrap();
    assert_eq!(acknowledged.last().unwrap().0, log.len() as u64);
    for cut in 0..=log.len() {
        let crashed = TempDir::new().unwrap();
        std::fs::create_dir(crashed.path().join("history")).unwrap();
        let path = crashed.path().join("history/0000000001.wal");
        std::fs::write(&path, &log[..cut]).unwrap();
        let (history, recovery) = open(&crashed);
        let (_, expected) = acknowledged
            .iter()
            .rfind(|(length, _)| *length <= cut as u64)
            .unwrap();
        let found = everything(&history);
        let lost = expected.iter().any(|(name, samples)| {
            samples
                .iter()
                .any(|(at, bits)| found.get(name).and_then(|all| all.get(at)) != Some(bits))
        });
        assert!(!lost, "cut at {cut}: {expected:?} became {found:?}");
        assert!(recovery.losses.wal_frames == 0, "{recovery:?}");
        assert_eq!(recovery.error, None);
        if cut % 16 == 0 {
            fill(&history, &refs(&history, 1), [START + 60_000]);
            assert!(history.sync());
            let expected = everything(&history);
            drop(history);
            let (history, recovery) = open(&crashed);
            assert!(
                recovery.losses.is_empty(),
                "a torn end is cut off once: {recovery:?}"
            );
            assert_eq!(everything(&history), expected);
        }
    }
}

/// A block is seen whole or not at all, whatever was written of it when the process died.
#[test]
fn a_block_cut_short_while_it_is_written_costs_nothing() {
    let folder = TempDir::new().unwrap();
    let (history, _) = open(&folder);
    fill(&history, &refs(&history, 4), every(60, START, START + HOUR));
    assert!(history.sync());
    let expected = everything(&history);
    // What a cut leaves before it renames, at every length.
    let whole = {
        let other = TempDir::new().unwrap();
        let mut writer =
            BlockWriter::create(other.path(), History::block_range(UnixMillis(START))).unwrap();
        for series in history
            .select(&[], UnixMillis(0), UnixMillis(i64::MAX), &Guard::default())
            .unwrap()
        {
            writer
                .add(&series.labels, &series.times, &series.values)
                .unwrap();
        }
        std::fs::read(writer.finish().unwrap()).unwrap()
    };
    for cut in (0..=whole.len()).step_by(7) {
        let crashed = disk::killed(&folder);
        let temporary = crashed.path().join("history/4194305-00000000.tmp");
        std::fs::write(&temporary, &whole[..cut]).unwrap();
        let (history, recovery) = open(&crashed);
        assert!(recovery.losses.is_empty());
        assert_eq!(everything(&history), expected);
        assert!(!temporary.exists());
    }
}

/// A kill between a block and the end of its segment of the log doubles nothing.
#[test]
fn a_segment_whose_block_is_there_is_not_read_again() {
    let folder = TempDir::new().unwrap();
    let (history, _) = open(&folder);
    history.hold("somebody", Cursor::default());
    let series = refs(&history, 4);
    fill(&history, &series, every(15, START, START + 3 * HOUR));
    assert!(history.sync());
    assert_eq!(history.stats().blocks, 1);
    let expected = everything(&history);
    drop(history);
    assert_eq!(files(&folder, ".wal").len(), 2, "held");
    let (history, recovery) = open(&folder);
    assert_eq!(recovery.samples, 4 * 240, "the second block's alone");
    assert_eq!(everything(&history), expected);
    let stats = history.stats();
    assert_eq!(stats.head_samples + stats.block_samples, 4 * 720);
}
