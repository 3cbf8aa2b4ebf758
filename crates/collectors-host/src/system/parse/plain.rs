//! The files of one line: loadavg, uptime, file-nr, and single numbers of /sys.

use super::{BadLines, Malformed, decimal, fields, number};

/// The three means of /proc/loadavg: over 1, 5 and 15 minutes.
pub(crate) type Load = [f64; 3];

/// Reads /proc/loadavg. All five fields are required, so that a truncated number is no value.
pub(crate) fn load(bytes: &[u8], bad: &mut BadLines) -> Option<Load> {
    let mut columns = fields(bytes);
    let mut next = || columns.next().and_then(decimal);
    let load = [next(), next(), next()];
    match (load, columns.nth(1)) {
        ([Some(one), Some(five), Some(fifteen)], Some(_)) => Some([one, five, fifteen]),
        _ => reject(bad, "three load averages, tasks and a pid", bytes),
    }
}

/// Records a bad line of a file that has only one.
fn reject<T>(bad: &mut BadLines, expected: &str, bytes: &[u8]) -> Option<T> {
    bad.add(Malformed::line(1, expected, bytes));
    None
}

/// Reads /proc/uptime: seconds since the boot.
pub(in super::super) fn uptime(bytes: &[u8], bad: &mut BadLines) -> Option<f64> {
    let mut columns = fields(bytes);
    match (
        columns.next().and_then(decimal),
        columns.next().and_then(decimal),
    ) {
        (Some(up), Some(_)) if up >= 0.0 => Some(up),
        _ => reject(bad, "two times", bytes),
    }
}

/// File handles of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Descriptors {
    pub(crate) open: u64,
    pub(crate) max: u64,
}

/// Reads /proc/sys/fs/file-nr.
pub(crate) fn descriptors(bytes: &[u8], bad: &mut BadLines) -> Option<Descriptors> {
    let mut columns = fields(bytes).map(number);
    match (columns.next(), columns.nth(1)) {
        (Some(Some(open)), Some(Some(max))) => Some(Descriptors { open, max }),
        _ => reject(bad, "three numbers", bytes),
    }
}

/// Reads a file of /sys that holds one number, negative ones too.
pub(in super::super) fn number_file(bytes: &[u8]) -> Result<f64, Malformed> {
    let text = bytes.trim_ascii();
    let (sign, digits) = match text.strip_prefix(b"-") {
        Some(digits) => (-1.0, digits),
        None => (1.0, text),
    };
    let value = number(digits).ok_or_else(|| Malformed::line(1, "a number", bytes))?;
    Ok(sign * value as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn healthy_files() {
        let bad = &mut BadLines::default();
        assert_eq!(
            load(b"0.57 0.28 0.20 3/102 15053\n", bad),
            Some([0.57, 0.28, 0.2])
        );
        assert_eq!(uptime(b"2466177.52 99.10\n", bad), Some(2_466_177.52));
        let expected = Descriptors {
            open: 969,
            max: 2_466_177,
        };
        assert_eq!(descriptors(b"969\t0\t2466177\n", bad), Some(expected));
        assert_eq!(number_file(b"-5000\n"), Ok(-5000.0));
        assert!(bad.is_empty());
    }

    #[test]
    fn cut_and_garbled_ones() {
        let bad = &mut BadLines::default();
        for text in [
            &b""[..],
            b"1",
            b"0.57 x 0.2 1/1 1",
            b"0.57 0.28 0.2",
            b"nan 1 1 1/1 1",
            b"\xff",
        ] {
            assert_eq!(load(text, bad), None, "{text:?}");
        }
        for text in [&b""[..], b"1.5", b"x 1", b"-1 1", b"\xff\xff"] {
            assert_eq!(uptime(text, bad), None, "{text:?}");
        }
        for text in [&b""[..], b"1 0", b"1 0 x", b"-1 0 1"] {
            assert_eq!(descriptors(text, bad), None, "{text:?}");
        }
        assert_eq!(bad.count(), 15, "each is counted");
        for text in [&b""[..], b"-", b"4x", b"--4", b"1 2", b"\xff"] {
            assert!(number_file(text).is_err(), "{text:?}");
        }
    }
}
