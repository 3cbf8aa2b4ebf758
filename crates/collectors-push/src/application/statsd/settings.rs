//! The section `statsd`, and its checks.

use std::collections::BTreeMap;

use bellwether_schema::{Diagnostics, Literal, Spanned, did_you_mean, section, string_enum};

use super::line::has_tags;
use super::mapping::{Template, glob};
use crate::application::settings::ApplicationMetric;
use crate::sockets::{StreamSockets, check_address};

const LISTEN: &str = "127.0.0.1:8125";
const RECEIVE_BUFFER: u32 = 4 << 20;

section! {
    /// `StatsD` and `DogStatsD` over UDP, TCP and Unix sockets. Anyone who can send to the address can record.
    ///
    /// A tag without a value is a label with an empty value if the metric has that label, and is
    /// ignored otherwise. A line with a timestamp (`|T`) is accepted if that is at most a minute off;
    /// others are rejected with the reason `timestamp`.
    pub struct Statsd {
        /// Address on which it listens for UDP packets.
        pub listen: Spanned<String> = LISTEN.to_owned().into(),
        #[serde(flatten)]
        pub sockets: StreamSockets = StreamSockets::default(),
        /// Meaning of a sign in a gauge. `statsd`, the original: `-5` takes 5 away from the gauge.
        /// `dogstatsd`: `-5` is its value. `auto`: `dogstatsd` for packets in which a line has
        /// tags, which only those clients send, and `statsd` for the others. Lines of a connection
        /// that come at once count as a packet.
        pub dialect: StatsdDialect = StatsdDialect::Auto,
        /// Size of the socket's receive buffer in bytes; the kernel may allow less.
        pub receive_buffer: Spanned<u32> = RECEIVE_BUFFER.into(),
        /// Tags to ignore, such as those that a client adds to all lines.
        pub ignored_tags: Vec<String> = Vec::new(),
        /// Mappings of dotted names to metrics; the first one that matches applies. A name without a
        /// mapping is the name of its metric, with `_` for each character that is not a letter or
        /// a digit.
        pub mappings: Vec<StatsdMapping> = Vec::new(),
    }
}

string_enum! {
    /// Dialects of `StatsD`.
    pub enum StatsdDialect {
        /// Detected by packet.
        Auto = "auto",
        /// The original one: a signed gauge is a step.
        Statsd = "statsd",
        /// Datadog's: a signed gauge is a value.
        Dogstatsd = "dogstatsd",
    }
}

impl StatsdDialect {
    /// Returns whether a signed gauge in `packet` is a step.
    pub(crate) fn signs_are_steps(self, packet: &[u8]) -> bool {
        match self {
            Self::Statsd => true,
            Self::Dogstatsd => false,
            Self::Auto => !has_tags(packet),
        }
    }
}

section! {
    /// Maps `StatsD` names to an application metric.
    pub struct StatsdMapping {
        /// Dotted name; `*` matches one part: `api.*.*.time`.
        pub r#match: Spanned<Literal>,
        /// Metric of `application_metrics`.
        pub metric: Spanned<String>,
        /// Label values; `$1` is the text matched by the first `*`. Other labels come from the tags.
        pub labels: BTreeMap<String, Spanned<Literal>> = BTreeMap::new(),
        /// Factor for the values. Timers (`ms`) are in seconds before it is applied.
        pub scale: Spanned<f64> = 1.0.into(),
    }
}

impl Default for Statsd {
    fn default() -> Self {
        Self {
            listen: LISTEN.to_owned().into(),
            sockets: StreamSockets::default(),
            dialect: StatsdDialect::Auto,
            receive_buffer: RECEIVE_BUFFER.into(),
            ignored_tags: Vec::new(),
            mappings: Vec::new(),
        }
    }
}

impl Statsd {
    /// Checks the section; `metrics` are the metrics that lines can be mapped to.
    pub fn check(&self, metrics: &[ApplicationMetric], problems: &mut Diagnostics) {
        check_address(&self.listen, problems);
        self.sockets.endpoints(problems);
        if *self.receive_buffer < 65_536 {
            let message = format!(
                "must hold one packet, 65536 bytes: {}",
                *self.receive_buffer
            );
            problems.error(&self.receive_buffer.at, message);
        }
        self.mappings
            .iter()
            .for_each(|mapping| mapping.check(metrics, problems));
    }
}

impl StatsdMapping {
    fn check(&self, metrics: &[ApplicationMetric], problems: &mut Diagnostics) {
        let parts = glob(&self.r#match).unwrap_or_else(|why| {
            problems.error(&self.r#match.at, format!("{why}: {:?}", self.r#match.0));
            Vec::new()
        });
        let stars = parts.iter().filter(|part| part.is_none()).count();
        for template in self.labels.values().filter(|_| !parts.is_empty()) {
            if let Err(why) = Template::parse(template, stars) {
                problems.error(&template.at, why).hint("$$ is a plain $");
            }
        }
        if *self.scale == 0.0 {
            problems.error(&self.scale.at, "every value would be 0");
        }
        self.check_target(metrics, problems);
    }

    fn check_target(&self, metrics: &[ApplicationMetric], problems: &mut Diagnostics) {
        let wanted = &self.metric;
        let Some(metric) = metrics.iter().find(|metric| metric.name == *wanted) else {
            let names = metrics.iter().map(|metric| metric.name.as_str());
            let message = format!("no application metric is named {:?}", wanted.value);
            problems
                .error(&wanted.at, message)
                .hint_if(did_you_mean(wanted, names));
            return;
        };
        let declared = || metric.labels.iter().map(|label| label.as_str());
        for (name, template) in &self.labels {
            if !declared().any(|label| label == name) {
                let message = format!("{:?} has no label {name:?}", wanted.value);
                problems
                    .error(&template.at, message)
                    .hint_if(did_you_mean(name, declared()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwether_schema::{Decode, DecodeContext};

    use super::*;

    fn check(yaml: &str) -> Vec<String> {
        let metrics = "[{name: api_time, type: summary, labels: [endpoint]}]";
        let mut problems = Diagnostics::default();
        let mut cx = DecodeContext::new(&mut problems, &|_| None);
        let metrics: Vec<ApplicationMetric> =
            Vec::decode(&bellwether_schema::parse(metrics).unwrap(), &mut cx).unwrap();
        let statsd = Statsd::decode(&bellwether_schema::parse(yaml).unwrap(), &mut cx).unwrap();
        statsd.check(&metrics, &mut problems);
        problems
            .into_sorted()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn good_settings_have_no_problems() {
        let mapping = "{match: api.*.time, metric: api_time, labels: {endpoint: $1}, scale: 2}";
        assert_eq!(check("{}"), [""; 0]);
        assert_eq!(
            check(&format!("{{listen: '[::1]:0', mappings: [{mapping}]}}")),
            [""; 0]
        );
    }

    #[test]
    fn every_mistake_is_reported() {
        let mapping = |body: &str| format!("mappings: [{{match: a.*, metric: api_time, {body}}}]");
        let cases = [
            (
                "listen: 8125".to_owned(),
                "not an address with a port: \"8125\"",
            ),
            ("listen: ':8125'".to_owned(), "not an address with a port"),
            (
                "listen: localhost:99999".to_owned(),
                "not an address with a port",
            ),
            (
                "listen: 'udp://127.0.0.1:8125'".to_owned(),
                "not an address with a port",
            ),
            (
                "listen: '::1:8125'".to_owned(),
                "not an address with a port",
            ),
            (
                "listen: '127.0.0.300:8125'".to_owned(),
                "not an address with a port",
            ),
            ("receive_buffer: 1000".to_owned(), "must hold one packet"),
            (mapping("scale: 0"), "every value would be 0"),
            (
                mapping("labels: {endpoint: $2}"),
                "$2 refers to no `*` of the match: it has 1",
            ),
            (mapping("labels: {endpont: $1}"), "has no label \"endpont\""),
            (
                "mappings: [{match: a.b*, metric: api_time}]".to_owned(),
                "one whole part",
            ),
            (
                "mappings: [{match: a, metric: api_tme}]".to_owned(),
                "no application metric is named \"api_tme\"\n  hint: did you mean \"api_time\"?",
            ),
        ];
        for (yaml, expected) in cases {
            let problems = check(&yaml);
            assert_eq!(problems.len(), 1, "{yaml}: {problems:?}");
            assert!(problems[0].contains(expected), "{yaml}: {problems:?}");
        }
    }
}
