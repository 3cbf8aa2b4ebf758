//! Which alerts a channel is told of.

use std::collections::BTreeMap;

use globset::{Glob, GlobSet, GlobSetBuilder};

use super::settings::ChannelCommon;
use crate::declare::Matcher;
use crate::model::{Alert, Severity};

/// The filters of one channel, compiled.
#[derive(Debug)]
pub(super) struct Filter {
    min_severity: Severity,
    /// `None`: all rules.
    rules: Option<GlobSet>,
    labels: BTreeMap<String, Matcher>,
}

impl Filter {
    /// Of settings that were checked; a glob that is none matches nothing.
    pub(super) fn new(common: &ChannelCommon) -> Self {
        let rules = (!common.rules.is_empty()).then(|| {
            let globs = common.rules.iter().filter_map(|glob| Glob::new(glob).ok());
            let set = globs.fold(GlobSetBuilder::new(), |mut set, glob| {
                set.add(glob);
                set
            });
            set.build().unwrap_or_default()
        });
        Self { min_severity: common.min_severity, rules, labels: common.labels.clone() }
    }

    /// Whether `alert` is told as it stands now.
    pub(super) fn admits(&self, alert: &Alert) -> bool {
        let label = |name: &str| match name {
            "alertname" => &alert.rule,
            "severity" => alert.severity.as_str(),
            name => alert.labels.get(name).map_or("", String::as_str),
        };
        alert.severity >= self.min_severity
            && self.rules.as_ref().is_none_or(|rules| rules.is_match(&*alert.rule))
            && self.labels.iter().all(|(name, matcher)| matcher.matches(label(name)))
    }
}
