//! How far the newest segment went, so that its end is missed where somebody took it away while no
//! process ran. What is missing before it, the names of segments tell.

use std::io;
use std::path::Path;

use bellwether_files::durable;

/// Name of the file in the folder.
const NAME: &str = "newest";

/// A segment and how many records it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Number of the first record.
    pub first: u64,
    pub records: u64,
}

impl Mark {
    /// The number behind the last record.
    pub fn end(self) -> u64 {
        self.first.saturating_add(self.records)
    }

    /// Writes it down.
    pub fn write(self, folder: &Path) -> io::Result<()> {
        durable::replace(
            &folder.join(NAME),
            format!("{} {}\n", self.first, self.records).as_bytes(),
        )
    }

    /// What was written down; `None` where nothing was.
    ///
    /// # Errors
    /// It can't be read, or makes no sense, and is set aside.
    pub fn read(folder: &Path) -> Result<Option<Self>, String> {
        let read = |text: &[u8]| {
            str::from_utf8(text)
                .ok()
                .and_then(parse)
                .ok_or_else(|| "it is damaged".to_owned())
        };
        durable::load_if_whole(&folder.join(NAME), read)
    }
}

fn parse(text: &str) -> Option<Mark> {
    let (first, records) = text.strip_suffix('\n')?.split_once(' ')?;
    Some(Mark {
        first: first.parse().ok()?,
        records: records.parse().ok()?,
    })
}
