//! Synchronization of the clock, as `adjtimex(2)` has it.

use std::path::Path;

use bellwether_core::Kind;
use rtime_clock::adjtime::{Timex as Query, adjtimex};

use super::super::part::{COUNTER, GAUGE, Part, PartError, Run};
use super::super::settings::Setup;

/// State of a clock that is not synchronized, `TIME_ERROR`.
const ERROR: i32 = 5;
/// Bit of the status with which times are in nanoseconds, `STA_NANO`.
const NANO: i32 = 0x2000;
const MICRO: f64 = 1e6;
/// Frequencies are in millionths with 16 bits behind the point.
const SCALED_PPM: f64 = 1e6 * 65536.0;

struct Timex;

pub(in super::super) fn part(_: &Setup) -> Box<dyn Part> {
    Box::new(Timex)
}

impl Part for Timex {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        // Without a mode it changes nothing.
        let mut query = Query::new();
        let state = adjtimex(&mut query)
            .map_err(|error| PartError::optional(Path::new("adjtimex"), &error))?;
        let is_synchronized = f64::from(u8::from(state != ERROR));
        let help = "Is clock synchronized to a reliable server (1 = yes, 0 = no).";
        run.out
            .gauge("node_timex_sync_status", help, &[], is_synchronized);
        for (name, kind, help, value) in metrics(&query) {
            run.out.begin(&["node_timex_", name].concat(), kind, help);
            run.out.push(&[], value);
        }
        Ok(())
    }
}

type Metric = (&'static str, Option<Kind>, &'static str, f64);

fn metrics(query: &Query) -> [Metric; 16] {
    let timex = &query.0;
    let unit = if timex.status & NANO != 0 { 1e9 } else { MICRO };
    [
        (
            "offset_seconds",
            GAUGE,
            "Time offset in between local system and reference clock.",
            timex.offset as f64 / unit,
        ),
        (
            "frequency_adjustment_ratio",
            GAUGE,
            "Local clock frequency adjustment.",
            1.0 + timex.freq as f64 / SCALED_PPM,
        ),
        (
            "maxerror_seconds",
            GAUGE,
            "Maximum error in seconds.",
            timex.maxerror as f64 / MICRO,
        ),
        (
            "estimated_error_seconds",
            GAUGE,
            "Estimated error in seconds.",
            timex.esterror as f64 / MICRO,
        ),
        (
            "status",
            GAUGE,
            "Value of the status array bits.",
            f64::from(timex.status),
        ),
        (
            "loop_time_constant",
            GAUGE,
            "Phase-locked loop time constant.",
            timex.constant as f64,
        ),
        (
            "tick_seconds",
            GAUGE,
            "Seconds between clock ticks.",
            timex.tick as f64 / MICRO,
        ),
        (
            "pps_frequency_hertz",
            GAUGE,
            "Pulse per second frequency.",
            timex.ppsfreq as f64 / SCALED_PPM,
        ),
        (
            "pps_jitter_seconds",
            GAUGE,
            "Pulse per second jitter.",
            timex.jitter as f64 / unit,
        ),
        (
            "pps_shift_seconds",
            GAUGE,
            "Pulse per second interval duration.",
            f64::from(timex.shift),
        ),
        (
            "pps_stability_hertz",
            GAUGE,
            "Pulse per second stability, average of recent frequency changes.",
            timex.stabil as f64 / SCALED_PPM,
        ),
        (
            "pps_jitter_total",
            COUNTER,
            "Pulse per second count of jitter limit exceeded events.",
            timex.jitcnt as f64,
        ),
        (
            "pps_calibration_total",
            COUNTER,
            "Pulse per second count of calibration intervals.",
            timex.calcnt as f64,
        ),
        (
            "pps_error_total",
            COUNTER,
            "Pulse per second count of calibration errors.",
            timex.errcnt as f64,
        ),
        (
            "pps_stability_exceeded_total",
            COUNTER,
            "Pulse per second count of stability limit exceeded events.",
            timex.stbcnt as f64,
        ),
        (
            "tai_offset_seconds",
            GAUGE,
            "International Atomic Time (TAI) offset.",
            f64::from(timex.tai),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_the_unit_of_the_status() {
        let mut query = Query::new();
        query.0.offset = 1_500_000;
        query.0.freq = 65536;
        query.0.tick = 10_000;
        let value = |query: &Query, name: &str| {
            let found = metrics(query).into_iter().find(|metric| metric.0 == name);
            found.unwrap().3
        };
        assert_eq!(value(&query, "offset_seconds"), 1.5);
        assert_eq!(value(&query, "frequency_adjustment_ratio"), 1.000001);
        assert_eq!(value(&query, "tick_seconds"), 0.01);
        query.0.status = NANO;
        assert_eq!(value(&query, "offset_seconds"), 0.0015);
    }
}
