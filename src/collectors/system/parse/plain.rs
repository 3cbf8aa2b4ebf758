//! The files of one line: loadavg, uptime, file-nr, and single numbers of /sys.

use super::{Malformed, decimal, fields, number};

/// The three means of /proc/loadavg: over 1, 5 and 15 minutes.
pub(in super::super) type Load = [f64; 3];

/// Reads /proc/loadavg. All five fields must be there, so that a cut number is not believed.
pub(in super::super) fn load(bytes: &[u8]) -> Result<Load, Malformed> {
    let mut columns = fields(bytes);
    let mut next = || columns.next().and_then(decimal);
    let load = [next(), next(), next()];
    match (load, columns.nth(1)) {
        ([Some(one), Some(five), Some(fifteen)], Some(_)) => Ok([one, five, fifteen]),
        _ => Err(Malformed::line(1, "three load averages, tasks and a pid", bytes)),
    }
}

/// Reads /proc/uptime: seconds since the boot.
pub(in super::super) fn uptime(bytes: &[u8]) -> Result<f64, Malformed> {
    let mut columns = fields(bytes);
    match (columns.next().and_then(decimal), columns.next().and_then(decimal)) {
        (Some(up), Some(_)) if up >= 0.0 => Ok(up),
        _ => Err(Malformed::line(1, "two times", bytes)),
    }
}

/// File handles of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Descriptors {
    pub(in super::super) open: u64,
    pub(in super::super) max: u64,
}

/// Reads /proc/sys/fs/file-nr.
pub(in super::super) fn descriptors(bytes: &[u8]) -> Result<Descriptors, Malformed> {
    match super::numbers(&mut fields(bytes)) {
        Some([open, _, max]) => Ok(Descriptors { open, max }),
        None => Err(Malformed::line(1, "three numbers", bytes)),
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
        assert_eq!(load(b"0.57 0.28 0.20 3/102 15053\n"), Ok([0.57, 0.28, 0.2]));
        assert_eq!(uptime(b"2466177.52 99.10\n"), Ok(2_466_177.52));
        assert_eq!(
            descriptors(b"969\t0\t2466177\n"),
            Ok(Descriptors { open: 969, max: 2_466_177 })
        );
        assert_eq!(number_file(b"-5000\n"), Ok(-5000.0));
    }

    #[test]
    fn cut_and_garbled_ones() {
        for text in
            [&b""[..], b"1", b"0.57 x 0.2 1/1 1", b"0.57 0.28 0.2", b"nan 1 1 1/1 1", b"\xff"]
        {
            assert!(load(text).is_err(), "{text:?}");
        }
        for text in [&b""[..], b"1.5", b"x 1", b"-1 1", b"\xff\xff"] {
            assert!(uptime(text).is_err(), "{text:?}");
        }
        for text in [&b""[..], b"1 0", b"1 0 x", b"-1 0 1"] {
            assert!(descriptors(text).is_err(), "{text:?}");
        }
        for text in [&b""[..], b"-", b"4x", b"--4", b"1 2", b"\xff"] {
            assert!(number_file(text).is_err(), "{text:?}");
        }
    }
}
