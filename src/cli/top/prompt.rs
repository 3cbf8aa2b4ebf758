//! Question before an alert is acknowledged or silenced.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::{Map, Value, json};

use super::feed::Order;
use crate::cli::range::duration;

/// Longest text that can be typed.
const MAX_TEXT: usize = 200;

/// Change that a prompt is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Acknowledge,
    Silence,
}

/// An open question about one alert.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Prompt {
    pub(super) action: Action,
    /// Name of the alert.
    pub(super) about: String,
    fingerprint: String,
    matchers: Vec<String>,
    pub(super) duration: String,
    pub(super) comment: String,
    /// True while the comment is typed, and not the duration.
    pub(super) in_comment: bool,
    pub(super) error: Option<String>,
}

/// Result of a key.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    Open,
    Cancelled,
    Given(Order),
}

impl Prompt {
    pub(super) fn new(action: Action, alert: &Value) -> Self {
        let labels = alert["labels"].as_object();
        Self {
            action,
            about: crate::cli::alerts::screen::name(&alert["labels"], &alert["rule"]),
            fingerprint: alert["fingerprint"].as_str().unwrap_or_default().to_owned(),
            matchers: labels.map(matchers).unwrap_or_default(),
            duration: match action {
                Action::Silence => "2h".to_owned(),
                Action::Acknowledge => String::new(),
            },
            comment: String::new(),
            in_comment: true,
            error: None,
        }
    }

    /// Returns the matchers of the silence, or the fingerprint, in words.
    pub(super) fn covers(&self) -> String {
        match self.action {
            Action::Silence => self.matchers.join(", "),
            Action::Acknowledge => format!("this alert, {}", self.fingerprint),
        }
    }

    /// Handles a key; `by` is the author.
    pub(super) fn key(&mut self, key: KeyEvent, by: &str) -> Answer {
        let field = match self.in_comment {
            true => &mut self.comment,
            false => &mut self.duration,
        };
        match key.code {
            KeyCode::Esc => return Answer::Cancelled,
            KeyCode::Enter => return self.given(by),
            KeyCode::Tab | KeyCode::BackTab | KeyCode::Up | KeyCode::Down => {
                self.in_comment = !self.in_comment;
            }
            KeyCode::Backspace => {
                field.pop();
            }
            KeyCode::Char('u') if key.modifiers.contains(KeyModifiers::CONTROL) => field.clear(),
            KeyCode::Char(typed) if field.len() < MAX_TEXT && !typed.is_control() => {
                field.push(typed);
            }
            _ => {}
        }
        self.error = None;
        Answer::Open
    }

    fn given(&mut self, by: &str) -> Answer {
        let is_optional = self.action == Action::Acknowledge && self.duration.is_empty();
        if !is_optional && let Err(error) = duration(&self.duration) {
            self.error = Some(error);
            self.in_comment = false;
            return Answer::Open;
        }
        Answer::Given(Order::Change {
            path: self.path(),
            body: self.body(by),
            done: self.sentence(),
        })
    }

    fn path(&self) -> String {
        match self.action {
            Action::Acknowledge => format!("/api/v1/alerts/{}/acknowledge", self.fingerprint),
            Action::Silence => "/api/v1/silences".to_owned(),
        }
    }

    fn body(&self, by: &str) -> Value {
        let mut body = match self.action {
            Action::Acknowledge => json!({ "by": by, "comment": self.comment }),
            Action::Silence => json!({
                "matchers": self.matchers, "created_by": by, "comment": self.comment,
            }),
        };
        if !self.duration.is_empty() {
            body["duration"] = json!(self.duration);
        }
        body
    }

    fn sentence(&self) -> String {
        match self.action {
            Action::Acknowledge => format!("{} is acknowledged", self.about),
            Action::Silence => format!("{} is silenced for {}", self.about, self.duration),
        }
    }
}

/// Returns one matcher for each label, as routes have them.
fn matchers(labels: &Map<String, Value>) -> Vec<String> {
    let given = labels.iter().filter(|(name, _)| *name != "severity");
    given
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert() -> Value {
        json!({"rule": "disk", "fingerprint": "16b1", "labels":
            {"alertname": "disk", "mount_point": "/data", "severity": "warning"}})
    }

    fn typed(prompt: &mut Prompt, text: &str) {
        for letter in text.chars() {
            prompt.key(KeyCode::Char(letter).into(), "ada");
        }
    }

    #[test]
    fn a_silence_has_matchers_duration_and_comment() {
        let mut prompt = Prompt::new(Action::Silence, &alert());
        typed(&mut prompt, "moving");
        let Answer::Given(Order::Change { path, body, .. }) =
            prompt.key(KeyCode::Enter.into(), "ada")
        else {
            panic!("no order")
        };
        assert_eq!(path, "/api/v1/silences");
        let expected = json!({"matchers": ["alertname=\"disk\"", "mount_point=\"/data\""],
            "created_by": "ada", "comment": "moving", "duration": "2h"});
        assert_eq!(body, expected);
    }

    #[test]
    fn a_wrong_duration_is_asked_for_again() {
        let mut prompt = Prompt::new(Action::Silence, &alert());
        prompt.key(KeyCode::Tab.into(), "ada");
        typed(&mut prompt, "x");
        assert_eq!(prompt.key(KeyCode::Enter.into(), "ada"), Answer::Open);
        assert!(prompt.error.is_some() && !prompt.in_comment);
        prompt.key(KeyCode::Backspace.into(), "ada");
        assert!(matches!(
            prompt.key(KeyCode::Enter.into(), "ada"),
            Answer::Given(_)
        ));
    }

    #[test]
    fn an_acknowledgement_needs_no_duration() {
        let mut prompt = Prompt::new(Action::Acknowledge, &alert());
        let Answer::Given(Order::Change { path, body, .. }) =
            prompt.key(KeyCode::Enter.into(), "ada")
        else {
            panic!("no order")
        };
        assert_eq!(path, "/api/v1/alerts/16b1/acknowledge");
        assert_eq!(body, json!({"by": "ada", "comment": ""}));
        assert_eq!(prompt.key(KeyCode::Esc.into(), "ada"), Answer::Cancelled);
    }
}
