//! Parsers of the files in `/proc/PID`. See `proc_pid_stat(5)` and the pages beside it.

/// Name of a process as the kernel has it: at most 15 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(crate) struct Comm {
    bytes: [u8; 16],
    length: u8,
}

impl Comm {
    fn new(name: &[u8]) -> Self {
        let mut comm = Self::default();
        let length = name.len().min(comm.bytes.len());
        comm.bytes[..length].copy_from_slice(&name[..length]);
        comm.length = length as u8;
        comm
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl std::fmt::Debug for Comm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        String::from_utf8_lossy(self.bytes()).fmt(f)
    }
}

/// Fields of `stat`. Times are in clock ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Stat {
    pub(crate) comm: Comm,
    /// Letter of the state; `Z` is a zombie.
    pub(crate) state: u8,
    pub(crate) parent: u32,
    pub(crate) minor_faults: u64,
    pub(crate) major_faults: u64,
    pub(crate) user: u64,
    pub(crate) system: u64,
    pub(crate) threads: u64,
    /// Start, since the boot.
    pub(crate) start: u64,
    pub(crate) virtual_bytes: u64,
    pub(crate) resident_pages: u64,
}

/// Parses `stat`. The name may hold anything, also blanks and parentheses.
pub(crate) fn stat(text: &[u8]) -> Option<Stat> {
    let open = memchr::memchr(b'(', text)?;
    let close = memchr::memrchr(b')', text)?;
    let mut fields = text.get(close + 2..)?.split(|byte| *byte == b' ');
    let state = *fields.next()?.first()?;
    let parent = number(fields.next()?)? as u32;
    // Numbers of the manual page; `nth` skips those between.
    let minor_faults = number(fields.nth(10 - 5)?)?;
    let major_faults = number(fields.nth(12 - 11)?)?;
    let user = number(fields.nth(14 - 13)?)?;
    let system = number(fields.next()?)?;
    let threads = number(fields.nth(20 - 16)?)?;
    let start = number(fields.nth(22 - 21)?)?;
    let virtual_bytes = number(fields.next()?)?;
    let resident_pages = number(fields.next()?)?;
    Some(Stat {
        comm: Comm::new(text.get(open + 1..close)?),
        state,
        parent,
        minor_faults,
        major_faults,
        user,
        system,
        threads,
        start,
        virtual_bytes,
        resident_pages,
    })
}

/// Fields of `status`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Status {
    /// Effective user id.
    pub(super) user: u32,
    pub(super) swap_bytes: u64,
    pub(super) voluntary_switches: u64,
    pub(super) nonvoluntary_switches: u64,
}

/// Parses `status`. Kernel threads have no `VmSwap`.
pub(super) fn status(text: &[u8]) -> Status {
    let mut status = Status::default();
    for line in lines(text) {
        // Most lines are others: their first byte tells.
        match line.first() {
            Some(b'U') => {
                if let Some(ids) = line.strip_prefix(b"Uid:") {
                    status.user = words(ids).nth(1).and_then(number).unwrap_or_default() as u32;
                }
            }
            Some(b'V') => {
                if let Some(size) = line.strip_prefix(b"VmSwap:") {
                    status.swap_bytes = kibibytes(size);
                }
            }
            Some(b'v') => {
                if let Some(count) = line.strip_prefix(b"voluntary_ctxt_switches:") {
                    status.voluntary_switches = first_number(count);
                }
            }
            Some(b'n') => {
                if let Some(count) = line.strip_prefix(b"nonvoluntary_ctxt_switches:") {
                    status.nonvoluntary_switches = first_number(count);
                }
            }
            _ => {}
        }
    }
    status
}

/// Parses `io`: the bytes read from and written to storage.
pub(super) fn io(text: &[u8]) -> Option<(u64, u64)> {
    let (mut read, mut written) = (None, None);
    for line in lines(text) {
        if let Some(count) = line.strip_prefix(b"read_bytes:") {
            read = Some(first_number(count));
        } else if let Some(count) = line.strip_prefix(b"write_bytes:") {
            written = Some(first_number(count));
        }
    }
    read.zip(written)
}

/// Parses `limits`: the soft limit of open files; `None`: unlimited.
pub(super) fn open_files_limit(text: &[u8]) -> Option<u64> {
    let mut values = lines(text).filter_map(|line| line.strip_prefix(b"Max open files"));
    words(values.next()?).next().and_then(number)
}

/// Parses `smaps_rollup`: proportional resident and swapped memory, in bytes.
pub(super) fn proportional(text: &[u8]) -> (u64, u64) {
    let mut bytes = (0, 0);
    for line in lines(text) {
        if let Some(size) = line.strip_prefix(b"Pss:") {
            bytes.0 = kibibytes(size);
        } else if let Some(size) = line.strip_prefix(b"SwapPss:") {
            bytes.1 = kibibytes(size);
        }
    }
    bytes
}

/// Returns the paths in `cgroup`: that of version 2 or of systemd's hierarchy first.
pub(super) fn cgroups(text: &str) -> Vec<&str> {
    let mut paths: Vec<(bool, &str)> = Vec::new();
    for line in text.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            continue;
        };
        let later = !(controllers.is_empty() || controllers == "name=systemd");
        if !paths.iter().any(|(_, other)| *other == path) {
            paths.push((later, path));
        }
    }
    paths.sort_by_key(|(later, _)| *later);
    paths.into_iter().map(|(_, path)| path).collect()
}

/// Returns the systemd unit of a cgroup: the first part of its path that is no slice, if that is a unit.
pub(super) fn unit(cgroup: &str) -> Option<&str> {
    let parts = cgroup.split('/').filter(|part| !part.is_empty());
    let unit = parts.into_iter().find(|part| !part.ends_with(".slice"))?;
    let kinds = [".service", ".scope", ".socket", ".mount", ".swap"];
    kinds
        .iter()
        .any(|kind| unit.ends_with(kind))
        .then_some(unit)
}

/// Parses `cmdline`: the arguments, with a blank between them.
pub(super) fn command_line(text: &[u8]) -> String {
    let end = text.iter().rposition(|byte| *byte != 0);
    let text = &text[..end.map_or(0, |end| end + 1)];
    let joined: Vec<u8> = text
        .iter()
        .map(|byte| if *byte == 0 { b' ' } else { *byte })
        .collect();
    String::from_utf8_lossy(&joined).into_owned()
}

/// Parses `/proc/stat`: the time of the boot, in seconds since 1970.
pub(crate) fn boot(text: &[u8]) -> Option<f64> {
    let mut values = lines(text).filter_map(|line| line.strip_prefix(b"btime "));
    Some(number(values.next()?)? as f64)
}

/// Parses `/proc/uptime`: the seconds since the boot.
pub(super) fn uptime(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(words(text).next()?).ok()?.parse().ok()
}

/// Returns the name of a user in `passwd`, or else the number.
pub(super) fn user_name(passwd: &str, id: u32) -> String {
    let mut names = passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then_some(name)
    });
    names.next().map_or_else(|| id.to_string(), str::to_owned)
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        Some(line)
    })
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
}

fn first_number(text: &[u8]) -> u64 {
    words(text).next().and_then(number).unwrap_or_default()
}

fn kibibytes(text: &[u8]) -> u64 {
    first_number(text).saturating_mul(1024)
}

/// Parses an unsigned number.
fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10)
            .then_some(number.checked_mul(10)?)?
            .checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_does_not_move_the_fields() {
        let text = b"77 (a) R (b 1) S 12 77 77 0 -1 4194304 1131 7 2 0 31 14 9 8 20 0 3 0 5310 \
            18446744 1021 18446744073709551615 1 1";
        let stat = stat(text).unwrap();
        assert_eq!(
            stat,
            Stat {
                comm: Comm::new(b"a) R (b 1"),
                state: b'S',
                parent: 12,
                minor_faults: 1131,
                major_faults: 2,
                user: 31,
                system: 14,
                threads: 3,
                start: 5310,
                virtual_bytes: 18_446_744,
                resident_pages: 1021,
            }
        );
    }

    #[test]
    fn what_is_cut_or_garbage_is_nothing() {
        for text in [
            "",
            "1 (",
            "1 (a",
            "1 (a)",
            "1 (a) ",
            ") (",
            "1 (a) S x",
            "1 (a) S 1 2 3",
        ] {
            assert_eq!(stat(text.as_bytes()), None, "{text}");
        }
        assert_eq!(status(b"\n\nUid:\nVmSwap: x\n"), Status::default());
        assert_eq!(io(b"read_bytes: 5\n"), None);
        assert_eq!(number(b"18446744073709551616"), None);
        assert_eq!(boot(b"cpu 1\nbtime x\n"), None);
    }

    #[test]
    fn the_files_beside_stat() {
        let text = b"Name:\tx\nUid:\t1000\t33\t1000\t1000\nVmSwap:\t      12 kB\n\
            voluntary_ctxt_switches:\t90\nnonvoluntary_ctxt_switches:\t7\n";
        let expected = Status {
            user: 33,
            swap_bytes: 12 * 1024,
            voluntary_switches: 90,
            nonvoluntary_switches: 7,
        };
        assert_eq!(status(text), expected);
        let text =
            b"rchar: 9\nwchar: 8\nread_bytes: 4096\nwrite_bytes: 512\ncancelled_write_bytes: 1\n";
        assert_eq!(io(text), Some((4096, 512)));
        let text = b"Max processes  1  2  processes\nMax open files            1024                 4096                 files\n";
        assert_eq!(open_files_limit(text), Some(1024));
        assert_eq!(
            open_files_limit(b"Max open files  unlimited  unlimited  files\n"),
            None
        );
        assert_eq!(
            proportional(b"Rss: 8 kB\nPss:   3 kB\nPss_Anon: 1 kB\nSwapPss:  2 kB\n"),
            (3072, 2048)
        );
        assert_eq!(
            command_line(b"java\0-jar\0a b.jar\0\0"),
            "java -jar a b.jar"
        );
        assert_eq!(boot(b"cpu  1 2\nbtime 1700000000\n"), Some(1.7e9));
        assert_eq!(uptime(b"15.25 30.00\n"), Some(15.25));
        assert_eq!(uptime(b""), None);
        let passwd = "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/:/bin/false\n";
        assert_eq!(user_name(passwd, 33), "www-data");
        assert_eq!(user_name(passwd, 34), "34");
    }

    #[test]
    fn the_unit_is_the_first_part_below_the_slices() {
        for (cgroup, expected) in [
            ("/system.slice/ssh.service", Some("ssh.service")),
            (
                "/system.slice/docker.service/payload/x.scope",
                Some("docker.service"),
            ),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/x.service",
                Some("user@1000.service"),
            ),
            (
                "/user.slice/user-0.slice/session-4.scope",
                Some("session-4.scope"),
            ),
            ("/kubepods/burstable/x.service", None),
            ("/", None),
        ] {
            assert_eq!(unit(cgroup), expected, "{cgroup}");
        }
        let text =
            "12:cpu,cpuacct:/docker/abc\n1:name=systemd:/system.slice/x.service\n0::/\nbroken\n";
        assert_eq!(
            cgroups(text),
            ["/system.slice/x.service", "/", "/docker/abc"]
        );
    }
}
