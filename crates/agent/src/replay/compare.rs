//! Compares the outcomes of two sets of rules.

use std::collections::BTreeMap;

use bellwether_core::{Labels, UnixMillis};

use super::{Episode, Outcome};

/// One difference between two outcomes over the same time.
#[derive(Clone, Debug, PartialEq)]
pub enum Change<'a> {
    /// Fires with the second rules only.
    Added(&'a Episode),
    /// Fires with the first rules only.
    Removed(&'a Episode),
    /// Fires with both, at other times.
    Moved(&'a Episode, &'a Episode),
}

impl Change<'_> {
    fn at(&self) -> UnixMillis {
        match self {
            Self::Added(episode) | Self::Removed(episode) => episode.fired_at,
            Self::Moved(before, after) => before.fired_at.min(after.fired_at),
        }
    }
}

/// The differences from `before` to `after`, by rule name, in the order of time. Episodes of one
/// rule and one label set that overlap are the same incident. A rule without differences is left
/// out.
#[must_use]
pub fn compare<'a>(
    before: &'a Outcome,
    after: &'a Outcome,
    end: UnixMillis,
) -> BTreeMap<&'a str, Vec<Change<'a>>> {
    let (before, after) = (by_alert(before), by_alert(after));
    let mut keys: Vec<_> = before.keys().chain(after.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut changes = BTreeMap::<&str, Vec<Change<'_>>>::new();
    for key in keys {
        let none = Vec::new();
        let (old, new) = (
            before.get(key).unwrap_or(&none),
            after.get(key).unwrap_or(&none),
        );
        let differences = differences(old, new, end);
        if !differences.is_empty() {
            changes.entry(key.0).or_default().extend(differences);
        }
    }
    for list in changes.values_mut() {
        list.sort_by_key(Change::at);
    }
    changes
}

type ByAlert<'a> = BTreeMap<(&'a str, &'a Labels), Vec<&'a Episode>>;

fn by_alert(outcome: &Outcome) -> ByAlert<'_> {
    let mut all = ByAlert::new();
    for rule in &outcome.rules {
        for episode in &rule.episodes {
            all.entry((&rule.name, &episode.labels))
                .or_default()
                .push(episode);
        }
    }
    all
}

/// Both lists are in the order of time and free of overlaps within themselves.
fn differences<'a>(old: &[&'a Episode], new: &[&'a Episode], end: UnixMillis) -> Vec<Change<'a>> {
    let mut changes = Vec::new();
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    let ends =
        |episode: &Episode| UnixMillis(episode.fired_at.0).max(episode.resolved_at.unwrap_or(end));
    loop {
        match (old.peek(), new.peek()) {
            (Some(a), Some(b)) if ends(a) < b.fired_at => {
                changes.push(Change::Removed(a));
                old.next();
            }
            (Some(a), Some(b)) if ends(b) < a.fired_at => {
                changes.push(Change::Added(b));
                new.next();
            }
            (Some(a), Some(b)) => {
                if (a.fired_at, a.resolved_at) != (b.fired_at, b.resolved_at) {
                    changes.push(Change::Moved(a, b));
                }
                old.next();
                new.next();
            }
            (Some(a), None) => {
                changes.push(Change::Removed(a));
                old.next();
            }
            (None, Some(b)) => {
                changes.push(Change::Added(b));
                new.next();
            }
            (None, None) => return changes,
        }
    }
}
