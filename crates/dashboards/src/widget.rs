//! Widgets: their settings, checks and JSON.

use std::collections::BTreeMap;

use bellwether_core::Severity;
use bellwether_promql as promql;
use bellwether_schema::{Constraint, Diagnostics, Literal, Spanned, section, string_enum};
use serde::Serialize;
use serde_json::{Value, json};

use crate::Unit;

/// Variables of a query: the page and Grafana put durations in their place.
const VARIABLES: [&str; 2] = ["$__rate_interval", "$__range"];
/// Largest number of queries of a widget.
const MAX_QUERIES: usize = 20;
/// Largest number of characters of a text.
const MAX_TEXT: usize = 20_000;

string_enum! {
    /// Type of a widget.
    pub enum WidgetType {
        /// Lines over time.
        Line = "line",
        /// Areas on top of each other over time, for parts of a sum.
        Area = "area",
        /// A bar for each series, its latest value.
        Bar = "bar",
        /// Shares of a sum, by the latest values.
        Pie = "pie",
        /// The latest value on an arc.
        Gauge = "gauge",
        /// The latest value as a number.
        Stat = "stat",
        /// Series with their labels and latest values.
        Table = "table",
        /// Observations of a histogram over time; the query keeps the label `le`.
        Heatmap = "heatmap",
        /// Text.
        Text = "text",
        /// Alerts that fire.
        AlertList = "alert_list",
    }
}

string_enum! {
    /// Analysis that is drawn with the lines of a metric.
    pub enum Overlay {
        /// Expected range of the anomaly detector.
        Expected = "expected",
        /// Forecast of the next hours with its prediction interval.
        Forecast = "forecast",
    }
}

section! {
    /// Query of a widget.
    pub struct QuerySettings {
        /// PromQL. `$__rate_interval` is a range that has enough samples for a rate, `$__range` the time that is shown.
        pub query: Spanned<Literal>,
        /// Name of a series in the legend, with labels as `{{device}}`. Default: the labels that differ.
        pub legend: Option<Literal>,
    }
}

section! {
    /// Threshold of a widget, a dashed line.
    #[constraints = [
        Constraint::AnyOf(&["above", "below"]),
        Constraint::AtMostOne(&["above", "below"]),
    ]]
    pub struct ThresholdSettings {
        /// Values above this are bad.
        pub above: Option<Spanned<f64>>,
        /// Values below this are bad.
        pub below: Option<Spanned<f64>>,
        /// Severity, which is the color.
        pub severity: Severity = Severity::Warning,
    }
}

section! {
    /// Widget of a dashboard.
    #[constraints = [Constraint::AtMostOne(&["query", "queries"])]]
    pub struct WidgetSettings {
        /// Title.
        pub title: Spanned<String>,
        /// Type.
        pub r#type: Spanned<WidgetType> = Spanned::nowhere(WidgetType::Line),
        /// Description, shown on demand.
        pub description: Option<String>,
        /// PromQL, for a widget with one query; see `queries`.
        pub query: Option<Spanned<Literal>>,
        /// Queries, each with its legend.
        pub queries: Vec<QuerySettings> = Vec::new(),
        /// Unit of the values.
        pub unit: Unit = Unit::None,
        /// Width in columns of 24. Default: by type.
        pub width: Option<Spanned<u32>>,
        /// Height in lines of 38 pixels. Default: by type.
        pub height: Option<Spanned<u32>>,
        /// Column of the left edge, from 0. Default: beside the widget before.
        pub x: Option<Spanned<u32>>,
        /// Line of the upper edge below the title of the row, from 0. Needs `x`.
        pub y: Option<Spanned<u32>>,
        /// Lower end of the scale. Default: by the values.
        pub min: Option<f64>,
        /// Upper end of the scale. Default: by the values.
        pub max: Option<f64>,
        /// Thresholds. Default: those of the rules on the same metric or expression.
        pub thresholds: Option<Vec<ThresholdSettings>>,
        /// Words in place of values: `{0: down, 1: up}`.
        pub words: BTreeMap<String, String> = BTreeMap::new(),
        /// Analysis that is drawn with the lines. The query must be a metric.
        pub overlays: Vec<Overlay> = Vec::new(),
        /// Text of a widget of type `text`. Empty lines part paragraphs; lines that begin with `- ` are a list.
        pub text: Option<Literal>,
    }
}

/// Threshold on the scale of a widget.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Threshold {
    /// Value on the scale.
    pub value: f64,
    /// True if values above it are bad, false if those below.
    pub above: bool,
    /// Severity of a value beyond it.
    pub severity: Severity,
    /// Rule that it is of, if it is of one.
    pub rule: Option<String>,
}

/// Widget with its thresholds.
#[derive(Clone, Debug, PartialEq)]
pub struct Widget {
    /// Settings as they are written.
    pub settings: WidgetSettings,
    /// Thresholds of the settings, or else of the rules.
    pub thresholds: Vec<Threshold>,
}

impl WidgetSettings {
    /// Returns the settings of a widget of a type, with all else by default.
    #[must_use]
    pub fn new(kind: WidgetType, title: &str) -> Self {
        Self {
            title: Spanned::nowhere(title.to_owned()),
            r#type: Spanned::nowhere(kind),
            description: None,
            query: None,
            queries: Vec::new(),
            unit: Unit::None,
            width: None,
            height: None,
            x: None,
            y: None,
            min: None,
            max: None,
            thresholds: None,
            words: BTreeMap::new(),
            overlays: Vec::new(),
            text: None,
        }
    }

    /// Returns all queries, each with its legend.
    pub fn all_queries(&self) -> impl Iterator<Item = (&Spanned<Literal>, Option<&str>)> {
        let one = self.query.iter().map(|query| (query, None));
        let listed = self.queries.iter();
        one.chain(listed.map(|one| (&one.query, one.legend.as_deref())))
    }

    /// Returns the width and the height in units of the grid.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        let (width, height) = match self.r#type.value {
            WidgetType::Stat => (4, 4),
            WidgetType::Gauge => (4, 6),
            WidgetType::Text => (8, 4),
            WidgetType::Table | WidgetType::AlertList => (12, 8),
            WidgetType::Line
            | WidgetType::Area
            | WidgetType::Bar
            | WidgetType::Pie
            | WidgetType::Heatmap => (8, 8),
        };
        let own_or =
            |own: &Option<Spanned<u32>>, usual| own.as_ref().map_or(usual, |own| own.value);
        (own_or(&self.width, width), own_or(&self.height, height))
    }

    /// Reports settings that cannot work.
    pub fn check(&self, problems: &mut Diagnostics) {
        self.check_queries(problems);
        self.check_place(problems);
        self.check_thresholds(problems);
        if let Some(text) = self.text.as_ref().filter(|text| text.len() > MAX_TEXT) {
            let length = text.len();
            problems.error(
                &self.title.at,
                format!("the text has {length} characters; at most {MAX_TEXT} are shown"),
            );
        }
        if self.title.chars().count() > 200 {
            problems.error(&self.title.at, "the title is longer than 200 characters");
        }
    }

    fn check_queries(&self, problems: &mut Diagnostics) {
        let queries: Vec<_> = self.all_queries().collect();
        let asks = !matches!(self.r#type.value, WidgetType::Text | WidgetType::AlertList);
        if asks && queries.is_empty() {
            problems
                .error(
                    &self.r#type.at,
                    format!("a widget of type {} needs a query", self.r#type.as_str()),
                )
                .hint("set query, or queries with a legend each");
        }
        if self.query.is_some() && !self.queries.is_empty() {
            problems
                .error(&self.title.at, "both query and queries")
                .hint("move the query into queries");
        }
        if queries.len() > MAX_QUERIES {
            problems.error(
                &self.title.at,
                format!(
                    "{} queries; a widget has at most {MAX_QUERIES}",
                    queries.len()
                ),
            );
        }
        for (query, _) in queries {
            let expression = VARIABLES.iter().fold(query.0.clone(), |text, variable| {
                text.replace(variable, "5m")
            });
            if let Err(error) = promql::parse(&expression) {
                problems.error(&query.at, error.to_string());
            }
        }
    }

    fn check_place(&self, problems: &mut Diagnostics) {
        let columns = crate::COLUMNS;
        if let Some(width) = self
            .width
            .as_ref()
            .filter(|width| !(1..=columns).contains(&width.value))
        {
            problems.error(
                &width.at,
                format!("width: 1 to {columns}, found {}", width.value),
            );
        }
        if let Some(height) = self
            .height
            .as_ref()
            .filter(|height| !(1..=100).contains(&height.value))
        {
            problems.error(
                &height.at,
                format!("height: 1 to 100, found {}", height.value),
            );
        }
        if let (None, Some(y)) = (&self.x, &self.y) {
            problems
                .error(&y.at, "y without x")
                .hint("set both, or none");
        }
        if let Some(x) = &self.x {
            let end = x.value.saturating_add(self.size().0);
            if end > columns {
                problems.error(
                    &x.at,
                    format!("the widget ends at column {end}; there are {columns}"),
                );
            }
        }
        if let Some(y) = self.y.as_ref().filter(|y| y.value > 10_000) {
            problems.error(&y.at, "y: at most 10000");
        }
    }

    fn check_thresholds(&self, problems: &mut Diagnostics) {
        for threshold in self.thresholds.iter().flatten() {
            match (&threshold.above, &threshold.below) {
                (Some(above), Some(_)) => {
                    problems
                        .error(&above.at, "both above and below")
                        .hint("keep one");
                }
                (None, None) => {
                    let message = "a threshold has neither above nor below";
                    problems.error(&self.title.at, message);
                }
                _ => {}
            }
        }
    }

    /// Returns the widget; `of_rules` has the thresholds of rules on a query.
    #[must_use]
    pub fn resolve(&self, of_rules: &dyn Fn(&str) -> Vec<Threshold>) -> Widget {
        let thresholds = match &self.thresholds {
            Some(own) => own.iter().filter_map(ThresholdSettings::resolve).collect(),
            None => {
                let mut all: Vec<Threshold> = Vec::new();
                let of_queries = self.all_queries().flat_map(|(query, _)| of_rules(query));
                of_queries.for_each(|threshold| {
                    if !all.contains(&threshold) {
                        all.push(threshold);
                    }
                });
                all
            }
        };
        Widget {
            settings: self.clone(),
            thresholds,
        }
    }
}

impl ThresholdSettings {
    fn resolve(&self) -> Option<Threshold> {
        let (value, above) = match (&self.above, &self.below) {
            (Some(above), _) => (above.value, true),
            (None, Some(below)) => (below.value, false),
            (None, None) => return None,
        };
        Some(Threshold {
            value,
            above,
            severity: self.severity,
            rule: None,
        })
    }
}

impl Widget {
    /// Returns the widget for the page: queries in one form, and thresholds.
    #[must_use]
    pub fn view(&self) -> Value {
        let settings = &self.settings;
        let queries = settings
            .all_queries()
            .map(|(query, legend)| json!({"query": query, "legend": legend}));
        json!({
            "type": settings.r#type,
            "description": settings.description,
            "queries": queries.collect::<Vec<_>>(),
            "unit": settings.unit,
            "min": settings.min,
            "max": settings.max,
            "thresholds": self.thresholds,
            "ownThresholds": settings.thresholds,
            "words": settings.words,
            "overlays": settings.overlays,
            "text": settings.text,
        })
    }
}
