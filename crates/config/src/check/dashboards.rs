//! Checks of dashboards.

use std::collections::BTreeMap;

use super::Checker;

impl Checker<'_> {
    /// Checks each dashboard, and that their names are unique.
    pub(super) fn dashboards(&mut self) {
        let mut first = BTreeMap::new();
        for dashboard in &self.root.dashboards {
            dashboard.check(self.problems);
            let (name, at) = (&*dashboard.name.value, &dashboard.name.at);
            if let Some(before) = first.insert(name, at) {
                let place = before.words();
                self.problems
                    .error(
                        at,
                        format!("dashboard {name:?} is declared twice, first on {place}"),
                    )
                    .hint("give each a name of its own");
            }
        }
    }
}
