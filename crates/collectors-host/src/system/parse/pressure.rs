//! /proc/pressure/*.

use super::{BadLines, Malformed, decimal, fields, lines, total};

/// Scopes: at least one task waited, or all tasks with work.
pub(in super::super) const SCOPES: [&str; 2] = ["some", "full"];
/// Windows of the percentages.
pub(in super::super) const WINDOWS: [&str; 3] = ["10s", "60s", "300s"];

/// One line of a pressure file.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Stall {
    /// Percent of the time, in the order of [`WINDOWS`].
    pub(crate) percent: [f64; WINDOWS.len()],
    /// Total since the boot in microseconds.
    pub(crate) total: u64,
}

/// In the order of [`SCOPES`]; `None` if the line is missing or bad. `full` of the
/// processors exists since Linux 5.13.
pub(crate) type Pressure = [Option<Stall>; SCOPES.len()];

/// Reads one of the files.
pub(crate) fn pressure(bytes: &[u8], bad: &mut BadLines) -> Pressure {
    let mut found = Pressure::default();
    for (at, line) in lines(bytes) {
        let scope = fields(line).next().unwrap_or_default();
        // Scopes of later kernels are ignored.
        let Some(index) = SCOPES.iter().position(|known| known.as_bytes() == scope) else {
            continue;
        };
        found[index] = stall(line);
        if found[index].is_none() {
            bad.add(Malformed::line(at, "averages and a total", line));
        }
    }
    if found[0].is_none() && bad.is_empty() {
        bad.add(Malformed::missing("line \"some\""));
    }
    found
}

fn stall(line: &[u8]) -> Option<Stall> {
    let value = |key: &[u8]| fields(line).find_map(|field| field.strip_prefix(key));
    Some(Stall {
        percent: [
            decimal(value(b"avg10=")?)?,
            decimal(value(b"avg60=")?)?,
            decimal(value(b"avg300=")?)?,
        ],
        total: total(value(b"total=")?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Pressure, BadLines) {
        let mut bad = BadLines::default();
        (pressure(text.as_bytes(), &mut bad), bad)
    }

    #[test]
    fn with_and_without_full() {
        let some = "some avg10=4.50 avg60=0.91 avg300=0.00 total=681245\n";
        let both = format!("{some}full avg10=2.10 avg60=0.12 avg300=0.01 total=391926\n");
        let found = read(&both).0;
        assert_eq!(
            found[0],
            Some(Stall {
                percent: [4.5, 0.91, 0.0],
                total: 681_245
            })
        );
        assert_eq!(
            found[1],
            Some(Stall {
                percent: [2.1, 0.12, 0.01],
                total: 391_926
            })
        );
        assert_eq!(read(some).0[1], None);
        let (found, bad) = read(&both.replace("4.50", "x"));
        assert_eq!((found[0], found[1].is_some(), bad.count()), (None, true, 1));
    }

    #[test]
    fn what_is_cut_or_garbled_is_named() {
        for (text, expected) in [
            ("", "no line \"some\" in it"),
            (
                "some",
                "line 1: expected averages and a total, found \"some\"",
            ),
            (
                "some avg10=nan avg60=0 avg300=0 total=1",
                "line 1: expected averages and a total, found \
                 \"some avg10=nan avg60=0 avg300=0 total=1\"",
            ),
        ] {
            let (found, bad) = read(text);
            assert_eq!(found, Pressure::default());
            assert_eq!(bad.first().unwrap().to_string(), expected);
        }
    }
}
