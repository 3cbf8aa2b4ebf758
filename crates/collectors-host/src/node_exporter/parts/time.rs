//! Clock of the host, its time zone, and its clock sources, from `/sys/devices/system/clocksource`.

use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::super::directory::{Directory, numbered};
use super::super::part::{GAUGE, Part, PartError, Run};
use super::super::settings::Setup;

struct Time {
    sources: PathBuf,
    zone: TimeZone,
}

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Time {
        sources: setup.sys("devices/system/clocksource"),
        zone: TimeZone::system(),
    })
}

impl Part for Time {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let milliseconds = run.now.wall.0;
        let help = "System time in seconds since epoch (1970).";
        let seconds = milliseconds as f64 / 1000.0;
        run.out.gauge("node_time_seconds", help, &[], seconds);
        let instant = Timestamp::from_millisecond(milliseconds).unwrap_or_default();
        let zone = self.zone.to_offset_info(instant);
        let help = "System time zone offset in seconds.";
        let labels = [("time_zone", zone.abbreviation())];
        let offset = f64::from(zone.offset().seconds());
        run.out
            .gauge("node_time_zone_offset_seconds", help, &labels, offset);
        self.push_sources(run);
        Ok(())
    }
}

impl Time {
    fn push_sources(&self, run: &mut Run<'_>) {
        let found = numbered(&self.sources, "clocksource").unwrap_or_default();
        let sources = found.into_iter().filter_map(|(name, number)| {
            let directory = Directory::open(self.sources.join(name)).ok()?;
            Some((number, directory))
        });
        let sources: Vec<(String, Directory)> = sources.collect();
        for (name, file, help) in [
            (
                "node_time_clocksource_available_info",
                "available_clocksource",
                "Available clocksources read from '/sys/devices/system/clocksource'.",
            ),
            (
                "node_time_clocksource_current_info",
                "current_clocksource",
                "Current clocksource read from '/sys/devices/system/clocksource'.",
            ),
        ] {
            run.out.begin(name, GAUGE, help);
            for (number, directory) in &sources {
                for source in directory.text(file).unwrap_or_default().split_whitespace() {
                    let labels = [("device", number.as_str()), ("clocksource", source)];
                    run.out.push(&labels, 1.0);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn sources_are_listed_and_one_is_current() {
        let host = Host::with(&[
            (
                "sys/devices/system/clocksource/clocksource0/available_clocksource",
                "tsc hpet \n",
            ),
            (
                "sys/devices/system/clocksource/clocksource0/current_clocksource",
                "tsc\n",
            ),
        ]);
        let lines = collect(&host, "time", "").unwrap();
        assert!(lines[0].starts_with("node_time_seconds "), "{lines:?}");
        assert!(
            lines[1].starts_with("node_time_zone_offset_seconds{time_zone=\""),
            "{lines:?}"
        );
        let expected = [
            "node_time_clocksource_available_info{clocksource=\"tsc\", device=\"0\"} 1",
            "node_time_clocksource_available_info{clocksource=\"hpet\", device=\"0\"} 1",
            "node_time_clocksource_current_info{clocksource=\"tsc\", device=\"0\"} 1",
        ];
        assert_eq!(lines[2..], expected);
    }
}
