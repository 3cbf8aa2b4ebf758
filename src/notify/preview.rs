//! What the channels would be told, without telling them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::filter::Filter;
use super::outbox::{Outbox, Record, Told};
use super::settings::{ChannelSettings, named};
use crate::model::{Alert, Dispatch, Fingerprint, Group, Notification, Severity, Wall};

/// The enabled channels of a declaration, each with what it was told so far. The same filters and
/// the same rules of what must be told as for delivery; every receiver takes everything at once.
pub struct Preview {
    channels: Vec<Previewed>,
}

struct Previewed {
    name: String,
    filter: Filter,
    outbox: Outbox,
}

/// Offers a channel one notification; what it is told then.
fn take(
    filter: &Filter,
    outbox: &mut Outbox,
    offered: &Notification,
    at: Wall,
) -> Vec<Notification> {
    let mut told = Vec::new();
    for record in filter.take(outbox, offered) {
        if let Record::Push { seq, notification, .. } = record {
            outbox.done(seq, at);
            told.push(notification);
        }
    }
    told
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
            outbox: Outbox::default(),
        });
        Self { channels: channels.collect() }
    }

    /// The names of the channels, in the order of the declaration.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.channels.iter().map(|channel| channel.name.as_str())
    }

    /// What the channel `name` was told of that still fires, of a group that is told whole.
    #[must_use]
    pub fn standing(&self, name: &str, group: &Group) -> Vec<Arc<Alert>> {
        let channel = self.channels.iter().find(|channel| channel.name == name);
        channel.map_or_else(Vec::new, |channel| channel.outbox.standing(group, &[]))
    }

    /// Alerts that any channel was told of and whose end is still to come.
    #[must_use]
    pub fn told(&self) -> HashMap<Fingerprint, (Told, Severity)> {
        let mut all = HashMap::new();
        self.channels.iter().for_each(|channel| channel.outbox.note_told(&mut all));
        all
    }

    /// Resolves on each channel what it was told as firing and what is not in `standing`.
    pub fn reconcile(
        &mut self,
        standing: &HashSet<Fingerprint>,
        now: Wall,
    ) -> Vec<(&str, Notification)> {
        let mut all = Vec::new();
        for Previewed { name, filter, outbox } in &mut self.channels {
            for gone in outbox.gone(standing, now) {
                let taken = take(filter, outbox, &gone, now);
                all.extend(taken.into_iter().map(|one| (name.as_str(), one)));
            }
        }
        all
    }

    /// What each channel would be told of `dispatch`: its name and the notification.
    pub fn accept(&mut self, dispatch: &Dispatch, at: Wall) -> Vec<(&str, Notification)> {
        let mut all = Vec::new();
        for Previewed { name, filter, outbox } in &mut self.channels {
            let meant = |to: &[Arc<str>]| to.iter().any(|one| **one == *name);
            if !dispatch.to.as_deref().is_none_or(meant) {
                continue;
            }
            for offered in &dispatch.notifications {
                let taken = take(filter, outbox, offered, at);
                all.extend(taken.into_iter().map(|one| (name.as_str(), one)));
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declare::{Cx, Decode, Problems, parse};
    use crate::model::{Alert, AlertState, Severity, Status};
    use crate::notify::samples::{firing, resolved, told};

    fn preview(yaml: &str) -> Preview {
        let mut problems = Problems::default();
        let node = parse(yaml).unwrap();
        let channels = Vec::decode(&node, &mut Cx::new(&mut problems, &|_| None)).unwrap();
        Preview::new(&channels)
    }

    /// What is told of an alert that was in the state `from`, with no routes.
    fn dispatch(from: AlertState, to: AlertState, severity: Severity) -> Option<Dispatch> {
        let fires = to == AlertState::Firing;
        let mut transition = if fires { firing("disk", "/") } else { resolved("disk", "/") };
        transition.alert = Arc::new(Alert { severity, ..Alert::clone(&transition.alert) });
        let heard = fires || from == AlertState::Firing;
        heard.then(|| Dispatch { to: None, notifications: vec![told(&transition)] })
    }

    #[test]
    fn only_the_channels_that_are_meant_are_told() {
        let mut preview = preview("[{type: log}, {type: log, name: pager}]");
        let pager: Arc<[Arc<str>]> = ["pager".into()].into();
        let notifications = vec![told(&firing("disk", "/"))];
        let told = preview.accept(&Dispatch { to: Some(pager), notifications }, Wall(1));
        assert_eq!(told.iter().map(|(channel, _)| *channel).collect::<Vec<_>>(), ["pager"]);
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
            let Some(dispatch) = dispatch(from, to, severity) else { return Vec::new() };
            let all = preview.accept(&dispatch, Wall(1));
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
