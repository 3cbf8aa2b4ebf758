//! Layouts that people saved, with their history.

use std::collections::BTreeMap;

use bellwether_core::UnixMillis;
use bellwether_files::durable::JsonState;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::warn;

use crate::Layout;

/// Number of versions that are kept of a dashboard's layout.
const KEPT: usize = 20;
/// Number of bytes that the versions of one dashboard may have, beside the newest one.
const KEPT_BYTES: usize = 1_000_000;

/// Version of a layout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedLayout {
    /// Time of the change.
    pub at: UnixMillis,
    /// User who made it, if it is known.
    pub by: Option<String>,
    /// The layout; none after a reset.
    pub layout: Option<Value>,
}

/// All versions by dashboard, newest last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedLayouts {
    dashboards: BTreeMap<String, Vec<SavedLayout>>,
}

impl JsonState for SavedLayouts {
    const VERSION: u32 = 1;
}

/// Layouts of all dashboards.
#[derive(Debug, Default)]
pub struct Layouts {
    saved: Mutex<SavedLayouts>,
}

impl Layouts {
    /// Replaces all layouts by those of a file.
    pub fn restore(&self, saved: SavedLayouts) {
        *self.saved.lock() = saved;
    }

    /// Returns all layouts, for the file.
    #[must_use]
    pub fn saved(&self) -> SavedLayouts {
        self.saved.lock().clone()
    }

    /// Returns the layout of a dashboard, unless it is as configured. One that this version cannot read is left out.
    #[must_use]
    pub fn current(&self, dashboard: &str) -> Option<Layout> {
        let newest = self
            .saved
            .lock()
            .dashboards
            .get(dashboard)?
            .last()?
            .layout
            .clone()?;
        let layout = Layout::parse(newest.to_string().as_bytes());
        layout
            .inspect_err(|error| warn!(dashboard, %error, "a saved layout is left out"))
            .ok()
    }

    /// Returns the versions of a dashboard's layout, newest first.
    #[must_use]
    pub fn history(&self, dashboard: &str) -> Vec<SavedLayout> {
        let saved = self.saved.lock();
        saved
            .dashboards
            .get(dashboard)
            .map(|versions| versions.iter().rev().cloned().collect())
            .unwrap_or_default()
    }

    /// Adds a version. The oldest ones are dropped.
    pub fn add(&self, dashboard: &str, version: SavedLayout) {
        let mut saved = self.saved.lock();
        let versions = saved.dashboards.entry(dashboard.to_owned()).or_default();
        versions.push(version);
        let mut bytes = 0;
        let kept = versions
            .iter()
            .rev()
            .skip(1)
            .take(KEPT - 1)
            .take_while(|version| {
                bytes += version
                    .layout
                    .as_ref()
                    .map_or(0, |layout| layout.to_string().len());
                bytes <= KEPT_BYTES
            });
        let kept = kept.count() + 1;
        versions.drain(..versions.len() - kept);
    }
}

#[cfg(test)]
mod tests {
    use bellwether_files::durable::JsonFile;
    use serde_json::json;

    use super::*;

    fn version(at: i64, layout: Option<Value>) -> SavedLayout {
        SavedLayout {
            at: UnixMillis(at),
            by: Some("ada".into()),
            layout,
        }
    }

    fn layout(text: &str) -> Option<Value> {
        Some(json!({"items": [{"id": text, "x": 0, "y": 0, "w": 1, "h": 1}]}))
    }

    #[test]
    fn the_newest_version_counts_and_a_reset_is_one() {
        let layouts = Layouts::default();
        assert_eq!(layouts.current("own"), None);
        layouts.add("own", version(1, layout("a")));
        layouts.add("own", version(2, layout("b")));
        assert_eq!(layouts.current("own").unwrap().items[0].id, "b");
        assert_eq!(layouts.current("other"), None);
        layouts.add("own", version(3, None));
        assert_eq!(layouts.current("own"), None);
        let times: Vec<_> = layouts
            .history("own")
            .iter()
            .map(|version| version.at.0)
            .collect();
        assert_eq!(times, [3, 2, 1]);
    }

    #[test]
    fn old_versions_are_dropped_by_number_and_size() {
        let layouts = Layouts::default();
        for at in 0..100 {
            layouts.add("own", version(at, layout("a")));
        }
        assert_eq!(layouts.history("own").len(), KEPT);
        for at in 100..104 {
            layouts.add("own", version(at, layout(&"x".repeat(400_000))));
        }
        let times: Vec<_> = layouts
            .history("own")
            .iter()
            .map(|version| version.at.0)
            .collect();
        assert_eq!(times, [103, 102, 101]);
    }

    #[test]
    fn saved_layouts_are_restored_and_unknown_ones_are_left_out() {
        let layouts = Layouts::default();
        layouts.add("own", version(1, layout("a")));
        layouts.add(
            "new",
            version(1, Some(json!({"shape": "of a newer version"}))),
        );
        let text = JsonFile::render(&layouts.saved()).unwrap();
        let again = Layouts::default();
        again.restore(JsonFile::parse(&text).unwrap());
        assert_eq!(again.saved(), layouts.saved());
        assert_eq!(again.current("new"), None);
        assert!(again.current("own").is_some());
    }
}
