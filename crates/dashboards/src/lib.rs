//! Dashboards as data.
//!
//! A [`Dashboard`] is made of the settings, or by the application from its metrics. [`Layouts`] has what people
//! changed in the page, and [`Dashboard::with`] applies it. [`grafana`] converts a dashboard to Grafana's JSON.

mod dashboard;
pub mod grafana;
mod layout;
mod layouts;
mod settings;
mod unit;
mod widget;

pub use dashboard::{COLUMNS, Dashboard, Item, Place, arrange};
pub use layout::{ItemSettings, Layout};
pub use layouts::{Layouts, SavedLayout, SavedLayouts};
pub use settings::{DashboardSettings, RowSettings};
pub use unit::Unit;
pub use widget::{
    Overlay, QuerySettings, Threshold, ThresholdSettings, Widget, WidgetSettings, WidgetType,
};
