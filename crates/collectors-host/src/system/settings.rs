//! The section `system_metrics`.

use std::collections::BTreeMap;

use bellwether_collector::Globs;
use bellwether_core::Kind;
use bellwether_schema::{Override, Spanned, section};

/// Globs for the values of labels, by label name.
pub type Selection = BTreeMap<String, Spanned<Globs>>;

section! {
    /// A host metric: a metric of the catalogue, under that or another name.
    pub struct SystemMetric {
        /// Name of the metric. Without `source` it is the name in the catalogue.
        pub name: Spanned<String>,
        /// If true, this entry replaces the one of its name of an earlier file, as `include` describes.
        pub r#override: Override,
        /// `counter` exports the kernel's total, `gauge` the current value or, for a total, its
        /// rate per second. Default: the type in the catalogue.
        pub r#type: Option<Spanned<Kind>>,
        /// Set to false to leave the metric out.
        pub enabled: bool = true,
        /// Name in the catalogue; default: `name`.
        pub source: Option<Spanned<String>>,
        /// Labels. They are fixed by the catalogue and can be left out.
        pub labels: Option<Spanned<Vec<String>>>,
        /// Text of `# HELP`; default: that of the catalogue.
        pub help: Option<String>,
        /// Label to glob or list of globs: only series whose value matches one are collected.
        /// Replaces the default of the catalogue for that label.
        pub include: Selection = Selection::new(),
        /// Label to glob or list of globs: series whose value matches one are left out.
        /// Replaces the default of the catalogue for that label.
        pub exclude: Selection = Selection::new(),
    }
}
