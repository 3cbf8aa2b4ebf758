//! Units of values.

use bellwether_schema::string_enum;

string_enum! {
    /// Unit of the values of a widget.
    pub enum Unit {
        /// No unit.
        None = "none",
        /// Percent, 0 to 100.
        Percent = "percent",
        /// Share of a whole, 0 to 1, shown in percent.
        Ratio = "ratio",
        /// Bytes.
        Bytes = "bytes",
        /// Bytes per second.
        BytesPerSecond = "bytes/s",
        /// Seconds.
        Seconds = "seconds",
        /// Milliseconds.
        Milliseconds = "milliseconds",
        /// Events per second.
        PerSecond = "1/s",
        /// Requests per second.
        RequestsPerSecond = "requests/s",
        /// Packets per second.
        PacketsPerSecond = "packets/s",
        /// Reads and writes per second.
        IoPerSecond = "io/s",
        /// Hertz.
        Hertz = "hertz",
        /// Degrees Celsius.
        Celsius = "celsius",
    }
}

impl Unit {
    /// Returns the name of the unit in Grafana.
    #[must_use]
    pub fn grafana(self) -> &'static str {
        match self {
            Self::None => "short",
            Self::Percent => "percent",
            Self::Ratio => "percentunit",
            Self::Bytes => "bytes",
            Self::BytesPerSecond => "Bps",
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
            Self::PerSecond => "ops",
            Self::RequestsPerSecond => "reqps",
            Self::PacketsPerSecond => "pps",
            Self::IoPerSecond => "iops",
            Self::Hertz => "hertz",
            Self::Celsius => "celsius",
        }
    }
}
