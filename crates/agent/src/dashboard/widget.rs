//! Widgets of the catalogue.

use bellwether_core::Severity;
use bellwether_dashboards::{
    Overlay, QuerySettings, Threshold, ThresholdSettings, Unit, Widget, WidgetSettings, WidgetType,
};
use bellwether_schema::{Literal, Spanned};

use super::panels::View;

/// Widget without its queries.
pub(super) struct Heading<'a> {
    pub(super) view: View,
    pub(super) unit: Unit,
    pub(super) title: &'a str,
    /// Description, a full sentence.
    pub(super) about: &'a str,
}

/// Number of widgets of a view in a line.
pub(super) fn per_line(widget: &Widget) -> usize {
    match widget.settings.r#type.value {
        WidgetType::Stat => 6,
        _ => 3,
    }
}

/// Returns a widget with its queries, each an expression and a legend.
pub(super) fn widget(
    heading: &Heading<'_>,
    queries: Vec<(String, String)>,
    of_rules: Vec<Threshold>,
) -> Widget {
    let Heading {
        view, unit, title, ..
    } = *heading;
    let kind = match view {
        View::Lines => WidgetType::Line,
        View::Bars => WidgetType::Bar,
        View::Number | View::Trouble | View::UpDown => WidgetType::Stat,
    };
    let mut settings = WidgetSettings::new(kind, title);
    settings.description = Some(heading.about.to_owned());
    settings.unit = unit;
    // Bars need both ends; a share of something has none to spare below zero.
    settings.min =
        (view == View::Bars || matches!(unit, Unit::Percent | Unit::Ratio)).then_some(0.0);
    settings.max = (view == View::Bars).then_some(100.0);
    settings.thresholds = bad_values(view);
    if view == View::Lines && queries.len() == 1 {
        settings.overlays = vec![Overlay::Expected];
    }
    if view == View::UpDown {
        let words = [("0", "down"), ("1", "up")];
        settings.words = words
            .map(|(value, word)| (value.to_owned(), word.to_owned()))
            .into();
    }
    settings.queries = queries.into_iter().map(query).collect();
    let mut widget = settings.resolve(&|_| Vec::new());
    widget.thresholds.extend(of_rules);
    widget
}

fn query((expression, legend): (String, String)) -> QuerySettings {
    QuerySettings {
        query: Spanned::nowhere(Literal(expression)),
        legend: Some(Literal(legend)),
    }
}

/// Returns the thresholds of a view whose values are good or bad by themselves. All of them are whole
/// numbers.
fn bad_values(view: View) -> Option<Vec<ThresholdSettings>> {
    let (above, below) = match view {
        View::Trouble => (Some(0.5.into()), None),
        View::UpDown => (None, Some(0.5.into())),
        View::Lines | View::Number | View::Bars => return None,
    };
    let severity = Severity::Critical;
    Some(vec![ThresholdSettings {
        above,
        below,
        severity,
    }])
}
