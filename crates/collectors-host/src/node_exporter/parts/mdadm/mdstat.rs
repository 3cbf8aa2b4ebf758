//! `/proc/mdstat`: an array has a line with its disks, one with its size, and perhaps one with the state of a sync.

/// Array of disks.
#[derive(Debug, PartialEq)]
pub(super) struct Array<'t> {
    pub(super) name: &'t str,
    pub(super) state: &'t str,
    /// Disks of the whole array.
    pub(super) disks: f64,
    pub(super) active: f64,
    pub(super) failed: f64,
    pub(super) spare: f64,
    pub(super) blocks: f64,
    /// Blocks that are in sync: all of them, unless a sync runs.
    pub(super) synced: f64,
}

/// Parses the file.
///
/// # Errors
/// Returns a line that begins an array which cannot be parsed.
pub(super) fn arrays(text: &str) -> Result<Vec<Array<'_>>, &str> {
    let lines: Vec<&str> = text.lines().collect();
    let begins = |line: &&str| {
        let is_other = line.starts_with([' ', '\t'])
            || line.starts_with("unused")
            || line.starts_with("Personalities");
        !line.trim().is_empty() && !is_other
    };
    let starts = lines.iter().enumerate().filter(|(_, line)| begins(line));
    starts
        .map(|(at, line)| array(line, &lines[at + 1..]).ok_or(*line))
        .collect()
}

fn array<'t>(line: &'t str, below: &[&'t str]) -> Option<Array<'t>> {
    let mut fields = line.split_whitespace();
    let (name, _, state) = (fields.next()?, fields.next()?, fields.next()?);
    let status = below.first()?;
    let blocks: f64 = status.split_whitespace().next()?.parse().ok()?;
    let (disks, active) = disks(line, status)?;
    let has_bitmap = below.get(1).is_some_and(|line| line.contains("bitmap"));
    let sync = below.get(1 + usize::from(has_bitmap)).unwrap_or(&"");
    let (state, synced) = match sync_state(sync) {
        None => (state, blocks),
        Some(state) if sync.contains("PENDING") || sync.contains("DELAYED") => (state, 0.0),
        Some(state) => (state, synced(sync)?),
    };
    Some(Array {
        name,
        state,
        disks,
        active,
        failed: line.matches("(F)").count() as f64,
        spare: line.matches("(S)").count() as f64,
        blocks,
        synced,
    })
}

/// Returns the disks of an array and those that are active: `[8/7]` of its second line.
fn disks(line: &str, status: &str) -> Option<(f64, f64)> {
    if line.contains("raid0") || line.contains("linear") {
        let disks = line.matches('[').count() as f64;
        return Some((disks, disks));
    }
    if line.contains("inactive") {
        return Some((0.0, 0.0));
    }
    let brackets = status
        .split('[')
        .skip(1)
        .filter_map(|part| part.split_once(']'));
    let mut pairs = brackets.filter_map(|(pair, _)| {
        let (disks, active) = pair.split_once('/')?;
        Some((disks.parse().ok()?, active.parse().ok()?))
    });
    pairs.next()
}

fn sync_state(line: &str) -> Option<&'static str> {
    let states = [
        ("recovery", "recovering"),
        ("reshape", "reshaping"),
        ("check", "checking"),
        ("resync", "resyncing"),
    ];
    let found = states.into_iter().find(|(word, _)| line.contains(word));
    found.map(|(_, state)| state)
}

/// Returns the blocks of `(16775552/16777216)`.
fn synced(line: &str) -> Option<f64> {
    let pairs = line
        .split('(')
        .skip(1)
        .filter_map(|part| part.split_once('/'));
    let mut numbers = pairs.filter_map(|(synced, _)| synced.parse().ok());
    numbers.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Array<'_> {
        let mut arrays = arrays(text).unwrap();
        assert_eq!(arrays.len(), 1, "{arrays:?}");
        arrays.remove(0)
    }

    #[test]
    fn a_sync_has_its_state_and_its_blocks() {
        let head = "md8 : active raid1 sdb1[1] sda1[0] sdc[2](S) sde[3](S)\n      195310144 blocks [2/2] [UU]\n";
        let running = format!(
            "{head}      [=>...................]  resync =  8.5% (16775552/195310144) finish=17.0min speed=259783K/sec\n"
        );
        let array = one(&running);
        assert_eq!(
            (array.state, array.synced, array.spare),
            ("resyncing", 16_775_552.0, 2.0)
        );
        let waiting = format!("{head}      bitmap: 0/1 pages\n      resync=DELAYED\n");
        assert_eq!(
            (one(&waiting).state, one(&waiting).synced),
            ("resyncing", 0.0)
        );
        let recovery = running.replace("resync", "recovery");
        assert_eq!(one(&recovery).state, "recovering");
    }

    #[test]
    fn striped_and_inactive_arrays_count_their_disks() {
        let striped = one("md11 : active raid0 sdb2[0] sdc2[1]\n      1024 blocks\n");
        assert_eq!((striped.disks, striped.active), (2.0, 2.0));
        let inactive =
            one("md219 : inactive sdb[2](S) sda[0](S)\n        7932 blocks super external:imsm\n");
        assert_eq!(
            (inactive.disks, inactive.spare, inactive.state),
            (0.0, 2.0, "inactive")
        );
    }

    #[test]
    fn a_broken_array_is_named() {
        assert_eq!(
            arrays("Personalities : [raid1]\n\nunused devices: <none>\n"),
            Ok(vec![])
        );
        let broken = "md1 : active raid1 sda[0]\n      x blocks\n";
        assert_eq!(arrays(broken), Err("md1 : active raid1 sda[0]"));
        assert!(arrays("md1 : active\n").is_err());
    }
}
