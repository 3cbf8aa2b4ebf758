//! Checks of reports and of the channel of audit lines.

use bellwether_notify::named;
use bellwether_report as report;
use bellwether_schema::Diagnostic;

use super::Checker;

impl Checker<'_> {
    /// Checks each report and where it goes to, and where audit lines go to.
    pub(super) fn reports(&mut self) {
        let notifications = &self.root.performance_monitor.alerting.notifications;
        let channels = &notifications.channels;
        report::check(&self.root.reports, channels, self.problems);
        if let Some(channel) = &self.root.logging.audit.channel {
            report::check_channel(channel, channels, self.problems);
        }
        let channels = named(channels);
        let is_enabled = |name: &str| {
            let mut enabled = channels
                .iter()
                .filter(|(_, channel)| channel.common.enabled);
            enabled.any(|(other, _)| other == name)
        };
        for report in &self.root.reports {
            let mut names = report.channels.iter();
            if !report.channels.is_empty() && !names.any(|name| is_enabled(name)) {
                self.warnings.push(Diagnostic {
                    location: report.channels.at.clone(),
                    message: format!(
                        "report {:?} is sent nowhere: its channels are disabled",
                        report.name.value
                    ),
                    help: Some("set `enabled: true` of one, or name another".to_owned()),
                });
            }
        }
    }
}
