//! The limit of a rule's alerts.

use super::{Evaluated, RuleEvaluation};
use crate::alert::limit;
use crate::alert::reason::Cause;
use crate::alert::state_machine::Observation;
use crate::eval::condition::ConditionState;

impl RuleEvaluation<'_> {
    /// Admits waiting label sets up to the limit, by labels, and updates the overflow alert for the
    /// rest.
    pub(super) fn limit(&mut self) {
        let Some(limit) = self.rule.limit else { return };
        let overflow = limit::overflow();
        let active = self.alerts.iter().filter(|(_, alert)| !alert.is_idle());
        let held = active.filter(|(key, _)| **key != overflow).count();
        let mut waiting = std::mem::take(&mut self.waiting);
        let total = held + waiting.len();
        waiting.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let over_limit = waiting.split_off(waiting.len().min(limit.saturating_sub(held)));
        for (key, evaluated) in waiting {
            self.advance(&key, evaluated);
        }
        let levels = over_limit.iter();
        let worst = levels
            .filter_map(|(_, evaluated)| evaluated.observation.level())
            .max();
        self.overflow(limit, worst, total);
        self.evaluation.over_limit = over_limit.len() as u32;
        if worst.is_some() {
            let note = format!("alerts left out by the limit {limit}: {}", over_limit.len());
            self.evaluation.note.get_or_insert(note);
        }
    }

    /// Updates the alert for label sets beyond the limit: `worst` is the highest level of theirs.
    fn overflow(&mut self, limit: usize, worst: Option<usize>, total: usize) {
        let (overflow, now) = (limit::overflow(), self.now.mono);
        let alert = self.alerts.get(&overflow);
        // After a restart the alerts over the limit may still come.
        let may_resolve = alert.is_some_and(|alert| now >= alert.grace);
        if !may_resolve && worst.is_none() {
            return;
        }
        let evaluated = Evaluated {
            observation: Observation::Evaluated {
                condition: worst.map_or(ConditionState::Ok, ConditionState::Breached),
                sample: now,
            },
            cause: Cause::Limit(limit),
            value: Some(total as f64),
            detail: None,
            present: true,
        };
        self.advance(&overflow, evaluated);
    }
}
