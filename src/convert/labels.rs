//! Labels of the source: those with a name that we do not have are noted.

use bellwether_core::is_label_name;
use bellwether_schema::Pos;

use super::yaml::{Map, Yaml};

/// Returns labels with the values that `value` returns.
pub(super) fn labels<'t>(
    pairs: impl IntoIterator<Item = (&'t str, &'t str, Pos)>,
    notes: &mut Map,
    value: impl Fn(&'t str) -> Yaml,
) -> Map {
    let valid = pairs.into_iter().filter_map(|(name, text, at)| {
        if is_label_name(name) {
            return Some((name.to_owned(), value(text)));
        }
        notes.lose(
            at,
            format!("the label {name:?}: letters, digits and _ are allowed"),
        );
        None
    });
    valid.collect()
}
