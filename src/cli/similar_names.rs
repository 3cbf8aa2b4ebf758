//! Hints for a query without results: names of series that are similar to those in the query.

use bellwether_core::{METRIC_NAME, UnixMillis};
use bellwether_matcher::LabelMatcher;
use bellwether_schema::similar_names as near;
use bellwether_tsdb::history::History;
use bellwether_tsdb::transfer::list;

/// Maximum number of names in a hint.
const MOST: usize = 5;

/// Hints for a query without results; `names` are those of all series.
pub(super) fn hint<'a>(
    selectors: impl IntoIterator<Item = &'a [LabelMatcher]>,
    names: &[String],
) -> Option<String> {
    if names.is_empty() {
        return Some("there are no series at all".into());
    }
    let mut wanted: Vec<&str> = selectors
        .into_iter()
        .flatten()
        .filter(|matcher| &*matcher.name == METRIC_NAME)
        .filter_map(|matcher| matcher.test.exact())
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    let missing: Vec<&str> = wanted
        .iter()
        .copied()
        .filter(|name| !names.iter().any(|one| one == name))
        .collect();
    if missing.is_empty() {
        let known = !wanted.is_empty();
        return known.then(|| {
            "series of that name exist, but not with these labels or at that time".into()
        });
    }
    let lines = missing.into_iter().map(|name| {
        let near = near(name, names.iter().map(String::as_str), MOST);
        match near.as_slice() {
            [] => format!("no series is named {name}"),
            near => format!(
                "no series is named {name}; names near it: {}",
                near.join(", ")
            ),
        }
    });
    Some(lines.collect::<Vec<_>>().join("\n"))
}

/// Returns the names of all series in `history`; none if it cannot be read.
pub(super) fn names(history: &History) -> Option<Vec<String>> {
    let series = list(
        history,
        &[Vec::new()],
        UnixMillis(i64::MIN),
        UnixMillis(i64::MAX),
    )
    .ok()?;
    let mut names: Vec<String> = series
        .iter()
        .map(|labels| labels.name().to_owned())
        .collect();
    names.dedup();
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint_for(name: &str, names: &[String]) -> Option<String> {
        hint([[LabelMatcher::equal(METRIC_NAME, name)].as_slice()], names)
    }

    #[test]
    fn a_name_without_its_prefix_is_found() {
        let names = [
            "multi_agent_system_cpu_percent",
            "multi_agent_system_memory_percent",
            "up",
        ];
        let names = names.map(str::to_owned);
        assert_eq!(
            hint_for("cpu_percent", &names).as_deref(),
            Some("no series is named cpu_percent; names near it: multi_agent_system_cpu_percent")
        );
        assert_eq!(
            hint_for("zzz", &names).as_deref(),
            Some("no series is named zzz")
        );
        assert!(
            hint_for("up", &names)
                .unwrap()
                .contains("not with these labels")
        );
        assert_eq!(
            super::hint([], &[]).as_deref(),
            Some("there are no series at all")
        );
    }
}
