//! Settings of channels: the common keys, and those of each type.
//!
//! Owns decoding and the checks that need no file and no network. Builds nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bellwether_core::Severity;
use bellwether_schema::{
    Decode, DecodeContext, Diagnostics, HumanDuration, MapReader, Matcher, Node, Override, Section,
    SectionDoc, Shape, SourceLocation, Spanned, is_file_name,
};
use globset::Glob;
use serde::Serialize;

use super::channels::{ChannelType, KindSettings};
use super::rate_limit::RateLimit;

bellwether_schema::section! {
    /// Settings of every channel.
    pub struct ChannelCommon {
        /// Type of the channel.
        pub r#type: ChannelType,
        /// Name in the log, in metrics and of the queue's file: letters, digits, `-`, `_` and `.`.
        /// By default the type, and for the second of a type `webhook-2`.
        pub name: Option<Spanned<String>>,
        /// If true, this entry replaces the one of its name of an earlier file, as `include` describes.
        pub r#override: Override,
        /// If false, nothing is sent to it.
        pub enabled: bool = true,
        /// If false, no alert is sent to it, only what names it: reports and audit lines.
        pub alerts: bool = true,
        /// Least severity of alerts that are sent. An alert that falls below it after it was sent
        /// is sent as resolved.
        pub min_severity: Severity = Severity::Info,
        /// Globs of rule names; alerts of other rules are not sent. By default all rules.
        pub rules: Vec<Spanned<String>> = Vec::new(),
        /// Globs of the label `component`; alerts of other components, and without one, are not
        /// sent. By default all.
        pub components: Vec<Spanned<String>> = Vec::new(),
        /// Matchers of labels, including `alertname` and `severity`; all must match.
        pub labels: BTreeMap<String, Matcher> = BTreeMap::new(),
        /// If true, resolved alerts are sent too.
        pub send_resolved: bool = true,
        /// Queue of undelivered notifications.
        pub queue: Queue,
        /// Retries after a failure.
        pub retry: Retry,
        /// Maximum number of messages in a time; by default there is no limit.
        pub rate_limit: Option<RateLimit>,
    }
}

bellwether_schema::section! {
    /// Queue of a channel. It is on disk and survives a restart.
    pub struct Queue {
        /// Maximum number of queued notifications. Above it, notifications are dropped in this
        /// order: alerts that fired and resolved unsent, superseded severities, the oldest alerts.
        /// The resolved notification of an alert that was sent is never dropped.
        pub capacity: usize = 10_000,
        /// Maximum number of dead letters: dropped notifications that can be inspected and resent.
        /// Above it, the oldest are deleted; 0 keeps none.
        pub dead_letters: usize = 1_000,
    }
}

bellwether_schema::section! {
    /// Retries of a channel. The delay is random, up to a maximum that doubles with each failure.
    /// `Retry-After` of the service is respected.
    pub struct Retry {
        /// Longest delay after the first failure.
        pub initial: HumanDuration = HumanDuration::secs(1),
        /// Longest delay.
        pub max: HumanDuration = HumanDuration::minutes(5),
        /// Time after which an alert that resolved before it could be sent is dropped. A firing
        /// alert, and the resolved notification of an alert that was sent, are retried forever.
        #[former = "give_up_after"]
        pub max_elapsed_time: HumanDuration = HumanDuration::secs(86_400),
    }
}

/// Settings of one channel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChannelSettings {
    #[serde(flatten)]
    pub common: ChannelCommon,
    /// Settings of the channel's type.
    #[serde(flatten)]
    pub kind: KindSettings,
    /// Location in the file.
    #[serde(skip)]
    pub at: Place,
}

/// A location that is ignored when settings are compared: a channel that only moved in the file did
/// not change.
#[derive(Clone, Debug, Default)]
pub struct Place(pub SourceLocation);

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Decode for ChannelSettings {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let mut map = MapReader::open(node, cx)?;
        let at = Place(map.at());
        let kind = map.field::<ChannelType>("type", None)?;
        let kind = KindSettings::read(kind, &mut map);
        let common = ChannelCommon::read(&mut map, None);
        map.finish();
        Some(Self {
            common: common?,
            kind: kind?,
            at,
        })
    }

    fn shape() -> Shape {
        Shape::Section(doc)
    }
}

/// Documents the common keys, and the keys of each type.
fn doc() -> SectionDoc {
    SectionDoc {
        name: "Channel",
        doc: "A channel: a service that notifications are sent to.".into(),
        variants: KindSettings::variants(),
        ..ChannelCommon::doc()
    }
}

/// Returns each channel with its name, in the order of the configuration. The first unnamed channel
/// of a type has the name of the type, so adding another one does not rename its queue.
#[must_use]
pub fn named(channels: &[ChannelSettings]) -> Vec<(String, &ChannelSettings)> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    channels
        .iter()
        .map(|channel| {
            let kind = channel.common.r#type.as_str();
            let name = match &channel.common.name {
                Some(name) => name.value.clone(),
                None => {
                    let count = seen.entry(kind).or_default();
                    *count += 1;
                    if *count == 1 {
                        kind.to_owned()
                    } else {
                        format!("{kind}-{count}")
                    }
                }
            };
            (name, channel)
        })
        .collect()
}

/// Validates names, globs, delays, and the settings of each type. Uses no files and no network.
pub fn check(channels: &[ChannelSettings], problems: &mut Diagnostics) {
    let mut names = BTreeSet::new();
    for (name, channel) in named(channels) {
        let at = match &channel.common.name {
            Some(name) => &name.at,
            None => &channel.at.0,
        };
        if !is_file_name(&name) {
            problems
                .error(at, format!("not a channel name: {name:?}"))
                .hint("use 1 to 64 letters, digits, '-', '_' and '.', not '.' first");
        } else if !names.insert(name.clone()) {
            problems
                .error(at, format!("a second channel named {name:?}"))
                .hint("set `name`");
        }
        if let Some(missing) = channel.kind.missing_client()
            && channel.common.enabled
        {
            problems
                .error(
                    &channel.at.0,
                    format!("channel {name:?}: {}", missing.error),
                )
                .hint(missing.hint);
        }
        check_common(&channel.common, &channel.at.0, problems);
        channel.kind.check(&channel.at.0, problems);
    }
}

/// Reports a limit of alerts that allows none.
pub(super) fn check_max_alerts(max_alerts: usize, at: &SourceLocation, problems: &mut Diagnostics) {
    if max_alerts == 0 {
        problems.error(&at.key("max_alerts"), "must be at least 1");
    }
}

fn check_common(common: &ChannelCommon, at: &SourceLocation, problems: &mut Diagnostics) {
    for (globs, what) in [(&common.rules, "rule"), (&common.components, "component")] {
        for glob in globs {
            if let Err(error) = Glob::new(glob) {
                problems
                    .error(
                        &glob.at,
                        format!("invalid glob {:?}: {}", glob.value, error.kind()),
                    )
                    .hint(format!(
                        "use the name of a {what}; *, ? and [a-z] are wildcards"
                    ));
            }
        }
    }
    if common.queue.capacity == 0 {
        problems.error(&at.key("queue.capacity"), "must be at least 1");
    }
    let retry = &common.retry;
    if *retry.initial < Duration::from_millis(10) {
        problems.error(&at.key("retry.initial"), "must be at least 10ms");
    }
    if retry.max < retry.initial {
        problems.error(
            &at.key("retry.max"),
            format!("{} is shorter than `initial`, {}", retry.max, retry.initial),
        );
    }
    if let Some(limit) = &common.rate_limit {
        limit.check(&at.key("rate_limit"), problems);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &str) -> Result<Vec<ChannelSettings>, Vec<String>> {
        let mut problems = Diagnostics::default();
        let node = bellwether_schema::parse(text).unwrap();
        let channels = Vec::<ChannelSettings>::decode(
            &node,
            &mut DecodeContext::new(&mut problems, &|_| None),
        );
        if let Some(channels) = &channels {
            check(channels, &mut problems);
        }
        match channels {
            Some(channels) if problems.is_empty() => Ok(channels),
            _ => Err(problems
                .into_sorted()
                .iter()
                .map(ToString::to_string)
                .collect()),
        }
    }

    #[test]
    fn the_shape_of_the_core_document() {
        let channels = decode(
            "- {type: log, level: warning, enabled: true}\n\
             - {type: kafka, brokers: 'localhost:9092', topic: alerts, enabled: false}\n\
             - {type: webhook, url: 'https://example.org/hook', timeout: 5s, enabled: false}\n",
        )
        .unwrap();
        let names: Vec<_> = named(&channels)
            .into_iter()
            .map(|(name, c)| (name, c.common.enabled))
            .collect();
        assert_eq!(
            names,
            [
                ("log".into(), true),
                ("kafka".into(), false),
                ("webhook".into(), false)
            ]
        );
    }

    /// The shipped configuration has a disabled one.
    #[test]
    #[cfg(not(feature = "kafka"))]
    fn only_an_enabled_kafka_channel_needs_a_build_with_kafka() {
        let kafka = "type: kafka, brokers: 'h:1', topic: t";
        let problems = decode(&format!("- {{{kafka}}}\n")).unwrap_err();
        assert_eq!(
            problems,
            [
                "1:3: [0]: channel \"kafka\": this binary was built without Kafka\n  hint: build with \
                 `--features kafka`, or remove the channel"
            ]
        );
        assert!(decode(&format!("- {{{kafka}, enabled: false}}\n")).is_ok());
    }

    #[test]
    fn a_second_channel_of_a_type_does_not_rename_the_first() {
        let channels = decode(
            "- {type: webhook, url: 'http://a'}\n\
             - {type: webhook, url: 'http://b', name: pager}\n\
             - {type: webhook, url: 'http://c'}\n",
        )
        .unwrap();
        let names: Vec<_> = named(&channels).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["webhook", "pager", "webhook-2"]);
    }

    #[test]
    fn problems_name_the_key() {
        let problems = decode(
            "- {type: log, name: ../x, rules: ['a[']}\n\
             - {type: log, name: a, retry: {initial: 1s, max: 500ms}, queue: {capacity: 0}}\n\
             - {type: log, name: a}\n",
        )
        .unwrap_err();
        assert_eq!(
            problems,
            [
                "1:21: [0].name: not a channel name: \"../x\"\n  hint: use 1 to 64 letters, digits, \
                 '-', '_' and '.', not '.' first",
                "1:35: [0].rules[0]: invalid glob \"a[\": unclosed character class; missing ']'\
                 \n  hint: use the name of a rule; *, ? and [a-z] are wildcards",
                "2:3: [1].queue.capacity: must be at least 1",
                "2:3: [1].retry.max: 500ms is shorter than `initial`, 1s",
                "3:21: [2].name: a second channel named \"a\"\n  hint: set `name`",
            ]
        );
    }

    #[test]
    fn keys_of_another_type_are_unknown() {
        let problems = decode("- {type: log, topic: x}\n").unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].contains("unknown key \"topic\""),
            "{problems:?}"
        );
        let problems = decode("- {type: pigeon, topic: x}\n").unwrap_err();
        let expected =
            "1:10: [0].type: unknown value \"pigeon\"\n  hint: one of log, kafka, webhook";
        assert!(
            problems.len() == 1 && problems[0].starts_with(expected),
            "{problems:?}"
        );
    }

    #[test]
    fn a_printed_channel_reads_like_its_configuration() {
        let channels =
            decode("- {type: kafka, brokers: 'h:1', topic: t, enabled: false}\n").unwrap();
        let printed = serde_json::to_value(&channels[0]).unwrap();
        assert_eq!(printed["type"], "kafka");
        assert_eq!(printed["topic"], "t");
        assert_eq!(printed["retry"]["max"], "5m");
    }
}
