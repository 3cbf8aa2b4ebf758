//! Settings of reports by schedule, and their check.

use std::collections::BTreeMap;

use bellwether_calendar::{Cron, Location};
use bellwether_notify::{ChannelSettings, ChannelType, named};
use bellwether_schema::{
    Diagnostics, HumanDuration, Override, Spanned, did_you_mean, is_file_name, section,
};

use super::Format;

section! {
    /// A report that channels get by schedule. One that was due while the agent did not run is sent once
    /// after the start.
    pub struct ReportSettings {
        /// Name: letters, digits, `-`, `_` and `.`.
        pub name: Spanned<String>,
        /// If true, this entry replaces the one of its name of an earlier file, as `include` describes.
        pub r#override: Override,
        /// Times at which it is made, as in crontab: minute, hour, day of the month, month, day of the
        /// week, with names, lists, ranges and steps, such as `0 7 * * mon`; or `@daily`, `@weekly`,
        /// `@monthly`.
        pub schedule: Cron,
        /// Time zone of `schedule`: a name of the time zone database such as `Europe/Berlin`, `Local` for
        /// the host's, or `UTC`.
        pub location: Location = Location::default(),
        /// Time range, which ends at the time of the schedule.
        pub range: Spanned<HumanDuration> = Spanned::nowhere(HumanDuration::secs(7 * 86_400)),
        /// Format of the attached file.
        pub format: Format = Format::Html,
        /// Names of channels.
        pub channels: Spanned<Vec<Spanned<String>>>,
    }
}

/// Checks names, ranges and channels.
pub fn check(reports: &[ReportSettings], all: &[ChannelSettings], problems: &mut Diagnostics) {
    let mut first = BTreeMap::new();
    for report in reports {
        let name = &report.name;
        if !is_file_name(name) {
            problems
                .error(&name.at, format!("not a name: {:?}", name.value))
                .hint("use 1 to 64 letters, digits, '-', '_' and '.', not '.' first");
        } else if let Some(before) = first.insert(&name.value, &name.at) {
            let place = before.words();
            let message = format!(
                "report {:?} is declared twice, first on {place}",
                name.value
            );
            problems
                .error(&name.at, message)
                .hint("give each a name of its own");
        }
        if report.range.is_zero() {
            problems.error(&report.range.at, "must be longer than 0");
        }
        if report.channels.is_empty() {
            problems
                .error(&report.channels.at, "no channels")
                .hint("channels: [mail]");
        }
        for channel in &report.channels.value {
            check_channel(channel, all, problems);
        }
    }
}

/// Checks that `name` is a channel that delivers messages which are no alerts.
pub fn check_channel(name: &Spanned<String>, all: &[ChannelSettings], problems: &mut Diagnostics) {
    let all = named(all);
    let Some((_, channel)) = all.iter().find(|(other, _)| *other == name.value) else {
        let names = all.iter().map(|(name, _)| name.as_str());
        problems
            .error(&name.at, format!("unknown channel {:?}", name.value))
            .hint_if(did_you_mean(name, names));
        return;
    };
    let kind = channel.common.r#type;
    if !kind.takes_bulletins() {
        let message = format!(
            "channel {:?} is of type {}, which takes nothing but alerts",
            name.value,
            kind.as_str()
        );
        let types = ChannelType::WORDS.iter();
        let types = types.filter(|(_, kind)| kind.takes_bulletins());
        let types: Vec<&str> = types.map(|(word, _)| *word).collect();
        problems
            .error(&name.at, message)
            .hint(format!("types that take it: {}", types.join(", ")));
    }
}

#[cfg(test)]
pub(super) mod testing {
    use bellwether_schema::{Decode, DecodeContext, Diagnostics, parse};

    use super::*;

    /// A report with this schedule.
    pub(crate) fn report(schedule: &str) -> ReportSettings {
        let text = format!("{{name: weekly, schedule: '{schedule}', channels: [mail]}}");
        let mut problems = Diagnostics::default();
        let node = parse(&text).unwrap();
        let mut context = DecodeContext::new(&mut problems, &|_| None);
        ReportSettings::decode(&node, &mut context).unwrap()
    }
}
