//! List of the segments of the log, by which the next start detects segments that were removed or
//! truncated while no process ran.

use std::io::{self, Write};
use std::path::Path;

use bellwether_core::UnixMillis;
use bellwether_files::Output;
use bellwether_files::durable::{self, LoadError, StateError};

use crate::history::time_span::TimeSpan;

/// Name of the list in the folder.
const NAME: &str = "log.list";

/// A segment as it was when the list was written. One that grew since may have more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Listed {
    pub number: u64,
    /// Times of the earliest and the latest sample.
    pub span: TimeSpan,
    pub bytes: u64,
}

/// Writes the list.
pub(super) fn write(folder: &Path, segments: &[Listed]) -> io::Result<()> {
    let mut list = Output::state(&folder.join(NAME))?;
    writeln!(list, "log {}", segments.len())?;
    for Listed {
        number,
        span,
        bytes,
    } in segments
    {
        writeln!(list, "{number} {} {} {bytes}", span.first.0, span.last.0)?;
    }
    list.finish()
}

/// Reads the list; empty if there is none.
///
/// # Errors
/// The list cannot be read, or is damaged and was renamed.
pub(in super::super) fn read(folder: &Path) -> Result<Vec<Listed>, LoadError> {
    durable::load_optional(&folder.join(NAME), |list| {
        str::from_utf8(list)
            .ok()
            .and_then(parse)
            .ok_or_else(|| StateError::Invalid("it is damaged".to_owned()))
    })
    .map(Option::unwrap_or_default)
}

fn parse(list: &str) -> Option<Vec<Listed>> {
    let (head, rows) = list.split_once('\n')?;
    let count: usize = head.strip_prefix("log ")?.parse().ok()?;
    let listed: Vec<Listed> = rows.lines().map(parse_row).collect::<Option<_>>()?;
    (listed.len() == count && list.ends_with('\n')).then_some(listed)
}

fn parse_row(row: &str) -> Option<Listed> {
    let numbers: Vec<i64> = row
        .split(' ')
        .map(|number| number.parse().ok())
        .collect::<Option<_>>()?;
    let [number, first, last, bytes] = numbers[..] else {
        return None;
    };
    Some(Listed {
        number: u64::try_from(number).ok()?,
        span: TimeSpan {
            first: UnixMillis(first),
            last: UnixMillis(last),
        },
        bytes: u64::try_from(bytes).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap(), []);
        let span = TimeSpan {
            first: UnixMillis(-5),
            last: UnixMillis(1_795_219_200_000),
        };
        let segments = [3, 12].map(|number| Listed {
            number,
            span,
            bytes: 77,
        });
        write(folder.path(), &segments).unwrap();
        assert_eq!(read(folder.path()).unwrap(), segments);
        let path = folder.path().join(NAME);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(read(folder.path()).is_err(), "cut at {cut}");
            assert_eq!(read(folder.path()).unwrap(), [], "reported once");
        }
        std::os::unix::fs::symlink("nothing", &path).unwrap();
        assert!(
            read(folder.path())
                .unwrap_err()
                .to_string()
                .contains("a symbolic link to nothing")
        );
    }
}
