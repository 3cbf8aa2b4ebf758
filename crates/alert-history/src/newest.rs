//! The end of the newest segment, in a file of its own: it detects records that were deleted while no
//! process ran. Records that are missing before the newest segment follow from the names of segments.

use std::io;
use std::path::Path;

use bellwether_files::durable::{self, LoadError, StateError};

/// Name of the file.
const NAME: &str = "newest";

/// Number of records of the newest segment, as it was saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NewestSegment {
    /// Number of its first record.
    pub first: u64,
    pub records: u64,
}

impl NewestSegment {
    /// Returns the number after its last record.
    pub fn end(self) -> u64 {
        self.first.saturating_add(self.records)
    }

    /// Saves it to `folder`.
    pub fn write(self, folder: &Path) -> io::Result<()> {
        durable::replace(
            &folder.join(NAME),
            format!("{} {}\n", self.first, self.records).as_bytes(),
        )
    }

    /// Reads the saved one; `None` if there is none.
    ///
    /// # Errors
    /// Returns an error if the file cannot be used; it is renamed.
    pub fn read(folder: &Path) -> Result<Option<Self>, LoadError> {
        durable::load_optional(&folder.join(NAME), |text| {
            str::from_utf8(text)
                .ok()
                .and_then(parse)
                .ok_or_else(|| StateError::Invalid("it is corrupt".to_owned()))
        })
    }
}

fn parse(text: &str) -> Option<NewestSegment> {
    let (first, records) = text.strip_suffix('\n')?.split_once(' ')?;
    Some(NewestSegment {
        first: first.parse().ok()?,
        records: records.parse().ok()?,
    })
}
