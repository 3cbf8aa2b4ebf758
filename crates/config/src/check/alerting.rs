//! Channels, routes and the sender of notifications.

use bellwether_core::Labels;
use bellwether_routing::{Routing, RuleTraits};
use bellwether_rules::RuleSet;
use bellwether_schema::Diagnostic;

use super::Checker;

impl Checker<'_> {
    pub(super) fn channels(&mut self) {
        let channels = &self
            .root
            .performance_monitor
            .alerting
            .notifications
            .channels;
        bellwether_notify::check(channels, self.problems);
    }

    /// Warns of a rule whose severities are below the minimum of every channel.
    pub(super) fn unheard(&mut self, rules: &RuleSet) {
        let channels = &self
            .root
            .performance_monitor
            .alerting
            .notifications
            .channels;
        let enabled = channels
            .iter()
            .filter(|channel| channel.common.enabled && channel.common.alerts);
        let Some(least) = enabled.map(|channel| channel.common.min_severity).min() else {
            return;
        };
        for (rule, settings) in rules.with_settings().filter(|(rule, _)| rule.enabled) {
            let worst = rule.worst_severity();
            if worst < least {
                let at = settings
                    .severity
                    .as_ref()
                    .map_or(settings.location(), |s| s.at.clone());
                let (worst, least) = (worst.as_str(), least.as_str());
                self.warnings.push(Diagnostic {
                    location: at,
                    message: format!(
                        "no channel is notified of rule {:?}: its highest severity is {worst}",
                        &*rule.name
                    ),
                    help: Some(format!(
                        "the lowest min_severity is {least}: lower it for one channel"
                    )),
                });
            }
        }
    }

    pub(super) fn external_url(&mut self) -> String {
        let Some(url) = &self.root.performance_monitor.alerting.external_url else {
            return String::new();
        };
        if !["http://", "https://"]
            .iter()
            .any(|scheme| url.starts_with(scheme))
        {
            self.problems
                .error(&url.at, format!("not an HTTP URL: {:?}", url.value))
                .hint("https://monitor.example.org, where people reach this Bellwether");
        }
        url.value.clone()
    }

    pub(super) fn routing(&mut self) -> Routing {
        let monitor = &self.root.performance_monitor;
        let alerting = &monitor.alerting;
        let channels: Vec<_> = bellwether_notify::named(&alerting.notifications.channels)
            .into_iter()
            .map(|(name, channel)| (name, channel.common.enabled))
            .collect();
        let usual = monitor.collection_interval.0;
        let traits = alerting.rules.iter().map(|rule| {
            let interval = rule
                .interval
                .as_ref()
                .map_or(usual, |interval| interval.0.max(usual));
            let cooldown = rule.cooldown_period.map(|span| span.0);
            (rule.name.as_str().into(), RuleTraits { cooldown, interval })
        });
        let settings = bellwether_routing::RoutingSettings {
            receivers: &alerting.receivers,
            routes: alerting.routes.as_ref(),
            time_intervals: &alerting.time_intervals,
            inhibit_rules: &alerting.inhibit_rules,
            maintenance: &alerting.maintenance,
            silences: self.silences,
            flapping: &alerting.flapping,
            heartbeat: &alerting.heartbeat,
            cooldown: alerting.cooldown_period.0,
            channels: &channels,
            sender: self.sender_labels(),
            traits: traits.collect(),
        };
        let mut routing = Routing::compile(settings, self.problems);
        self.warnings.append(&mut routing.warnings);
        routing
    }

    /// Returns the labels of every notification: `default_labels`, with the host name as `instance`
    /// unless that is set.
    pub(super) fn sender_labels(&self) -> Labels {
        let mut labels = self
            .root
            .performance_monitor
            .prometheus
            .default_labels
            .value
            .clone();
        if let Some(host) = self.host {
            labels
                .entry("instance".to_owned())
                .or_insert_with(|| host.to_owned());
        }
        labels.retain(|_, value| !value.is_empty());
        labels
    }
}
