//! Reads the facts about this host. What cannot be read is left out.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::Path;

use bellwether_collectors::system::may_hang;
use bellwether_files as files;

use super::facts::{FileSystem, HostFacts, ListeningSocket, NEO4J, Neo4jConfig, OTHERS, Protocol};

/// Directories of systemd units.
const UNIT_DIRECTORIES: [&str; 4] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// Reads the facts. Blocks on the file system; uses no network.
#[must_use]
pub fn probe() -> HostFacts {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let memory = read("/proc/meminfo");
    HostFacts {
        name: read("/proc/sys/kernel/hostname").trim().to_owned(),
        processors: processors(&read("/proc/stat")),
        memory_bytes: memory_bytes(&memory, "MemTotal:"),
        swap_bytes: memory_bytes(&memory, "SwapTotal:"),
        has_pressure: Path::new("/proc/pressure/memory").exists(),
        file_systems: file_systems(&read("/proc/self/mountinfo")),
        interfaces: interfaces(&read("/proc/net/dev")),
        sockets: sockets(),
        units: units(),
        neo4j: files::read_text(Path::new("/etc/neo4j/neo4j.conf"), files::SMALL)
            .ok()
            .map(|text| neo4j_config(&text)),
    }
}

fn processors(stat: &str) -> usize {
    let is_core = |line: &&str| {
        line.strip_prefix("cpu")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    stat.lines().filter(is_core).count().max(1)
}

fn memory_bytes(meminfo: &str, key: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(key));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1024
}

/// Returns the file systems on disks, each once.
fn file_systems(mountinfo: &str) -> Vec<FileSystem> {
    let mut devices = HashSet::new();
    let mounts = mountinfo.lines().filter_map(local_mount);
    let mounts = mounts.filter(|mount| devices.insert(mount.device.to_owned()));
    mounts
        .filter_map(|mount| {
            let mount_point = unescaped(mount.point);
            let usage = rustix::fs::statvfs(&*mount_point).ok()?;
            Some(FileSystem {
                mount_point,
                fs_type: mount.fs_type.to_owned(),
                size_bytes: usage.f_frsize.saturating_mul(usage.f_blocks),
            })
        })
        .collect()
}

struct LocalMount<'a> {
    device: &'a str,
    point: &'a str,
    fs_type: &'a str,
}

/// Parses a line of mountinfo: `36 35 98:0 /root /point rw shared:1 - ext4 /dev/sda1 rw`.
fn local_mount(line: &str) -> Option<LocalMount<'_>> {
    let (mount, source) = line.split_once(" - ")?;
    let mut columns = mount.split(' ');
    let device = columns.nth(2)?;
    let point = columns.nth(1)?;
    let mut source = source.split(' ');
    let (fs_type, from) = (source.next()?, source.next()?);
    let is_local = !may_hang(fs_type) && fs_type != "autofs";
    // Images of packages are always full, and a single file may be bound into a container.
    let is_image = matches!(fs_type, "squashfs" | "erofs" | "iso9660");
    let on_disk = from.starts_with('/') || fs_type == "zfs" || (fs_type, point) == ("overlay", "/");
    if !is_local || !on_disk || is_image {
        return None;
    }
    // Only local ones are looked at: others may never answer.
    let is_file = fs::metadata(unescaped(point)).is_ok_and(|metadata| metadata.is_file());
    (!is_file).then_some(LocalMount {
        device,
        point,
        fs_type,
    })
}

/// Replaces the kernel's escapes of blanks: `\040`.
fn unescaped(text: &str) -> String {
    let escapes = [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ];
    let replace = |text: String, (from, to): (&str, &str)| text.replace(from, to);
    escapes.into_iter().fold(text.to_owned(), replace)
}

fn interfaces(dev: &str) -> Vec<String> {
    let names = dev.lines().filter_map(|line| Some(line.split_once(':')?.0));
    let is_inner = |name: &str| {
        let prefixes = ["veth", "cali", "docker", "br-", "virbr", "ifb", "dummy"];
        name == "lo" || prefixes.iter().any(|prefix| name.starts_with(prefix))
    };
    names
        .map(str::trim)
        .filter(|name| !is_inner(name))
        .map(str::to_owned)
        .collect()
}

fn sockets() -> Vec<ListeningSocket> {
    let mut found: Vec<(u64, ListeningSocket)> = Vec::new();
    for (path, protocol) in [
        ("/proc/net/tcp", Protocol::Tcp),
        ("/proc/net/tcp6", Protocol::Tcp),
        ("/proc/net/udp", Protocol::Udp),
        ("/proc/net/udp6", Protocol::Udp),
    ] {
        let text = fs::read_to_string(path).unwrap_or_default();
        for (inode, port) in listening(&text, protocol) {
            let socket = ListeningSocket {
                protocol,
                port,
                process: None,
            };
            // IPv4 and IPv6 have a socket each.
            match found.iter().any(|(_, other)| *other == socket) {
                true => {}
                false => found.push((inode, socket)),
            }
        }
    }
    let processes = processes(found.iter().map(|(inode, _)| *inode).collect());
    let named = found.into_iter().map(|(inode, socket)| ListeningSocket {
        process: processes.get(&inode).cloned(),
        ..socket
    });
    named.collect()
}

/// Returns inode and port of each socket in `/proc/net/tcp` or `udp` that listens: its state is 0A
/// for TCP, and 07 for a socket of UDP that is not connected.
fn listening(text: &str, protocol: Protocol) -> impl Iterator<Item = (u64, u16)> {
    let state = match protocol {
        Protocol::Tcp => "0A",
        Protocol::Udp => "07",
    };
    text.lines().skip(1).filter_map(move |line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (_, port) = columns.get(1)?.rsplit_once(':')?;
        let listens = *columns.get(3)? == state;
        let port = u16::from_str_radix(port, 16).ok()?;
        let inode = columns.get(9)?.parse().ok()?;
        listens.then_some((inode, port))
    })
}

/// Returns the names of the processes that have these sockets open, as far as this user may look.
fn processes(inodes: HashSet<u64>) -> HashMap<u64, String> {
    let mut names = HashMap::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let path = process.path();
        let Ok(descriptors) = fs::read_dir(path.join("fd")) else {
            continue;
        };
        let links = descriptors
            .flatten()
            .filter_map(|entry| fs::read_link(entry.path()).ok());
        for link in links {
            let inode = link.to_str().and_then(|link| {
                let number = link.strip_prefix("socket:[")?.strip_suffix(']')?;
                number.parse().ok()
            });
            if let Some(inode) = inode.filter(|inode| inodes.contains(inode)) {
                let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
                names.insert(inode, name.trim().to_owned());
            }
        }
    }
    names
}

fn units() -> BTreeSet<String> {
    let known = OTHERS
        .iter()
        .chain([&NEO4J])
        .flat_map(|service| service.units);
    let is_there = |unit: &&&str| {
        UNIT_DIRECTORIES
            .iter()
            .any(|folder| Path::new(folder).join(format!("{unit}.service")).exists())
    };
    known
        .filter(is_there)
        .map(|unit| (*unit).to_owned())
        .collect()
}

/// Reads `neo4j.conf`; the names of its keys have changed with version 5.
fn neo4j_config(text: &str) -> Neo4jConfig {
    let value = |keys: [&str; 2]| {
        let lines = text.lines().filter_map(|line| line.split_once('='));
        lines
            .filter(|(key, _)| keys.contains(&key.trim()))
            .map(|(_, value)| value.trim())
            .next_back()
    };
    let address = value([
        "server.bolt.listen_address",
        "dbms.connector.bolt.listen_address",
    ]);
    let authentication = value(["dbms.security.auth_enabled", "server.security.auth_enabled"]);
    Neo4jConfig {
        bolt_port: address.and_then(|address| address.rsplit(':').next()?.parse().ok()),
        has_authentication: authentication != Some("false"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_that_listen_are_found_in_procs_tables() {
        let tcp = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:1E07 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0\n   \
            1: 0100007F:1E08 0100007F:1E07 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0\n   \
            2: broken\n";
        let found: Vec<_> = listening(tcp, Protocol::Tcp).collect();
        assert_eq!(found, [(4711, 7687)]);
        let udp = "sl\n 0: 00000000000000000000000000000000:1FBD 00:0 07 0:0 00:0 0 0 0 99 2 0 0\n";
        assert_eq!(
            listening(udp, Protocol::Udp).collect::<Vec<_>>(),
            [(99, 8125)]
        );
    }

    #[test]
    fn a_socket_of_this_process_is_found_with_its_name() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let facts = probe();
        let found = facts.socket(Protocol::Tcp, port).unwrap();
        assert!(
            found
                .process
                .as_deref()
                .is_some_and(|name| !name.is_empty())
        );
        assert!(facts.processors > 0 && facts.memory_bytes > 1 << 20);
    }

    #[test]
    fn only_file_systems_on_disks_count() {
        let is_local = |line: &str| local_mount(line).is_some();
        assert!(is_local(
            "1 2 8:1 / /nothing rw shared:1 - ext4 /dev/sda1 rw"
        ));
        assert!(is_local("1 2 0:30 / /tank rw - zfs tank rw"));
        assert!(is_local("1 2 0:30 / / rw - overlay overlay rw"));
        assert!(!is_local("1 2 0:30 / /mnt rw - nfs4 /host:/export rw"));
        assert!(!is_local("1 2 0:30 / /mnt rw - fuse.sshfs /x rw"));
        assert!(!is_local("1 2 7:1 / /snap/x rw - squashfs /dev/loop1 ro"));
        assert!(!is_local("1 2 0:5 / /proc rw - proc proc rw"));
        assert!(!is_local("truncated"));
        assert_eq!(unescaped("/a\\040b"), "/a b");
    }

    #[test]
    fn keys_of_neo4j_4_and_5_are_read() {
        let five = neo4j_config(
            "# server.bolt.listen_address=:1\nserver.bolt.listen_address=0.0.0.0:7000\n",
        );
        assert_eq!(
            (five.bolt_port, five.has_authentication),
            (Some(7000), true)
        );
        let four = neo4j_config(
            "dbms.connector.bolt.listen_address = :7001\ndbms.security.auth_enabled=false\n",
        );
        assert_eq!(
            (four.bolt_port, four.has_authentication),
            (Some(7001), false)
        );
    }

    #[test]
    fn numbers_are_read_from_proc() {
        assert_eq!(processors("cpu  1 2\ncpu0 1\ncpu1 1\nintr 5\n"), 2);
        assert_eq!(
            memory_bytes("MemTotal:  1024 kB\nSwapTotal: 0 kB\n", "MemTotal:"),
            1 << 20
        );
        let names =
            interfaces("Inter-|  Receive\n face |bytes\n    lo: 1 2\n  eth0: 1\nvethx: 1\n");
        assert_eq!(names, ["eth0"]);
    }
}
