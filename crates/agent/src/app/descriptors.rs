//! The limit of open files and sockets.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Maximum of file descriptors: enough for the open connections and those that wait to be accepted.
const DESCRIPTORS: u64 = 65_536;

/// Raises the limit of open files and sockets to the allowed maximum, as Go's runtime does: the
/// usual limit of 1,024 exists for programs that use `select`.
pub(super) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let most = limit
        .maximum
        .map_or(DESCRIPTORS, |maximum| maximum.min(DESCRIPTORS));
    if limit.current.is_some_and(|current| current < most) {
        // Where it is not allowed, connections are rejected earlier; nothing else is lost.
        setrlimit(
            Resource::Nofile,
            Rlimit {
                current: Some(most),
                ..limit
            },
        )
        .ok();
    }
}
