//! Silences and acknowledgements of people in the demo's past.

use std::time::Duration;

use bellwether_core::{Alert, UnixMillis};
use bellwether_routing::{Command, Matchers, MatchersError, SilenceDraft};

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;
const DAY: u64 = 86_400;

/// A silence of the past.
struct Silenced {
    /// Begin and end before and after the start of the demo, in seconds.
    begins_before: u64,
    lasts: u64,
    matchers: &'static str,
    by: &'static str,
    comment: &'static str,
}

const SILENCES: &[Silenced] = &[
    Silenced {
        begins_before: 25 * HOUR,
        lasts: 3 * DAY,
        matchers: r#"alertname="low_cache_hit_rate", cache_name="sessions""#,
        by: "mira",
        comment: "the session cache fills again after its migration, OPS-412",
    },
    Silenced {
        begins_before: 3 * DAY + 2 * HOUR,
        lasts: 2 * HOUR,
        matchers: r#"component="host""#,
        by: "jonas",
        comment: "deployment of release 84",
    },
];

/// An acknowledgement: the first alert of the rule in this time, some minutes after it fired.
struct Acknowledged {
    rule: &'static str,
    /// Earliest time before the start of the demo, in seconds.
    from_before: u64,
    after: u64,
    by: &'static str,
    comment: &'static str,
}

const ACKNOWLEDGED: &[Acknowledged] = &[
    Acknowledged {
        rule: "slow_neo4j_queries",
        from_before: 10 * DAY,
        after: 6 * MINUTE,
        by: "mira",
        comment: "a missing index on :Order(day), building it",
    },
    Acknowledged {
        rule: "high_memory_usage",
        from_before: 6 * DAY,
        after: 20 * MINUTE,
        by: "jonas",
        comment: "the recommendations worker again, restart tonight",
    },
    Acknowledged {
        rule: "queue_backlog",
        from_before: 2 * HOUR,
        after: 11 * MINUTE,
        by: "jonas",
        comment: "the mail relay throttles us, asked the provider",
    },
];

/// Commands of people that have not been given yet.
pub(super) struct People {
    start: UnixMillis,
    silences: Vec<&'static Silenced>,
    acknowledged: Vec<&'static Acknowledged>,
}

impl People {
    pub(super) fn new(start: UnixMillis) -> Self {
        Self {
            start,
            silences: SILENCES.iter().collect(),
            acknowledged: ACKNOWLEDGED.iter().collect(),
        }
    }

    /// Removes and returns the commands that are due at `now`, with the alerts that fire then.
    pub(super) fn commands(&mut self, firing: &[Alert], now: UnixMillis) -> Vec<Command> {
        let start = self.start;
        let mut due = Vec::new();
        self.silences.retain(|silence| {
            let begins = before(start, silence.begins_before);
            if now < begins {
                return true;
            }
            // The matchers are constants, and a test parses them.
            due.extend(silence.draft(begins).ok().map(Command::Silence));
            false
        });
        self.acknowledged.retain(|acknowledged| {
            match firing
                .iter()
                .find(|alert| acknowledged.is_due(alert, start, now))
            {
                Some(alert) => due.push(acknowledged.command(alert)),
                None => return true,
            }
            false
        });
        due
    }
}

impl Silenced {
    fn draft(&self, begins: UnixMillis) -> Result<SilenceDraft, MatchersError> {
        Ok(SilenceDraft {
            matchers: Matchers::parse(self.matchers)?,
            starts_at: Some(begins),
            ends_at: begins.after(Duration::from_secs(self.lasts)),
            created_by: self.by.to_owned(),
            comment: self.comment.to_owned(),
            ..SilenceDraft::default()
        })
    }
}

impl Acknowledged {
    fn is_due(&self, alert: &Alert, start: UnixMillis, now: UnixMillis) -> bool {
        let waited = alert.fired_at.map(|at| now.since(at));
        *alert.rule == *self.rule
            && now >= before(start, self.from_before)
            && waited.is_some_and(|waited| waited >= Duration::from_secs(self.after))
    }

    fn command(&self, alert: &Alert) -> Command {
        Command::Acknowledge {
            alert: alert.fingerprint,
            by: self.by.to_owned(),
            comment: self.comment.to_owned(),
            until: None,
        }
    }
}

fn before(start: UnixMillis, seconds: u64) -> UnixMillis {
    start.before(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use bellwether_core::{Labels, Severity};

    use super::*;

    const START: UnixMillis = UnixMillis(1_767_225_600_000);

    #[test]
    fn every_silence_is_made_once() {
        let mut people = People::new(START);
        assert_eq!(people.commands(&[], before(START, 14 * DAY)), []);
        assert_eq!(people.commands(&[], START).len(), SILENCES.len());
        assert_eq!(people.commands(&[], START), []);
    }

    #[test]
    fn an_alert_is_acknowledged_after_a_while() {
        let mut people = People::new(START);
        let fired = before(START, 9 * DAY);
        let alert = Alert {
            fired_at: Some(fired),
            ..Alert::firing("slow_neo4j_queries", Severity::Warning, Labels::new())
        };
        let alerts = [alert];
        let minutes = |count| fired.after(Duration::from_secs(count * MINUTE));
        assert_eq!(people.commands(&alerts, minutes(5)), []);
        let commands = people.commands(&alerts, minutes(6));
        assert!(matches!(&commands[..], [Command::Acknowledge { by, .. }] if by == "mira"));
        assert_eq!(people.commands(&alerts, minutes(7)), []);
    }
}
