//! Layouts: what people change of a dashboard in the page.

use std::collections::HashSet;

use bellwether_schema::{Diagnostics, from_json, ok_unless, section};

use crate::dashboard::{COLUMNS, Dashboard, Item, Place};
use crate::settings::MAX_WIDGETS;
use crate::{Threshold, WidgetSettings};

section! {
    /// Layout of a dashboard: places, and widgets that were added, changed or removed.
    pub struct Layout {
        /// Items with their places. One that is not here stays as configured.
        pub items: Vec<ItemSettings> = Vec::new(),
        /// Ids of configured items that are not shown.
        pub removed: Vec<String> = Vec::new(),
    }
}

section! {
    /// Item of a layout.
    pub struct ItemSettings {
        /// Id: of the configured item, or a new one.
        pub id: String,
        /// Left edge, 0 to 23.
        pub x: u32,
        /// Upper edge.
        pub y: u32,
        /// Width, 1 to 24.
        pub w: u32,
        /// Height, 1 to 100.
        pub h: u32,
        /// Title of a row.
        pub title: Option<String>,
        /// Widget that was added or changed; absent if it is as configured.
        pub widget: Option<WidgetSettings>,
    }
}

impl Layout {
    /// Parses the JSON body of a request.
    ///
    /// # Errors
    /// The JSON or a setting is invalid, as a sentence.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        let layout: Self = from_json(body)?;
        layout.check()?;
        Ok(layout)
    }

    fn check(&self) -> Result<(), String> {
        if self.items.len() > MAX_WIDGETS || self.removed.len() > 10 * MAX_WIDGETS {
            return Err(format!(
                "{} items; a dashboard has at most {MAX_WIDGETS}",
                self.items.len()
            ));
        }
        let mut problems = Diagnostics::default();
        let mut ids = HashSet::new();
        for item in &self.items {
            item.check(&mut ids)?;
            if let Some(widget) = &item.widget {
                widget.check(&mut problems);
            }
        }
        ok_unless((), problems)
    }
}

impl ItemSettings {
    fn check<'a>(&'a self, ids: &mut HashSet<&'a str>) -> Result<(), String> {
        let Self { id, x, y, w, h, .. } = self;
        if id.is_empty() || id.len() > 400 || !ids.insert(id) {
            return Err(format!(
                "item {id:?}: an id is unique and has 1 to 400 bytes"
            ));
        }
        let fits = (1..=COLUMNS).contains(w) && *x < COLUMNS && x + w <= COLUMNS;
        if !fits || !(1..=100).contains(h) || *y > 100_000 {
            return Err(format!(
                "item {id:?}: x {x}, y {y}, w {w}, h {h} is not on a grid of {COLUMNS} columns"
            ));
        }
        Ok(())
    }

    fn place(&self) -> Place {
        let Self { x, y, w, h, .. } = *self;
        Place { x, y, w, h }
    }
}

impl Dashboard {
    /// Returns the dashboard with `layout`. Items that were configured since are below all others.
    #[must_use]
    pub fn with(&self, layout: &Layout, of_rules: &dyn Fn(&str) -> Vec<Threshold>) -> Self {
        let placed = layout
            .items
            .iter()
            .filter_map(|item| self.placed(item, of_rules));
        let mut items: Vec<Item> = placed.collect();
        let end = items
            .iter()
            .map(|item| item.place.y + item.place.h)
            .max()
            .unwrap_or_default();
        let listed: HashSet<&str> = layout
            .items
            .iter()
            .map(|item| &*item.id)
            .chain(layout.removed.iter().map(String::as_str))
            .collect();
        let rest = self.items.iter().filter(|item| !listed.contains(&*item.id));
        items.extend(rest.map(|item| {
            let mut item = item.clone();
            item.place.y += end;
            item
        }));
        Self {
            items,
            removed: layout.removed.clone(),
            ..self.clone()
        }
    }

    /// Returns an item of a layout; none if it is of a configuration before.
    fn placed(
        &self,
        item: &ItemSettings,
        of_rules: &dyn Fn(&str) -> Vec<Threshold>,
    ) -> Option<Item> {
        let configured = self.items.iter().find(|own| own.id == item.id);
        let (id, place) = (item.id.clone(), item.place());
        match (&item.widget, configured, &item.title) {
            (Some(widget), ..) => {
                let widget = widget.resolve(of_rules);
                let title = widget.settings.title.value.clone();
                Some(Item {
                    id,
                    place,
                    title,
                    widget: Some(widget),
                    custom: true,
                })
            }
            (None, Some(own), title) if own.widget.is_some() || title.is_none() => Some(Item {
                place,
                ..own.clone()
            }),
            (None, _, Some(title)) => Some(Item {
                id,
                place,
                title: title.clone(),
                widget: None,
                custom: true,
            }),
            (None, _, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{WidgetType, arrange};

    fn none(_: &str) -> Vec<Threshold> {
        Vec::new()
    }

    fn dashboard() -> Dashboard {
        let widget = |title| WidgetSettings::new(WidgetType::Line, title).resolve(&none);
        let items = arrange(vec![(
            Some("Host".into()),
            vec![widget("CPU"), widget("Memory")],
        )]);
        Dashboard {
            name: "own".into(),
            title: "Own".into(),
            items,
            removed: Vec::new(),
        }
    }

    #[test]
    fn places_added_changed_and_removed_widgets_are_applied_and_new_ones_stand_below() {
        let layout = Layout::parse(
            br#"{"items": [
                {"id": "cpu", "x": 12, "y": 0, "w": 12, "h": 5},
                {"id": "new-1", "x": 0, "y": 0, "w": 12, "h": 5, "widget": {"title": "Load", "type": "stat", "query": "load"}},
                {"id": "gone", "x": 0, "y": 5, "w": 1, "h": 1}
            ], "removed": ["row-host"]}"#,
        )
        .unwrap();
        let changed = dashboard().with(&layout, &none);
        let found: Vec<_> = changed
            .items
            .iter()
            .map(|item| (&*item.id, item.place.x, item.place.y))
            .collect();
        assert_eq!(found, [("cpu", 12, 0), ("new-1", 0, 0), ("memory", 8, 6)]);
        assert_eq!(changed.items[1].title, "Load");
    }

    #[test]
    fn an_empty_layout_changes_nothing() {
        assert_eq!(dashboard().with(&Layout::default(), &none), dashboard());
    }

    #[test]
    fn invalid_layouts_are_errors() {
        let item = |text: &str| format!(r#"{{"items": [{{{text}}}]}}"#);
        let place = r#""x": 0, "y": 0, "w": 8, "h": 8"#;
        for (body, expected) in [
            ("".to_owned(), "EOF"),
            ("[]".to_owned(), "expected a mapping"),
            (r#"{"item": []}"#.to_owned(), "unknown key"),
            (
                item(r#""id": "a", "x": 20, "y": 0, "w": 8, "h": 8"#),
                "not on a grid",
            ),
            (
                item(r#""id": "a", "x": 4294967295, "y": 0, "w": 8, "h": 8"#),
                "not on a grid",
            ),
            (
                item(r#""id": "a", "x": -1, "y": 0, "w": 8, "h": 8"#),
                "expected",
            ),
            (item(&format!(r#""id": "", {place}"#)), "an id is unique"),
            (
                item(&format!(
                    r#""id": "a", {place}, "widget": {{"title": "x"}}"#
                )),
                "needs a query",
            ),
            (
                item(&format!(
                    r#""id": "a", {place}, "widget": {{"title": "x", "query": "sum("}}"#
                )),
                "items[0].widget.query",
            ),
        ] {
            let error = Layout::parse(body.as_bytes()).unwrap_err();
            assert!(error.contains(expected), "{body}: {error}");
        }
    }
}
