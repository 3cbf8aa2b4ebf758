//! What a channel is told of: which alerts, and whether of their ends.

use std::collections::BTreeMap;

use bellwether_core::{Alert, Cause, Notification, Severity, Status};
use bellwether_schema::{Matcher, Spanned};
use globset::{Glob, GlobSet, GlobSetBuilder};

use super::outbox::{Outbox, Record};
use super::settings::ChannelCommon;

/// The filters of one channel, compiled.
#[derive(Debug)]
pub(super) struct Filter {
    min_severity: Severity,
    /// `None`: all rules.
    rules: Option<GlobSet>,
    /// `None`: all components.
    components: Option<GlobSet>,
    labels: BTreeMap<String, Matcher>,
    send_resolved: bool,
}

impl Filter {
    /// Of settings that were checked; a glob that is none matches nothing.
    pub(super) fn new(common: &ChannelCommon) -> Self {
        Self {
            min_severity: common.min_severity,
            rules: any_of(&common.rules),
            components: any_of(&common.components),
            labels: common.labels.clone(),
            send_resolved: common.send_resolved,
        }
    }

    /// Queues `notification` if its channel must hear it. An alert that fires but is not admitted
    /// (any more) is over as far as the channel goes; the outbox knows whether it was told.
    pub(super) fn take(&self, outbox: &mut Outbox, notification: &Notification) -> Vec<Record> {
        let alert = &notification.alert;
        // Who asks for it wants it, however mild it is.
        let asked = matches!(
            notification.cause,
            Cause::Heartbeat | Cause::Test | Cause::Resend
        );
        let firing = notification.status == Status::Firing && (asked || self.admits(alert));
        match (firing, self.send_resolved) {
            (true, _) => outbox.offer(notification.clone()),
            (false, true) => outbox.offer(Notification {
                status: Status::Resolved,
                ..notification.clone()
            }),
            (false, false) => outbox.close_untold(notification),
        }
    }

    /// Whether `alert` is told as it stands now.
    pub(super) fn admits(&self, alert: &Alert) -> bool {
        alert.severity >= self.min_severity
            && self.rules.as_ref().is_none_or(|rules| {
                rules.is_match(&*alert.rule) || rules.is_match(alert.alertname())
            })
            && self
                .components
                .as_ref()
                .is_none_or(|components| components.is_match(alert.label("component")))
            && self
                .labels
                .iter()
                .all(|(name, matcher)| matcher.matches(alert.label(name)))
    }
}

/// The globs as one; `None` where there are none.
fn any_of(globs: &[Spanned<String>]) -> Option<GlobSet> {
    if globs.is_empty() {
        return None;
    }
    let globs = globs.iter().filter_map(|glob| Glob::new(glob).ok());
    let set = globs.fold(GlobSetBuilder::new(), |mut set, glob| {
        set.add(glob);
        set
    });
    Some(set.build().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use bellwether_schema::{Decode, DecodeContext, Diagnostics};

    use super::*;
    use crate::samples::alert;

    #[test]
    fn components_are_globs_and_an_alert_without_one_has_none() {
        let node = bellwether_schema::parse("{type: log, components: ['db*', web]}").unwrap();
        let mut problems = Diagnostics::default();
        let common =
            ChannelCommon::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None))
                .unwrap();
        let filter = Filter::new(&common);
        for (component, admitted) in [("db-1", true), ("web", true), ("web2", false), ("", false)] {
            let mut alert = alert("disk", "/data");
            if !component.is_empty() {
                alert.labels.insert("component".into(), component.into());
            }
            assert_eq!(filter.admits(&alert), admitted, "{component:?}");
        }
    }
}
