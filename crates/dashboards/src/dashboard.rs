//! A dashboard as placed items on a grid.

use std::collections::HashSet;

use bellwether_schema::Spanned;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{DashboardSettings, RowSettings, Widget};

/// Columns of the grid, as in Grafana.
pub const COLUMNS: u32 = 24;

/// Place of an item in units of the grid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Left edge, 0 to 23.
    pub x: u32,
    /// Upper edge, from 0.
    pub y: u32,
    /// Width, 1 to 24.
    pub w: u32,
    /// Height.
    pub h: u32,
}

/// Widget, or the title of a row, at its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Identity in layouts: made of the title, unique in the dashboard.
    pub id: String,
    /// Place on the grid.
    pub place: Place,
    /// Title.
    pub title: String,
    /// Widget; none for the title of a row.
    pub widget: Option<Widget>,
    /// True if the layout added or changed it.
    pub custom: bool,
}

/// Dashboard with places.
#[derive(Clone, Debug, PartialEq)]
pub struct Dashboard {
    /// Name, in the address of the page.
    pub name: String,
    /// Title.
    pub title: String,
    /// Items in the order of the settings.
    pub items: Vec<Item>,
    /// Ids of configured items that the layout removed.
    pub removed: Vec<String>,
}

/// Places rows below each other: a title if there is one, and widgets side by side.
#[must_use]
pub fn arrange(rows: Vec<(Option<String>, Vec<Widget>)>) -> Vec<Item> {
    let mut items = Vec::new();
    let mut ids = HashSet::new();
    let mut y = 0;
    for (title, widgets) in rows {
        if let Some(title) = title {
            let place = Place {
                x: 0,
                y,
                w: COLUMNS,
                h: 1,
            };
            let id = unique_id(&format!("row {title}"), &mut ids);
            items.push(Item {
                id,
                place,
                title,
                widget: None,
                custom: false,
            });
            y += 1;
        }
        let mut line = Place {
            y,
            ..Place::default()
        };
        let mut end = y;
        for widget in widgets {
            let place = place(&widget, &mut line, y);
            end = end.max(place.y + place.h);
            let title = widget.settings.title.value.clone();
            let id = unique_id(&title, &mut ids);
            items.push(Item {
                id,
                place,
                title,
                widget: Some(widget),
                custom: false,
            });
        }
        y = end;
    }
    items
}

/// Returns the place of a widget: as set, or behind those of its line, whose end moves on. `top` is the upper edge
/// of the row.
fn place(widget: &Widget, line: &mut Place, top: u32) -> Place {
    let (w, h) = widget.settings.size();
    let set = widget.settings.x.as_ref().map(|x| x.value);
    if set.is_none() && line.x + w > COLUMNS {
        *line = Place {
            y: line.y + line.h,
            ..Place::default()
        };
    }
    let own_y = widget
        .settings
        .y
        .as_ref()
        .map(|y| top.saturating_add(y.value));
    let place = Place {
        x: set.unwrap_or(line.x),
        y: own_y.unwrap_or(line.y),
        w,
        h,
    };
    if own_y.is_none() {
        line.x = place.x + w;
        line.h = line.h.max(h);
    }
    place
}

/// Returns an id for `title` that is not in `ids`, and adds it.
pub(crate) fn unique_id(title: &str, ids: &mut HashSet<String>) -> String {
    let words = title.split(|letter: char| !letter.is_alphanumeric());
    let words: Vec<String> = words
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let base: String = words.join("-").chars().take(80).collect();
    let candidates = (1..).map(|n| {
        if n == 1 {
            base.clone()
        } else {
            format!("{base}-{n}")
        }
    });
    let id = candidates
        .into_iter()
        .find(|id| !id.is_empty() && !ids.contains(id))
        .unwrap_or_default();
    ids.insert(id.clone());
    id
}

impl Dashboard {
    /// Returns the dashboard for the page.
    #[must_use]
    pub fn view(&self) -> Value {
        let items = self.items.iter().map(|item| {
            let mut view = json!({"id": item.id, "title": item.title, "place": item.place, "custom": item.custom});
            if let Some(widget) = &item.widget {
                view["widget"] = widget.view();
            }
            view
        });
        json!({"name": self.name, "title": self.title, "columns": COLUMNS, "removed": self.removed, "items": items.collect::<Vec<_>>()})
    }

    /// Returns settings that yield this dashboard, places included.
    #[must_use]
    pub fn settings(&self) -> DashboardSettings {
        let mut rows: Vec<RowSettings> = Vec::new();
        let mut top = 0;
        for item in self.ordered() {
            let Some(widget) = &item.widget else {
                top = item.place.y + item.place.h;
                rows.push(RowSettings {
                    title: Some(item.title.clone()),
                    widgets: Vec::new(),
                });
                continue;
            };
            if rows.is_empty() {
                rows.push(RowSettings {
                    title: None,
                    widgets: Vec::new(),
                });
            }
            let mut settings = widget.settings.clone();
            let Place { x, y, w, h } = item.place;
            let number = |number: u32| Some(Spanned::nowhere(number));
            (settings.width, settings.height) = (number(w), number(h));
            (settings.x, settings.y) = (number(x), number(y.saturating_sub(top)));
            if let Some(row) = rows.last_mut() {
                row.widgets.push(settings);
            }
        }
        DashboardSettings {
            name: Spanned::nowhere(self.name.clone()),
            r#override: Default::default(),
            title: Some(self.title.clone()),
            rows,
        }
    }

    /// Returns the items from top to bottom, then from left to right.
    pub(crate) fn ordered(&self) -> Vec<&Item> {
        let mut items: Vec<&Item> = self.items.iter().collect();
        items.sort_by_key(|item| (item.place.y, item.place.x));
        items
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{WidgetSettings, WidgetType};

    fn widget(title: &str, kind: WidgetType) -> Widget {
        WidgetSettings::new(kind, title).resolve(&|_| Vec::new())
    }

    fn sample() -> Dashboard {
        let stats = (0..7).map(|_| widget("Load", WidgetType::Stat)).collect();
        let lines = vec![
            widget("CPU: all", WidgetType::Line),
            widget("Memory", WidgetType::Line),
        ];
        let items = arrange(vec![(None, stats), (Some("Host".into()), lines)]);
        Dashboard {
            name: "own".into(),
            title: "Own".into(),
            items,
            removed: Vec::new(),
        }
    }

    #[test]
    fn widgets_stand_side_by_side_and_then_below() {
        let places: Vec<_> = sample()
            .items
            .iter()
            .map(|item| (item.place.x, item.place.y, item.place.w))
            .collect();
        assert_eq!(
            places,
            [
                (0, 0, 4),
                (4, 0, 4),
                (8, 0, 4),
                (12, 0, 4),
                (16, 0, 4),
                (20, 0, 4),
                (0, 4, 4),
                (0, 8, 24),
                (0, 9, 8),
                (8, 9, 8)
            ]
        );
    }

    #[test]
    fn ids_are_words_of_the_title_and_unique() {
        let dashboard = sample();
        let ids: Vec<&str> = dashboard.items.iter().map(|item| &*item.id).collect();
        assert_eq!(ids[..2], ["load", "load-2"]);
        assert_eq!(ids[7..], ["row-host", "cpu-all", "memory"]);
        let mut taken = HashSet::new();
        assert_eq!(
            unique_id("!!", &mut taken),
            "-2",
            "a title without letters has an id too"
        );
    }

    #[test]
    fn settings_of_a_dashboard_yield_it_again() {
        let mut dashboard = sample();
        dashboard.items[9].place = Place {
            x: 12,
            y: 11,
            w: 7,
            h: 3,
        };
        let again = dashboard.settings().resolve(&|_| Vec::new());
        let places = |dashboard: &Dashboard| {
            dashboard
                .items
                .iter()
                .map(|item| (item.id.clone(), item.place))
                .collect::<Vec<_>>()
        };
        assert_eq!(places(&again), places(&dashboard));
    }
}
