//! Settings of a bottleneck.

use std::collections::BTreeMap;

use bellwether_schema::{
    Constraint, HumanDuration, Literal, Override, Spanned, section, string_enum,
};

string_enum! {
    /// Resource that can be scarce.
    pub enum Resource {
        /// Processors.
        Cpu = "cpu",
        /// Memory.
        Memory = "memory",
        /// Disks.
        Io = "io",
        /// Network.
        Network = "network",
        /// Work that waits for workers.
        Queue = "queue" | "coordination",
        /// Response time of an application or a database.
        Response = "response",
    }
}

section! {
    /// Bottleneck: a metric that shows how much a resource limits others. One with the name of a
    /// shipped one replaces that.
    #[constraints = [
        Constraint::AnyOf(&["metric", "promql"]),
        Constraint::AtMostOne(&["metric", "promql"]),
    ]]
    pub struct BottleneckSettings {
        /// Unique name.
        pub name: Spanned<String>,
        /// If true, this entry replaces the one of its name of an earlier file, as `include` describes.
        pub r#override: Override,
        /// Scarce resource.
        pub resource: Resource,
        /// Metric by its configured name: the mean over `window` of a gauge, the rate of a counter,
        /// the 95th percentile of a histogram or summary. Either this or `promql` is required.
        pub metric: Option<Spanned<String>>,
        /// Labels that select series of `metric`.
        pub labels: BTreeMap<String, String> = BTreeMap::new(),
        /// Window of `metric`.
        pub window: HumanDuration = HumanDuration::minutes(5),
        /// PromQL over exported names, instead of `metric`.
        pub promql: Option<Spanned<Literal>>,
        /// Warning threshold: an impact of 25.
        pub warning: Spanned<f64>,
        /// Critical threshold: an impact of 75. Below `warning` if low values are bad.
        pub critical: Spanned<f64>,
        /// Component, for people.
        pub component: Option<String>,
        /// Recommendation, for people.
        pub advice: Option<String>,
        /// `false` disables it, also a shipped one with this name.
        pub enabled: bool = true,
    }
}

impl Resource {
    /// Default component of a resource.
    pub(super) fn component(self) -> &'static str {
        match self {
            Self::Cpu | Self::Memory | Self::Io | Self::Network => "host",
            Self::Queue => "queue",
            Self::Response => "application",
        }
    }

    /// Default recommendation for a resource.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::Cpu => {
                "find the busiest processes (top), spread or postpone their work, or add cores"
            }
            Self::Memory => "find what grew (bellwether trends), limit it, or add memory",
            Self::Io => {
                "find who reads and writes (iotop), cache or batch it, or take faster disks"
            }
            Self::Network => "look at the interface (ethtool -S), its link, and who sends the most",
            Self::Queue => "add workers, make items cheaper, or let fewer in",
            Self::Response => {
                "see what moved with it (bellwether correlate), then profile the slowest calls"
            }
        }
    }
}
