//! From a line to samples.

use bellwether_collector::placeholders::Template;
use bellwether_core::{METRIC_NAME, SeriesBatch};
use bellwether_matcher::Pattern;
use regex::bytes::{CaptureLocations, Regex, RegexSet};

use super::families::{Family, FamilyDef, Observed, SavedFamily};
use super::json::Fields;
use super::lines::Line;
use super::logfmt;
use super::totals::Totals;
use super::values::Values;

/// Longest value of a label, in bytes. The rest is cut.
const MAX_LABEL: usize = 1024;
/// End of a text in packed labels, as in [`LabelSet`](bellwether_core::LabelSet).
const END: u8 = 0xff;

/// Metrics of a log, compiled.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// Tells whether any of several expressions matches, before each of them is asked.
    pub(super) gate: Option<RegexSet>,
    pub(super) stages: Vec<Stage>,
    pub(super) families: Vec<FamilyDef>,
}

/// A way to read a line, and the metrics of what it finds.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub(super) parser: Parser,
    pub(super) values: Values,
    pub(super) rules: Vec<Rule>,
}

/// Reads the fields of a line.
#[derive(Clone, Debug)]
pub(super) enum Parser {
    Regex {
        regex: Regex,
        /// Numbers and slots of the groups that are used.
        groups: Vec<(usize, usize)>,
        locations: CaptureLocations,
    },
    Json(Fields),
    Logfmt {
        names: Vec<String>,
        /// Slot of the first name.
        first: usize,
    },
}

/// Way of a line to a sample of a metric.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) family: usize,
    /// Slots of fields, and the expressions that match them.
    pub(super) conditions: Vec<(usize, Pattern)>,
    /// Slot of the number; `None`: 1.
    pub(super) value: Option<usize>,
    pub(super) scale: f64,
    /// Labels with the name of the metric, sorted.
    pub(super) labels: Vec<(String, Template)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Parsed {
    Fields,
    /// The line is not meant.
    NoMatch,
    /// The line does not have the format.
    Invalid,
}

/// Counts the lines of a log.
#[derive(Clone, Debug)]
pub(super) struct Counting {
    gate: Option<RegexSet>,
    stages: Vec<Stage>,
    families: Vec<Family>,
    pub(super) totals: Totals,
    /// Labels of a sample, packed, and a value of them.
    labels: Vec<u8>,
    label: String,
}

impl Counting {
    /// Creates the counting with the values that were saved.
    pub(super) fn new(rules: Rules, saved: &[SavedFamily], totals: Totals) -> Self {
        let mut families: Vec<Family> = rules.families.into_iter().map(Family::new).collect();
        for family in &mut families {
            family.restore(saved);
        }
        Self {
            gate: rules.gate,
            stages: rules.stages,
            families,
            totals,
            labels: Vec::new(),
            label: String::new(),
        }
    }

    /// Sets the fields of the source of the next lines.
    pub(super) fn set_source(&mut self, fields: &[&str]) {
        for stage in &mut self.stages {
            stage.values.set_source(fields.iter().copied());
        }
    }

    /// Counts a line.
    pub(super) fn apply(&mut self, line: Line<'_>) {
        self.totals.lines += 1;
        self.totals.cut += u64::from(line.is_cut);
        if self
            .gate
            .as_ref()
            .is_some_and(|gate| !gate.is_match(line.text))
        {
            return;
        }
        let Self {
            stages,
            families,
            totals,
            labels,
            label,
            ..
        } = self;
        let mut is_matched = false;
        for stage in stages {
            match stage.parser.parse(line.text, &mut stage.values) {
                Parsed::NoMatch => {}
                Parsed::Invalid => totals.unparsed += 1,
                Parsed::Fields => {
                    for rule in &stage.rules {
                        is_matched |= rule.apply(&stage.values, families, totals, labels, label);
                    }
                }
            }
        }
        totals.matched += u64::from(is_matched);
    }

    /// Adds the series of the metrics to `out`.
    pub(super) fn fill(&self, out: &mut SeriesBatch) {
        for family in &self.families {
            family.fill(out);
        }
    }

    /// Returns the number of samples of series above the limit of their metric.
    pub(super) fn dropped(&self) -> u64 {
        self.families.iter().map(Family::dropped).sum()
    }

    /// Returns notes about samples that were dropped.
    pub(super) fn notes(&self) -> Vec<String> {
        self.families.iter().filter_map(Family::note).collect()
    }

    pub(super) fn save(&self) -> Vec<SavedFamily> {
        self.families.iter().map(Family::save).collect()
    }
}

impl Parser {
    fn parse(&mut self, line: &[u8], values: &mut Values) -> Parsed {
        let found = |is_found, other| if is_found { Parsed::Fields } else { other };
        match self {
            // Groups take much longer than the match alone.
            Self::Regex { regex, groups, .. } if groups.is_empty() => {
                found(regex.is_match(line), Parsed::NoMatch)
            }
            Self::Regex {
                regex,
                groups,
                locations,
            } => {
                if regex.captures_read(locations, line).is_none() {
                    return Parsed::NoMatch;
                }
                values.clear_line();
                for (group, slot) in groups {
                    if let Some((start, end)) = locations.get(*group) {
                        values.set(*slot, &line[start..end]);
                    }
                }
                Parsed::Fields
            }
            Self::Json(fields) => {
                values.clear_line();
                found(fields.read(line, values), Parsed::Invalid)
            }
            Self::Logfmt { names, first } => {
                values.clear_line();
                found(logfmt::read(line, names, *first, values), Parsed::Invalid)
            }
        }
    }
}

impl Rule {
    /// Adds a sample, and returns whether the conditions hold.
    fn apply(
        &self,
        values: &Values,
        families: &mut [Family],
        totals: &mut Totals,
        labels: &mut Vec<u8>,
        label: &mut String,
    ) -> bool {
        let mut conditions = self.conditions.iter();
        if !conditions.all(|(slot, pattern)| pattern.is_match(values.get(*slot))) {
            return false;
        }
        let number = match self.value {
            None => 1.0,
            Some(slot) => match values.get(slot).trim() {
                // Servers write a dash for what they do not have.
                "" | "-" => return true,
                text => text.parse().unwrap_or(f64::NAN),
            },
        };
        self.pack(values, labels, label);
        let observed = families[self.family].observe(labels, number * self.scale);
        totals.invalid += u64::from(observed == Observed::Invalid);
        true
    }

    fn pack(&self, values: &Values, packed: &mut Vec<u8>, value: &mut String) {
        packed.clear();
        for (name, template) in &self.labels {
            value.clear();
            template.render(value, |slot| values.get(slot));
            value.truncate(value.floor_char_boundary(MAX_LABEL));
            if !value.is_empty() {
                packed.extend_from_slice(name.as_bytes());
                packed.push(END);
                packed.extend_from_slice(value.as_bytes());
                packed.push(END);
            }
        }
    }

    /// Returns the packed labels, if they have no placeholder.
    pub(super) fn fixed_labels(&self) -> Option<Box<[u8]>> {
        let mut labels = self.labels.iter();
        if labels.any(|(_, template)| template.as_fixed().is_none()) {
            return None;
        }
        let mut packed = Vec::new();
        self.pack(&Values::new(0, 0), &mut packed, &mut String::new());
        Some(packed.into())
    }
}

/// Returns the labels of a sample with the name of its metric, sorted.
pub(super) fn with_name(
    name: &str,
    labels: impl IntoIterator<Item = (String, Template)>,
) -> Vec<(String, Template)> {
    let name = (METRIC_NAME.to_owned(), Template::fixed(name));
    let mut all: Vec<_> = labels.into_iter().chain([name]).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}
