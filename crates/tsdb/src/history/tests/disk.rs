//! Ordinary life on disk: restarts, blocks, other processes.

use super::*;

#[test]
fn history_survives_restarts() {
    let folder = TempDir::new().unwrap();
    let mut expected = Model::new();
    for day in 0..3 {
        let (history, recovery) = open_at(&folder, START + day * 5 * HOUR);
        assert_eq!(recovery.error, None);
        assert!(recovery.losses.is_empty());
        assert_eq!(everything(&history), expected);
        let series = refs(&history, 20);
        let from = START + day * 5 * HOUR;
        fill(&history, &series, every(15, from, from + 5 * HOUR));
        assert!(history.sync());
        expected = everything(&history);
        assert_eq!(count(&expected), (day as usize + 1) * 20 * 1200);
        history.close();
        assert!(!history.sync());
    }
    let (history, recovery) = open_at(&folder, START + 15 * HOUR);
    assert_eq!(recovery.series, 20);
    assert!(recovery.blocks >= 6, "{recovery:?}");
    assert!(
        recovery.samples < 20 * 2 * 480,
        "most is in blocks: {recovery:?}"
    );
    assert_eq!(everything(&history), expected);
    let hour = between(&history, START + 90 * 60_000, START + 150 * 60_000);
    assert_eq!(count(&hour), 20 * 241);
    let stats = history.stats();
    assert_eq!(stats.block_samples + stats.head_samples, 20 * 3600);
    assert_eq!(stats.oldest, Some(UnixMillis(START)));
    assert_eq!(stats.newest, Some(UnixMillis(START + 15 * HOUR - 15_000)));
    assert_eq!(stats.last_error, None);
    assert!(stats.block_bytes < stats.block_samples * 3, "{stats:?}");
    assert!(
        files(&folder, ".wal").len() <= 3,
        "segments go with their blocks"
    );
}

#[test]
fn what_is_not_yet_cut_is_found_after_a_kill() {
    let folder = TempDir::new().unwrap();
    let (history, _) = open(&folder);
    fill(
        &history,
        &refs(&history, 3),
        every(1, START, START + 1_000_000),
    );
    assert!(history.sync());
    let expected = everything(&history);
    let copy = killed(&folder);
    let (history, recovery) = open(&copy);
    assert_eq!(
        (recovery.samples, recovery.series, recovery.blocks),
        (3000, 3, 0)
    );
    assert_eq!(everything(&history), expected);
}

/// The folder as a kill would leave it at this moment.
pub(super) fn killed(folder: &TempDir) -> TempDir {
    let copy = TempDir::new().unwrap();
    let to = copy.path().join("history");
    std::fs::create_dir(&to).unwrap();
    for path in files(folder, "") {
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
    copy
}

#[test]
fn another_process_reads_along() {
    let folder = TempDir::new().unwrap();
    let (history, _) = open(&folder);
    fill(
        &history,
        &refs(&history, 5),
        every(15, START, START + 5 * HOUR),
    );
    assert!(history.sync());
    let before = files(&folder, "");
    let (other, recovery) = History::open_read_only(&folder.path().join("history"));
    assert_eq!(recovery.error, None);
    assert_eq!(everything(&other), everything(&history));
    drop(other);
    assert_eq!(files(&folder, ""), before);
    let (none, recovery) = History::open_read_only(&folder.path().join("none"));
    assert!(recovery.error.unwrap().contains("none"));
    assert_eq!(everything(&none), Model::new());
}

#[test]
fn a_folder_in_use_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let (first, _) = open(&folder);
    fill(&first, &refs(&first, 1), [START]);
    assert!(first.sync());
    let (second, recovery) = open(&folder);
    assert!(
        recovery
            .error
            .unwrap()
            .contains("another Bellwether uses it")
    );
    fill(&second, &refs(&second, 1), [START + 1000]);
    assert!(!second.sync());
    assert!(second.stats().last_error.is_some());
    assert_eq!(count(&everything(&second)), 1, "it goes on in memory");
    drop(first);
    // It is tried again; nothing that waits is lost meanwhile.
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while !second.sync() {
        assert!(std::time::Instant::now() < deadline, "{:?}", second.stats());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(second.stats().last_error, None);
    assert_eq!(
        count(&everything(
            &History::open_read_only(&folder.path().join("history")).0
        )),
        2
    );
}

#[test]
fn blocks_of_others_are_picked_up_and_later_ones_count() {
    let folder = TempDir::new().unwrap();
    let (history, _) = open(&folder);
    let series = refs(&history, 1);
    fill(&history, &series, [START, START + 1000]);
    assert!(history.sync());
    let path = folder.path().join("history");
    for value in [1.0, 2.0] {
        let mut writer =
            BlockWriter::create(&path, History::block_range(UnixMillis(START - HOUR))).unwrap();
        let times = [START - HOUR, START - HOUR + 1000];
        assert!(
            writer.add(&named(0), &[START], &[0.0]).is_err(),
            "out of range"
        );
        assert!(
            writer
                .add(&named(0), &[times[1], times[0]], &[0.0; 2])
                .is_err()
        );
        assert!(writer.add(&named(0), &times, &[0.0]).is_err());
        for number in 0..600 {
            writer
                .add(
                    &named(number),
                    &times[..1 + number % 2],
                    &[value; 2][..1 + number % 2],
                )
                .unwrap();
        }
        writer.finish().unwrap();
        drop(BlockWriter::create(&path, History::block_range(UnixMillis(START))).unwrap());
    }
    assert_eq!(files(&folder, ".tmp").len(), 0);
    assert_eq!(files(&folder, ".block").len(), 2);
    history.shared.rescan(&path, true).unwrap();
    let all = everything(&history);
    assert_eq!((all.len(), count(&all)), (600, 902));
    let earlier = between(&history, i64::MIN, START - 1);
    assert!(
        earlier
            .values()
            .flat_map(BTreeMap::values)
            .all(|bits| *bits == 2f64.to_bits())
    );
    let found = history.series(
        &[],
        UnixMillis(START - HOUR),
        UnixMillis(START - 1),
        &Guard::default(),
    );
    assert_eq!(found.unwrap().len(), 600);
    let found = history.series(
        &[],
        UnixMillis(START),
        UnixMillis(START + 1),
        &Guard::default(),
    );
    assert_eq!(found.unwrap(), [named(0)]);
}
