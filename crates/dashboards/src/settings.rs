//! Settings of dashboards.

use bellwether_schema::{Diagnostics, Override, Spanned, is_file_name, section};

use crate::{Dashboard, Threshold, WidgetSettings, arrange};

/// Largest number of widgets of a dashboard.
pub(crate) const MAX_WIDGETS: usize = 300;

section! {
    /// Dashboard of the web page.
    pub struct DashboardSettings {
        /// Unique name, in the address of the page. `bellwether` replaces the shipped dashboard.
        pub name: Spanned<String>,
        /// If true, this entry replaces the one of its name of an earlier file, as `include` describes.
        pub r#override: Override,
        /// Title. Default: the name.
        pub title: Option<String>,
        /// Rows, from top to bottom.
        pub rows: Vec<RowSettings> = Vec::new(),
    }
}

section! {
    /// Row of a dashboard: a title and widgets below it.
    pub struct RowSettings {
        /// Title. Without one the widgets continue the row before.
        pub title: Option<String>,
        /// Widgets, side by side, then below each other.
        pub widgets: Vec<WidgetSettings> = Vec::new(),
    }
}

impl DashboardSettings {
    /// Reports settings that cannot work.
    pub fn check(&self, problems: &mut Diagnostics) {
        if !is_file_name(&self.name) {
            problems
                .error(
                    &self.name.at,
                    format!("not a name of a dashboard: {:?}", self.name.value),
                )
                .hint("1 to 64 letters, digits, -, _ and ., not starting with a dot");
        }
        let widgets = self.rows.iter().flat_map(|row| &row.widgets);
        let count = widgets.clone().count();
        if count > MAX_WIDGETS {
            problems.error(
                &self.name.at,
                format!("{count} widgets; a dashboard has at most {MAX_WIDGETS}"),
            );
        }
        widgets.for_each(|widget| widget.check(problems));
    }

    /// Returns the dashboard; `of_rules` has the thresholds of rules on a query.
    #[must_use]
    pub fn resolve(&self, of_rules: &dyn Fn(&str) -> Vec<Threshold>) -> Dashboard {
        let rows = self.rows.iter().map(|row| {
            let widgets = row.widgets.iter().map(|widget| widget.resolve(of_rules));
            (row.title.clone(), widgets.collect())
        });
        Dashboard {
            name: self.name.value.clone(),
            title: self
                .title
                .clone()
                .unwrap_or_else(|| self.name.value.clone()),
            items: arrange(rows.collect()),
            removed: Vec::new(),
        }
    }
}
