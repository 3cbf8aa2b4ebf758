//! What the channels would be told, without telling them.

use super::delivery::told;
use super::filter::Filter;
use super::outbox::{Outbox, Record};
use super::settings::{ChannelSettings, named};
use crate::model::{Notification, Status, Transition};

/// The enabled channels of a declaration, each with what it was told so far. The same filters and
/// the same rules of what must be told as for delivery; every receiver takes everything at once.
pub struct Preview {
    channels: Vec<Previewed>,
}

struct Previewed {
    name: String,
    filter: Filter,
    send_resolved: bool,
    outbox: Outbox,
}

impl Preview {
    /// Channels that were told nothing yet.
    #[must_use]
    pub fn new(channels: &[ChannelSettings]) -> Self {
        let named = named(channels).into_iter();
        let enabled = named.filter(|(_, channel)| channel.common.enabled);
        let channels = enabled.map(|(name, channel)| Previewed {
            name,
            filter: Filter::new(&channel.common),
            send_resolved: channel.common.send_resolved,
            outbox: Outbox::default(),
        });
        Self { channels: channels.collect() }
    }

    /// The names of the channels, in the order of the declaration.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.channels.iter().map(|channel| channel.name.as_str())
    }

    /// What each channel would be told of `transition`: its name and the notification.
    pub fn accept(&mut self, transition: &Transition) -> Vec<(&str, Notification)> {
        let mut all = Vec::new();
        for channel in &mut self.channels {
            let Some(offered) = told(&channel.filter, transition) else { continue };
            for record in channel.outbox.offer(offered) {
                if let Record::Push { seq, notification, .. } = record {
                    channel.outbox.done(seq);
                    if channel.send_resolved || notification.status == Status::Firing {
                        all.push((channel.name.as_str(), notification));
                    }
                }
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::declare::{Cx, Decode, Problems, parse};
    use crate::model::{Alert, AlertState, Fingerprint, Labels, Severity, Wall};

    fn preview(yaml: &str) -> Preview {
        let mut problems = Problems::default();
        let node = parse(yaml).unwrap();
        let channels = Vec::decode(&node, &mut Cx::new(&mut problems, &|_| None)).unwrap();
        Preview::new(&channels)
    }

    fn transition(from: AlertState, to: AlertState, severity: Severity) -> Transition {
        let alert = Alert {
            fingerprint: Fingerprint::of("disk", &Labels::new()),
            rule: "disk".into(),
            severity,
            labels: Labels::new(),
            annotations: Labels::new(),
            message: String::new(),
            value: None,
            fired_value: None,
            peak: None,
            threshold: None,
            state: to,
            active_at: Wall(0),
            fired_at: Some(Wall(0)),
            resolved_at: None,
        };
        Transition { alert: Arc::new(alert), from, reason: String::new(), at: Wall(0) }
    }

    #[test]
    fn a_channel_is_told_what_passes_its_filters_and_of_its_end() {
        use AlertState::{Firing, Inactive, Pending};
        let mut preview = preview(
            "[{type: log}, {type: log, name: pager, min_severity: critical},
              {type: log, name: quiet, send_resolved: false}, {type: log, name: off, enabled: false}]",
        );
        assert_eq!(preview.names().collect::<Vec<_>>(), ["log", "pager", "quiet"]);
        let mut told = |from, to, severity| -> Vec<(String, Status)> {
            let all = preview.accept(&transition(from, to, severity));
            all.into_iter().map(|(name, note)| (name.to_owned(), note.status)).collect()
        };
        assert_eq!(told(Inactive, Pending, Severity::Warning), []);
        let both = [("log".to_owned(), Status::Firing), ("quiet".to_owned(), Status::Firing)];
        assert_eq!(told(Pending, Firing, Severity::Warning), both);
        assert_eq!(told(Firing, Firing, Severity::Critical).len(), 3);
        let ends = [("log".to_owned(), Status::Resolved), ("pager".to_owned(), Status::Resolved)];
        assert_eq!(told(Firing, Inactive, Severity::Critical), ends);
        assert_eq!(told(Firing, Inactive, Severity::Critical), []);
    }
}
