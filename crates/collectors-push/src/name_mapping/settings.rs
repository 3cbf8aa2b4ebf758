//! The settings of mappings, in the words of statsd_exporter.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bellwether_collector::NamedFile;
use bellwether_schema::{
    Decode, DecodeContext, Diagnostics, HumanDuration, Literal, SourceLocation, Spanned, parse,
    section, string_enum,
};

section! {
    /// Mappings of dotted names to metrics with labels.
    pub struct NameMapping {
        /// File with `defaults` and `mappings`, as statsd_exporter and graphite_exporter read it, in place of those here. A
        /// relative path starts from the directory of this file. A reload reads it again.
        pub mapping_file: Option<Spanned<PathBuf>>,
        #[serde(flatten)]
        pub rules: MappingRules,
    }
}

section! {
    /// Content of a mapping file.
    pub struct MappingRules {
        /// Settings of mappings that do not have them, and of names without a mapping.
        pub defaults: MappingDefaults = MappingDefaults::default(),
        /// Mappings of dotted names; the first one that matches applies. Those with `match_type: regex` come after all
        /// others. A name without a mapping is the name of its metric, with `_` for each character that is not a letter
        /// or a digit.
        pub mappings: Vec<NameRule> = Vec::new(),
    }
}

section! {
    /// Settings of mappings that do not have them.
    pub struct MappingDefaults {
        /// Type of metrics of timers, histograms and distributions.
        #[former = "timer_type"]
        pub observer_type: ObserverType = ObserverType::Summary,
        /// Way to match.
        pub match_type: MatchType = MatchType::Glob,
        /// If true, the most specific glob applies, and not the first one.
        pub glob_disable_ordering: bool = false,
        /// Time without a sample after which a series ends; 0: never.
        pub ttl: HumanDuration = HumanDuration::secs(0),
        /// Options of summaries.
        pub summary_options: SummaryOptions = SummaryOptions::default(),
        /// Options of histograms.
        pub histogram_options: HistogramOptions = HistogramOptions::default(),
    }
}

section! {
    /// Maps names to a metric.
    pub struct NameRule {
        /// Dotted name in which `*` stands for one part; or a regular expression that is found anywhere in a name.
        pub r#match: Spanned<Literal>,
        /// Way to match. Default: that of `defaults`.
        pub match_type: Option<MatchType>,
        /// Type of lines that are mapped. Default: all.
        pub match_metric_type: Option<MappedType>,
        /// Name of the metric; `$1` is the text of the first `*` or group. Needed unless `action` is `drop`.
        pub name: Option<Spanned<Literal>>,
        /// Label values; `$1` is the text of the first `*` or group.
        pub labels: BTreeMap<String, Spanned<Literal>> = BTreeMap::new(),
        /// If true, a tag has precedence over the label of its name here.
        pub honor_labels: bool = false,
        /// Set to `drop` to drop what matches.
        pub action: MappingAction = MappingAction::Map,
        /// Text of `# HELP`.
        pub help: Option<String>,
        /// Type of the metric of timers, histograms and distributions. Default: that of `defaults`.
        #[former = "timer_type"]
        pub observer_type: Option<ObserverType>,
        /// Options of the summary.
        pub summary_options: Option<SummaryOptions>,
        /// Options of the histogram.
        pub histogram_options: Option<HistogramOptions>,
        /// Time without a sample after which a series ends. Default: that of `defaults`.
        pub ttl: Option<HumanDuration>,
        /// Factor for the values. Timers (`ms`) are in seconds before it is applied.
        pub scale: Spanned<f64> = 1.0.into(),
    }
}

section! {
    /// Options of a summary. Its quantiles are off by at most 1.6 % of the value.
    pub struct SummaryOptions {
        /// Quantiles. Default: 0.5, 0.9 and 0.99.
        pub quantiles: Spanned<Vec<Objective>> = Spanned::nowhere(Vec::new()),
        /// Window of the quantiles. Default: 10m.
        pub max_age: Option<Spanned<HumanDuration>> = None,
        /// Has no effect: the window slides in five steps.
        pub age_buckets: Option<Spanned<u32>> = None,
        /// Has no effect.
        pub buf_cap: Option<Spanned<u32>> = None,
    }
}

section! {
    /// A quantile of a summary.
    pub struct Objective {
        /// Quantile, between 0 and 1.
        pub quantile: f64,
        /// Has no effect: all quantiles have the same error.
        pub error: Option<f64>,
    }
}

section! {
    /// Options of a histogram.
    pub struct HistogramOptions {
        /// Upper bounds of the buckets, ascending. Default: those of Prometheus's clients, from 5 ms to 10 s.
        pub buckets: Option<Spanned<Vec<f64>>> = None,
        /// Has no effect: there are no native histograms.
        pub native_histogram_bucket_factor: Option<Spanned<f64>> = None,
        /// Has no effect: there are no native histograms.
        pub native_histogram_max_buckets: Option<Spanned<u32>> = None,
    }
}

string_enum! {
    /// Ways to match a name.
    pub enum MatchType {
        /// `*` stands for one part between dots.
        Glob = "glob",
        /// Regular expression.
        Regex = "regex",
    }
}

string_enum! {
    /// Types of lines that a mapping can be for.
    pub enum MappedType {
        /// Counters.
        Counter = "counter",
        /// Gauges.
        Gauge = "gauge",
        /// Timers, histograms and distributions.
        Observer = "observer",
    }
}

string_enum! {
    /// Actions of a mapping.
    pub enum MappingAction {
        /// Maps.
        Map = "map",
        /// Drops.
        Drop = "drop",
    }
}

string_enum! {
    /// Types of metrics of observations.
    pub enum ObserverType {
        /// Buckets.
        Histogram = "histogram",
        /// Quantiles.
        Summary = "summary",
    }
}

impl NameMapping {
    /// Returns whether there is no mapping, and no file that could have one.
    pub(crate) fn is_empty(&self) -> bool {
        self.mapping_file.is_none() && self.rules.mappings.is_empty()
    }
}

impl NamedFile for NameMapping {
    fn take_path(&mut self) -> Option<Spanned<PathBuf>> {
        self.mapping_file.take()
    }

    fn set_text(
        &mut self,
        named: &SourceLocation,
        path: &str,
        text: &str,
        problems: &mut Diagnostics,
    ) {
        if self.rules != MappingRules::default() {
            problems
                .error(named, "both mapping_file and mappings of its own")
                .hint("leave out `defaults` and `mappings` here, or the file");
        }
        let file: Arc<str> = path.into();
        let node = match parse(text) {
            Ok(node) => node,
            Err(error) => {
                let at = SourceLocation {
                    pos: error.at,
                    file: Some(file),
                    ..SourceLocation::default()
                };
                problems.error(&at, error.message);
                return;
            }
        };
        let mut context = DecodeContext::for_file(problems, file);
        self.rules = MappingRules::decode(&node, &mut context).unwrap_or_default();
    }
}
