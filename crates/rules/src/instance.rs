//! One alert as the engine holds it: its state, its values, what was told of it.
//!
//! Owns the way from a sight to a transition. What is seen is the engine's business.

use std::sync::Arc;

use bellwether_core::{
    Alert, AlertState, Fingerprint, LabelSet, Labels, MonoMillis, Now, Transition, UnixMillis,
};

use super::asked::Asked;
use super::detail::Detail;
use super::reason::{Ground, beyond, compared, course, sentence};
use super::rule::Rule;
use super::step::{Sight, State, Stretch, step};
use super::template::{Facts, Templates, Text};

/// One alert that is pending, firing, or on its way there.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// Where it stands.
    pub state: State,
    /// The last value seen.
    pub value: Option<f64>,
    /// What was found beside the value, last.
    pub detail: Option<Detail>,
    /// Its texts that ask history, as they were written last.
    pub asked: Option<Box<Asked>>,
    /// Whether it holds for want of data and not for a value.
    pub blind: bool,
    /// When the condition began to hold.
    pub active_at: UnixMillis,
    /// When it fired.
    pub fired_at: Option<UnixMillis>,
    /// The value it fired by.
    pub fired_value: Option<f64>,
    /// The value furthest from good since then.
    pub peak: Option<f64>,
    /// What others were told when it fired or changed its level last.
    pub told: Option<Arc<Alert>>,
    /// The tick that saw it last.
    pub seen: u64,
    /// After a restart, until when its series may still come; zero once its data were seen.
    pub grace: MonoMillis,
    /// Whether its series was ever seen; the alert of a rule as a whole has none.
    pub observed: bool,
    /// How long its series has been missing.
    pub missing: Option<Stretch>,
}

impl Instance {
    /// Nothing seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: State::INACTIVE,
            value: None,
            detail: None,
            asked: None,
            blind: false,
            active_at: UnixMillis::default(),
            fired_at: None,
            fired_value: None,
            peak: None,
            told: None,
            seen: 0,
            grace: MonoMillis::default(),
            observed: false,
            missing: None,
        }
    }

    /// Notes that its series is missing `now`; whether it has been for so long that it counts as
    /// gone.
    pub fn misses(&mut self, rule: &Rule, now: MonoMillis) -> bool {
        let missing = Stretch::grow(self.missing, now, &rule.policy);
        self.missing = Some(missing);
        rule.resolve_missing_after
            .is_some_and(|after| missing.reaches(after, &rule.policy))
    }

    /// Inactive, pending or firing.
    #[must_use]
    pub fn phase(&self) -> AlertState {
        self.state.phase
    }

    /// Whether nothing needs to be remembered.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.state == State::INACTIVE
    }

    /// The alert as it is now.
    #[must_use]
    pub fn alert(&self, rule: &Rule, templates: &Templates, key: &LabelSet) -> Alert {
        let labels = rule.alert_labels(key);
        let level = self.state.level;
        let overflow = rule.overflow(key);
        let threshold = match overflow {
            Some(limit) => Some(limit as f64),
            None if self.blind => None,
            None => rule.threshold(level),
        };
        let series = match rule.has_templates() {
            true => rule.series_labels(key, self.detail.as_ref()),
            false => Labels::new(),
        };
        let facts = Facts {
            labels: &labels,
            series: &series,
            // What holds without a value is not a number: NaN compares with what is not equal to it.
            value: self.value.or((!self.blind).then_some(f64::NAN)),
            fired_value: self.fired_value,
            peak: self.peak,
            threshold,
            rule: &rule.name,
            severity: rule.severity(level).as_str(),
            state: self.state.phase.as_str(),
            metric: &rule.subject,
            detail: self.detail.as_ref(),
        };
        let message = match &rule.message {
            _ if overflow.is_some() => beyond(self.value, threshold),
            _ if self.blind => format!("no data: {}", rule.subject),
            Some(text) => self.text(None, text, templates, facts),
            None => compared(rule, level, self.value, self.detail.as_ref()),
        };
        // The labels of the series are not known where there is none.
        let whole = self.blind && key.is_empty() && !rule.labels.are_none();
        let mut annotations = match whole || overflow.is_some() {
            true => Labels::new(),
            false => rule
                .annotations
                .iter()
                .map(|(name, text)| {
                    (
                        name.clone(),
                        self.text(Some(name.as_str()), text, templates, facts),
                    )
                })
                .collect(),
        };
        if let (Some(detail), false) = (&self.detail, self.blind) {
            detail.annotate(&mut annotations);
        }
        if let (Some(limit), Some(value)) = (overflow, self.value) {
            annotations.insert("left_out".into(), (value - limit as f64).to_string());
        }
        Alert {
            fingerprint: Fingerprint::of(&rule.name, &labels),
            rule: Arc::clone(&rule.name),
            severity: rule.severity(level),
            annotations,
            message,
            value: self.value,
            fired_value: self.fired_value,
            peak: self.peak,
            threshold,
            state: self.state.phase,
            active_at: self.active_at,
            fired_at: self.fired_at,
            resolved_at: None,
            labels,
        }
    }

    /// The message, or the annotation `name`. What asks history is as it was written when the rule
    /// was evaluated last; after a restart, as it was told.
    fn text(
        &self,
        name: Option<&str>,
        text: &Text,
        templates: &Templates,
        facts: Facts<'_>,
    ) -> String {
        let Text::Asking(source) = text else {
            return templates.render(text, facts);
        };
        let told = || match name {
            None => self.told.as_ref().map(|told| told.message.as_str()),
            Some(name) => self
                .told
                .as_ref()?
                .annotations
                .get(name)
                .map(String::as_str),
        };
        let asked = self.asked.as_ref().and_then(|asked| asked.text(name));
        asked.or_else(told).unwrap_or(source).to_owned()
    }

    /// The end of a firing alert, whose text becomes `message`.
    #[must_use]
    pub fn resolved(
        &self,
        told: &Alert,
        message: String,
        reason: String,
        at: UnixMillis,
    ) -> Transition {
        let alert = Alert {
            message,
            state: AlertState::Inactive,
            value: self.value,
            fired_value: self.fired_value,
            peak: self.peak,
            resolved_at: Some(at),
            ..told.clone()
        };
        Transition {
            alert: Arc::new(alert),
            from: AlertState::Firing,
            reason,
            at,
        }
    }

    /// Takes in what was seen; tells what changed.
    pub fn advance(
        &mut self,
        rule: &Rule,
        templates: &Templates,
        key: &LabelSet,
        seen: (Sight, Ground<'_>),
        now: Now,
    ) -> Option<Transition> {
        let (sight, ground) = seen;
        let before = self.state;
        self.state = step(before, sight, now.mono, &rule.policy);
        if self.state.phase != AlertState::Inactive && sight != Sight::Unknown {
            match ground {
                Ground::Value | Ground::Limit(_) => self.blind = false,
                Ground::NoData | Ground::Error(_) => self.blind = true,
                Ground::Vanished | Ground::Returned => {}
            }
        }
        self.note_peak(rule, &before, seen);
        let reason = |this: &Self| sentence(rule, ground, &before, this);
        match (before.phase, self.state.phase) {
            (AlertState::Inactive, AlertState::Pending) => self.active_at = now.wall,
            (AlertState::Inactive, AlertState::Firing) => {
                (self.active_at, self.fired_at) = (now.wall, Some(now.wall));
            }
            (AlertState::Pending, AlertState::Firing) => self.fired_at = Some(now.wall),
            (AlertState::Firing, AlertState::Inactive) => {
                let told = self.told.take()?;
                let reason = reason(self);
                // A text of the rule stays as it was sent; ours would say what is no longer true.
                let own = rule.message.is_none() || self.blind || rule.overflow(key).is_some();
                let message = if own {
                    reason.clone()
                } else {
                    told.message.clone()
                };
                let reason = reason + &course(rule, self, now.wall);
                return Some(self.resolved(&told, message, reason, now.wall));
            }
            (AlertState::Firing, AlertState::Firing) => {
                let severity = rule.severity(self.state.level);
                if self
                    .told
                    .as_ref()
                    .is_some_and(|told| told.severity == severity)
                {
                    return None;
                }
            }
            (AlertState::Pending, AlertState::Inactive) => {}
            _ => return None,
        }
        let alert = Arc::new(self.alert(rule, templates, key));
        if alert.state == AlertState::Firing {
            self.told = Some(Arc::clone(&alert));
        }
        let reason = reason(self);
        Some(Transition {
            alert,
            from: before.phase,
            reason,
            at: now.wall,
        })
    }

    /// Keeps the value it fires by, and the worst since.
    fn note_peak(&mut self, rule: &Rule, before: &State, seen: (Sight, Ground<'_>)) {
        let (sight, ground) = seen;
        let holds = sight.level().is_some();
        let of_value = matches!(ground, Ground::Value | Ground::Limit(_));
        let value = self.value.filter(|_| holds && of_value);
        match (before.phase, self.state.phase, value) {
            (AlertState::Firing, AlertState::Firing, Some(value)) => {
                let worse = |peak| match ground {
                    Ground::Limit(_) => value > peak,
                    _ => rule.is_worse(value, peak, self.detail.as_ref()),
                };
                if self.peak.is_none_or(worse) {
                    self.peak = Some(value);
                }
            }
            (AlertState::Firing, ..) => {}
            (_, AlertState::Firing, value) => (self.fired_value, self.peak) = (value, value),
            _ => {}
        }
    }
}

impl Default for Instance {
    fn default() -> Self {
        Self::new()
    }
}
