//! Observations without data: `on_no_data`, `on_error` and missing series.

use bellwether_core::LabelSet;

use super::{Evaluated, RuleEvaluation};
use crate::alert::reason::Cause;
use crate::alert::state_machine::Observation;
use crate::eval::condition::ConditionState;
use crate::settings::NoDataPolicy;

impl RuleEvaluation<'_> {
    pub(super) fn no_data_observation(&self, policy: NoDataPolicy) -> Observation {
        let condition = match policy {
            NoDataPolicy::Keep => return Observation::Unknown,
            NoDataPolicy::Alert if self.warming => return Observation::Unknown,
            NoDataPolicy::Ok => ConditionState::Ok,
            NoDataPolicy::Alert => ConditionState::Breached(0),
        };
        Observation::Evaluated {
            condition,
            sample: self.now.mono,
        }
    }

    /// Handles a failed evaluation, which says nothing of any label set.
    pub(super) fn failed(&mut self, error: String) {
        self.evaluation.unknown += 1;
        let (cause, observation) = (
            Cause::Error(&error),
            self.no_data_observation(self.rule.on_error),
        );
        match self.rule.on_error {
            NoDataPolicy::Keep => {}
            NoDataPolicy::Ok => {
                for key in self.keys(|_| true) {
                    self.advance(&key, Evaluated::without_series(observation, cause));
                }
            }
            // The alerts of label sets stay as they are; the rule as a whole gets an alert.
            NoDataPolicy::Alert => {
                self.advance(
                    &LabelSet::default(),
                    Evaluated::without_series(observation, cause),
                );
            }
        }
        self.evaluation.error = Some(error);
    }

    /// Handles the absence of all series. If none was ever evaluated, the rule as a whole has no data.
    pub(super) fn no_series(&mut self) {
        self.evaluation.unknown += 1;
        self.missing(false);
        let any_observed = self.alerts.values().any(|alert| alert.observed);
        if self.rule.on_no_data == NoDataPolicy::Alert && !any_observed {
            let observation = self.no_data_observation(NoDataPolicy::Alert);
            self.advance(
                &LabelSet::default(),
                Evaluated::without_series(observation, Cause::NoData),
            );
        }
        if self.rule.on_no_data == NoDataPolicy::Alert {
            self.limit();
        }
    }

    /// Applies `on_no_data` to each alert whose series is missing, whether there are `others` or
    /// not.
    pub(super) fn missing(&mut self, others: bool) {
        let (number, now) = (self.number, self.now.mono);
        let (clear, on_no_data) = (
            self.no_data_observation(NoDataPolicy::Ok),
            self.rule.on_no_data,
        );
        let any_observed = others || self.alerts.values().any(|alert| alert.observed);
        for key in self.keys(|alert| alert.last_tick != number) {
            let overflow = self.rule.overflow(&key).is_some();
            let Some(alert) = self.alerts.get_mut(&key) else {
                continue;
            };
            // The overflow alert is resolved by `limit`, as long as there are series.
            if overflow && (others || on_no_data == NoDataPolicy::Alert) {
                continue;
            }
            // The alert of the rule as a whole resolves with the first series.
            if !overflow && !alert.observed {
                if any_observed {
                    self.advance(&key, Evaluated::without_series(clear, Cause::Returned));
                } else if on_no_data == NoDataPolicy::Ok {
                    self.advance(&key, Evaluated::without_series(clear, Cause::NoData));
                }
                continue;
            }
            // After a restart its data may still come.
            if now < alert.grace {
                continue;
            }
            let gone = alert.record_missing(self.rule, now);
            self.series_missing(key, gone, others);
        }
    }

    /// Applies `on_no_data` to an alert without its series, which is `gone` for long enough or not.
    fn series_missing(&mut self, key: LabelSet, gone: bool, others: bool) {
        let by_absence = self.rule.resolves_when_absent();
        self.evaluation.unknown += u32::from(others && !by_absence);
        let clear = self.no_data_observation(NoDataPolicy::Ok);
        let (observation, cause) = match self.rule.on_no_data {
            _ if gone || by_absence => (clear, Cause::Vanished),
            NoDataPolicy::Keep => return,
            NoDataPolicy::Ok => (clear, Cause::NoData),
            NoDataPolicy::Alert => (self.no_data_observation(NoDataPolicy::Alert), Cause::NoData),
        };
        self.observe(key, Evaluated::without_series(observation, cause));
    }
}
