//! One alert in the engine: its state, its values and its last notification.
//!
//! Owns the step from an observation to a transition. Knows no series and no queries; observations
//! come from `eval`.

use std::sync::Arc;

use bellwether_core::{
    Alert, AlertState, Fingerprint, LabelSet, Labels, MonoMillis, Now, Severity, Transition,
    UnixMillis,
};

use crate::alert::detail::Detail;
use crate::alert::reason::{
    Cause, describe_over_limit, describe_value, firing_summary, transition_reason,
};
use crate::alert::state_machine::{Observation, State, Timer, step};
use crate::alert::template::{TemplateData, Templates, Text};
use crate::query::rendered_text::RenderedText;
use crate::rule::Rule;

/// Alert that is pending, firing or about to be; also a series whose absence would alert.
#[derive(Clone, Debug, PartialEq)]
pub struct ActiveAlert {
    pub state: State,
    /// Last value.
    pub value: Option<f64>,
    /// Details beside the last value.
    pub detail: Option<Detail>,
    /// Texts that query history, as of the last evaluation.
    pub rendered: Option<Box<RenderedText>>,
    /// Set while the alert holds because of missing data or an error, and not because of a value.
    pub no_data: bool,
    /// Start of the pending time.
    pub active_at: UnixMillis,
    pub fired_at: Option<UnixMillis>,
    /// Value at the transition to firing.
    pub fired_value: Option<f64>,
    /// Worst value since then.
    pub peak: Option<f64>,
    /// Alert as of its last notified transition: to firing, or to another severity.
    pub notified: Option<Arc<Alert>>,
    /// Number of the last tick that evaluated it.
    pub last_tick: u64,
    /// End of the time after a restart in which its series may be missing; zero once it has data.
    pub grace: MonoMillis,
    /// Set once its series was seen; an alert of the rule as a whole has none.
    pub observed: bool,
    /// Time for which its series has been missing.
    pub missing: Option<Timer>,
}

impl ActiveAlert {
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: State::INACTIVE,
            value: None,
            detail: None,
            rendered: None,
            no_data: false,
            active_at: UnixMillis::default(),
            fired_at: None,
            fired_value: None,
            peak: None,
            notified: None,
            last_tick: 0,
            grace: MonoMillis::default(),
            observed: false,
            missing: None,
        }
    }

    /// Records that its series is missing `now`. Returns true once it counts as stale.
    pub fn record_missing(&mut self, rule: &Rule, now: MonoMillis) -> bool {
        let missing = Timer::grow(self.missing, now, &rule.policy);
        self.missing = Some(missing);
        rule.resolve_missing_after
            .is_some_and(|after| missing.reaches(after, &rule.policy))
    }

    /// Notes its first data after a restart. Returns its fingerprint if it was notified.
    pub fn confirm(&mut self) -> Option<Fingerprint> {
        let grace = std::mem::take(&mut self.grace);
        let notified = self.notified.as_ref();
        notified
            .filter(|_| grace != MonoMillis::default())
            .map(|notified| notified.fingerprint)
    }

    #[must_use]
    pub fn phase(&self) -> AlertState {
        self.state.phase
    }

    /// Returns true if there is no state to keep.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.state == State::INACTIVE
    }

    /// Returns the alert in its current state.
    #[must_use]
    pub fn alert(&self, rule: &Rule, templates: &Templates, key: &LabelSet) -> Alert {
        let labels = rule.alert_labels(key);
        let level = self.state.level;
        let threshold = match rule.overflow(key) {
            Some(limit) => Some(limit as f64),
            None if self.no_data => None,
            None => rule.threshold(level),
        };
        let series = match rule.has_templates() {
            true => rule.series_labels(key, self.detail.as_ref()),
            false => Labels::new(),
        };
        let data = TemplateData {
            labels: &labels,
            series: &series,
            // A condition that holds without a value is about NaN: it is unequal to any threshold.
            value: self.value.or((!self.no_data).then_some(f64::NAN)),
            fired_value: self.fired_value,
            peak: self.peak,
            threshold,
            rule: &rule.name,
            severity: rule.severity(level).as_str(),
            state: self.state.phase.as_str(),
            metric: &rule.subject,
            detail: self.detail.as_ref(),
        };
        Alert {
            fingerprint: Fingerprint::of(&rule.name, &labels),
            rule: Arc::clone(&rule.name),
            severity: rule.severity(level),
            annotations: self.annotations(rule, templates, key, data),
            message: self.message(rule, templates, key, data),
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

    fn message(
        &self,
        rule: &Rule,
        templates: &Templates,
        key: &LabelSet,
        data: TemplateData<'_>,
    ) -> String {
        match &rule.message {
            _ if rule.overflow(key).is_some() => describe_over_limit(self.value, data.threshold),
            _ if self.no_data => format!("no data: {}", rule.subject),
            Some(text) => self.text(None, text, templates, data),
            None => describe_value(rule, self.state.level, self.value, self.detail.as_ref()),
        }
    }

    fn annotations(
        &self,
        rule: &Rule,
        templates: &Templates,
        key: &LabelSet,
        data: TemplateData<'_>,
    ) -> Labels {
        let overflow = rule.overflow(key);
        // Without a series its labels are unknown.
        let is_whole_rule = self.no_data && key.is_empty() && !rule.labels.is_always_empty();
        let mut annotations = Labels::new();
        if !is_whole_rule && overflow.is_none() {
            for (name, text) in &rule.annotations {
                let text = self.text(Some(name), text, templates, data);
                annotations.insert(name.clone(), text);
            }
        }
        if let (Some(detail), false) = (&self.detail, self.no_data) {
            detail.annotate(&mut annotations);
        }
        if let (Some(limit), Some(value)) = (overflow, self.value) {
            annotations.insert("left_out".into(), (value - limit as f64).to_string());
        }
        annotations
    }

    /// Returns the message, or the annotation `name`. A text that queries history is as of the last
    /// evaluation; after a restart, as of the last notification.
    fn text(
        &self,
        name: Option<&str>,
        text: &Text,
        templates: &Templates,
        data: TemplateData<'_>,
    ) -> String {
        let Text::Query(source) = text else {
            return templates.render(text, data);
        };
        let notified = || match name {
            None => self
                .notified
                .as_ref()
                .map(|notified| notified.message.as_str()),
            Some(name) => self
                .notified
                .as_ref()?
                .annotations
                .get(name)
                .map(String::as_str),
        };
        let rendered = self
            .rendered
            .as_ref()
            .and_then(|rendered| rendered.text(name));
        rendered.or_else(notified).unwrap_or(source).to_owned()
    }

    /// Returns the resolved transition of a firing alert, with `message` as its text.
    #[must_use]
    pub fn resolved(
        &self,
        notified: &Alert,
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
            ..notified.clone()
        };
        Transition {
            alert: Arc::new(alert),
            from: AlertState::Firing,
            reason,
            at,
        }
    }

    /// Ends a firing alert, which fires anew only after its condition did not hold once. Returns the
    /// transition; none if it does not fire.
    pub fn close(&mut self, reason: String, at: UnixMillis) -> Option<Transition> {
        let notified = self.notified.take()?;
        self.state = State::CLOSED;
        let message = notified.message.clone();
        Some(self.resolved(&notified, message, reason, at))
    }

    /// Applies one observation. Returns the transition, if there is one.
    pub fn advance(
        &mut self,
        rule: &Rule,
        templates: &Templates,
        key: &LabelSet,
        evaluated: (Observation, Cause<'_>),
        now: Now,
    ) -> Option<Transition> {
        let (observation, cause) = evaluated;
        let before = self.state;
        self.state = step(before, observation, now.mono, &rule.policy);
        if self.state.phase != AlertState::Inactive && observation != Observation::Unknown {
            match cause {
                Cause::Value | Cause::Limit(_) => self.no_data = false,
                Cause::NoData | Cause::Error(_) => self.no_data = true,
                Cause::Vanished | Cause::Returned => {}
            }
        }
        self.note_peak(rule, &before, evaluated);
        self.note_times(before.phase, now.wall);
        match (before.phase, self.state.phase) {
            (AlertState::Firing, AlertState::Inactive) => {
                self.resolve(rule, key, cause, &before, now.wall)
            }
            (AlertState::Firing, AlertState::Firing)
                if self.is_notified_as(rule.severity(self.state.level)) =>
            {
                None
            }
            (AlertState::Inactive, AlertState::Inactive)
            | (AlertState::Pending | AlertState::Firing, AlertState::Pending) => None,
            _ => Some(self.change(rule, templates, key, cause, &before, now.wall)),
        }
    }

    /// Notes the times at which the alert became pending and firing.
    fn note_times(&mut self, before: AlertState, now: UnixMillis) {
        match (before, self.state.phase) {
            (AlertState::Inactive, AlertState::Pending) => self.active_at = now,
            (AlertState::Inactive, AlertState::Firing) => {
                (self.active_at, self.fired_at) = (now, Some(now));
            }
            (AlertState::Pending, AlertState::Firing) => self.fired_at = Some(now),
            _ => {}
        }
    }

    fn is_notified_as(&self, severity: Severity) -> bool {
        let notified = self.notified.as_ref();
        notified.is_some_and(|notified| notified.severity == severity)
    }

    /// Returns the transition to an alert that no longer fires.
    fn resolve(
        &mut self,
        rule: &Rule,
        key: &LabelSet,
        cause: Cause<'_>,
        before: &State,
        now: UnixMillis,
    ) -> Option<Transition> {
        let notified = self.notified.take()?;
        let reason = transition_reason(rule, cause, before, self);
        // A message of the rule stays as it was notified; the default one would no longer be true.
        let own = rule.message.is_none() || self.no_data || rule.overflow(key).is_some();
        let message = match own {
            true => reason.clone(),
            false => notified.message.clone(),
        };
        let reason = reason + &firing_summary(rule, self, now);
        Some(self.resolved(&notified, message, reason, now))
    }

    /// Returns the transition to the current state.
    fn change(
        &mut self,
        rule: &Rule,
        templates: &Templates,
        key: &LabelSet,
        cause: Cause<'_>,
        before: &State,
        now: UnixMillis,
    ) -> Transition {
        let alert = Arc::new(self.alert(rule, templates, key));
        if alert.state == AlertState::Firing {
            self.notified = Some(Arc::clone(&alert));
        }
        Transition {
            alert,
            from: before.phase,
            reason: transition_reason(rule, cause, before, self),
            at: now,
        }
    }

    /// Updates the fired value and the peak.
    fn note_peak(&mut self, rule: &Rule, before: &State, evaluated: (Observation, Cause<'_>)) {
        let (observation, cause) = evaluated;
        let holds = observation.level().is_some();
        let of_value = matches!(cause, Cause::Value | Cause::Limit(_));
        let value = self.value.filter(|_| holds && of_value);
        match (before.phase, self.state.phase, value) {
            (AlertState::Firing, AlertState::Firing, Some(value)) => {
                let is_worse = self.peak.is_none_or(|peak| match cause {
                    Cause::Limit(_) => value > peak,
                    _ => rule.is_worse(value, peak, self.detail.as_ref()),
                });
                if is_worse {
                    self.peak = Some(value);
                }
            }
            (AlertState::Firing, ..) => {}
            (_, AlertState::Firing, value) => (self.fired_value, self.peak) = (value, value),
            _ => {}
        }
    }
}

impl Default for ActiveAlert {
    fn default() -> Self {
        Self::new()
    }
}
