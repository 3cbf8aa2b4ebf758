//! Ceilings, ages, clocks that jump.

use super::*;

const YEAR_2038: i64 = 2_147_483_647_000;

#[test]
fn old_blocks_go_by_age_once_the_clock_has_proven_itself() {
    let folder = TempDir::new().unwrap();
    let options = Options {
        retention: Duration::from_secs(6 * 3600),
        ..options(&folder)
    };
    let (history, _) = History::open(options, UnixMillis(START));
    let series = refs(&history, 2);
    let gone = history.series_id(&named(7)).unwrap();
    history.append(UnixMillis(START), &[(gone, 1.0)]);
    fill(&history, &series, every(60, START, START + 9 * HOUR));
    assert!(history.sync());
    let oldest = history.stats().oldest.unwrap().0;
    assert!(oldest >= START + 2 * HOUR, "{oldest}");
    let kept = count(&everything(&history));
    // A day later nothing may go at once.
    let later = START + 40 * HOUR;
    fill(&history, &series, every(60, later, later + HOUR));
    assert!(history.sync());
    assert!(count(&everything(&history)) >= kept);
    fill(&history, &series, every(60, later + HOUR, later + 5 * HOUR));
    assert!(history.sync());
    assert_eq!(history.stats().oldest, Some(UnixMillis(later)));
    assert_eq!(history.stats().series, 2, "a series without samples leaves");
    history.append(UnixMillis(later + 6 * HOUR), &[(gone, 1.0)]);
    assert_eq!(history.stats().rejected.unknown, 1);
    assert_ne!(history.series_id(&named(7)), Some(gone));
}

#[test]
fn a_clock_that_was_elsewhere_for_a_minute_deletes_nothing() {
    for elsewhere in [YEAR_2038, 0, START + 24 * HOUR, START - 24 * HOUR] {
        let folder = TempDir::new().unwrap();
        let options = Options {
            retention: Duration::from_secs(12 * 3600),
            ..options(&folder)
        };
        let (history, _) = History::open(options.clone(), UnixMillis(START));
        let series = refs(&history, 2);
        fill(&history, &series, every(60, START, START + 3 * HOUR));
        fill(&history, &series, every(1, elsewhere, elsewhere + 60_000));
        fill(
            &history,
            &series,
            every(60, START + 3 * HOUR + 60_000, START + 9 * HOUR),
        );
        assert!(history.sync());
        let all = everything(&history);
        let there = between(&history, START, START + 9 * HOUR);
        assert_eq!(count(&there), 2 * (539), "elsewhere {elsewhere}");
        assert!(
            history.stats().blocks >= 4,
            "blocks are cut: {:?}",
            history.stats()
        );
        assert!(history.stats().head_samples < 2 * 200);
        drop(history);
        let (history, recovery) = History::open(options, UnixMillis(START + 9 * HOUR));
        assert!(recovery.losses.is_empty());
        assert_eq!(everything(&history), all);
    }
}

#[test]
fn a_clock_that_goes_back_loses_nothing() {
    let folder = TempDir::new().unwrap();
    let (history, _) = open(&folder);
    let series = history.series_id(&named(0)).unwrap();
    for (first, value) in [(100, 1.0), (50, 2.0), (55, 3.0)] {
        for second in first..first + 20 {
            history.append(UnixMillis(START + second * 1000), &[(series, value)]);
        }
    }
    assert!(history.sync());
    let found = everything(&history);
    let samples = &found[&named(0).to_string()];
    assert_eq!(samples.len(), 45);
    let at = |second: i64| f64::from_bits(samples[&(START + second * 1000)]);
    assert_eq!(
        (at(50), at(54), at(55), at(74), at(100)),
        (2.0, 2.0, 3.0, 3.0, 1.0)
    );
    drop(history);
    assert_eq!(everything(&open(&folder).0), found);
}

#[test]
fn the_ceiling_of_bytes_deletes_the_oldest() {
    let folder = TempDir::new().unwrap();
    let options = Options {
        max_bytes: 400_000,
        ..options(&folder)
    };
    let (history, _) = History::open(options, UnixMillis(START));
    let series = refs(&history, 100);
    for hour in 0..40 {
        fill(
            &history,
            &series,
            every(15, START + hour * HOUR, START + (hour + 1) * HOUR),
        );
        assert!(history.sync());
        let stats = history.stats();
        assert!(stats.block_bytes + stats.wal_bytes < 700_000, "{stats:?}");
    }
    let stats = history.stats();
    assert!(
        stats.oldest > Some(UnixMillis(START + 20 * HOUR)),
        "{stats:?}"
    );
    assert_eq!(stats.newest, Some(UnixMillis(START + 40 * HOUR - 15_000)));
    assert_eq!((stats.dropped, stats.evicted), (0, 0));
}

#[test]
fn the_ceiling_of_memory_cuts_early_or_gives_up_the_oldest() {
    for on_disk in [true, false] {
        let folder = TempDir::new().unwrap();
        let mut options = Options {
            max_memory: 300_000,
            ..options(&folder)
        };
        if !on_disk {
            options.folder = None;
        }
        let (history, _) = History::open(options, UnixMillis(START));
        let series = refs(&history, 200);
        for minute in 0..60 {
            let from = START + minute * 60_000;
            fill(&history, &series, every(1, from, from + 60_000));
            history.sync();
            let bytes = history.stats().head_bytes;
            assert!(bytes < 600_000, "{bytes}");
        }
        let kept = count(&everything(&history));
        let evicted = history.stats().evicted as usize;
        assert_eq!(kept + evicted, 200 * 3600);
        assert_eq!(evicted == 0, on_disk);
    }
}

#[test]
fn a_folder_that_can_not_be_written_is_read_and_tried_again() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("history");
    std::fs::write(&file, b"in the way").unwrap();
    let (history, recovery) = open(&folder);
    assert!(recovery.error.unwrap().contains("history"));
    fill(
        &history,
        &refs(&history, 2),
        every(1, START, START + 100_000),
    );
    assert!(!history.sync());
    assert_eq!(count(&everything(&history)), 200);
    std::fs::remove_file(&file).unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while !history.sync() {
        assert!(
            std::time::Instant::now() < deadline,
            "{:?}",
            history.stats()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(history);
    assert_eq!(count(&everything(&open(&folder).0)), 200);
}
