//! Files of `/proc/net/rpc`: rows with a word and numbers.

use std::collections::HashMap;

use super::super::super::part::total;

/// Procedures of version 2, in the order of the kernel.
pub(in super::super) const V2: [&str; 18] = [
    "Null", "GetAttr", "SetAttr", "Root", "Lookup", "ReadLink", "Read", "WrCache", "Write",
    "Create", "Remove", "Rename", "Link", "SymLink", "MkDir", "RmDir", "ReadDir", "FsStat",
];

/// Procedures of version 3, in the order of the kernel.
pub(in super::super) const V3: [&str; 22] = [
    "Null",
    "GetAttr",
    "SetAttr",
    "Lookup",
    "Access",
    "ReadLink",
    "Read",
    "Write",
    "Create",
    "MkDir",
    "SymLink",
    "MkNod",
    "Remove",
    "RmDir",
    "Rename",
    "Link",
    "ReadDir",
    "ReadDirPlus",
    "FsStat",
    "FsInfo",
    "PathConf",
    "Commit",
];

/// Numbers by row.
pub(in super::super) struct Table<'t>(HashMap<&'t str, Vec<f64>>);

impl<'t> Table<'t> {
    pub(in super::super) fn parse(text: &'t str) -> Self {
        let rows = text.lines().filter_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            let name = fields.next()?;
            let numbers = fields.map(|field| total(field).unwrap_or(0.0));
            Some((name, numbers.collect()))
        });
        Self(rows.collect())
    }

    /// Returns a number; 0 if the kernel does not have it.
    pub(in super::super) fn value(&self, row: &str, column: usize) -> f64 {
        let row = self.0.get(row);
        row.and_then(|numbers| numbers.get(column))
            .copied()
            .unwrap_or(0.0)
    }
}
