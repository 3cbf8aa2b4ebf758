//! /proc/pressure/*.

use super::{Malformed, decimal, fields, lines, number};

/// Who waited: at least one task, or all that had work.
pub(in super::super) const SCOPES: [&str; 2] = ["some", "full"];
/// The windows of the percentages.
pub(in super::super) const WINDOWS: [&str; 3] = ["10s", "60s", "300s"];

/// One line of a pressure file.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in super::super) struct Stall {
    /// Percent of the time, in the order of [`WINDOWS`].
    pub(in super::super) percent: [f64; WINDOWS.len()],
    /// Since the boot, in microseconds.
    pub(in super::super) total: u64,
}

/// In the order of [`SCOPES`]. `full` of the processors came with Linux 5.13.
pub(in super::super) type Pressure = [Option<Stall>; SCOPES.len()];

/// Reads one of the files.
pub(in super::super) fn pressure(bytes: &[u8]) -> Result<Pressure, Malformed> {
    let mut found = Pressure::default();
    for (at, line) in lines(bytes) {
        let scope = fields(line).next().unwrap_or_default();
        // A further scope of a later kernel is none of ours.
        let Some(index) = SCOPES.iter().position(|known| known.as_bytes() == scope) else {
            continue;
        };
        let stall = stall(line).ok_or_else(|| Malformed::line(at, "averages and a total", line))?;
        found[index] = Some(stall);
    }
    if found[0].is_none() { Err(Malformed::missing("line \"some\"")) } else { Ok(found) }
}

fn stall(line: &[u8]) -> Option<Stall> {
    let value = |key: &[u8]| fields(line).find_map(|field| field.strip_prefix(key));
    Some(Stall {
        percent: [
            decimal(value(b"avg10=")?)?,
            decimal(value(b"avg60=")?)?,
            decimal(value(b"avg300=")?)?,
        ],
        total: number(value(b"total=")?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_and_without_full() {
        let some = "some avg10=4.50 avg60=0.91 avg300=0.00 total=681245\n";
        let both = format!("{some}full avg10=2.10 avg60=0.12 avg300=0.01 total=391926\n");
        let found = pressure(both.as_bytes()).unwrap();
        assert_eq!(found[0], Some(Stall { percent: [4.5, 0.91, 0.0], total: 681_245 }));
        assert_eq!(found[1], Some(Stall { percent: [2.1, 0.12, 0.01], total: 391_926 }));
        assert_eq!(pressure(some.as_bytes()).unwrap()[1], None);
    }

    #[test]
    fn what_is_cut_or_garbled_is_named() {
        for (text, expected) in [
            ("", "no line \"some\" in it"),
            ("some", "line 1: expected averages and a total, found \"some\""),
            (
                "some avg10=nan avg60=0 avg300=0 total=1",
                "line 1: expected averages and a total, found \
                 \"some avg10=nan avg60=0 avg300=0 total=1\"",
            ),
        ] {
            assert_eq!(pressure(text.as_bytes()).unwrap_err().to_string(), expected);
        }
    }
}
