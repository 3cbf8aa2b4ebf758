//! Damage to files: flipped bits, truncated and deleted blocks.

use super::*;

/// A folder with three blocks and a log, and what is in it.
fn filled() -> (TempDir, Model) {
    let folder = TempDir::new().unwrap();
    let (history, _) = open(&folder);
    let series = refs(&history, 300);
    fill(&history, &series, every(240, START, START + 7 * HOUR));
    assert!(history.sync());
    let all = everything(&history);
    assert_eq!(count(&all), 300 * 105);
    drop(history);
    assert_eq!(files(&folder, ".block").len(), 3);
    (folder, all)
}

/// Returns whether every sample of `found` is in `expected`.
fn is_part(found: &Model, expected: &Model) -> bool {
    found.iter().all(|(name, samples)| {
        samples
            .iter()
            .all(|(at, bits)| expected.get(name).and_then(|all| all.get(at)) == Some(bits))
    })
}

#[test]
fn a_flipped_bit_costs_its_piece_alone_and_is_counted() {
    let (folder, expected) = filled();
    let mut random = fastrand::Rng::with_seed(1);
    for round in 0..40 {
        let copy = disk::killed(&folder);
        let paths = files(&copy, if round % 2 == 0 { ".block" } else { ".wal" });
        let path = random.choice(&paths).unwrap();
        let mut bytes = std::fs::read(path).unwrap();
        let place = random.usize(8..bytes.len());
        bytes[place] ^= 1 << random.u8(..8);
        std::fs::write(path, bytes).unwrap();
        let (history, recovery) = open_at(&copy, START + 7 * HOUR);
        assert_eq!(recovery.error, None);
        let found = everything(&history);
        let twice = everything(&history);
        assert_eq!(found, twice);
        assert!(is_part(&found, &expected), "{path:?} at {place}");
        let lost = count(&expected) - count(&found);
        // A group of a block at the most: 256 series for two hours.
        assert!(lost <= 256 * 30, "{path:?} at {place}: lost {lost}");
        let losses = history.stats().losses;
        assert!(
            !losses.is_empty(),
            "{path:?} at {place}: lost {lost} uncounted"
        );
        assert!(
            losses.chunks + losses.wal_frames <= 300,
            "counted once: {losses:?}"
        );
    }
}

#[test]
fn a_block_cut_anywhere_keeps_its_whole_groups() {
    let (folder, expected) = filled();
    let length = std::fs::read(&files(&folder, ".block")[1]).unwrap().len();
    for cut in (0..length).step_by(length / 25) {
        let copy = disk::killed(&folder);
        let path = &files(&copy, ".block")[1];
        std::fs::OpenOptions::new()
            .write(true)
            .open(path)
            .unwrap()
            .set_len(cut as u64)
            .unwrap();
        let (history, recovery) = open_at(&copy, START + 7 * HOUR);
        let found = everything(&history);
        assert!(is_part(&found, &expected));
        let lost = count(&expected) - count(&found);
        assert!(lost <= 300 * 30, "cut at {cut}: {lost}");
        assert!(!history.stats().losses.is_empty());
        if recovery.losses.blocks > 0 {
            assert_eq!(files(&copy, ".damaged").len(), 1);
            assert_eq!(lost, 300 * 30);
        }
        if cut > length * 9 / 10 {
            assert!(lost < 44 * 30, "the first group is whole: {lost}");
        }
    }
}

#[test]
fn deleted_blocks_are_missed_and_the_rest_is_read() {
    let (folder, expected) = filled();
    let (history, _) = open_at(&folder, START + 7 * HOUR);
    let blocks = files(&folder, ".block");
    std::fs::remove_file(&blocks[0]).unwrap();
    let found = everything(&history);
    assert!(is_part(&found, &expected));
    assert_eq!(count(&expected) - count(&found), 300 * 30);
    history
        .shared
        .rescan(&folder.path().join("history"), true)
        .unwrap();
    assert_eq!(history.stats().losses.missing_blocks, 1);
    assert_eq!(everything(&history), found);
}

#[test]
fn what_was_deleted_or_flipped_while_no_process_ran_is_reported_at_the_start() {
    let (folder, _) = filled();
    let blocks = files(&folder, ".block");
    std::fs::remove_file(&blocks[0]).unwrap();
    let mut bytes = std::fs::read(&blocks[1]).unwrap();
    let place = bytes.len() / 2;
    bytes[place] ^= 1;
    std::fs::write(&blocks[1], bytes).unwrap();
    let (history, recovery) = open_at(&folder, START + 7 * HOUR);
    assert_eq!(recovery.losses.missing_blocks, 1);
    history.verify();
    let losses = history.stats().losses;
    assert_eq!(losses.missing_blocks, 1);
    assert!(losses.chunks > 0, "{losses:?}");
    history.verify();
    assert_eq!(history.stats().losses, losses, "counted once");
    drop(history);
    let (_, recovery) = open_at(&folder, START + 7 * HOUR);
    assert_eq!(recovery.losses.missing_blocks, 0, "reported once");
}

#[test]
fn what_is_no_regular_file_does_not_hold_up_the_start() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let (folder, expected) = filled();
    let path = folder.path().join("history");
    for name in ["0000000098-00000000.block", "0000000097.wal"] {
        mknodat(
            CWD,
            path.join(name),
            FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
    }
    std::os::unix::fs::symlink("/dev/zero", path.join("0000000096.wal")).unwrap();
    let sparse = std::fs::File::create(path.join("0000000095.wal")).unwrap();
    sparse.set_len(3 << 30).unwrap();
    let (history, recovery) = open_at(&folder, START + 7 * HOUR);
    assert_eq!(
        (recovery.losses.blocks, recovery.losses.wal_segments),
        (1, 3)
    );
    assert_eq!(everything(&history), expected);
    fill(&history, &refs(&history, 1), [START + 8 * HOUR]);
    assert!(history.sync());
}

#[test]
fn foreign_files_are_no_blocks() {
    let (folder, expected) = filled();
    let path = folder.path().join("history");
    std::fs::write(path.join("0000000099-00000000.block"), b"no block at all").unwrap();
    std::fs::write(path.join("0000000098-00000000.block"), b"").unwrap();
    std::fs::write(path.join("0000000097.wal"), [0; 1000]).unwrap();
    std::fs::write(path.join("notes.txt"), b"mine").unwrap();
    let (history, recovery) = open_at(&folder, START + 7 * HOUR);
    assert_eq!(recovery.losses.blocks, 2);
    assert_eq!(recovery.losses.torn_bytes, 992);
    assert_eq!(files(&folder, ".damaged").len(), 2);
    assert_eq!(everything(&history), expected);
    assert_eq!(std::fs::read(path.join("notes.txt")).unwrap(), b"mine");
    fill(&history, &refs(&history, 1), [START + 8 * HOUR]);
    assert!(history.sync());
    assert_eq!(count(&everything(&history)), count(&expected) + 1);
}

/// A folder with a log of two segments that nothing of is in a block yet, and what is in it.
fn logged() -> (TempDir, Model) {
    let folder = TempDir::new().unwrap();
    let (history, _) = open(&folder);
    let series = refs(&history, 3);
    // Five minutes behind the end of its two hours a block is written: not yet.
    fill(
        &history,
        &series,
        every(60, START + HOUR, START + 2 * HOUR + 120_000),
    );
    assert!(history.sync());
    let all = everything(&history);
    history.close();
    assert_eq!(
        (files(&folder, ".wal").len(), files(&folder, ".block").len()),
        (2, 0)
    );
    (folder, all)
}

type Harm = (&'static str, fn(&std::path::Path));

const HARMS: [Harm; 5] = [
    ("emptied", |path| std::fs::write(path, b"").unwrap()),
    ("cut to a byte", |path| std::fs::write(path, b"B").unwrap()),
    ("cut between two frames", |path| {
        let bytes = std::fs::read(path).unwrap();
        let scan = frame::scan(&bytes, 8);
        std::fs::write(path, &bytes[..scan.contents[scan.contents.len() - 2].end]).unwrap();
    }),
    ("a dangling link", |path| {
        std::fs::remove_file(path).unwrap();
        std::os::unix::fs::symlink("nowhere", path).unwrap();
    }),
    ("deleted", |path| std::fs::remove_file(path).unwrap()),
];

/// Whatever becomes of a segment while no process runs is reported once, costs nothing else, and history
/// goes on.
#[test]
fn a_segment_that_was_cut_or_taken_away_is_missed() {
    let (whole, expected) = logged();
    for segment in 0..2 {
        for (harm, work) in HARMS {
            let folder = disk::killed(&whole);
            work(&files(&folder, ".wal")[segment]);
            let (history, recovery) = open_at(&folder, START + 2 * HOUR + 180_000);
            let what = format!("segment {segment} {harm}");
            assert_eq!(recovery.error, None, "{what}");
            assert_eq!(
                recovery.losses.wal_segments, 1,
                "{what}: {:?}",
                recovery.losses
            );
            assert_eq!(
                recovery.losses.missing_blocks + recovery.losses.blocks,
                0,
                "{what}"
            );
            assert_eq!(history.stats().losses.pieces(), 1, "{what}");
            let found = everything(&history);
            assert!(is_part(&found, &expected), "{what}");
            let others = |model: &Model| -> usize {
                let samples = model.values().flat_map(BTreeMap::keys);
                samples
                    .filter(|at| (**at < START + 2 * HOUR) != (segment == 0))
                    .count()
            };
            assert_eq!(others(&found), others(&expected), "{what}");
            fill(&history, &refs(&history, 3), [START + 2 * HOUR + 180_000]);
            assert!(history.sync(), "{what}: {:?}", history.stats());
            let now = everything(&history);
            history.close();
            let (history, recovery) = open_at(&folder, START + 2 * HOUR + 240_000);
            assert_eq!(everything(&history), now, "{what}");
            let again = u64::from(harm == "a dangling link");
            assert_eq!(
                recovery.losses.wal_segments, again,
                "{what}: reported once, unless it is there"
            );
        }
    }
}

/// A reader that was in the segment that is gone goes on behind it, and takes nothing twice.
#[test]
fn a_log_whose_end_was_taken_away_goes_on_behind_it() {
    let (folder, _) = logged();
    let (history, _) = open_at(&folder, START + 2 * HOUR + 180_000);
    let end = history.wal_end();
    history.close();
    drop(history);
    let last = files(&folder, ".wal").pop().unwrap();
    std::fs::remove_file(&last).unwrap();
    let (history, _) = open_at(&folder, START + 2 * HOUR + 180_000);
    assert_eq!(history.wal_end().segment, end.segment);
    fill(&history, &refs(&history, 3), [START + 2 * HOUR + 180_000]);
    assert!(history.sync());
    assert!(history.wal_end().segment > end.segment && !last.exists());
    let batch = history.wal_tail(end).next(1).unwrap();
    assert_eq!(batch.series[0].times, [START + 2 * HOUR + 180_000]);
}

/// A crash may leave a new segment of which nothing was acknowledged, which is no
/// damage; nor is one that history deleted right before.
#[test]
fn what_a_crash_leaves_is_no_damage() {
    let (folder, expected) = logged();
    std::fs::write(folder.path().join("history/0000000003.wal"), b"").unwrap();
    let (history, recovery) = open_at(&folder, START + 2 * HOUR + 180_000);
    assert!(recovery.losses.is_empty(), "{recovery:?}");
    assert_eq!(everything(&history), expected);
    // Its block is written and its segments go.
    fill(&history, &refs(&history, 3), [START + 5 * HOUR]);
    assert!(history.sync());
    assert_eq!(files(&folder, ".wal").len(), 1);
    let (_, recovery) = open_at(&disk::killed(&folder), START + 5 * HOUR);
    assert!(recovery.losses.is_empty(), "{recovery:?}");
}

#[test]
fn a_damaged_list_costs_only_what_it_reports() {
    for name in ["log.list", "blocks.list"] {
        for (harm, work) in HARMS {
            let (folder, expected) = filled();
            work_on_text(&folder.path().join("history").join(name), harm, work);
            let (history, recovery) = open_at(&folder, START + 7 * HOUR);
            assert!(recovery.losses.is_empty(), "{name} {harm}: {recovery:?}");
            assert_eq!(everything(&history), expected, "{name} {harm}");
            fill(&history, &refs(&history, 1), [START + 7 * HOUR]);
            assert!(history.sync(), "{name} {harm}");
            assert_eq!(
                history.stats().last_error,
                None,
                "{name} {harm}: it is written anew"
            );
        }
    }
}

fn work_on_text(path: &std::path::Path, harm: &str, work: fn(&std::path::Path)) {
    match harm {
        "cut between two frames" => {
            let text = std::fs::read_to_string(path).unwrap();
            let cut = text.trim_end().rfind('\n').unwrap() + 1;
            std::fs::write(path, &text[..cut]).unwrap();
        }
        _ => work(path),
    }
}

#[test]
fn a_block_that_is_emptied_or_a_dangling_link_is_reported_once() {
    for (harm, work) in HARMS
        .into_iter()
        .filter(|(harm, _)| !harm.contains("frames"))
    {
        let (folder, expected) = filled();
        work(&files(&folder, ".block")[1]);
        let (history, recovery) = open_at(&folder, START + 7 * HOUR);
        let losses = recovery.losses;
        assert_eq!(
            losses.blocks + losses.missing_blocks,
            1,
            "{harm}: {losses:?}"
        );
        let found = everything(&history);
        assert!(is_part(&found, &expected), "{harm}");
        assert_eq!(count(&expected) - count(&found), 300 * 30, "{harm}");
    }
}
