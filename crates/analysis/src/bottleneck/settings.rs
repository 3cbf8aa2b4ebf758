//! A bottleneck as the YAML file declares it.

use std::collections::BTreeMap;

use bellwether_schema::{HumanDuration, Literal, Spanned, section, string_enum};

string_enum! {
    /// What can be short.
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
        /// Time that an application or a database takes to answer.
        Response = "response",
    }
}

section! {
    /// A bottleneck: a figure that shows how much a resource holds others back. One with the name
    /// of a shipped one replaces that.
    pub struct BottleneckSettings {
        /// Its name, unique.
        pub name: Spanned<String>,
        /// What is short.
        pub resource: Resource,
        /// The metric that shows it, as declared: of a gauge the mean over `window`, of a counter
        /// the rate, of a histogram or summary the 95th percentile. Either this or `promql`.
        pub metric: Option<Spanned<String>>,
        /// Only series of `metric` with these labels.
        pub labels: BTreeMap<String, String> = BTreeMap::new(),
        /// The time that `metric` is looked back on.
        pub window: HumanDuration = HumanDuration::minutes(5),
        /// PromQL over the names of the page, instead of `metric`.
        pub promql: Option<Spanned<Literal>>,
        /// Where it begins: an impact of 25.
        pub warning: Spanned<f64>,
        /// Where it is critical: an impact of 75. Below `warning` where little is bad.
        pub critical: Spanned<f64>,
        /// Where it is, for people.
        pub component: Option<String>,
        /// What to do, for people.
        pub advice: Option<String>,
        /// `false` leaves it out, a shipped one of that name too.
        pub enabled: bool = true,
    }
}

impl Resource {
    /// Where it is, if nobody says.
    pub(super) fn component(self) -> &'static str {
        match self {
            Self::Cpu | Self::Memory | Self::Io | Self::Network => "host",
            Self::Queue => "queue",
            Self::Response => "application",
        }
    }

    /// What to do, if nobody says.
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
