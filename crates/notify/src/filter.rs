//! Filters of a channel: by severity, rule, component and labels.

use std::collections::BTreeMap;

use bellwether_core::{Alert, Cause, Notification, Severity, Status};
use bellwether_schema::{Matcher, Spanned};
use globset::{Glob, GlobSet, GlobSetBuilder};

use super::outbox::Decision;
use super::settings::ChannelCommon;

/// Compiled filters of one channel.
#[derive(Debug)]
pub(super) struct Filter {
    alerts: bool,
    min_severity: Severity,
    /// `None` matches all rules.
    rules: Option<GlobSet>,
    /// `None` matches all components.
    components: Option<GlobSet>,
    labels: BTreeMap<String, Matcher>,
    send_resolved: bool,
}

impl Filter {
    /// Compiles validated settings; an invalid glob matches nothing.
    pub(super) fn new(common: &ChannelCommon) -> Self {
        Self {
            alerts: common.alerts,
            min_severity: common.min_severity,
            rules: glob_set(&common.rules),
            components: glob_set(&common.components),
            labels: common.labels.clone(),
            send_resolved: common.send_resolved,
        }
    }

    /// Decides whether the channel is notified. A firing alert that does not match (any more) has
    /// ended for the channel; the outbox knows whether it was notified of it.
    pub(super) fn decide(&self, notification: &Notification) -> Decision {
        // These are sent on request, whatever the severity.
        let is_requested = matches!(
            notification.cause,
            Cause::Heartbeat | Cause::Test | Cause::Resend
        );
        if notification.status == Status::Firing
            && (is_requested || self.matches(&notification.alert))
        {
            Decision::Offer(notification.clone())
        } else if self.send_resolved {
            Decision::Offer(Notification {
                status: Status::Resolved,
                ..notification.clone()
            })
        } else {
            Decision::CloseSilently(notification.clone())
        }
    }

    /// Returns true if `alert` passes all filters.
    pub(super) fn matches(&self, alert: &Alert) -> bool {
        self.alerts
            && alert.severity >= self.min_severity
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

/// Compiles the globs to one set; `None` without globs.
fn glob_set(globs: &[Spanned<String>]) -> Option<GlobSet> {
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
    use super::*;
    use crate::testing::{alert, decoded};

    #[test]
    fn components_are_globs_and_an_alert_without_one_has_none() {
        let common: ChannelCommon = decoded("{type: log, components: ['db*', web]}");
        let filter = Filter::new(&common);
        for (component, admitted) in [("db-1", true), ("web", true), ("web2", false), ("", false)] {
            let mut alert = alert("disk", "/data");
            if !component.is_empty() {
                alert.labels.insert("component".into(), component.into());
            }
            assert_eq!(filter.matches(&alert), admitted, "{component:?}");
        }
    }
}
