//! /proc/self/mountinfo.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::{BadLines, Malformed, lines};

/// One mounted file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Mount point.
    pub(crate) point: PathBuf,
    /// Device or remote directory: `/dev/sda1`, `server:/export`.
    pub(crate) device: String,
    /// Type of the file system.
    pub(crate) fs_type: String,
    /// `major:minor`: mounts of one file system share it.
    pub(crate) id: Vec<u8>,
    /// Set if its root directory is mounted, and not a directory below.
    pub(crate) whole: bool,
    /// Set if the mount or its file system is read-only.
    pub(crate) read_only: bool,
}

/// Parses the mounts in their order. Of several on one mount point only the last one is returned,
/// since it hides the others.
pub(in super::super) fn mounts(bytes: &[u8], bad: &mut BadLines) -> Vec<Mount> {
    let mut found: Vec<Mount> = Vec::new();
    let mut places: HashMap<PathBuf, usize> = HashMap::new();
    for mount in all_mounts(bytes, bad) {
        match places.get(&mount.point) {
            Some(&place) => found[place] = mount,
            None => {
                places.insert(mount.point.clone(), found.len());
                found.push(mount);
            }
        }
    }
    found
}

/// Parses the mounts in their order, also those that another one hides.
pub(crate) fn all_mounts(bytes: &[u8], bad: &mut BadLines) -> Vec<Mount> {
    let mut found = Vec::new();
    for (at, line) in lines(bytes) {
        match mount(line) {
            Some(mount) => found.push(mount),
            None => bad.add(Malformed::line(at, "a mount", line)),
        }
    }
    if found.is_empty() && bad.is_empty() {
        bad.add(Malformed::missing("mount"));
    }
    found
}

/// Parses `36 35 98:0 /root /point rw,noatime shared:1 - ext4 /dev/sda1 rw`: optional fields stand
/// before the dash, and fields may be empty.
fn mount(line: &[u8]) -> Option<Mount> {
    let mut columns = line.split(|byte| *byte == b' ');
    let id = columns.nth(2)?.to_vec();
    let root = columns.next()?;
    let point = unescape(columns.next().filter(|point| point.starts_with(b"/"))?);
    let options = columns.next()?;
    columns.find(|column| *column == b"-")?;
    let fs_type = String::from_utf8_lossy(columns.next()?).into_owned();
    let device = String::from_utf8_lossy(&unescape(columns.next()?)).into_owned();
    // Options end the line; without them it is truncated.
    let super_options = columns.next()?;
    let point = PathBuf::from(OsString::from_vec(point));
    Some(Mount {
        point,
        device,
        fs_type,
        id,
        whole: root == b"/",
        read_only: is_read_only(options) || is_read_only(super_options),
    })
}

fn is_read_only(options: &[u8]) -> bool {
    let mut options = options.split(|byte| *byte == b',');
    options.any(|option| matches!(option, b"ro" | b"emergency_ro"))
}

/// Decodes the escapes of the kernel, which writes blank, tab, newline, backslash and `#` as `\040`.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        match after {
            [
                a @ b'0'..=b'3',
                b @ b'0'..=b'7',
                c @ b'0'..=b'7',
                after @ ..,
            ] if *first == b'\\' => {
                out.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                rest = after;
            }
            _ => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn read(text: &[u8]) -> (Vec<Mount>, BadLines) {
        let mut bad = BadLines::default();
        (mounts(text, &mut bad), bad)
    }

    #[test]
    fn fields_escapes_and_bytes() {
        let text = b"36 35 8:1 / /a\\040b rw shared:1 master:2 - ext4 /dev/sda1 rw\n\
            37 35 0:9 /sub /caf\xe9 rw - fuse.x  rw\n";
        let (mounts, bad) = read(text);
        assert!(bad.is_empty());
        assert_eq!(mounts[0].point, PathBuf::from("/a b"));
        assert_eq!(
            (mounts[0].device.as_str(), mounts[0].fs_type.as_str()),
            ("/dev/sda1", "ext4")
        );
        assert_eq!(
            (mounts[0].id.as_slice(), mounts[0].whole),
            (&b"8:1"[..], true)
        );
        assert_eq!(mounts[1].point.as_os_str().as_bytes(), b"/caf\xe9");
        assert_eq!((mounts[1].device.as_str(), mounts[1].whole), ("", false));
        assert_eq!(unescape(b"\\134\\400\\04"), b"\\\\400\\04");
    }

    #[test]
    fn a_mount_hides_those_below_it() {
        let text = b"1 0 8:1 / / rw - ext4 a rw\n2 1 8:2 / /m rw - ext4 b rw\n\
            3 1 8:3 / /m rw - nfs c rw\n";
        let (mounts, bad) = read(text);
        assert!(bad.is_empty());
        assert_eq!(
            mounts.iter().map(|m| m.device.as_str()).collect::<Vec<_>>(),
            ["a", "c"]
        );
    }

    #[test]
    fn a_broken_line_leaves_the_others() {
        let (mounts, bad) =
            read(b"1 0 8:1 / / rw - ext4 a rw\n1 0 8:2 /\n3 1 8:3 / /m rw - nfs c rw\n");
        assert_eq!((mounts.len(), bad.count()), (2, 1));
    }

    #[test]
    fn what_is_cut_or_garbled_is_named() {
        for (text, expected) in [
            ("", "no mount in it"),
            (
                "1 0 8:1 / / rw - ext4",
                "line 1: expected a mount, found \"1 0 8:1 / / rw - ext4\"",
            ),
            (
                "1 0 8:1 / x rw - a b c",
                "line 1: expected a mount, found \"1 0 8:1 / x rw - a b c\"",
            ),
        ] {
            assert_eq!(
                read(text.as_bytes()).1.first().unwrap().to_string(),
                expected
            );
        }
    }
}
