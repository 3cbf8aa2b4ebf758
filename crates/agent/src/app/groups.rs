//! Maps each rule to its rule group, for Prometheus's API.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bellwether_config::Plan;
use bellwether_rules::RecordingSettings;
use bellwether_schema::Pos;
use bellwether_server::RuleGroup;

/// Name of the group of the rules that stand in the configuration itself.
const OWN: &str = "bellwether";

/// File, line and column.
type Place = (Option<Arc<str>>, Pos);

/// Groups of rules.
pub(super) struct Groups {
    /// That of the configuration itself.
    own: Arc<RuleGroup>,
    /// By the unique name of a rule that alerts.
    alerting: HashMap<String, Arc<RuleGroup>>,
    /// By the place of a rule that records.
    recording: BTreeMap<Place, Arc<RuleGroup>>,
}

impl Groups {
    /// Those of `plan`, whose configuration is `file`.
    pub(super) fn new(plan: &Plan, file: String) -> Self {
        let own = RuleGroup {
            name: OWN.into(),
            file,
            interval: plan.schedule.interval,
            limit: 0,
        };
        let mut groups = Self {
            own: Arc::new(own),
            alerting: HashMap::new(),
            recording: BTreeMap::new(),
        };
        for group in &plan.rule_groups {
            let shared = Arc::new(RuleGroup {
                name: group.name.clone(),
                file: group.file.clone(),
                interval: group.interval.unwrap_or(plan.schedule.interval),
                limit: group.limit,
            });
            for name in &group.rules {
                groups.alerting.insert(name.clone(), Arc::clone(&shared));
            }
            for at in &group.recordings {
                groups
                    .recording
                    .insert((at.file.clone(), at.pos), Arc::clone(&shared));
            }
        }
        groups
    }

    /// The group of the rule that alerts and has this name.
    pub(super) fn of_rule(&self, name: &str) -> Arc<RuleGroup> {
        Arc::clone(self.alerting.get(name).unwrap_or(&self.own))
    }

    /// The group of a rule that records.
    pub(super) fn of_recording(&self, settings: &RecordingSettings) -> Arc<RuleGroup> {
        let at = &settings.record.at;
        Arc::clone(
            self.recording
                .get(&(at.file.clone(), at.pos))
                .unwrap_or(&self.own),
        )
    }
}
